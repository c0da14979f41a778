#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# 10,000 sessions, 1,000 open at once, each with a join through the gateway that its first subflow did
# not come by: all of them at the proxy that owns the session.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/steer.sh"

# A machine with no time for its daemons must not be taken for a dead proxy.
STEER_GROUPS=("name: all, members: [ px1, px2, px3 ], check: { interval_ms: 500, rise: 1, fall: 8 }")
steer_up
mirror mirror sv mirror 9000

share() { # HERD PROXY: per cent
	herd_get "$1" "100 * d['by'].get('$2', 0) // d['good']"
}

# went NAME COUNT CONVERTER SERVER FIRST OTHER-GATEWAY
went() {
	local name=$1 count=$2 host prefix=SEEN known unknown
	[[ $3 != \[* ]] || prefix=SEEN6
	local -n seen=$prefix
	known=$(($(steer_count "$6" token_pushed) + $(steer_count "$6" token_learned)))
	unknown=$(steer_count "$6" unknown_join)
	herd herd --first "$5" --subscribers 400 --count "$count" --held 1000 --joins 1 \
		--events "$T/herd.events" --server "$4" "$3"
	is "$name: sessions whose every byte was right" "$(herd_get herd 'd["good"], d["broken"]')" "[$count, {}]"
	is "$name: sessions whose join was established" "$(herd_get herd 'd["joined"], d["fallback"]')" \
		"[$count, 0]"
	for host in px1 px2 px3; do
		between "$name: the share of $host (%)" "$(share herd "${seen[$host]}")" 22 45
	done
	between "$name: the other gateway knew the tokens" \
		"$(($(steer_count "$6" token_pushed) + $(steer_count "$6" token_learned) - known))" "$count" \
		$((count + count / 10))
	diag "$name: $(herd_get herd 'd["ms"]') ms; joins that came before their token:" \
		"$(($(steer_count "$6" unknown_join) - unknown))"
}

topo_joins_from ue1
went "through gw1, joins through gw2" 6000 "$VIP4" 10.4.0.2:9000 "$SUB1" gw2
topo_joins_from ue0
went "through gw2, joins through gw1" 3000 "$VIP4" 10.4.0.2:9000 "$SUB2" gw1
went "IPv6, through gw2, joins through gw1" 1000 "$VIP6" "[fd00:4::2]:9000" "$SUB2_6" gw1

is "no subscriber was ever at two proxies" "$(python3 "$TOOLS/jget.py" --lines ev 'len(ev),
	len({e["from"] for e in ev}), len({(e["from"], e["who"]) for e in ev})' <"$T/herd.events")" \
	"[10000, 1200, 1200]"
is "the proxies' kernels: joins begun, joins that proved their keys" \
	"$(mibs MPJoinSynRx) $(mibs MPJoinAckRx)" "10000 10000"
is "the proxies' kernels: joins of nobody's sessions" \
	"$(mibs MPJoinNoTokenFound) $(mibs MPJoinAckHMacFailure)" "0 0"
diag "joins at the wrong proxy: $(($(mibs MPJoinNoTokenFound) + $(mibs MPJoinAckHMacFailure))) of" \
	"$(mibs MPJoinSynRx)"
is "new sessions by the ring" "$(($(steer_count gw1 new) + $(steer_count gw2 new)))" 10000

nothing_known() {
	[ "$(hget gw1 tokens 'len([t for t in d if t["origin"] == "pushed"])')" = 0 ] &&
		[ "$(hget gw2 tokens 'len([t for t in d if t["origin"] == "pushed"])')" = 0 ]
}
ok "when all have ended no gateway holds a pushed token" wait_until 5 nothing_known
finish
