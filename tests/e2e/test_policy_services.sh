#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Services have limits of their own, in all and per subscriber; of policies the more specific one holds;
# and of a flood of refused SYNs only a few a second reach the daemon.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/policy.sh
. "$(dirname "$0")/policy.sh"

net_up nojoin
start_server 8000:echo 8001:echo 8005:echo
start_policed converter.retry_after_s=17 <<-END
	services:
	  - { name: video, match: [ "10.4.0.2:8000" ], limits: { sessions: 3, sessions_per_subscriber: 2 } }
	  - { name: ports, match: [ "10.4.0.0/24:8004-8006" ] }
	subscribers:
	  - { name: first, match: [ 10.1.0.0/24 ] }
	policies:
	  - { name: by-both, subscribers: [ first ], services: [ ports ], limits: { sessions: 9 } }
	  - { name: by-service, services: [ ports ], mode: deny }
	  - { name: by-subscriber, subscribers: [ first ] }
	default_policy: { limits: { sessions: 50 } }
END

ask() { # SERVER ARG…
	conv --converter "$V4" --server "$1" --data hello "${@:2}" shutwr recvall
}

refused() { # NAME CODE VALUE
	is "$1: error $2, orderly end" \
		"$(conv_get 'd["error"]["code"], d["error"]["value"], d["end"]')" "[$2, \"$3\", \"fin\"]"
}

served() { # NAME
	is "$1: served" "$(conv_get 'd["error"], d["rx"]["text"]')" '[null, "hello"]'
}

for i in 1 2; do
	hold_open "first$i" --bind 10.1.0.2:0
	ok "one subscriber's session $i" wait_until 5 limits_is 10.1.0.2 'd["sessions"]' "$i"
done
is "sessions tell policy and service" "$(ctl_get sessions 'sorted({(s["policy"], s["service"]) for s in d})')" \
	'[["by-subscriber", "video"]]'
ask 10.4.0.2:8000 --bind 10.1.0.2:0
refused "its third" 64 11
ask 10.4.0.2:8001 --bind 10.1.0.2:0
served "its third, of another service"
hold_open second1 --bind 10.2.0.2:0
ok "another subscriber's" wait_until 5 limits_is 10.2.0.2 'd["sessions"]' 1
ask 10.4.0.2:8000 --bind 10.2.0.2:0
refused "the fourth in all" 64 11
is "refused, and counted" "$(admit_count over_service over_service_subscriber)" '[1, 1]'
go first1
ok "one ends" reap first1 10
ask 10.4.0.2:8000 --bind 10.2.0.2:0
served "and there is room for one, whoever it is"
go first2
go second1
ok "nothing is counted" wait_until 5 nothing_is_counted

ask 10.4.0.2:8005 --bind 10.1.0.2:0
served "subscriber and service go before service"
ask 10.4.0.2:8005 --bind 10.2.0.2:0
refused "service goes before the default" 32 00
ask 10.4.0.2:8001 --bind 10.2.0.2:0
served "the default holds for the rest"
why() { # what the very program says: SERVER FROM EXPR
	ctl --json policy test --from "$2" --to "$1" | jget "$3"
}
is "policy test says so, too" "$(why 10.4.0.2:8005 10.1.0.2 'd["policy"]') $(why 10.4.0.2:8005 10.2.0.2 \
	'd["policy"]') $(why 10.4.0.2:8001 10.2.0.2 'd["policy"]')" "by-both by-service default"

# A flood beyond the limit: a few a second hear why, the rest costs the daemon nothing.
ok "a reload" reload_policed <<<"default_policy: { limits: { sessions: 1 } }"
hold_open one --bind 10.1.0.2:0
ok "one is let in" wait_until 5 limits_is 10.1.0.2 'd["sessions"]' 1
requests=$(ctl_get counters 'd["convert"]["requests"]')
dropped=$(ctl_get counters 'd["xdp"]["reason"]["over_sessions"]')
nsx ue python3 "$TOOLS/rawsyn.py" 10.1.0.2 "$V4" "$SV4:8000" 1000
more() {
	[ "$(ctl_get counters 'd["xdp"]["reason"]["over_sessions"]')" -ge $((dropped + 900)) ]
}
ok "XDP drops what is more than a few a second" wait_until 5 more
between "the daemon heard a few" "$(($(ctl_get counters 'd["convert"]["requests"]') - requests))" 1 20
between "all are counted" "$(limits_of 10.1.0.2 'd["refused"]["over_sessions"]')" 1000 1100
is "and the server hears nothing" "$(server_saw 'len([e for e in ev if e["ev"] == "accept"])')" 8
go one
ok "the one that was there goes on, and ends" reap one 10
is "it carried what it should" "$(report_get one 'd["rx"]["text"], d["end"]')" '["hello", "fin"]'
ok "nothing is counted in the end" wait_until 15 nothing_is_counted
finish
