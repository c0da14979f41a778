#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Proxies that are not on the path take sessions over: a rule on the gateways brings MPTCP to them that
# is meant for servers; servers see the UE's own address, and what they send is brought to the proxy.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/steer.sh"

STEER_VIRTUAL=()
STEER_SELECTION=('service: "10.4.0.0/24", group: all' 'service: "fd00:4::/64", group: all')
for host in px1 px2 px3; do
	OWN[$host]="intercept: { mode: hybrid, source: preserved, stale_ms: 3000 }"
done
STEER_GROUPS=("name: all, members: [ px1, px2, px3 ], check: { port: 5124, $CHECK }")
steer_up
topo_sysctl sv net.mptcp.enabled=1
nsx sv ip mptcp limits set subflow 4
mirror plain sv plain 9000
mirror hybrid sv hybrid m9001
topo_joins_from ue1

downlink() {
	echo $(($(steer_count gw1 downlink) + $(steer_count gw2 downlink)))
}

sessions() { # that the proxies have taken over so far
	local host sum=0
	for host in px1 px2 px3; do
		sum=$((sum + $(hget $host counters 'd["hold"]["replayed"]')))
	done
	echo $sum
}

# taken NAME SERVER FIRST COUNT
taken() {
	local before down=$1
	before=$(sessions) down=$(downlink)
	herd herd --first "$3" --subscribers 30 --count "$4" --joins 1 --bytes 20000 --rounds 4 --by both \
		--events "$T/calls.events" "$2"
	is "$1: sessions whose every byte was right" "$(herd_get herd 'd["good"], d["broken"]')" "[$4, {}]"
	is "$1: sessions whose join was established" "$(herd_get herd 'd["joined"], d["fallback"]')" "[$4, 0]"
	is "$1: the proxies took so many over" "$(($(sessions) - before))" "$4"
	is "$1: the server saw each UE's own address" \
		"$(calls '[e["who"] for e in ev if e["who"] != "plain " + e["from"]]')" "[]"
	between "$1: what the server sent was steered" "$(($(downlink) - down))" $((4 * $4)) 1000000
	: >"$T/calls.events"
}

taken "through gw1" 10.4.0.2:9000 "$SUB1" 60
taken "IPv6" "[fd00:4::2]:9000" "$SUB1_6" 30
topo_joins_from ue0
taken "through gw2" 10.4.0.2:9000 "$SUB2" 60

# The proxies' own way to the servers leads through a gateway, which sees their SYNs.
for host in px1 px2; do topo_ip $host route add 10.4.0.2/32 via 10.3.0.11; done
topo_joins_from ue1
taken "servers behind the gateway" 10.4.0.2:9000 "$SUB1" 60
for host in px1 px2; do topo_ip $host route del 10.4.0.2/32; done

is "joins at the wrong proxy" "$(mibs MPJoinNoTokenFound) $(mibs MPJoinAckHMacFailure)" "0 0"

# ---- servers that speak MPTCP ----
before=$(sessions)
herd herd --first "$SUB1" --subscribers 30 --count 60 --bytes 20000 --rounds 4 --by both 10.4.0.2:9001
is "the hybrid server: sessions whose every byte was right" "$(herd_get herd 'd["good"], d["fallback"]')" \
	"[60, 0]"
is "the hybrid server: none was taken over" "$(($(sessions) - before))" 0
between "the hybrid server: its kernel had MPTCP with the UE" "$(mib sv MPCapableSYNRX)" 60 200
stop hybrid

# ---- what is not MPTCP ----
opened=$(sessions) new=$(steer_count gw1 new)
herd herd --tcp --first "$SUB1" --count 20 --subscribers 20 --by both --events "$T/calls.events" 10.4.0.2:9000
is "plain TCP passes by" "$(herd_get herd 'd["good"]') $(($(sessions) - opened)) $(($(steer_count gw1 new) - new))" \
	"20 0 0"
finish
