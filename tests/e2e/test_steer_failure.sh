#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# A proxy dies, one falls silent, one comes back, all are gone: sessions of the others go on untouched,
# new ones stay away from the dead within interval * fall + 100 ms.
# test: alone
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/steer.sh"

STEER_GROUPS=("name: all, members: [ px1, px2, px3 ], on_failure: open, check: { $CHECK }"
	"name: shut, members: [ px1, px2, px3 ], on_failure: closed, check: { $CHECK }")
STEER_VIRTUAL=("address: \"$VIP4\", group: all" "address: \"$VIP6\", group: shut")
limit=400 # 100 ms * 3 + 100 ms
steer_up
mirror mirror sv mirror 9000
topo_joins_from ue1
to=(--server 10.4.0.2:9000 "$VIP4")

# missed NAME DEATH_MS OTHERS HOW: the last call that met a dead proxy, which HOW says of an event e, began
# how long after its death?
missed() {
	local last
	last=$(calls "max([e['at'] - $2 for e in ev if $4] + [-1])")
	between "$1: new sessions met the dead proxy no longer than (ms, at most $limit)" "$last" 0 $limit
	diag "$1: the last new session that met it began $last ms after its death"
	is "$1: later ones, at whom" "$(who_since $(($2 + limit)))" "$3"
}

# ---- killed ----
herd_bg old --first "$SUB1" --subscribers 300 --count 300 --gap 100 --joins 1 "${to[@]}"
ok "300 sessions live" wait_until 20 said old "ready 300"
herd_bg calls --first "$SUB2" --subscribers 1000 --every 8 --rounds 1 --patience 4 \
	--events "$T/calls.events" "${to[@]}"
ok "new ones come all the time" wait_until 10 calls_since 0 100
killed=$(now_ms)
stop px2 KILL
ok "killed: both gateways know" wait_until 5 states_are "px1 up, px2 down, px3 up" gw1 gw2
herd_bg mid --first "$SUB1" --subscribers 300 --count 200 --gap 100 --joins 1 "${to[@]}"
ok "200 sessions begin without it" wait_until 20 said mid "ready 200"
ok "calls go on" wait_until 10 calls_since $((killed + limit)) 150
missed killed "$killed" "$(seen_without px2)" \
	'e["end"] in ("ConnectionRefusedError", "ConnectionResetError", "cut")'

# ---- and back ----
launch_host px2
ok "back: both gateways know" wait_until 10 proxies_are up
back=$(now_ms)
ok "back: it takes its share again" wait_until 10 who_has px2 "$back"
ok "back: what lives goes on" fresh mid 4 200
herd_end mid
is "back: nothing that lives was moved or broken" "$(herd_get mid 'd["good"], d["broken"], d["joined"]')" \
	"[200, {}, 200]"
is "back: those are at the others still" "$(herd_get mid 'sorted(d["by"])')" "$(seen_without px2)"
herd_end old
is "killed: sessions that broke were its own" "$(herd_get old 'sorted(d["broken"])')" "[\"${SEEN[px2]}\"]"
others=$(herd_get old "300 - sum(d['broken'].get('${SEEN[px2]}', {}).values())")
broken=$((others - $(herd_get old 'd["good"]')))
is "killed: sessions of the others that broke" "$broken" 0
diag "sessions broken by another proxy's failure: $broken of $others"
between "killed: sessions of the others" "$(herd_get old 'd["good"]')" 100 270

# ---- silent ----
herd_bg old --first "$SUB1" --subscribers 300 --count 300 --gap 100 "${to[@]}"
ok "silent: 300 sessions live" wait_until 20 said old "ready 300"
herd_end calls
: >"$T/calls.events"
herd_bg calls --first "$SUB2" --subscribers 1000 --every 8 --rounds 1 --patience 2 \
	--events "$T/calls.events" "${to[@]}"
ok "silent: new ones come all the time" wait_until 10 calls_since 0 100
cut=$(now_ms)
topo_part px1 p0
ok "silent: both gateways know" wait_until 5 states_are "px1 down, px2 up, px3 up" gw1 gw2
ok "silent: calls go on" wait_until 10 calls_since $((cut + limit)) 150
# Those that met silence repeat their SYN after 1 s, which then gets to another proxy, or give up after 2 s.
wait_until 6 calls_since $((cut + limit + 2500 * ${TEST_SLOW:-1})) 1
missed silent "$cut" "$(seen_without px1)" \
	'e["end"] == "silence" or e["ms"] >= 1000'
topo_unpart px1 p0 core
ok "silent: and back" wait_until 10 proxies_are up
ok "silent: all go on, its own too" fresh old 3 300
herd_end old
is "silent: no session broke" "$(herd_get old 'd["good"], d["broken"]')" "[300, {}]"
herd_end calls

# ---- all down ----
call() { # HERD-ARG…: one session to a virtual address itself, as "END WHO"
	herd one --by name --patience 1 --rounds 1 "$@"
	herd_get one '"%d %s" % (d["good"], " ".join(d["by"]))'
}

mirror open sv nobody 5124
for host in px1 px2 px3; do stop $host KILL; done
ok "all down: both gateways know" wait_until 5 proxies_are down
no_proxy=$(steer_count gw1 no_proxy)
is "all down, open: passes" "$(call "$VIP4")" "1 nobody"
is "all down, closed: silence" "$(call "$VIP6")" "0 "
between "all down: counted" "$(($(steer_count gw1 no_proxy) - no_proxy))" 2 20
launch_host px3
ok "one back: both gateways know" wait_until 10 states_are "px1 down, px2 down, px3 up" gw1 gw2
herd one --server "[fd00:4::2]:9000" "$VIP6"
is "one back: it takes all" "$(herd_get one 'd["by"]')" "{\"${SEEN6[px3]}\": 1}"
finish
