#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Subflows come and go while the daemon hears nothing of it, and the kernel's events overflow: then it
# counts anew by what sessions really have.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/policy.sh
. "$(dirname "$0")/policy.sh"

net_up
start_server 8000:echo
start_policed <<<"default_policy: { limits: { sessions: 9, subflows: 20, subflows_per_session: 4 } }"

counted() { # SUBFLOWS, for wait_until
	limits_is 10.1.0.2 'd["sessions"], d["subflows"]' "[2, $1]"
}

# Sessions of the proxy's own, until nobody could keep what is told of them.
overflow() {
	nsx px python3 - <<-'END'
		import socket
		with socket.socket(socket.AF_INET, socket.SOCK_STREAM, 262) as s:
		    s.bind(("127.0.0.1", 0))
		    s.listen(64)
		    for _ in range(9000):
		        c = socket.socket(socket.AF_INET, socket.SOCK_STREAM, 262)
		        c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
		        c.connect(s.getsockname())
		        s.accept()[0].close()
		        c.close()
	END
}

endpoint_of() { # ADDRESS: its id
	nsx ue ip mptcp endpoint show | sed -n "s/^$1 id \([0-9]*\).*/\1/p"
}

links_are() { # NUMBER of subflows as the client's kernel has them
	[ "$(nsx ue ss -Htni state established dst 10.3.0.2 | grep -c tcp-ulp-mptcp)" = "$1" ]
}

hold_open one --bind 10.1.0.2:0
hold_open two --bind 10.1.0.2:0
ok "two sessions, four subflows" wait_until 5 counted 4

kill -STOP "${PID[mpgated]}"
overflow
nsx ue ip mptcp endpoint del id "$(endpoint_of 10.2.0.2)"
ok "two are gone meanwhile" wait_until 5 links_are 2
kill -CONT "${PID[mpgated]}"
ok "events were lost, and the log says so" wait_until 10 grep -q "path events were lost" "$T/mpgated.log"
ok "two are counted" wait_until 10 counted 2

: >"$T/mpgated.log"
kill -STOP "${PID[mpgated]}"
overflow
nsx ue ip mptcp endpoint add 10.2.0.2 dev ue1 subflow
ok "two have come meanwhile" wait_until 5 links_are 4
kill -CONT "${PID[mpgated]}"
ok "events were lost again" wait_until 10 grep -q "path events were lost" "$T/mpgated.log"
ok "four are counted" wait_until 10 counted 4
later=$(($(now_ms) + 13000))
that_is_over() {
	[ "$(now_ms)" -ge "$later" ]
}
wait_until 30 that_is_over
ok "and are not taken for joins that came to nothing" counted 4
ok "sessions has four" ctl_is sessions 'sum(len(s["subflows"]) for s in d)' 4

go one
go two
ok "both end" reap one 10
reap two 10
is "and carried what they should" "$(report_get one 'd["rx"]["text"]') $(report_get two 'd["rx"]["text"]')" \
	"hello hello"
ok "nothing is counted" wait_until 10 nothing_is_counted
finish
