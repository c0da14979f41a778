#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Which proxies a session gets: by the interface and the access network it comes from, by the service it
# goes to, by what it expects of them. `locate` says beforehand what happens then.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/steer.sh"

PROXY=([px1]="name: px1, address: 10.3.0.21, deliver: l2, kind: on-path, location: here"
	[px2]="name: px2, address: 10.3.0.22, deliver: ipip, kind: off-path, location: centre"
	[px3]="name: px3, address: 10.3.3.2, deliver: ipip, kind: off-path, location: centre, weight: 2")
STEER_GROUPS=("name: near, members: [ px1 ], check: { port: 5124, $CHECK }"
	"name: anchors, members: [ px2, px3 ], check: { port: 5124, $CHECK }"
	"name: flows, members: [ px2, px3 ], hash: flow, check: { port: 5124, $CHECK }"
	"name: third, members: [ px3 ], check: { port: 5124, $CHECK }")
STEER_VIRTUAL=()
STEER_GATEWAY="flows_max: 65536, tokens_max: 65536, location: here"
STEER_SELECTION=(
	'access: 10.1.200.0/24, service: "10.4.0.2/32:9000", group: third'
	'interface: a0, service: "10.4.0.2/32:9001", group: flows'
	'interface: a1, service: "10.4.0.2/32:9002", group: near'
	'service: "10.4.0.2/32:9003", expect: throughput'
	'service: "10.4.0.2/32:9004", expect: continuity'
	'service: "fd00:4::/64", expect: throughput'
)
STEER_STORE=memory
for host in px1 px2 px3; do
	OWN[$host]="intercept: { mode: take-over, source: shared, stale_ms: 3000 }"
done
steer_net_up
second_ue_up
start_host px1 px2 px3 gw1
ok "all proxies are up" wait_until 10 proxies_are up gw1
for port in 9000 9001 9002 9003 9004; do mirror "m$port" sv mirror $port; done
topo_joins_from

seen_by() { # PROXY…: as `by` of a herd has them, "self": the UE itself
	local name out=""
	for name in "$@"; do out+="${SEEN[$name]} "; done
	echo "$out"
}

# goes NAME SERVER FIRST PROXY…: so many proxies get sessions from there, all of them, no other
goes() {
	: >"$T/calls.events"
	herd herd --first "$3" --subscribers 40 --count 40 --rounds 1 --events "$T/calls.events" "$2"
	is "$1: every byte" "$(herd_get herd 'd["good"]')" 40
	is "$1: at whom" "$(herd_get herd '" ".join(sorted(d["by"]))')" "$(printf '%s\n' "${@:4}" | sort | xargs)"
}

third=${SEEN[px3]} near=${SEEN[px1]} second=${SEEN[px2]}
goes "an access network" 10.4.0.2:9000 10.1.200.1 "$third"
: >"$T/calls.events"
herd herd --first 10.1.201.1 --rounds 1 10.4.0.2:9000
is "another access network passes by" "$(herd_get herd 'd["by"]')" '{"10.1.201.1": 1}'
goes "an interface, by flow" 10.4.0.2:9001 "$SUB1" "$second" "$third"
share=$(herd_get herd "d['by']['$third']")
herd herd --first "$SUB1" --rounds 1 10.4.0.2:9002
is "another interface passes by" "$(herd_get herd 'd["by"]')" "{\"$SUB1\": 1}"
is "that interface does not" "$(nsx u2 python3 "$TOOLS/herd.py" --rounds 1 10.4.0.2:9002 | jget 'd["by"]')" \
	"{\"$near\": 1}"
goes "throughput: the proxy that is near" 10.4.0.2:9003 "$SUB1" "$near"
goes "continuity: anchors" 10.4.0.2:9004 "$SUB1" "$second" "$third"
between "weights: two thirds at the heavier (of 40)" "$share" 17 37

# locate_all NAME SERVER-PORT FIRST: what it says of 12, before they come, is where they come
locate_all() {
	local i
	: >"$T/calls.events"
	for i in {0..11}; do
		hget gw1 locate --in a0 --capable "10.1.128.$((i + 1)):1" "10.4.0.2:$2" 'd["proxy"]'
	done >"$T/said"
	herd herd --first "$SUB1" --subscribers 12 --count 12 --rounds 1 --events "$T/calls.events" "10.4.0.2:$2"
	while read -r name; do echo "${SEEN[$name]}"; done <"$T/said" >"$T/said.seen"
	is "$1: locate said where they went" \
		"$(calls '" ".join(e["who"] for e in sorted(ev, key=lambda e: list(map(int, e["from"].split(".")))))')" \
		"$(xargs <"$T/said.seen")"
}

locate_all "continuity" 9004
like "which were both anchors" "$(sort -u "$T/said" | xargs)" "px2 px3"
is "locate: plain TCP passes" "$(hget gw1 locate --syn 10.1.128.1:1000 10.4.0.2:9003 'd["what"], d["why"]')" \
	'["pass", "not_ours"]'
is "locate: what no rule has passes" \
	"$(hget gw1 locate --capable 10.1.128.1:1000 10.4.0.3:80 'd["what"], d["why"]')" '["pass", "not_ours"]'
is "locate: an unknown join is dropped" \
	"$(hget gw1 locate --join 01020304 10.1.128.1:1000 10.4.0.2:9003 'd["what"], d["why"], d["token"]')" \
	'["drop", "unknown_join", "01020304"]'
is "locate: the rule" "$(hget gw1 locate --capable 10.1.200.9:1000 10.4.0.2:9000 \
	'd["what"], d["why"], d["rule"], d["group"], d["proxy"], d["deliver"], d["address"]')" \
	'["steer", "ring", 1, "third", "px3", "ipip", "10.3.3.2"]'

# One flow that lives: locate finds it, port by port.
herd_bg one --first "$SUB1" --count 1 --gap 100 10.4.0.2:9001
ok "a session lives" wait_until 10 said one "ready 1"
port=$(nsx ue ss -Htn state established dst 10.4.0.2:9001 | awk '{ sub(/.*:/, "", $3); print $3 }' | sort -u)
who=$(hget gw1 locate --data "$SUB1:$port" 10.4.0.2:9001 'd["why"] + " " + d["proxy"]')
herd_end one
is "locate: its flow, where it is" "flow ${SEEN[${who#flow }]}" "flow $(herd_get one 'list(d["by"])[0]')"

# ---- when the preferred group is down ----
stop px1 KILL
ok "the near one is down" wait_until 5 hget_is gw1 proxies '[p["state"] for p in d if p["name"] == "px1"]' '["down"]'
goes "throughput without the near one: the anchors" 10.4.0.2:9003 "$SUB1" "$second" "$third"
launch_host px1
ok "the near one is back" wait_until 10 proxies_are up gw1
goes "throughput: the near one again" 10.4.0.2:9003 "$SUB1" "$near"
finish
