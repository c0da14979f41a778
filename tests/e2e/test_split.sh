#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# A policy's split holds on the downlink, as the links' own counters tell: where the links could carry
# more, live, and strictly; where one cannot carry its share, the others do.
# test: alone timeout=180
. "$(dirname "$0")/lib.sh"

NETWORKS='[ { name: cellular, prefixes: [ "10.1.0.0/24", "fd00:1::/64" ] }, { name: wlan, prefixes: [ "10.2.0.0/24", "fd00:2::/64" ] } ]'
MBYTE=1000000

net_up
start_mpgated "access_networks=$NETWORKS" 'default_policy={ split: { cellular: 30, wlan: 70 } }'
start_server 8000:source:24000000 8001:source:6000000 8002:source:200000 8003:source:48000000

split() { # CELLULAR WLAN [MORE]
	ok "split $1/$2 ${3:-}" ctl policy set \
		"{ name: default, split: { cellular: $1, wlan: $2 }${3:+, $3} }"
}

both_down() {
	echo "$(topo_down_bytes 0) $(topo_down_bytes 1)"
}

share() { # BEFORE AFTER: of the first link, in per cent
	awk -v b="$1" -v a="$2" 'BEGIN { split(b, x); split(a, y); u = y[1] - x[1]; v = y[2] - x[2]; printf "%.1f", 100 * u / (u + v) }'
}

has_two_subflows() {
	ctl_is sessions '[len(s["subflows"]) for s in d]' '[2]'
}

download() { # NAME PORT BYTES [ARG…]: $before, $after, $sessions halfway
	before=$(both_down)
	conv_bg "${1// /-}" --converter "$V4" --server "$SV4:$2" --bind 10.1.0.2:0 "${@:4}" recvall
	ok "$1: ends" reap "${1// /-}" 60
	after=$(both_down)
	is "$1: every byte" "$(report_get "${1// /-}" 'd["rx"]["bytes"], d["rx"]["wrong_at"], d["end"]')" \
		"[$3, null, \"fin\"]"
	mbits=$(report_get "${1// /-}" "d['rx']['bytes'] * 8 // 1000 // d['total_ms']")
}

# ---- the links could carry more -------------------------------------------------------------------
topo_shape 0 60
topo_shape 1 60
nsx sv tc qdisc add dev sv0 root tbf rate 40mbit burst 32k latency 100ms
download thirty-seventy 8000 $((24 * MBYTE))
# Of a hundred MB two points (tests/bench/split.py); here the beginning weighs four times as much.
between "30/70: of the first link" "$(share "$before" "$after")" 27 34
between "30/70: as fast as the server (Mbit/s)" "$mbits" 35 40
split 50 50
download half 8000 $((24 * MBYTE))
between "50/50: of the first link" "$(share "$before" "$after")" 47 53
split 90 10
download ninety-ten 8000 $((24 * MBYTE))
between "90/10: of the first link" "$(share "$before" "$after")" 86 93
between "90/10: as fast as the server (Mbit/s)" "$mbits" 35 40

# ---- live, on a session that runs ----------------------------------------------------------------
split 80 20
conv_bg live --converter "$V4" --server "$SV4:8003" --bind 10.1.0.2:0 recvall
ok "live: the second subflow joins" wait_until 5 has_two_subflows
moved_at_least() {
	[ "$(ctl_get sessions 'sum(s["bytes_down"] for s in d)')" -ge "$1" ]
}
ok "live: under way" wait_until 10 moved_at_least $((6 * MBYTE))
is "sessions: how it is steered" "$(ctl_get sessions '[s["steering"] for s in d]')" '["load-balancing"]'
between "sessions: the share of the first link" "$(ctl_get sessions \
	'[f["share_permille"] for f in d[0]["subflows"] if f["access"] == "cellular"][0]')" 700 900
is "sessions: each subflow has a cap, an RTT and bytes" "$(ctl_get sessions \
	'[f["cap_bytes_per_s"] > 0 and f["rtt_us"] > 0 and f["bytes_sent"] > 0 for f in d[0]["subflows"]]')" \
	'[true, true]'
split 20 80
# What the first path had been given before leaves first: a few hundred KB, in its queue and the link's.
sleep 0.5
before=$(both_down)
ok "live: ends" reap live 60
# Of a hundred MB two points; here it is some forty, of which the end is not paced.
between "live: of the first link, from the change on" "$(share "$before" "$(both_down)")" 17 23
is "live: every byte" "$(report_get live 'd["rx"]["bytes"], d["rx"]["wrong_at"]')" "[$((48 * MBYTE)), null]"

# ---- one cannot carry its share -------------------------------------------------------------------
nsx sv tc qdisc del dev sv0 root
topo_shape 0 60
topo_shape 1 15
ok "no policy, to compare with" ctl policy set '{ name: default }'
download none 8003 $((48 * MBYTE))
most=$mbits
split 20 80
download gives-way 8003 $((48 * MBYTE))
# Of a hundred MB 95 per cent; until it gives way it loses three quarters of up to half a second, which
# is twice as much of these.
between "it gives way: what both links can together (Mbit/s)" "$mbits" $((most * 91 / 100)) 75
split 20 80 "strict: true"
download strict 8000 $((24 * MBYTE))
between "strict: of the first link" "$(share "$before" "$after")" 17 26
between "strict: and so no faster (Mbit/s)" "$mbits" 13 21

# ---- what is short is not slowed down, and nobody without a policy is paced -----------------------
download short 8002 200000
between "a short transfer is quick (ms)" "$(report_get short 'd["total_ms"]')" 0 250
ok "no more policy" ctl policy set '{ name: default }'
download unpaced 8001 $((6 * MBYTE))
is "nothing is paced any more" "$(bpftool -j map dump pinned "$BPFFS/mg_paces" | jget 'len(d)')" 0
is "nor looked for" "$(bpftool -j map dump pinned "$BPFFS/mg_pace_now" | jget 'd[0]["value"]')" \
	'["0x00", "0x00", "0x00", "0x00"]'
is "nothing fell back" "$(ctl_get counters 'd["mptcp"]["fallbacks"]')" 0
finish
