#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# A program of the gateway itself listens on a port, on all its addresses. It goes on being reached, and
# sessions that pass through to that port of others are taken over all the same, second links included.
. "$(dirname "$0")/lib.sh"

net_up
start_server 8000:echo
spawn own nsx px python3 "$TOOLS/server.py" --events "$T/own.events" 8000:banner:own
wait_until 10 grep -q listening "$T/own.events" || bail "the gateway's own server starts"
start_mpgated intercept.mode=take-over

has_two_subflows() {
	ctl_is sessions '[len(s["subflows"]) for s in d]' '[2]'
}

taken() { # NAME SERVER FROM
	direct_bg one "$2" --bind "$3" text=hello recv=5 wait text=world recv=10 shutwr recvall
	ok "$1: the second link joins" wait_until 5 has_two_subflows
	is "$1: taken over" "$(ctl_get sessions '[[s["kind"], s["server"], s["mptcp"]] for s in d]')" \
		"[[\"intercept\", \"$2\", true]]"
	go one
	ok "$1: ends" reap one 10
	is "$1: MPTCP, echoed" "$(report_get one 'd["mptcp"], d["rx"]["text"], d["end"]')" \
		'[true, "helloworld", "fin"]'
	is "$1: the server saw the phone" \
		"$(server_saw '[e["peer"] for e in ev if e["ev"] == "accept"][-1]')" "$3"
}

taken "IPv4" "$SV4:8000" 10.1.0.2:41001
taken "IPv6" "$SV6:8000" "[fd00:1::2]:41002"
taken "from the second link" "$SV4:8000" 10.2.0.2:41003
for own in 10.3.0.2:8000 "[fd00:3::2]:8000"; do
	direct "$own" recv=3 shutwr recvall
	is "the gateway's own server is reached, $own" "$(conv_get 'd["rx"]["text"]')" own
done
like "the log says so, once a port" "$(grep -c 'port 8000' "$T/mpgated.log")" '^[12]$'
ok "no session is left" wait_until 5 n_sessions_is 0
finish
