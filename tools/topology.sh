# shellcheck shell=bash
# SPDX-License-Identifier: BSD-2-Clause
# The network that the tests, the lab and the demo share. Sourced; needs TOPO, a name prefix.
#
#                  ue0 ---- ra0            px0 (access)    px1 (core)
#   UE 10.1.0.2           10.1.0.1        10.3.0.2        10.4.0.1
#      fd00:1::2          fd00:1::1       fd00:3::2       fd00:4::1
#                                rt ---------- px ------------ sv   10.4.0.2, 10.4.0.3
#      10.2.0.2           10.2.0.1  10.3.0.1                        fd00:4::2, fd00:4::3
#      fd00:2::2          fd00:2::1 fd00:3::1
#                  ue1 ---- ra1
#
# Namespaces: $TOPO-ue (two access links), $TOPO-rt (the access routers), $TOPO-px (the proxy),
# $TOPO-sv (the servers, plain TCP). The servers' way back to the UE leads through the proxy, which
# also forwards what nobody intercepts. Behind the servers' namespace, from the proxy's view:
# 10.5.0.0/24 and fd00:5::/64 swallow everything, 10.6.0.0/24 and fd00:6::/64 answer with ICMP host
# (address) unreachable.

TOPO_SPACES="ue rt px sv"

# nsx SPACE CMD…: run in a namespace, with this /sys (ip netns exec would mount a fresh one, and
# hide bpffs with it).
nsx() {
	nsenter "--net=/run/netns/$TOPO-$1" -- "${@:2}"
}

topo_ip() {
	ip -n "$TOPO-$1" "${@:2}"
}

topo_sysctl() {
	nsx "$1" sysctl -q -w "${@:2}"
}

topo_veth() { # SPACE IF SPACE IF
	ip link add "$2" netns "$TOPO-$1" type veth peer name "$4" netns "$TOPO-$3"
}

topo_up() {
	local s
	for s in $TOPO_SPACES; do
		ip netns add "$TOPO-$s" || return 1
		# reno: BBR stalls MPTCP on veth. rp_filter and DAD have no place in a test network.
		topo_sysctl "$s" net.ipv4.tcp_congestion_control=reno \
			net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0 \
			net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.accept_dad=0 \
			net.ipv6.conf.default.router_solicitations=0 \
			net.ipv4.tcp_rmem="4096 131072 16777216" net.ipv4.tcp_wmem="4096 65536 16777216"
		topo_ip "$s" link set lo up
	done
	topo_veth ue ue0 rt ra0
	topo_veth ue ue1 rt ra1
	topo_veth rt rp0 px px0
	topo_veth px px1 sv sv0
	topo_addresses
	topo_routes
	topo_mptcp
	topo_warm
}

topo_addresses() {
	local s dev v4 v6
	while read -r s dev v4 v6; do
		printf 'link set %s up\naddr add %s/24 dev %s\naddr add %s/64 dev %s nodad\n' \
			"$dev" "$v4" "$dev" "$v6" "$dev" | ip -n "$TOPO-$s" -batch -
	done <<-END
		ue ue0 10.1.0.2 fd00:1::2
		ue ue1 10.2.0.2 fd00:2::2
		rt ra0 10.1.0.1 fd00:1::1
		rt ra1 10.2.0.1 fd00:2::1
		rt rp0 10.3.0.1 fd00:3::1
		px px0 10.3.0.2 fd00:3::2
		px px1 10.4.0.1 fd00:4::1
		sv sv0 10.4.0.2 fd00:4::2
		sv sv0 10.4.0.3 fd00:4::3
	END
}

topo_routes() {
	local i n
	topo_sysctl rt net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
	topo_sysctl px net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
	# The ICMP errors of 10.6.0.0/24 must not be rate-limited away in a series of tests.
	topo_sysctl sv net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 \
		net.ipv4.icmp_ratemask=0 net.ipv6.icmp.ratelimit=0
	for i in 0 1; do
		n=$((i + 1))
		ip -n "$TOPO-ue" -batch - <<-END
			rule add from 10.$n.0.2 lookup $((100 + n))
			route add default via 10.$n.0.1 dev ue$i table $((100 + n))
			route add default via 10.$n.0.1 dev ue$i metric $((10 + n))
		END
		ip -6 -n "$TOPO-ue" -batch - <<-END
			rule add from fd00:$n::2 lookup $((100 + n))
			route add default via fd00:$n::1 dev ue$i table $((100 + n))
			route add default via fd00:$n::1 dev ue$i metric $((10 + n))
		END
	done
	ip -n "$TOPO-rt" route add default via 10.3.0.2
	ip -6 -n "$TOPO-rt" route add default via fd00:3::2
	ip -n "$TOPO-px" -batch - <<-END
		route add 10.1.0.0/24 via 10.3.0.1
		route add 10.2.0.0/24 via 10.3.0.1
		route add 10.5.0.0/24 via 10.4.0.2
		route add 10.6.0.0/24 via 10.4.0.2
		route add fd00:1::/64 via fd00:3::1
		route add fd00:2::/64 via fd00:3::1
		route add fd00:5::/64 via fd00:4::2
		route add fd00:6::/64 via fd00:4::2
	END
	ip -n "$TOPO-sv" -batch - <<-END
		route add default via 10.4.0.1
		route add blackhole 10.5.0.0/24
		route add unreachable 10.6.0.0/24
	END
	ip -6 -n "$TOPO-sv" -batch - <<-END
		route add default via fd00:4::1
		route add blackhole fd00:5::/64
		route add unreachable fd00:6::/64
	END
}

topo_mptcp() {
	local s
	topo_sysctl sv net.mptcp.enabled=0
	for s in ue px; do
		topo_sysctl "$s" net.mptcp.enabled=1
		nsx "$s" ip mptcp limits set subflow 4 add_addr_accepted 4
	done
	# The first link's endpoint serves connections that start on the second.
	nsx ue ip mptcp endpoint add 10.1.0.2 dev ue0 subflow
	nsx ue ip mptcp endpoint add 10.2.0.2 dev ue1 subflow
	nsx ue ip mptcp endpoint add fd00:1::2 dev ue0 subflow
	nsx ue ip mptcp endpoint add fd00:2::2 dev ue1 subflow
}

# topo_warm: until every link carries both families; a fresh veth loses its first neighbour
# solicitations.
topo_warm() {
	local i pids=""
	for i in 10.1.0.2 10.2.0.2 fd00:1::2 fd00:2::2; do
		nsx sv ping -q -c 1 -i 0.05 -w 5 "$i" >/dev/null &
		pids+=" $!"
	done
	for i in $pids; do
		wait "$i" || return 1
	done
}

# topo_no_join: sessions keep the one subflow they start with.
topo_no_join() {
	nsx ue ip mptcp endpoint flush
}

# topo_shape LINK MBIT: both directions of access link 0 or 1; MBIT 0 takes the limit away. The
# burst is a few packets' worth more than a timer tick lets through, the queue some 40 ms long:
# short enough for MPTCP's scheduler, long enough for reno to keep the link busy.
topo_shape() {
	local pair
	for pair in "ue ue$1" "rt ra$1"; do
		# shellcheck disable=SC2086 # two words
		set -- "$1" "$2" $pair
		nsx "$3" tc qdisc del dev "$4" root 2>/dev/null
		[ "$2" = 0 ] || nsx "$3" tc qdisc add dev "$4" root tbf rate "${2}mbit" \
			burst 32k latency "${TOPO_QUEUE_MS:-40}ms" || return 1
	done
	return 0
}

# topo_cut LINK / topo_mend LINK: nothing passes any more, and no end is told: no carrier change, no
# ICMP error.
topo_cut() {
	topo_cut_rules add "$1"
}

topo_mend() {
	topo_cut_rules del "$1"
}

topo_cut_rules() {
	ip -n "$TOPO-rt" rule "$1" pref 1 iif "ra$2" blackhole
	ip -n "$TOPO-rt" rule "$1" pref 2 to "10.$(($2 + 1)).0.0/24" blackhole
	ip -6 -n "$TOPO-rt" rule "$1" pref 1 iif "ra$2" blackhole
	ip -6 -n "$TOPO-rt" rule "$1" pref 2 to "fd00:$(($2 + 1))::/64" blackhole
}

# Bytes that left the router towards the UE on access link 0 or 1.
topo_down_bytes() {
	ip -n "$TOPO-rt" -s -o link show "ra$1" | sed 's/.*TX: [^\\]*\\ *\([0-9]*\).*/\1/'
}

topo_down() {
	local s
	for s in $TOPO_SPACES; do
		[ ! -e "/run/netns/$TOPO-$s" ] || ip netns del "$TOPO-$s"
	done
}
