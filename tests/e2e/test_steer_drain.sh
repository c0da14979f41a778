#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# A proxy is drained under load: its sessions go on there, also with new joins, new ones go elsewhere;
# undrained it takes its share back. No session breaks.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/steer.sh"

steer_up
mirror mirror sv mirror 9000
topo_joins_from ue1
to=(--server 10.4.0.2:9000 "$VIP4")

px1_since() { # MS
	calls "sum(e['at'] > $1 and e['who'] == '${SEEN[px1]}' for e in ev)"
}

herd_bg old --first "$SUB1" --subscribers 300 --count 300 --gap 50 --joins 1 "${to[@]}"
ok "300 sessions live, with joins through the other gateway" wait_until 20 said old "ready 300"
herd_bg calls --first "$SUB2" --subscribers 500 --every 8 --rounds 1 --events "$T/calls.events" "${to[@]}"
ok "new ones come all the time" wait_until 10 calls_since 0 100

before=$(hget px1 sessions 'len(d)')
between "some live at px1" "$before" 40 200
ok "px1 is drained, asked at gw1" hctl gw1 drain px1
drained="px1 draining, px2 up, px3 up"
ok "both gateways know" wait_until 3 states_are "$drained" gw1 gw2
began=$(now_ms)
is "its share is none" "$(hget gw2 proxies '[p["share"] == 0 for p in d if p["name"] == "px1"]')" "[true]"

# A further address of the UE behind gw2 makes every session join anew.
join_from 10.2.0.3 ue1
ok "new joins of old sessions are answered, all 300" joins old 2 300
ok "every old session moved more bytes" fresh old 5 300
ok "200 more sessions came" wait_until 15 calls_since "$began" 200
is "none of them at px1" "$(px1_since "$began")" 0

ok "px1 is undrained, asked at gw2" hctl gw2 undrain px1
ok "both gateways know" wait_until 3 proxies_are up
began=$(now_ms)
ok "it has its share of new sessions again" wait_until 10 who_has px1 "$began"

ok "every old session moves bytes still" fresh old 3 300
herd_end old
herd_end calls
is "old sessions: good, broken" "$(herd_get old 'd["good"], d["broken"], d["joined"]')" "[300, {}, 300]"
is "old sessions stayed: those of px1" "$(herd_get old "d['by']['${SEEN[px1]}'] >= 40")" true
is "new sessions broken" "$(herd_get calls 'd["broken"]')" "{}"
good=$(($(herd_get old 'd["good"]') + $(herd_get calls 'd["good"]')))
count=$((300 + $(herd_get calls 'd["good"] + sum(sum(b.values()) for b in d["broken"].values())')))
diag "sessions broken by the drain: $((count - good)) of $count"
# Others, of short sessions, may come when their session has ended.
is "joins with a wrong key" "$(mibs MPJoinAckHMacFailure)" 0
finish
