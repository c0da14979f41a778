# shellcheck shell=bash
# SPDX-License-Identifier: BSD-2-Clause
# A network with two gateways and three proxies off the path. Sourced after topology.sh;
# topo_steer_up in the place of topo_up.
#
#            ue0        a0          c0  10.3.0.0/24, fd00:3::/64
#        10.1.0.2   10.1.0.1 gw1 .11 ──┬──┬── .21 px1 ──┐ p1: .21  10.4.0.0/24, fd00:4::/64
#   UE                            c1 ──│──│─────────────┤
#        10.2.0.2   10.2.0.1 gw2 .12 ──┤  ├── .22 px2 ──┼── sv 10.4.0.2, 10.4.0.3
#            ue1        a0        c1 ──│──│─────────────┤
#                           st .9 ─────┘  └── .3 r3 ── px3 10.3.3.2, fd00:33::2
#                        (the store)
#
# Namespaces: $TOPO-ue, -gw1, -gw2, -sw (the bridges of both networks), -px1, -px2, -px3, -r3 (the
# router to px3), -st, -sv. Host N of IPv4 is host N of IPv6, written alike (10.3.0.21, fd00:3::21).
#
# 10.9.0.1 and fd00:9::1 are the proxies' virtual addresses; a gateway that lets a packet to them pass
# forwards it to sv. Subscribers by the thousand: the UE has all of 10.1.128.0/17 and fd00:1:8000::/33 by
# gw1, 10.2.128.0/17 and fd00:2:8000::/33 by gw2. Servers send to the UE through the gateways, and so do
# the proxies; each gateway has the access network of its own and reaches the other's through the other.

TOPO_SPACES="ue gw1 gw2 sw px1 px2 px3 r3 st sv"
TOPO_VIRTUAL4=10.9.0.1 TOPO_VIRTUAL6=fd00:9::1

topo_steer_up() {
	local s
	for s in $TOPO_SPACES; do
		ip netns add "$TOPO-$s" || return 1
		topo_sysctl "$s" net.ipv4.tcp_congestion_control=reno \
			net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0 \
			net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.accept_dad=0 \
			net.ipv6.conf.default.router_solicitations=0 \
			net.ipv4.tcp_rmem="4096 131072 16777216" net.ipv4.tcp_wmem="4096 65536 16777216"
		topo_ip "$s" link set lo up
	done
	topo_steer_links
	topo_steer_addresses
	topo_steer_routes
	topo_steer_mptcp
	topo_steer_warm
}

topo_steer_links() {
	local s
	topo_veth ue ue0 gw1 a0
	topo_veth ue ue1 gw2 a0
	topo_veth px3 p0 r3 r1
	ip -n "$TOPO-sw" link add core type bridge mcast_snooping 0 forward_delay 0
	ip -n "$TOPO-sw" link add servers type bridge mcast_snooping 0 forward_delay 0
	ip -n "$TOPO-sw" link set core up
	ip -n "$TOPO-sw" link set servers up
	for s in gw1:c0 gw2:c0 px1:p0 px2:p0 r3:r0 st:s0; do
		topo_plug core "${s%:*}" "${s#*:}"
	done
	for s in gw1:c1 gw2:c1 px1:p1 px2:p1 px3:p1 sv:sv0; do
		topo_plug servers "${s%:*}" "${s#*:}"
	done
	# What XDP sends out of a veth device is taken at its other end with NAPI only, and leaves with
	# the checksum it came with: it has to be whole.
	for s in r3:r1 ue:ue0 ue:ue1; do
		nsx "${s%:*}" ethtool -K "${s#*:}" gro on >/dev/null
	done
	for s in ue:ue0 ue:ue1 px1:p0 px1:p1 px2:p0 px2:p1 px3:p0 px3:p1 st:s0 sv:sv0; do
		nsx "${s%:*}" ethtool -K "${s#*:}" tx off >/dev/null
	done
}

topo_plug() { # BRIDGE SPACE IF
	topo_veth "$2" "$3" sw "$2$3"
	ip -n "$TOPO-sw" link set "$2$3" master "$1" up
	nsx sw ethtool -K "$2$3" gro on >/dev/null
}

topo_steer_addresses() {
	local s dev v4 v6
	while read -r s dev v4 v6; do
		printf 'link set %s up\naddr add %s dev %s\naddr add %s dev %s nodad\n' \
			"$dev" "$v4" "$dev" "$v6" "$dev" | ip -n "$TOPO-$s" -batch -
	done <<-END
		ue ue0 10.1.0.2/24 fd00:1::2/64
		ue ue1 10.2.0.2/24 fd00:2::2/64
		gw1 a0 10.1.0.1/24 fd00:1::1/64
		gw2 a0 10.2.0.1/24 fd00:2::1/64
		gw1 c0 10.3.0.11/24 fd00:3::11/64
		gw2 c0 10.3.0.12/24 fd00:3::12/64
		gw1 c1 10.4.0.11/24 fd00:4::11/64
		gw2 c1 10.4.0.12/24 fd00:4::12/64
		px1 p0 10.3.0.21/24 fd00:3::21/64
		px2 p0 10.3.0.22/24 fd00:3::22/64
		px3 p0 10.3.3.2/24 fd00:33::2/64
		px1 p1 10.4.0.21/24 fd00:4::21/64
		px2 p1 10.4.0.22/24 fd00:4::22/64
		px3 p1 10.4.0.23/24 fd00:4::23/64
		px1 lo $TOPO_VIRTUAL4/32 $TOPO_VIRTUAL6/128
		px2 lo $TOPO_VIRTUAL4/32 $TOPO_VIRTUAL6/128
		px3 lo $TOPO_VIRTUAL4/32 $TOPO_VIRTUAL6/128
		r3 r0 10.3.0.3/24 fd00:3::3/64
		r3 r1 10.3.3.1/24 fd00:33::1/64
		st s0 10.3.0.9/24 fd00:3::9/64
		sv sv0 10.4.0.2/24 fd00:4::2/64
		sv sv0 10.4.0.3/24 fd00:4::3/64
		sv lo $TOPO_VIRTUAL4/32 $TOPO_VIRTUAL6/128
	END
}

# topo_route SPACE NET4 VIA4 NET6 VIA6
topo_route() {
	ip -n "$TOPO-$1" route replace "$2" via "$3"
	ip -6 -n "$TOPO-$1" route replace "$4" via "$5"
}

topo_steer_routes() {
	local s n other
	for s in gw1 gw2 r3 px1 px2 px3 sv; do
		topo_sysctl "$s" net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 \
			net.ipv4.icmp_ratemask=0 net.ipv6.icmp.ratelimit=0
	done
	# Addresses of lo's routes are bound without being anybody's.
	topo_sysctl ue net.ipv6.ip_nonlocal_bind=1
	for n in 1 2; do
		other=$((3 - n))
		ip -n "$TOPO-ue" -batch - <<-END
			rule add from 10.$n.0.0/16 lookup $((100 + n))
			route add default via 10.$n.0.1 dev ue$((n - 1)) table $((100 + n))
			route add default via 10.$n.0.1 dev ue$((n - 1)) metric $((10 + n))
			route add local 10.$n.128.0/17 dev lo
		END
		ip -6 -n "$TOPO-ue" -batch - <<-END
			rule add from fd00:$n::/32 lookup $((100 + n))
			route add default via fd00:$n::1 dev ue$((n - 1)) table $((100 + n))
			route add default via fd00:$n::1 dev ue$((n - 1)) metric $((10 + n))
			route add local fd00:$n:8000::/33 dev lo
		END
		topo_route "gw$n" "10.$n.0.0/16" "10.$n.0.2" "fd00:$n::/32" "fd00:$n::2"
		topo_route "gw$n" "10.$other.0.0/16" "10.3.0.1$other" "fd00:$other::/32" "fd00:3::1$other"
		topo_route "gw$n" 10.3.3.0/24 10.3.0.3 fd00:33::/64 fd00:3::3
		topo_route "gw$n" 10.9.0.0/24 10.4.0.2 fd00:9::/64 fd00:4::2
	done
	for s in px1 px2 r3 st sv; do
		n=3
		[ "$s" != sv ] || n=4
		topo_route "$s" 10.1.0.0/16 "10.$n.0.11" fd00:1::/32 "fd00:$n::11"
		topo_route "$s" 10.2.0.0/16 "10.$n.0.12" fd00:2::/32 "fd00:$n::12"
	done
	for s in px1 px2 st; do
		topo_route "$s" 10.3.3.0/24 10.3.0.3 fd00:33::/64 fd00:3::3
	done
	topo_route px3 10.0.0.0/8 10.3.3.1 fd00::/16 fd00:33::1
	topo_route sv default 10.4.0.11 default fd00:4::11
}

topo_steer_mptcp() {
	local s
	topo_sysctl sv net.mptcp.enabled=0
	for s in ue px1 px2 px3; do
		topo_sysctl "$s" net.mptcp.enabled=1
		nsx "$s" ip mptcp limits set subflow 4 add_addr_accepted 4
	done
	topo_joins_from ue0 ue1
}

# topo_joins_from LINK…: on which links of the UE sessions get further subflows.
topo_joins_from() {
	local dev n
	nsx ue ip mptcp endpoint flush
	for dev in "$@"; do
		n=$((${dev#ue} + 1))
		nsx ue ip mptcp endpoint add "10.$n.0.2" dev "$dev" subflow
		nsx ue ip mptcp endpoint add "fd00:$n::2" dev "$dev" subflow
	done
}

# Until every link carries both families
topo_steer_warm() {
	local s i pids=""
	while read -r s i; do
		nsx "$s" ping -q -c 1 -i 0.05 -w 5 "$i" >/dev/null &
		pids+=" $!"
	done <<-END
		sv 10.1.0.2
		sv 10.2.0.2
		sv fd00:1::2
		sv fd00:2::2
		px1 10.1.0.2
		px1 fd00:2::2
		px2 10.2.0.2
		px2 fd00:1::2
		px3 10.1.0.2
		px3 fd00:2::2
		px1 10.4.0.2
		px2 fd00:4::2
		px3 10.4.0.2
		st 10.3.3.2
		gw1 10.3.0.9
		gw2 10.3.0.9
	END
	for i in $pids; do
		wait "$i" || return 1
	done
}

# topo_part SPACE IF / topo_unpart SPACE IF: the switch carries nothing for this port any more, and no
# end is told.
topo_part() {
	ip -n "$TOPO-sw" link set "$1$2" nomaster
}

topo_unpart() { # SPACE IF BRIDGE
	ip -n "$TOPO-sw" link set "$1$2" master "$3"
}
