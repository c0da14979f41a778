#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# What an operator asks about policies: `policy test` by the program itself, `limits`, `cookie`, and
# the counters; before and after a reload.
. "$(dirname "$0")/lib.sh"

net_up nojoin
policies=(
	'access_networks=[ { name: cellular, prefixes: [ 10.1.0.0/16 ], trust: trusted },
	  { name: wlan, prefixes: [ 10.2.0.0/16, "fd00:2::/64" ], trust: third-party } ]'
	"services=[ { name: echo, match: [ \"$SV4:8000\", \"$SV6:8000\" ], limits: { sessions: 9 } } ]"
	'subscribers=[ { name: gold, match: [ 10.1.0.0/20 ] }, { name: out, match: [ 10.1.0.7 ] } ]'
	'default_policy={ mode: "off", limits: { sessions: 1000 } }'
)
two='[ { name: p1, subscribers: [ gold ], services: [ echo ],
	   limits: { sessions: 2, new_per_s: 50, burst: 50 } },
	 { name: no, subscribers: [ out ], mode: deny } ]'
start_mpgated "${policies[@]}" "policies=$two"
start_server 8000:echo

asked() { # EXPR ARG…: of policy test
	ctl_get policy test "${@:2}" "$1"
}

is "subscriber and service are named" \
	"$(asked 'd["policy"], d["class"], d["service"], d["access"], d["trust"], d["refused"]' \
		--from 10.1.0.2 --to "$SV4:8000")" \
	'["p1", "gold", "echo", "cellular", "trusted", null]'
is "why" "$(asked 'd["why"]' --from 10.1.0.2 --to "$SV4:8000")" \
	"subscribers gold, services echo, any access"
is "its limits" "$(asked 'd["limits"]["sessions"], d["limits"]["new_per_s"],
	d["limits"]["service_sessions"]' --from 10.1.0.2 --to "$SV4:8000")" '[2, 50, 9]'
is "another port is another service" "$(asked 'd["policy"], d["service"], d["mode"]' \
	--from 10.1.0.2 --to "$SV4:80")" '["default", null, "off"]'
is "the longer prefix" "$(asked 'd["policy"], d["class"], d["mode"], d["refused"]' \
	--from 10.1.0.7 --to "$SV4:8000")" '["no", "out", "deny", "denied"]'
is "third parties need a cookie" "$(asked 'd["access"], d["trust"], d["refused"],
	d["refused_with_cookie"]' --from 10.2.0.2 --to "$SV4:8000")" \
	'["wlan", "third_party", "no_cookie", null]'
is "IPv6, by its /64" "$(asked 'd["access"], d["subscriber"]' --from fd00:2::1234 \
	--to "[fd00:4::2]:8000")" '["wlan", "fd00:2::/64"]'
like "for people" "$(ctl policy test --from 10.1.0.7 --to "$SV4:8000")" \
	"refused: denied \(the policy is deny\)"
is "a converter leads from one family to the other" \
	"$(asked 'd["policy"], d["class"], d["service"]' --from 10.1.0.2 --to "$SV6:8000")" \
	'["p1", "gold", "echo"]'
fails "an interface that there is not" ctl policy test --from 10.1.0.2 --to "$SV4:8000" --via nope0
like "and which" "$(cat "$T/ok.out")" "no interface nope0"
ok "an interface that there is" ctl policy test --from 10.1.0.2 --to "$SV4:8000" --via px0
fails "without an address" ctl policy test --to "$SV4:8000"
fails "options of another command" ctl limits --from 10.1.0.2

is "nobody has anything" "$(ctl_get limits 'len(d)')" 0
is "asking changed nothing" "$(ctl_get counters 'sum(d["admit"].values())')" 0
like "for people" "$(ctl limits)" "no subscriber"
is "who has nothing may have" "$(ctl_get limits 10.1.0.2 \
	'[[r["subscriber"], r["sessions"], r["subflows"], r["refused"]] for r in d]')" \
	'[["10.1.0.2", 0, 0, {}]]'
fails "a name that is nobody's" ctl limits somebody
like "and what it would be" "$(cat "$T/ok.out")" "no address, prefix or identity"

for i in 1 2; do
	conv_bg "s$i" --converter "$V4" --server "$SV4:8000" text=x recv=1 wait shutwr recvall
done
ok "two sessions are counted" wait_until 5 ctl_is limits \
	'[[r["subscriber"], r["sessions"], r["sessions_limit"], r["policy"]] for r in d]' \
	'[["10.1.0.2", 2, 2, "p1"]]'
conv --converter "$V4" --server "$SV4:8000" --data x shutwr recvall
is "the third hears error 64" "$(conv_get 'd["error"]["code"]')" 64
is "and is counted" "$(ctl_get limits 10.1.0.2 'd[0]["refused"]["over_sessions"] >= 1')" true
is "in all, too" "$(ctl_get counters \
	'd["admit"]["admitted"], d["admit"]["over_sessions"] >= 1, d["admit"]["denied"]')" \
	'[2, true, 0]'
is "policy test says so" "$(asked 'd["refused"], d["now"]["sessions"]' --from 10.1.0.2 \
	--to "$SV4:8000")" '["over_sessions", 2]'
like "for people" "$(ctl limits)" "10\.1\.0\.2 +p1 +2 +2 .*over_sessions"

write_config "${policies[@]}" "policies=${two/sessions: 2/sessions: 3}"
ctl reload >/dev/null
is "a reload: limits tells the new one" "$(ctl_get limits '[[r["sessions"], r["sessions_limit"]] for r in d]')" \
	'[[2, 3]]'
is "a reload: the new limit holds" "$(asked 'd["refused"], d["limits"]["sessions"]' \
	--from 10.1.0.2 --to "$SV4:8000")" '[null, 3]'
write_config "${policies[@]}" "policies=[]"
ctl reload >/dev/null
is "policies are gone" "$(asked 'd["policy"], d["why"]' --from 10.1.0.2 --to "$SV4:8000")" \
	'["default", "no other policy fits"]'
for i in 1 2; do go "s$i"; done
ok "sessions of former policies are released" wait_until 5 ctl_is limits 10.1.0.2 \
	'd[0]["sessions"], d[0]["subflows"]' '[0, 0]'

cookie=$(ctl cookie 10.1.0.2 2>/dev/null)
like "a cookie" "$cookie" '^[0-9a-f]{24}$'
is "of that address" "$(ctl_get cookie 10.1.0.2 'd["cookie"] + " " + d["address"]')" \
	"$cookie 10.1.0.2"
is "its epoch is in it" "$(ctl_get cookie 10.1.0.2 'd["epoch"] == int(d["cookie"][:8], 16)')" true
between "and it is valid until the next one but one (s)" \
	"$(ctl_get cookie 10.1.0.2 'd["valid_until_s"] - __import__("time").time()')" 3599 7201
write_config "${policies[@]}" "policies=[]" converter.cookie=required
ctl reload >/dev/null
conv --converter "$V4" --server "$SV4:8000" --data x --cookie "$(ctl cookie 10.1.0.2 2>/dev/null)" \
	shutwr recvall
is "the converter takes it" "$(conv_get 'd["error"], d["rx"]["text"]')" '[null, "x"]'
conv --converter "$V4" --server "$SV4:8000" --data x --cookie "$(ctl cookie 10.1.0.3 2>/dev/null)" \
	shutwr recvall
is "another's it does not" "$(conv_get 'd["error"]["code"]')" 32

finish
