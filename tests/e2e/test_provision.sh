#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# provision: a phone asks what it may use, and has sessions held for it; who does not ask hears nothing,
# and who has it off knows nothing of it.
. "$(dirname "$0")/lib.sh"
. "$E2E_DIR/client.sh"

net_up nojoin
start_server 8000:echo
for i in 1 2; do topo_ip ue addr add "10.1.0.1$i/24" dev ue0; done

# quota [OPTION…]: asks from 10.1.0.2, or $FROM; the answer is left in $T/quota.json, text in $T/quota.log
quota() {
	nsx ue ip route replace 10.3.0.2/32 via 10.1.0.1 src "${FROM:-10.1.0.2}"
	nsx ue timeout 20 "$BUILD/mpgate-run" --converter "$V4" --quota --json "$@" \
		>"$T/quota.json" 2>"$T/quota.log"
}

quota_get() {
	jget "$1" <"$T/quota.json"
}

quota_is() { # for wait_until
	quota && [ "$(quota_get "$1")" = "$2" ]
}

left() { # left, limit
	quota_get 'd["sessions_left"], d["sessions_limit"]'
}

hold() { # NAME FROM
	conv_bg "$1" --converter "$V4" --server "$SV4:8000" --bind "$2:0" --data x recv=1 wait \
		shutwr recvall
}

ask=03226301010000c8010100 # behind the version: Info and Provision

# ---- off -----------------------------------------------------------------------------------------
start_mpgated
fails "off: no answer" quota
like "off: it says why" "$(<"$T/quota.log")" 'Operation not supported'
conv --converter "$V4" --message "01${ask}" --no-answer recvall
is "off: it is a type like any other: error 2" "$(conv_get 'd["rx"]["text"].encode("latin-1")[:7].hex()')" \
	"010522631e0402"
stop mpgated

# ---- without policies ----------------------------------------------------------------------------
start_mpgated 'provision={ enabled: true }'
ok "on: an answer" quota
is "no policies: no limits" "$(<"$T/quota.json")" \
	'{"sessions_left":null,"sessions_limit":null,"subflows_per_session":null,"wait_s":0,"access":null,"access_cut":false,"reserved":0,"reserved_s":0}'
ok "in words" nsx ue "$BUILD/mpgate-run" --converter "$V4" --quota
is "as they are documented" "$(<"$T/ok.out")" "sessions left:        unlimited
subflows per session: unlimited
next session:         now
access networks:      any"
conv --converter "$V4" --message "01${ask}" --no-answer recvall
is "byte by byte" "$(conv_get 'd["rx"]["text"].encode("latin-1").hex()')" \
	"010a2263""150200001e040800""c8070102ffffffffffffffffffffffff000000000000000000000000"
conv --converter "$V4" --info
is "who does not ask hears what RFC 8803 has" "$(conv_get '[t["type"] for t in d["tlvs"]]')" '[21]'
conv --converter "$V4" --message "01${ask%00}01" --no-answer recvall
is "a flag without its fields: error 1" "$(conv_get 'd["rx"]["text"].encode("latin-1")[4:7:2].hex()')" "1e01"
conv --converter "$V4" --message "01${ask%0100}0200" --no-answer recvall
is "another version: error 2" "$(conv_get 'd["rx"]["text"].encode("latin-1")[4:7:2].hex()')" "1e02"
stop mpgated

# ---- with policies -------------------------------------------------------------------------------
start_mpgated 'provision={ enabled: true, reserve_max: 4, reserve_max_s: 30 }' \
	'access_networks=[ { name: cellular, prefixes: [ 10.1.0.0/24 ] }, { name: wlan, prefixes: [ 10.2.0.0/24 ] }, { name: cable, prefixes: [ 10.9.0.0/24 ] } ]' \
	'subscribers=[ { name: gold, match: [ 10.1.0.2/32 ] } ]' \
	'policies=[ { name: g, subscribers: [ gold ], limits: { sessions: 6, subflows_per_session: 3 } }, { name: none, access: [ cable ], mode: deny } ]' \
	'default_policy={ limits: { sessions: 2, new_per_s: 1, burst: 2 } }'
quota
is "6 sessions, all left" "$(left)" '[6, 6]'
is "3 subflows, by what is not denied" "$(quota_get 'd["subflows_per_session"], d["access"], d["wait_s"]')" \
	'[3, ["cellular", "wlan", "cable"], 0]'
FROM=10.1.0.11 quota
is "another subscriber, other terms" "$(left)" '[2, 2]'
is "not by the network that is denied" "$(quota_get 'd["subflows_per_session"], d["access"]')" \
	'[null, ["cellular", "wlan"]]'

for i in 1 2; do hold "s$i" 10.1.0.2; done
ok "two sessions" wait_until 10 n_sessions_is 2
quota
is "four are left" "$(left)" '[4, 6]'
ok "three are reserved" quota --reserve 3 --for 20
is "as asked" "$(quota_get 'd["reserved"]')" 3
between "for as long as asked" "$(quota_get 'd["reserved_s"]')" 18 20
is "they are left for the one who has them" "$(left)" '[4, 6]'
is "limits tells" "$(ctl --json limits 10.1.0.2 | jget '[d[0][k] for k in ("sessions", "reserved")] if isinstance(d, list) else [d[k] for k in ("sessions", "reserved")]')" '[5, 3]'
for i in 3 4; do hold "s$i" 10.1.0.2; done
ok "two more sessions" wait_until 10 n_sessions_is 4
quota
is "use up what was reserved" "$(quota_get 'd["reserved"], d["sessions_left"]')" '[1, 2]'
ok "given back" quota --reserve 0
is "none is reserved, two are left" "$(quota_get 'd["reserved"], d["sessions_left"]')" '[0, 2]'
fails "more than there may be" quota --reserve 3
is "is as many as there may be" "$(quota_get 'd["reserved"], d["sessions_left"]')" '[2, 2]'
for i in 5 6; do hold "s$i" 10.1.0.2; done
ok "and as many come in" wait_until 10 n_sessions_is 6
conv --converter "$V4" --server "$SV4:8000" --bind 10.1.0.2:0
is "no more" "$(conv_get 'd["error"]["code"]')" 64
quota
is "none is left" "$(left)" '[0, 6]'
for i in 1 2 3 4 5 6; do go "s$i" && reap "s$i" 10; done
ok "all end" wait_until 5 quota_is 'd["sessions_left"]' 6

ok "for two seconds" quota --reserve 4 --for 2
is "four are held" "$(quota_get 'd["reserved"], d["reserved_s"]')" '[4, 2]'
ok "then none is" wait_until 6 quota_is 'd["reserved"], d["sessions_left"]' '[0, 6]'
fails "not more than reserve_max" quota --reserve 6
is "but that" "$(quota_get 'd["reserved"]')" 4
ok "at most reserve_max_s" quota --reserve 1 --for 60000
between "and no longer" "$(quota_get 'd["reserved_s"]')" 28 30
ok "given back" quota --reserve 0

# ---- rates ---------------------------------------------------------------------------------------
for _ in 1 2; do conv --converter "$V4" --server "$SV4:8000" --bind 10.1.0.12:0 --data x recv=1 shutwr recvall; done
FROM=10.1.0.12 quota
is "a burst of two: the next one has to wait" "$(quota_get 'd["wait_s"]')" 1
later() {
	FROM=10.1.0.12 quota_is 'd["wait_s"]' 0
}
ok "but not for long" wait_until 5 later
stop mpgated

# ---- the host's own limit ------------------------------------------------------------------------
start_mpgated 'provision={ enabled: true }' converter.max_sessions=3 'default_policy={ limits: { sessions: 100 } }'
ok "two are reserved" quota --reserve 2
for i in 1 2 3; do hold "s$i" 10.1.0.11; done
ok "of three places, one is left for others" wait_until 5 ctl_is sessions \
	'len([s for s in d if s["state"] == "relay"])' 1
ok "held places are the one's who has them" quota
is "all of them" "$(quota_get 'd["reserved"], d["sessions_left"]')" '[2, 2]'
hold mine 10.1.0.2
ok "who comes in" wait_until 5 ctl_is sessions 'len([s for s in d if s["state"] == "relay"])' 2
stop mpgated

# ---- a cookie from elsewhere ---------------------------------------------------------------------
start_mpgated 'provision={ enabled: true }' converter.cookie=required
fails "without a cookie it is asked for one, and that is not used" nsx ue env MPGATE_CACHE=/dev/null \
	"$BUILD/mpgate-run" --converter "$V4" --cookie 000102030405060708090a0b --quota
like "that of nobody is refused" "$(<"$T/ok.out")" 'Not Authorized'
cookie=$(ctl --json cookie 10.1.0.2 | jget 'd["cookie"]')
ok "the operator's is taken" nsx ue "$BUILD/mpgate-run" --converter "$V4" --cookie "$cookie" --quota
ok "for programs, too" nsx ue timeout 20 "$BUILD/mpgate-run" --converter "$V4" --cookie "$cookie" \
	python3 -c "
import socket
s = socket.create_connection(('$SV4', 8000))
s.sendall(b'hello')
assert s.recv(5) == b'hello'"
ok "the client finds out by itself, too" quota
stop mpgated
finish
