#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Every delivery in every mix of families: what a client sends gets to the proxy whole, full-size
# segments too, and the answers come by plain routing from the virtual address.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/steer.sh"

size=3000000
STEER_STORE=memory
STEER_GROUPS=("name: one, members: [ px1 ], check: { $CHECK }")
STEER_VIRTUAL=("address: \"$VIP4\", group: one" "address: \"$VIP6\", group: one")
PROXY=()
steer_net_up
topo_joins_from # none: each session has one subflow, through gw1
start_server "8000:both:$size"

# TCP frames on their way to the proxy (up) and to the UE (down), where no
# XDP has had them yet.
watch() { # SPACE INTERFACE: frames leave there for the proxy
	capture_start up "$1" "$2" -Q out
	capture_start down ue ue0 -Q in
}

unwatch() { # ADDRESS: the virtual one
	stop cap-up
	stop cap-down
	up=$(python3 "$TOOLS/pcaptunnel.py" "$T/up.pcap" "$1")
	down=$(python3 "$TOOLS/pcaptunnel.py" "$T/down.pcap" "$1")
}

both_ways() { # NAME CONVERTER SERVER
	: >"$T/server.events"
	conv --converter "$2" --server "$3" "duplex=$size"
	is "$1: every byte down, by MPTCP" "$(conv_get 'd["mptcp"], d["rx"]["bytes"], d["rx"]["wrong_at"],
		d["end"]')" "[true, $size, null, \"fin\"]"
	ok "$1: every byte up" wait_until 5 server_is \
		'[[e["bytes"], e["wrong_at"]] for e in ev if e["ev"] == "fin"]' "[[$size, null]]"
}

# delivered NAME WAY MSS MSS-OF-PROXY VERSION: a session by gw1, both ways at full speed
delivered() {
	local encap decap clamped v4=$VIP4 server=10.4.0.2:8000 vip=10.9.0.1
	[ "$5" = 4 ] || v4=$VIP6 server="[fd00:4::2]:8000" vip=fd00:9::1
	encap=$(steer_count gw1 encap) decap=$(steer_count "$host" decap)
	clamped=$(steer_count gw1 mss_clamped)
	# shellcheck disable=SC2086 # two words
	watch $port
	both_ways "$1" "$v4" "$server"
	unwatch $vip
	is "$1: the uplink arrives as, with the MSS" "$(jget '{w: x["syn"] for w, x in d.items()}' "$up")" \
		"{\"$2\": [$3]}"
	is "$1: the answers come plain, with the MSS" "$(jget '{w: x["synack"] for w, x in d.items()}' "$down")" \
		"{\"$5\": [$4]}"
	is "$1: full-size segments fit" "$(jget 'max(x["largest"] for x in d.values())' "$up")" 1500
	if [ "$2" = "$5" ]; then
		is "$1: nothing is wrapped" "$(($(steer_count gw1 encap) - encap))" 0
	else
		n=$(jget 'sum(x["n"] for x in d.values())' "$up")
		is "$1: packets wrapped, unwrapped" \
			"$(($(steer_count gw1 encap) - encap)) $(($(steer_count "$host" decap) - decap))" "$n $n"
		between "$1: SYN and SYN+ACK had their MSS lowered" \
			"$(($(steer_count gw1 mss_clamped) - clamped))" 2 4
	fi
}

# by PROXY ADDRESS DELIVERY: the one proxy, from now on
by() {
	PROXY=([$1]="name: $1, address: \"$2\", deliver: $3")
	STEER_GROUPS=("name: one, members: [ $1 ], check: { $CHECK }")
	host=$1
	alive "$1" || start_host "$1"
	write_host gw1
	if alive gw1; then kill -HUP "${PID[gw1]}"; else launch_host gw1; fi
	ok "$3 to $2: up" wait_until 10 hget_is gw1 proxies '[(p["address"], p["state"]) for p in d]' \
		"[[\"$2\", \"up\"]]"
}

port="sw px1p0"
by px1 10.3.0.21 l2
delivered "l2, IPv4" 4 1460 1460 4
delivered "l2, IPv6" 6 1440 1440 6
by px1 10.3.0.21 ipip
delivered "IPv4 in IPv4" "4 in 4" 1440 1440 4
delivered "IPv6 in IPv4" "6 in 4" 1420 1420 6
by px1 fd00:3::21 ipip
delivered "IPv4 in IPv6" "4 in 6" 1420 1420 4
delivered "IPv6 in IPv6" "6 in 6" 1400 1400 6
port="r3 r1"
by px3 10.3.3.2 ipip
delivered "behind a router, IPv4 in IPv4" "4 in 4" 1440 1440 4

# ---- narrower than the gateway knows ----
# The router to px3 tells by ICMP, to the gateway, which then tells the clients.
topo_ip r3 link set r1 mtu 1400
topo_ip px3 link set p0 mtu 1400
big=$(steer_count gw1 too_big)
capture_start ptb ue ue0 "icmp[0] == 3 and icmp[1] == 4"
both_ways "a narrow way to the proxy" "$VIP4" 10.4.0.2:8000
stop cap-ptb
between "a narrow way to the proxy: answered" "$(($(steer_count gw1 too_big) - big))" 1 200
like "a narrow way to the proxy: the client is told what fits" "$(capture_show ptb "")" "mtu 1380"
topo_ip r3 link set r1 mtu 1500
topo_ip px3 link set p0 mtu 1500

# ---- errors about a steered flow ----
# Behind the UE a subscriber with a narrow link, of which only the UE tells, to the virtual address.
ip netns add "$TOPO-u2" && TOPO_SPACES+=" u2"
topo_veth u2 u0 ue lan0
ip -n "$TOPO-u2" -batch - <<-END
	link set u0 up
	addr add 10.1.100.2/24 dev u0
	route add default via 10.1.100.1
END
topo_ip ue link set lan0 mtu 1280 up
topo_ip ue addr add 10.1.100.1/24 dev lan0
topo_ip gw1 route add 10.1.100.0/24 via 10.1.0.2
topo_sysctl ue net.ipv4.ip_forward=1 net.ipv4.icmp_ratemask=0
topo_sysctl u2 net.ipv4.tcp_congestion_control=reno
nsx u2 ethtool -K u0 tx off >/dev/null
topo_ip ue route add 10.1.100.0/24 dev lan0 table 101
icmp=$(steer_count gw1 icmp)
nsx u2 timeout 20 python3 "$TOOLS/rawconv.py" --converter "$VIP4" --server 10.4.0.2:8000 recvall \
	>"$T/conv.json" 2>"$T/conv.log"
is "a narrow link behind the UE: every byte" "$(conv_get 'd["rx"]["bytes"], d["rx"]["wrong_at"]')" \
	"[$size, null]"
between "a narrow link behind the UE: its ICMP error went with the flow" \
	"$(($(steer_count gw1 icmp) - icmp))" 1 20

# ---- a gateway that is a proxy itself ----
# What it serves comes to it directly, and from the other gateway in a tunnel.
stop gw1
topo_ip gw2 addr add 10.9.0.1/32 dev lo
topo_sysctl gw2 net.mptcp.enabled=1
nsx gw2 ip mptcp limits set subflow 4
topo_joins_from ue0
OWN[gw2]="converter: { listen: [ \"$VIP4\", \"10.3.0.12:5124\" ] }
gateways: [ 10.3.0.0/24 ]"
STEER_GROUPS=("name: one, members: [ gw2 ], check: { $CHECK }")
STEER_STORE=redis://10.3.0.9:6379
start_store
PROXY=([gw2]="name: gw2, address: 10.3.0.12, deliver: local")
start_host gw2
PROXY=([gw2]="name: gw2, address: 10.3.0.12, deliver: ipip")
start_host gw1
ok "local: both gateways see it up" wait_until 10 proxies_are up
mirror mirror sv mirror 9000
decap=$(steer_count gw2 decap)
herd herd --first "$SUB2" --subscribers 20 --count 20 --joins 1 --server 10.4.0.2:9000 "$VIP4"
is "local: sessions whose every byte was right, with joins by the other gateway" \
	"$(herd_get herd 'd["good"], d["joined"]')" "[20, 20]"
between "local: those came in a tunnel" "$(($(steer_count gw2 decap) - decap))" 40 100000
is "local: at the right proxy" "$(mib gw2 MPJoinAckRx) $(mib gw2 MPJoinNoTokenFound)" "20 0"
finish
