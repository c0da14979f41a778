#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# The device that held SYNs go back through is set down, deleted, and deleted with another in its place:
# the first two are mended, after the third nothing is held any more.
. "$(dirname "$0")/lib.sh"

net_up nojoin
# Phones that once had to give up MPTCP try it again.
topo_sysctl ue net.mptcp.blackhole_timeout=0 2>/dev/null
start_server 8000:echo
start_mpgated intercept.mode=take-over

taken() {
	direct "$SV4:8000" text=x shutwr recvall
	[ "$(conv_get 'd["mptcp"], d["rx"]["text"]')" = '[true, "x"]' ]
}

mended() { # HOW MANY TIMES
	[ "$(grep -c "mpgate0.* it is back" "$T/mpgated.log")" = "$1" ]
}

ok "at first sessions are taken over" taken
topo_ip px link set mpgate0 down
ok "the device was set down: it is set up again" wait_until 5 mended 1
ok "sessions are taken over" taken
topo_ip px link del mpgate0
ok "it was deleted: it is made again" wait_until 5 mended 2
ok "sessions are taken over again" taken
is "without IPv6, as ever" "$(topo_ip px -6 -o addr show dev mpgate0)" ""

kill -STOP "${PID[mpgated]}"
topo_ip px link del mpgate0
topo_ip px link add mpgate0 type veth peer name other0
kill -CONT "${PID[mpgated]}"
ok "another one has its name" wait_until 5 grep -q "no SYN is held" "$T/mpgated.log"
direct "$SV4:8000" text=x shutwr recvall
is "connections pass, at once" "$(conv_get 'd["mptcp"], d["rx"]["text"]')" '[false, "x"]'
between "ms" "$(conv_get 'd["connect_ms"]')" 0 $((900 * ${TEST_SLOW:-1}))
write_config intercept.mode=take-over
kill -HUP "${PID[mpgated]}"
ok "a reload" wait_until 5 grep -q "in force" "$T/mpgated.log"
direct "$SV4:8000" text=x shutwr recvall
is "changes nothing of that" "$(conv_get 'd["mptcp"], d["rx"]["text"]')" '[false, "x"]'
is "it is told once" "$(grep -c "no SYN is held" "$T/mpgated.log")" 1
topo_ip px link del mpgate0
stop mpgated
is "it ends as ever" $? 0
is "nothing is left of it" "$(topo_ip px -o link show | grep -c mpgate0)$(topo_ip px rule | grep -c '^100:')" 00
start_mpgated intercept.mode=take-over
ok "a new one takes over" taken
finish
