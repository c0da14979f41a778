#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# The store dies and comes back: gateways go on with the tokens they know and those they learn, and are
# told the rest afterwards. What lies in the store about a token does not bring a join to a wrong end.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/steer.sh"

steer_up
mirror mirror sv mirror 9000
to=(--server 10.4.0.2:9000 "$VIP4")

reachable() { # yes|no GATEWAY…
	local gw
	for gw in "${@:2}"; do
		hget_is "$gw" status 'd["gateway"]["reachable"]' "$([ "$1" = yes ] && echo true || echo false)" || return 1
	done
}

pushed() { # GATEWAY
	hget "$1" tokens 'sorted({t["token"] for t in d if t["origin"] == "pushed"})'
}

owned() { # by the proxies, as they say
	local host
	for host in px1 px2 px3; do hget "$host" sessions '[s["token"] for s in d]'; done |
		python3 -c 'import json, sys; print(json.dumps(sorted(t for l in sys.stdin for t in json.loads(l))))'
}

agree() { # GATEWAY: knows every token there is, and no other
	[ "$(pushed "$1")" = "$(owned)" ]
}

# ---- away ----
topo_joins_from # none, for now
herd_bg old --first "$SUB1" --subscribers 100 --count 100 --gap 50 "${to[@]}"
ok "100 sessions live" wait_until 20 said old "ready 100"
ok "gw1 knows their tokens" wait_until 3 agree gw1
ok "gw2 knows their tokens" wait_until 3 agree gw2
ok "status: the store is reachable" reachable yes gw1 gw2
stop store KILL
ok "the store is killed, and status says so" wait_until 5 reachable no gw1 gw2
unknown=$(steer_count gw2 unknown_join)
join_from 10.2.0.3 ue1
ok "away: sessions of before, joins through gw2" joins old 1 100
is "away: those were known" "$(($(steer_count gw2 unknown_join) - unknown))" 0

topo_joins_from
learned=$(steer_count gw1 token_learned)
herd_bg new --first 10.1.140.1 --subscribers 60 --count 60 --gap 50 "${to[@]}"
ok "away: 60 new sessions begin" wait_until 20 said new "ready 60"
join_from 10.1.0.3 ue0
ok "away: new sessions, joins through the gateway that learned" joins new 1 60
between "away: they are by learned tokens" "$(($(steer_count gw1 token_learned) - learned))" 60 70
ok "away: what lives goes on" fresh old 2 100
ok "away: the proxies are checked as ever" proxies_are up

# ---- back ----
# Joins that nobody knows meet the store's return; 20 sessions ended meanwhile.
herd_bg brief --first 10.1.150.1 --subscribers 20 --count 20 --gap 50 "${to[@]}"
ok "away: 20 more begin" wait_until 20 said brief "ready 20"
join_from 10.2.0.4 ue1
wait_until 5 test "$(steer_count gw2 unknown_join)" -gt "$unknown"
between "away: gw2 does not know the new ones" "$(($(steer_count gw2 unknown_join) - unknown))" 1 2000
herd_end brief
start_store
ok "back: status says so" wait_until 10 reachable yes gw1 gw2
ok "back: gw1 knows every token there is, and no other" wait_until 10 agree gw1
ok "back: gw2 as well" wait_until 10 agree gw2
ok "back: joins that were unknown are repeated, and arrive" joins new 2 60
herd_end new
herd_end old
is "no session broke" "$(herd_get old 'd["good"], d["broken"]') $(herd_get new 'd["good"], d["broken"]')" \
	"[100, {}] [60, {}]"
is "joins at the wrong proxy" "$(mibs MPJoinNoTokenFound) $(mibs MPJoinAckHMacFailure)" "0 0"
wait_until 10 hget_is gw2 tokens 'len([t for t in d if t["origin"] == "pushed"])' 0

# ---- lies ----
# Every token gets a false owner, as a collision would give it: joins find the true one. Said and not stored,
# for each proxy puts its own set right with its next heartbeat.
topo_joins_from
declare -A liar=([px1]=px2 [px2]=px3 [px3]=px1)
herd_bg lied --first "$SUB1" --subscribers 60 --count 60 --gap 50 "${to[@]}"
ok "60 sessions live" wait_until 20 said lied "ready 60"
ok "gw2 knows their tokens" wait_until 3 agree gw2
for host in px1 px2 px3; do
	tokens=$(hget $host sessions '" ".join(s["token"] for s in d if s["token"])')
	store_cli publish mpgate:events "own ${liar[$host]} +${tokens// / +}" >/dev/null
done
two_owners() {
	[ "$(hget gw2 tokens 'len([t for t in d if t["origin"] == "pushed"])')" = 120 ]
}
ok "gw2 believes in two owners of each" wait_until 5 two_owners
hops=$(($(steer_count px1 second_hop) + $(steer_count px2 second_hop) + $(steer_count px3 second_hop)))
acks=$(mibs MPJoinAckRx)
join_from 10.2.0.5 ue1
ok "two owners" joins lied 1 60
is "two owners: every join at the true one" "$(($(mibs MPJoinAckRx) - acks)) $(mibs MPJoinNoTokenFound)" "60 0"
between "two owners: those asked in vain sent them on" \
	"$(($(steer_count px1 second_hop) + $(steer_count px2 second_hop) + $(steer_count px3 second_hop) - hops))" \
	20 100000
ok "two owners: every session moves bytes" fresh lied 3 60
herd_end lied
is "two owners: no session broke" "$(herd_get lied 'd["good"], d["broken"]')" "[60, {}]"
finish
