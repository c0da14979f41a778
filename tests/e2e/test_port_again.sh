#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# A phone uses its port again while the gateway, whose side ended first, still remembers the connection
# before (TIME_WAIT). Without the gateway nothing would be in its way. It may be plain TCP this time.
. "$(dirname "$0")/lib.sh"

net_up nojoin
start_server 8000:source:1000
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
finish
