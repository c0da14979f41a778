#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# The gateway itself listens, on all its addresses, on a port that it intercepts: sessions to others on
# that port are taken over all the same, with all their links, and its own service is left alone.
. "$(dirname "$0")/lib.sh"

net_up
start_server 80:echo 8000:echo
spawn own nsx px python3 -c '
import socket
s = socket.socket(socket.AF_INET6)
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(("::", 80))
s.listen()
print("listening", flush=True)
while True:
    c, _ = s.accept()
    c.sendall(b"gateway")
    c.close()'
wait_until 5 grep -q listening "$T/own.log" || bail "the gateway's own service starts"

endpoints() {
	nsx px ip mptcp endpoint
}

joins_anywhere() {
	nsx px sysctl -n net.mptcp.allow_join_initial_addr_port
}

has_two_subflows() {
	ctl_is sessions '[len(s["subflows"]) for s in d]' '[2]'
}

taken() { # NAME SERVER FROM
	direct_bg one "$2" --bind "$3" text=hello recv=5 wait text=world recv=10 shutwr recvall
	ok "$1: the second link joins" wait_until 5 has_two_subflows
	go one
	ok "$1: ends" reap one 10
	is "$1: MPTCP, echoed, in order" "$(report_get one 'd["mptcp"], d["rx"]["text"], d["end"]')" \
		'[true, "helloworld", "fin"]'
	is "$1: the server saw the phone" \
		"$(server_saw '[e["peer"] for e in ev if e["ev"] == "accept"][-1]')" "$3"
}

gateway_answers() { # NAME ADDRESS
	direct "$2:80" recvall
	is "$1" "$(conv_get 'd["rx"]["text"]')" gateway
}

before=$(endpoints)
start_mpgated intercept.mode=take-over
taken "a free port" "$SV4:8000" 10.1.0.2:42001
is "a free port: nothing is announced" "$(endpoints)" "$before"
is "a free port: clients join where they are" "$(joins_anywhere)" 1

taken "its own port" "$SV4:80" 10.1.0.2:42002
taken "its own port, IPv6" "$SV6:80" "[fd00:1::2]:42003"
taken "its own port, again" "$SV4:80" 10.1.0.2:42004
like "an address and port are announced" "$(endpoints)" '10\.3\.0\.2 port [0-9]+ id [0-9]+ signal'
like "of IPv6, too" "$(endpoints)" 'fd00:3::2 port [0-9]+ id [0-9]+ signal'
is "clients are told to join there only" "$(joins_anywhere)" 0
is "the log says so, once" "$(grep -c 'port 80: this host listens there' "$T/mpgated.log")" 1
like "the log says where" "$(<"$T/mpgated.log")" 'announcing 10\.3\.0\.2:[0-9]+'
taken "then a free port" "$SV4:8000" 10.1.0.2:42005
gateway_answers "the gateway's own service answers" 10.3.0.2
gateway_answers "the gateway's own service answers, IPv6" "[fd00:3::2]"

stop mpgated KILL
fails "killed, it leaves what it announced" [ "$(endpoints)" = "$before" ]
ok "it starts again" launch_mpgated
is "what was announced is gone" "$(endpoints)" "$before"
is "clients join where they are" "$(joins_anywhere)" 1
taken "its own port, after that" "$SV4:80" 10.1.0.2:42006
stop mpgated
is "it ends well" $? 0
is "nothing is left" "$(endpoints)" "$before"
is "nor of the setting" "$(joins_anywhere)" 1
finish
