#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# A subscriber's sessions are limited: N are in, the next one hears Error 64 with the delay, and when one
# ends there is room for one. Rates, and their bursts. What the operator denies.
# test: vm=6.1
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/policy.sh
. "$(dirname "$0")/policy.sh"

net_up nojoin
start_server 8000:echo
start_policed converter.retry_after_s=17 <<-END
	subscribers:
	  - { name: gold, match: [ 10.1.0.0/24 ] }
	  - { name: slow, match: [ 10.2.0.0/24 ] }
	  - { name: bad, match: [ "fd00:2::/64" ] }
	policies:
	  - { name: p-gold, subscribers: [ gold ], limits: { sessions: 3 } }
	  - { name: p-slow, subscribers: [ slow ], limits: { new_per_s: 1, burst: 3 } }
	  - { name: p-bad, subscribers: [ bad ], mode: deny }
	default_policy: { limits: { sessions: 2 } }
END

# Where the kernel's MPTCP takes no data in SYNs, messages come after the handshake.
late=()
[ "$(ctl_get status 'd["features"]["mptcp_syn_data"]')" = true ] || late=(--deliver after)

ask() { # ARG…
	conv --converter "$V4" --server "$SV4:8000" --data hello "${late[@]}" "$@" shutwr recvall
}

refused() { # NAME CODE VALUE
	is "$1: error $2, orderly end" \
		"$(conv_get 'd["error"]["code"], d["error"]["value"], d["end"]')" "[$2, \"$3\", \"fin\"]"
}

for i in 1 2 3; do
	hold_open "gold$i" --bind 10.1.0.2:0 "${late[@]}"
	ok "session $i is let in" wait_until 5 limits_is 10.1.0.2 'd["sessions"]' "$i"
done
ok "the server has three" wait_until 5 served_is 3
is "limits tells so" "$(limits_of 10.1.0.2 'd["subscriber"], d["sessions"], d["sessions_limit"]')" \
	'["10.1.0.2", 3, 3]'
is "sessions tell subscriber and policy" "$(ctl_get sessions \
	'sorted({(s["subscriber"], s["policy"], s["service"]) for s in d})')" '[["10.1.0.2", "p-gold", null]]'
ask --bind 10.1.0.2:0
refused "the fourth" 64 11
is "the fourth: the server hears nothing" "$(server_saw 'len([e for e in ev if e["ev"] == "accept"])')" 3
ask --bind 10.1.0.2:0 --tcp
refused "the fourth, by TCP alone" 64 11
between "refused, and counted" "$(limits_of 10.1.0.2 'd["refused"]["over_sessions"]')" 2 20
go gold2
ok "one ends" reap gold2 10
ok "there is room for one" wait_until 5 limits_is 10.1.0.2 'd["sessions"]' 2
hold_open gold4 --bind 10.1.0.2:0 "${late[@]}"
ok "which is let in" wait_until 5 served_is 4
ask --bind 10.1.0.2:0
refused "and no other" 64 11
for i in 1 3 4; do go "gold$i"; done
ok "all end: nothing is counted" wait_until 10 nothing_is_counted

# The default policy's
for i in 1 2; do
	conv_bg "def$i" --converter "$V6" --server "$SV6:8000" --bind "[fd00:1::2]:0" "${late[@]}" \
		text=hello recv=5 wait shutwr recvall
	ok "IPv6, session $i is let in" wait_until 5 limits_is fd00:1::2 'd["sessions"]' "$i"
done
is "IPv6: the subscriber is the /64" "$(limits_of fd00:1::2 'd["subscriber"], d["sessions_limit"]')" \
	'["fd00:1::/64", 2]'
conv --converter "$V6" --server "$SV6:8000" --bind "[fd00:1::2]:0" "${late[@]}" shutwr recvall
refused "IPv6, the third" 64 11
go def1
go def2

# Three at once, then one a second: of a dozen that come at the same moment some have to wait.
served_again() {
	ask --bind 10.2.0.2:0 && [ "$(conv_get 'd["rx"]["text"]')" = hello ]
}
rates() {
	local i start n=0 told=""
	start=$(now_ms)
	for i in {1..12}; do
		conv_bg "rate$i" --converter "$V4" --server "$SV4:8000" --bind 10.2.0.2:0 text=hello shutwr recvall
	done
	for i in {1..12}; do
		reap "rate$i" 20
		if [ "$(report_get "rate$i" 'd["rx"]["text"]')" = hello ]; then
			n=$((n + 1))
		else
			told+=" $(report_get "rate$i" 'd["error"]["code"], d["error"]["value"]')"
		fi
	done
	between "a burst is served, and what the seconds gave" "$n" 3 $((3 + ($(now_ms) - start) / 1000))
	like "the others are told to wait" "$told" '^( \[64, "01"\])+$'
	ok "a second later there is room" wait_until 10 served_again
	between "not before" $((n + 1)) 4 $((3 + ($(now_ms) - start) / 1000))
	reasons+=(over_rate)
}
reasons=(denied over_sessions)
[ "${TEST_SLOW:-1}" -gt 1 ] || rates # who takes a second to begin a session is not refused for it

conv --converter "$V6" --server "$SV6:8000" --bind "[fd00:2::2]:0" "${late[@]}" shutwr recvall
refused "who is denied" 32 00
between "denied, and counted" "$(limits_of fd00:2::2 'd["refused"]["denied"]')" 1 20
like "counters tell all of it" "$(admit_count "${reasons[@]}")" '^\[[1-9][0-9]*(, [1-9][0-9]*)+\]$'
ok "nothing is counted in the end" wait_until 10 nothing_is_counted
finish
