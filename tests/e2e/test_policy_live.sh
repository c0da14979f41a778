#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Policies change while sessions carry data: no byte is lost, each packet sees the old ones or the new
# ones, and what was charged under the old ones is given back. Sources, too, without a restart.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/policy.sh
. "$(dirname "$0")/policy.sh"

net_up
start_server 8000:echo 8001:source:40000000 8002:sink
topo_shape 0 40
topo_shape 1 40

many() { # POLICIES: so many classes and services besides
	local i
	echo "subscribers:"
	echo "  - { name: all, match: [ 10.0.0.0/8 ] }"
	for ((i = 0; i < $1; i++)); do
		echo "  - { name: s$i, match: [ 172.16.$((i / 250)).$((i % 250))/32 ] }"
	done
	echo "policies:"
	echo "  - { name: here, subscribers: [ all ], limits: { sessions: $2, subflows: $3 } }"
	for ((i = 0; i < $1; i++)); do
		echo "  - { name: p$i, subscribers: [ s$i ], limits: { sessions: $i } }"
	done
}

many 10 50 100 >"$T/few.yaml"
many 500 60 120 >"$T/many.yaml"
start_policed <"$T/few.yaml"

conv_bg down --converter "$V4" --server "$SV4:8001" --bind 10.1.0.2:0 recvall
conv_bg up --converter "$V4" --server "$SV4:8002" --bind 10.2.0.2:0 send=20000000 shutwr recvall
four_subflows() {
	ctl_is sessions 'sum(len(s["subflows"]) for s in d)' 4
}
ok "both are under way, over both links" wait_until 10 four_subflows

# While they carry data, and others come and go, policies change as fast as they can.
reloads=0 opened=0 refused=0
while alive down && [ $reloads -lt 12 ]; do
	reload_policed <"$T/many.yaml" || refused=$((refused + 1))
	conv --converter "$V4" --server "$SV4:8000" --bind 10.1.0.2:0 --data hello shutwr recvall
	[ "$(conv_get 'd["rx"]["text"]')" = hello ] && opened=$((opened + 1))
	reload_policed <"$T/few.yaml" || refused=$((refused + 1))
	reloads=$((reloads + 2))
done
is "every reload is taken" "$refused" 0
is "every session that came meanwhile was served" "$opened" $((reloads / 2))
between "there were some reloads" "$reloads" 4 12
ok "down ends" reap down 60
ok "up ends" reap up 60
is "down: every byte" "$(report_get down 'd["rx"]["bytes"], d["rx"]["wrong_at"], d["end"]')" \
	'[40000000, null, "fin"]'
ok "up: every byte" wait_until 5 server_is \
	'[[e["bytes"], e["wrong_at"]] for e in ev if e["ev"] == "fin" and e["port"] == 8002]' '[[20000000, null]]'
ok "nothing is counted" wait_until 5 nothing_is_counted
topo_shape 0 0
topo_shape 1 0

# A limit that is lowered holds for the next session; who is in stays in.
for i in 1 2 3; do
	hold_open "held$i" --bind 10.1.0.2:0
	ok "session $i" wait_until 5 limits_is 10.1.0.2 'd["sessions"]' "$i"
done
many 0 2 20 | reload_policed
conv --converter "$V4" --server "$SV4:8000" --bind 10.1.0.2:0 shutwr recvall
is "the limit is lowered: no more" "$(conv_get 'd["error"]["code"]')" 64
is "the limit is lowered: who is in stays in" "$(ctl_get sessions 'len(d)')" 3
go held1
go held2
ok "two end" wait_until 5 limits_is 10.1.0.2 'd["sessions"]' 1
conv --converter "$V4" --server "$SV4:8000" --bind 10.1.0.2:0 --data hello shutwr recvall
is "there is room again" "$(conv_get 'd["rx"]["text"]')" hello
# What is wrong changes nothing.
fails "a reload that is refused" reload_policed <<<"policies: [ { name: x, subscribers: [ nobody ] } ]"
conv --converter "$V4" --server "$SV4:8000" --bind 10.1.0.2:0 --data hello shutwr recvall
is "the policies before it hold" "$(conv_get 'd["rx"]["text"]'), $(ctl_get sessions 'd[0]["policy"]')" "hello, here"

# Of one policy alone, without a file; and whose address the server sees.
ok "policy set" ctl policy set "{ name: here, subscribers: [ all ], source: preserved }"
conv --converter "$V4" --server "$SV4:8000" --bind 10.1.0.2:42001 --data hello shutwr recvall
is "policy set: the server sees the client" "$(conv_get 'd["rx"]["text"]'), $(server_saw \
	'[e["peer"] for e in ev if e["ev"] == "accept"][-1]')" "hello, 10.1.0.2:42001"
ok "policy del" ctl policy del here
conv --converter "$V4" --server "$SV4:8000" --bind 10.1.0.2:42002 --data hello shutwr recvall
like "policy del: the default's" "$(conv_get 'd["rx"]["text"]'), $(server_saw \
	'[e["peer"] for e in ev if e["ev"] == "accept"][-1]')" '^hello, 10\.4\.0\.1:'
is "who is in has the default" "$(ctl_get sessions 'd[0]["policy"]')" default
go held3
ok "the last one ends" reap held3 10
is "and carried what it should" "$(report_get held3 'd["rx"]["text"], d["end"]')" '["hello", "fin"]'
ok "nothing is counted in the end" wait_until 5 nothing_is_counted
finish
