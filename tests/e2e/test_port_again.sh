#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# A phone uses its port again while the gateway, whose side ended first, still remembers the connection
# before (TIME_WAIT). Without the gateway nothing would be in its way. It may be plain TCP this time.
. "$(dirname "$0")/lib.sh"

net_up nojoin
start_server 8000:source:1000 "8001:hold:$T/never"
start_mpgated intercept.mode=take-over

remembered() { # CLIENT
	nsx px ss -Htan state time-wait | grep -qF "$1"
}

for from in 10.1.0.2:41001 "[fd00:1::2]:41002"; do
	server=$SV4:8000
	[[ $from != \[* ]] || server=$SV6:8000
	for turn in 1 2 3; do
		direct "$server" --bind "$from" recvall shutwr
		is "$from, connection $turn" "$(conv_get 'd["connected"], d.get("mptcp"), d["rx"]["bytes"]')" \
			'[true, true, 1000]'
		ok "$from, connection $turn: the gateway remembers it" wait_until 5 remembered "$from"
	done
	direct "$server" --bind "$from" --tcp --timeout 5 recvall shutwr
	is "$from, plain TCP then, past the gateway" \
		"$(conv_get 'd["connected"], d.get("mptcp"), d["rx"]["bytes"], d["end"]')" \
		'[true, false, 1000, "fin"]'
	ok "$from: without a delay" test "$(conv_get 'd["connect_ms"]')" -lt 500
done
is "the others were all taken over" "$(server_saw 'sum(e["ev"] == "accept" for e in ev)') $(ctl_get counters \
	'd["hold"]["held"], d["hold"]["replayed"], d["hold"]["passed"]')" "8 [6, 6, 0]"

# ---- the session before is stuck ----
# Its server reads nothing, and its phone has lost it: a RST of the only subflow is not the end of MPTCP.
stop mpgated
start_mpgated intercept.mode=take-over workers=4
direct_bg stuck "$SV4:8001" --bind 10.1.0.2:41003 send=10000000
gives_all() {
	[ "$(ctl_get sessions 'd[0]["bytes_up"] if d else 0')" -gt 100000 ]
}
ok "a phone gives more than its server takes" wait_until 5 gives_all
nsx ue ss -K sport = 41003 >/dev/null 2>&1
lost() {
	ctl_is sessions '[p["remote"].split(":")[-1] for p in d[0]["subflows"] if p["remote"].split(":")[-1] != "0"]' "[]"
}
ok "the phone lost it" wait_until 5 lost
is "the gateway has not" "$(ctl_get sessions '[s["state"] for s in d]')" '["relay"]'
before=$(ctl_get sessions 'd[0]["id"]')
# Whichever worker its SYN comes to, that of the session before hears of it until it is repeated.
direct "$SV4:8001" --bind 10.1.0.2:41003 --timeout 8
is "its port is free for the next one" "$(conv_get 'd["connected"], d.get("mptcp")')" '[true, true]'
between "with the SYN, or its repetition (ms)" "$(conv_get 'd["connect_ms"]')" 0 2900
is "the one before is over" "$(ctl_get sessions "[s for s in d if s[\"id\"] == $before]")" "[]"
is "none passed" "$(ctl_get counters 'd["hold"]["passed"]')" 0
finish
