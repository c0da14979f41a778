#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# intercept.source: shared. The server sees the gateway; everything else is as with the phone's own.
. "$(dirname "$0")/lib.sh"

net_up
start_server 8000:echo
start_mpgated intercept.mode=take-over intercept.source=shared

has_two_subflows() {
	ctl_is sessions '[len(s["subflows"]) for s in d]' '[2]'
}

shared() { # NAME SERVER FROM GATEWAY
	: >"$T/server.events"
	direct_bg one "$2" --bind "$3" text=hello recv=5 wait shutwr recvall
	ok "$1: the second link joins" wait_until 5 has_two_subflows
	source=$(ctl_get sessions 'd[0]["source"]')
	like "$1: sessions tells the gateway's address" "$source" "^$4:[0-9]+\$"
	is "$1: the server sees just that" "$(server_saw 'ev[0]["peer"], ev[0]["local"]')" \
		"[\"$source\", \"$2\"]"
	is "$1: sessions tells the phone" "$(ctl_get sessions 'd[0]["kind"], d[0]["client"]')" \
		"[\"intercept\", \"$3\"]"
	go one
	ok "$1: ends" reap one 10
	is "$1: MPTCP, echoed" "$(report_get one 'd["mptcp"], d["rx"]["text"], d["end"]')" \
		'[true, "hello", "fin"]'
}

shared "IPv4" "$SV4:8000" 10.1.0.2:41001 '10\.4\.0\.1'
shared "IPv6" "$SV6:8000" "[fd00:1::2]:41002" '\[fd00:4::1\]'
ok "no session is left" wait_until 5 n_sessions_is 0
finish
