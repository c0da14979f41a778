#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Intercepted sessions beyond a limit: as the policy has it they pass untouched to their server, are
# answered with a RST, or meet silence. And what is denied; and which mode and source a policy sets.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/policy.sh
. "$(dirname "$0")/policy.sh"

net_up nojoin
let_answers_out
start_server 8000:echo
start_mserver m8443:echo
capture_start sv sv sv0 "tcp[tcpflags] & tcp-syn != 0 and dst host 10.4.0.2"

direct_session() { # NAME ARG…: one that stays until `go NAME`
	direct_bg "$1" "$SV4:8000" --bind 10.1.0.2:0 text=hello recv=5 wait shutwr recvall
}

policed() { # POLICY…, in force when this returns
	reload_policed "${mode[@]}" <<<"$1"
}

closed_by() { # REASON
	ctl_get counters "d['relay']['closed']['$1']"
}

mptcp_syns() { # that the server's link saw
	capture_show sv | grep -c "mptcp"
}

mode=(intercept.mode=take-over)
for xdp in auto off; do
	mode=(intercept.mode=take-over "px0.xdp=$xdp")
	start_policed "${mode[@]}" <<<"default_policy: { refuse: pass, limits: { sessions: 1 } }"
	direct_session one
	ok "XDP $xdp: the first is taken over" wait_until 5 limits_is 10.1.0.2 'd["sessions"]' 1
	before=$(mptcp_syns)
	direct "$SV4:8000" --bind 10.1.0.2:0 text=x shutwr recvall
	is "XDP $xdp, pass: the second is the server's own" "$(conv_get 'd["mptcp"], d["rx"]["text"], d["end"]')" \
		'[false, "x", "fin"]'
	is "XDP $xdp, pass: untouched" "$(mptcp_syns)" $((before + 1))

	ok "XDP $xdp: a reload" policed "default_policy: { refuse: reset, limits: { sessions: 1 } }"
	accepts=$(server_saw 'len([e for e in ev if e["ev"] == "accept"])')
	direct "$SV4:8000" --bind 10.1.0.2:0 text=x shutwr recvall
	is "XDP $xdp, reset: it is refused" "$(conv_get 'd["connected"], d["connect_error"]')" \
		'[false, "ECONNREFUSED"]'
	ok "XDP $xdp: another" policed "default_policy: { refuse: drop, limits: { sessions: 1 } }"
	direct "$SV4:8000" --bind 10.1.0.2:0 --timeout 1.5 text=x shutwr recvall
	is "XDP $xdp, drop: silence" "$(conv_get 'd["connected"], d["connect_error"]')" '[false, "EINPROGRESS"]'
	is "XDP $xdp: the server hears of neither" \
		"$(server_saw 'len([e for e in ev if e["ev"] == "accept"])')" "$accepts"
	between "XDP $xdp: all three are counted" "$(limits_of 10.1.0.2 'd["refused"]["over_sessions"]')" 3 20
	go one
	ok "XDP $xdp: the first one ends" reap one 10
	ok "XDP $xdp: nothing is counted" wait_until 5 nothing_is_counted
	direct "$SV4:8000" --bind 10.1.0.2:0 text=x shutwr recvall
	is "XDP $xdp: and there is room again" "$(conv_get 'd["mptcp"], d["rx"]["text"]')" '[true, "x"]'

	ok "XDP $xdp: a policy that denies" policed "policies: [ { name: no, services: [ web ], mode: deny } ]
services: [ { name: web, match: [ \"10.4.0.2:8000\" ] } ]"
	direct "$SV4:8000" --bind 10.1.0.2:0 text=x shutwr recvall
	is "XDP $xdp, deny: refused" "$(conv_get 'd["connected"], d["connect_error"]')" '[false, "ECONNREFUSED"]'
	direct "$SV4:8000" --bind 10.1.0.2:0 --tcp text=x shutwr recvall
	is "XDP $xdp, deny: plain TCP is none of ours" "$(conv_get 'd["rx"]["text"]')" x
	direct "$SV4:8443" --bind 10.1.0.2:0 text=x shutwr recvall
	is "XDP $xdp, deny: other services are not denied" "$(conv_get 'd["mptcp"], d["rx"]["text"]')" '[true, "x"]'
	ok "XDP $xdp: nothing is left" wait_until 5 nothing_is_counted
	stop mpgated
done

# What a policy sets: one server's sessions pass, another's are taken over with a shared source.
start_policed intercept.mode=take-over <<-END
	services:
	  - { name: own, match: [ "10.4.0.2:8443" ] }
	  - { name: web, match: [ "10.4.0.2:8000" ] }
	policies:
	  - { name: leave, services: [ own ], mode: transparent }
	  - { name: hide, services: [ web ], source: shared }
END
: >"$T/server.events"
direct "$SV4:8443" --bind 10.1.0.2:41001 text=x shutwr recvall
is "mode: transparent passes" "$(mserver_saw '[[e["peer"], e["mptcp"]] for e in ev if e["ev"] == "accept"][-1]')" \
	'["10.1.0.2:41001", true]'
direct_session one
ok "source: shared" wait_until 5 served_is 1
like "source: shared hides the client" "$(server_saw '[e["peer"] for e in ev if e["ev"] == "accept"][0]')" \
	'^10\.4\.0\.1:'
is "sessions tell policy and service" "$(ctl_get sessions '[[s["policy"], s["service"]] for s in d]')" \
	'[["hide", "web"]]'
ok "live: preserved again" reload_policed intercept.mode=take-over <<<"default_policy: { source: preserved }"
direct "$SV4:8000" --bind 10.1.0.2:41002 text=x shutwr recvall
is "live: the server sees the client" "$(server_saw '[e["peer"] for e in ev if e["ev"] == "accept"][-1]')" \
	10.1.0.2:41002
go one
ok "the first one was not disturbed" reap one 10
is "and carried what it should" "$(report_get one 'd["rx"]["text"], d["end"]')" '["hello", "fin"]'
ok "nothing is counted" wait_until 5 nothing_is_counted
finish
