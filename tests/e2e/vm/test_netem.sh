#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Paths as they are outside: 50 ms and 10 ms, 1 % loss on each. Every byte arrives, in both
# directions, over both paths, at a rate such paths give.
# test: timeout=180 alone
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
between "the first path's round trip (ms)" "$(nsx ue ping -q -c 20 -i 0.05 -I 10.1.0.2 10.3.0.2 |
	awk -F/ '/^rtt|^round/ { print $5 }')" 49 90

size=4000000
start_mpgated
# Clients of kernels whose listeners take no SYN data have no way to send it either.
patient=(--timeout 60)
[ "$(ctl_get status 'd["features"]["mptcp_syn_data"]')" = true ] || patient+=(--deliver after)
start_server "8000:source:$size" 8001:sink "8002:both:$size"

has_two_subflows() {
	ctl_is sessions '[len(s["subflows"]) for s in d]' '[2]'
}

# transfer NAME ARG…: nothing moves before the second path has joined; then all of it, in good time.
# One reno flow with 1 % loss each way gets about MSS / RTT * 0.9 / sqrt(0.01): 2 Mbit/s at 50 ms, 10
# at 10 ms. A tenth of that is asked for: emulated machines are slow.
transfer() {
	local start
	conv_bg "$1" "${patient[@]}" "${@:2}"
	ok "$1: the second path joins" wait_until 20 has_two_subflows
	start=$(now_ms)
	go "$1"
	ok "$1: ends" reap "$1" 90
	between "$1: the rate (kbit/s)" "$((size * 8 / ($(now_ms) - start)))" 1000 1000000
}

transfer down --converter "$V4" --server "$SV4:8000" --bind 10.1.0.2:0 wait recvall
is "down: every byte" "$(report_get down 'd["rx"]["bytes"], d["rx"]["wrong_at"], d["end"]')" \
	"[$size, null, \"fin\"]"
transfer up --converter "$V4" --server "$SV4:8001" --bind 10.2.0.2:0 wait "send=$size" shutwr recvall
is "up: every byte" "$(server_saw \
	'[[e["bytes"], e["wrong_at"]] for e in ev if e["ev"] == "fin" and e["port"] == 8001]')" \
	"[[$size, null]]"

conv_bg both --converter "$V6" --server "$SV6:8002" --bind "[fd00:1::2]:0" "${patient[@]}" \
	"duplex=$size"
ok "both ways at once, IPv6: ends" reap both 120
is "both ways at once: every byte down" \
	"$(report_get both 'd["rx"]["bytes"], d["rx"]["wrong_at"]')" "[$size, null]"
is "both ways at once: every byte up" "$(server_saw \
	'[[e["bytes"], e["wrong_at"]] for e in ev if e["ev"] == "fin" and e["port"] == 8002]')" \
	"[[$size, null]]"
ok "packets were lost on the way" test "$(nsx px cat /proc/net/snmp |
	awk '$1 == "Tcp:" { n = $13 } END { print n }')" -gt 0
ok "no session is left" wait_until 10 n_sessions_is 0
finish
