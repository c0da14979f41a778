#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# However many come at the same moment, and on both CPUs: as many are let in as may be, and not one more;
# and when all are gone nothing is counted.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/policy.sh
. "$(dirname "$0")/policy.sh"

net_up nojoin
let_answers_out
start_server 8000:echo
policy='default_policy: { refuse: reset, limits: { sessions: 50, new_per_s: 0 } }'

crowd() { # COUNT
	nsx ue timeout --foreground 90 python3 "$TOOLS/crowd.py" "$SV4:8000" "$1" >"$T/crowd.json"
}

accepts() {
	server_saw 'len([e for e in ev if e["ev"] == "accept"])'
}

for xdp in auto off; do
	start_policed intercept.mode=take-over "px0.xdp=$xdp" \
		converter.pending_per_client=1000 intercept.held_per_subscriber=1000 <<<"$policy"
	for round in 1 2 3; do
		before=$(accepts)
		crowd 300
		is "XDP $xdp, round $round: fifty are served, the others refused" \
			"$(jget 'd["ends"].get("good"), d["ends"].get("error 111"), d["lost"], d["mptcp"]' <"$T/crowd.json")" \
			"[50, 250, 0, 50]"
		is "XDP $xdp, round $round: the server saw fifty" "$(($(accepts) - before))" 50
		ok "XDP $xdp, round $round: nothing is counted any more" wait_until 10 nothing_is_counted
	done
	stop mpgated
done

# The proxy's own limit, exactly as well
start_policed intercept.mode=take-over intercept.on_overload=drop converter.max_sessions=40 </dev/null
before=$(accepts)
spawn crowd nsx ue python3 "$TOOLS/crowd.py" "$SV4:8000" 200
served() {
	[ "$(($(accepts) - before))" = 40 ]
}
ok "max_sessions are served" wait_until 10 served
is "and are there" "$(ctl_get sessions 'len([s for s in d if s["state"] == "relay"])')" 40
stop crowd KILL
ok "nothing is counted in the end" wait_until 20 nothing_is_counted
is "not one more came" "$(($(accepts) - before))" 40
finish
