#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Paths as they are outside: 50 ms and 10 ms, 1 % loss on each. Every byte arrives, in both
# directions, over both paths, at a rate such paths give.
# test: timeout=180 alone vm=6.12
. "$(dirname "$0")/../lib.sh"

net_up
nsx ue tc qdisc add dev ue0 root netem delay 1ms 2>/dev/null || skip_all "no netem in this kernel"
netem() { # LINK DELAY_MS: half of it each way, the loss on each way
	local half=$(($2 * 1000 / 2))us
	nsx ue tc qdisc replace dev "ue$1" root netem delay "$half" loss 1% limit 10000 &&
		nsx rt tc qdisc replace dev "ra$1" root netem delay "$half" loss 1% limit 10000
}

ok "50 ms and 1 % loss on the first path" netem 0 50
ok "10 ms and 1 % loss on the second path" netem 1 10
# The quickest of twenty: the mean is no use on a machine that stands still now and then.
round_trip_ms() { # LINK
	nsx ue ping -q -c 20 -i 0.05 -I "10.$(($1 + 1)).0.2" 10.3.0.2 |
		sed -n 's|^r.* = \([0-9.]*\)/.*|\1|p'
}
between "the first path's round trip (ms)" "$(round_trip_ms 0)" 50 90
between "the second path's round trip (ms)" "$(round_trip_ms 1)" 10 40

size=4000000
start_mpgated
# Clients of kernels whose listeners take no SYN data have no way to send it either.
patient=(--timeout 60)
[ "$(ctl_get status 'd["features"]["mptcp_syn_data"]')" = true ] || patient+=(--deliver after)
start_server "8000:source:$size" 8001:sink "8002:both:$size"

session_is() { # WHAT of n (subflows) and plain (fell back)
	ctl_is sessions "[(lambda n, plain: $1)(len(s[\"subflows\"]), s[\"fallback\"]) for s in d]" \
		'[true]'
}

# open_with_join NAME ARG…: with its handshake a connection may lose MPTCP (a SYN with data that has to
# be sent again is plain TCP), or the one join that the UE's kernel tries. Chance decides, for one in
# fifty or so; then it is opened again.
open_with_join() {
	for try in 1 2 3 4 5 6; do
		conv_bg "$@" "${patient[@]}"
		wait_until 10 session_is 'plain or n == 2'
		session_is 'n == 2 and not plain' && return
		ctl --json sessions
		stop "$1" KILL
		wait_until 20 n_sessions_is 0
	done
	return 1
}

sent_bytes() { # SPACE INTERFACE
	nsx "$1" cat /proc/net/dev | awk -v name="$2:" '$1 == name { print $10 }'
}

# transfer NAME SPACE INTERFACE-PREFIX ARG…: nothing moves before the second path has joined; then all
# of it, in good time, and on both links: more on each than a handshake takes.
# One reno flow with 1 % loss each way gets about MSS / RTT * 0.9 / sqrt(0.01): 2 Mbit/s at 50 ms, 10
# at 10 ms. A few hundredths of that are asked for: emulated machines are slow, and a lost packet of
# the connection's end costs seconds. A transfer that stands still is what this tells.
transfer() {
	local start before i try
	ok "$1: the second path joins" open_with_join "$1" "${@:4}"
	diag "$1: opened $try times"
	before=("$(sent_bytes "$2" "${3}0")" "$(sent_bytes "$2" "${3}1")")
	start=$(now_ms)
	go "$1"
	ok "$1: ends" reap "$1" 90
	between "$1: the rate (kbit/s)" "$((size * 8 / ($(now_ms) - start)))" 400 1000000
	for i in 0 1; do
		between "$1: bytes on link $i" "$(($(sent_bytes "$2" "$3$i") - before[i]))" 10000 $((size * 2))
	done
}

received() { # NAME
	is "$1: every byte down" "$(report_get "$1" 'd["rx"]["bytes"], d["rx"]["wrong_at"], d["end"]')" \
		"[$size, null, \"fin\"]"
}

# The server's end is waited for: a client that has read everything is gone while its own last bytes
# are still on their way.
server_received() { # NAME PORT
	ok "$1: every byte up" wait_until 20 server_is \
		"[[e['bytes'], e['wrong_at']] for e in ev if e['ev'] == 'fin' and e['port'] == $2][-1:]" \
		"[[$size, null]]"
}

transfer down rt ra --converter "$V4" --server "$SV4:8000" --bind 10.1.0.2:0 wait recvall
received down
transfer up ue ue --converter "$V4" --server "$SV4:8001" --bind 10.2.0.2:0 wait "send=$size" shutwr \
	recvall
server_received up 8001
transfer both rt ra --converter "$V6" --server "$SV6:8002" --bind "[fd00:1::2]:0" wait "duplex=$size"
received both
server_received both 8002

ok "packets were lost on the way" test "$(nsx px cat /proc/net/snmp |
	awk '$1 == "Tcp:" { n = $13 } END { print n }')" -gt 0
ok "no session is left" wait_until 10 n_sessions_is 0
finish
