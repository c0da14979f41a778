# shellcheck shell=bash
# SPDX-License-Identifier: BSD-2-Clause
# The same network, with a CPE in the place of the UE, and a host on its LAN that speaks plain TCP.
# Sourced after topology.sh; topo_cpe after topo_up.
#
#                                  lan0              ue0 ---- ra0
#   host 192.168.0.2 --- 192.168.0.1   CPE 10.1.0.2          10.1.0.1
#        fd00:10::2      fd00:10::1        10.2.0.2          10.2.0.1   rt --- px --- sv
#                                                    ue1 ---- ra1
#
# Namespace $TOPO-ho. The LAN is routed: what the CPE lets pass keeps its address.

TOPO_SPACES="$TOPO_SPACES ho"

topo_cpe() {
	topo_veth ho ho0 ue lan0
	ip -n "$TOPO-ho" -batch - <<-END
		link set ho0 up
		addr add 192.168.0.2/24 dev ho0
		addr add fd00:10::2/64 dev ho0 nodad
		route add default via 192.168.0.1
	END
	ip -n "$TOPO-ue" -batch - <<-END
		link set lan0 up
		addr add 192.168.0.1/24 dev lan0
		addr add fd00:10::1/64 dev lan0 nodad
	END
	ip -6 -n "$TOPO-ho" route add default via fd00:10::1
	topo_sysctl ue net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
	topo_sysctl ho net.mptcp.enabled=0
	topo_cpe_routes
	# The CPE's endpoints are its daemon's business.
	nsx ue ip mptcp endpoint flush
	nsx ue ip mptcp limits set subflow 0 add_addr_accepted 0
	topo_cpe_warm
}

topo_cpe_routes() {
	ip -n "$TOPO-rt" route add 192.168.0.0/24 via 10.1.0.2
	ip -6 -n "$TOPO-rt" route add fd00:10::/64 via fd00:1::2
	ip -n "$TOPO-px" route add 192.168.0.0/24 via 10.3.0.1
	ip -6 -n "$TOPO-px" route add fd00:10::/64 via fd00:3::1
}

topo_cpe_warm() {
	nsx ho ping -q -c 1 -i 0.05 -w 5 10.4.0.2 >/dev/null &&
		nsx ho ping -q -c 1 -i 0.05 -w 5 fd00:4::2 >/dev/null
}
