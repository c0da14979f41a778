#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Paths of all sizes: each side's MSS is that of its own path, packets too big for one of the phone's
# links or for the way to the server are told to us and not to the other side, and every byte arrives.
# test: timeout=120
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/far.sh"

net_up
size=3000000
far_up
start_server "8000:both:$size"

mtu() { # MTU SPACE DEVICE…
	local m=$1
	shift
	while [ $# -gt 0 ]; do
		topo_ip "$1" link set "$2" mtu "$m"
		shift 2
	done
}

# What a SYN or SYN+ACK in a capture says, of each that says something else
mss() { # CAPTURE FLAGS PORT
	capture_show "$1" "(tcp[13] & 18 == $2 or (ip6[6] == 6 and ip6[53] & 18 == $2)) and port $3" |
		grep -v 'mptcp.*join' | grep -o 'mss [0-9]*' | sort -u | xargs
}

has_two_subflows() {
	ctl_is sessions '[len(s["subflows"]) for s in d]' '[2]'
}

# Packets on a link that say "too big" to an address
too_big() { # CAPTURE ADDRESS
	if [[ $2 = *:* ]]; then
		capture_count "$1" "icmp6 and ip6[40] == 2 and dst host $2"
	else
		capture_count "$1" "icmp[0] == 3 and icmp[1] == 4 and dst host $2"
	fi
}

# said NAME CAPTURE LOW HIGH ADDRESS4 ADDRESS6: so many packets say "too big" to each of the two.
said() {
	between "$1" "$(too_big "$2" "$5")" "$3" "$4"
	between "$1, IPv6" "$(too_big "$2" "$6")" "$3" "$4"
}

# The way to a network on a link, which this router makes narrow. With IPv6 the link has its own
# route at metric 256, any other would stand behind it; and the link's MTU, when set, may become the
# route's.
narrow() { # SPACE DEVICE NET4 NET6
	topo_ip "$1" route replace "$3" dev "$2" mtu 1280
	topo_ip "$1" -6 route replace "$4" dev "$2" metric 256 mtu 1280
}

carried() { # NAME SERVER FROM: both ways at once, over both links
	: >"$T/server.events"
	direct_bg one "$2" --bind "$3" text=x wait "duplex=$size"
	ok "$1: the second link joins" wait_until 5 has_two_subflows
	go one
	ok "$1: ends" reap one 30
	is "$1: every byte down" "$(report_get one 'd["mptcp"], d["rx"]["bytes"], d["rx"]["wrong_at"]')" \
		"[true, $size, null]"
	ok "$1: every byte up" wait_until 5 server_is '[e["bytes"] for e in ev if e["ev"] == "fin"]' \
		"[$((size + 1))]"
}

watched() {
	# What was learned of paths before is no longer so.
	topo_ip px route flush cache
	topo_ip px -6 route flush cache
	capture_start ue rt rp0 "tcp or icmp or icmp6"
	capture_start sv sv sv0 "tcp or icmp or icmp6"
}

unwatched() {
	# What was learned of paths before is no longer so.
	topo_ip px route flush cache
	topo_ip px -6 route flush cache
	stop cap-ue
	stop cap-sv
	stop mpgated
}

# ---- the phone's side ----
# Behind the router the second link is narrow, which it tells by ICMP alone.
for m in 1280 1400 1500 9000; do
	core=9000
	[ "$m" != 9000 ] || core=1400
	mtu "$m" ue ue0 ue ue1 rt ra0 rt ra1 rt rp0 px px0
	mtu $core px px1 sv sv0
	narrow rt ra1 10.2.0.0/24 fd00:2::/64
	start_mpgated intercept.mode=take-over
	watched
	carried "$m" "$SV4:8000" 10.1.0.2:0
	carried "$m, IPv6" "$SV6:8000" "[fd00:1::2]:0"
	is "$m: MSS towards the phone" "$(mss ue 18 8000)" "mss $((m - 60)) mss $((m - 40))"
	is "$m: MSS towards the server" "$(mss sv 2 8000)" "mss $((core - 60)) mss $((core - 40))"
	said "$m: what the narrow link said of packets to it" ue \
		$((m > 1280)) $((m > 1280 ? 1000 : 0)) "$SV4" "${SV6:1:-1}"
	said "$m: the server heard nothing of it" sv 0 0 "$SV4" "${SV6:1:-1}"
	unwatched
done

# ---- the server's side ----
mtu 1500 ue ue0 ue ue1 rt ra0 rt ra1 rt rp0 px px0 px px1 sv sv0
narrow sv far0 10.7.0.0/24 fd00:7::/64
SERVER_SPACE=far start_server "8000:both:$size"
start_mpgated intercept.mode=take-over
watched
carried "narrow before the server" "$FAR4:8000" 10.1.0.2:0
carried "narrow before the server, IPv6" "$FAR6:8000" "[fd00:1::2]:0"
said "narrow before the server: what was said of our packets" sv 1 1000 10.1.0.2 fd00:1::2
said "narrow before the server: the phone heard nothing of it" ue 0 0 10.1.0.2 fd00:1::2
unwatched
finish
