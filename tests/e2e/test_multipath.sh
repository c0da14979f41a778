#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Two access links at once: the second subflow joins, the sum of both rates arrives, and the loss of
# either link under load loses no byte, in either direction.
# test: alone
. "$(dirname "$0")/lib.sh"

net_up
topo_shape 0 40
topo_shape 1 20
start_mpgated
start_server 8000:source:16000000 8001:sink 8002:both:8000000 8003:source:8000000

has_two_subflows() {
	ctl_is sessions '[len(s["subflows"]) for s in d]' '[2]'
}

subflows() { # as the kernel has them
	nsx px ss -Htni state established sport = :5124
}

# Both links together, with some room below 60 for headers and the ramp-up.
mbits() { # NAME BYTES
	report_get "$1" "int($2 * 8 / 1000 / d['total_ms'])"
}

saw_all() { # the server, in order, of the session that ended last
	server_is '[[e["bytes"], e["wrong_at"]] for e in ev if e["ev"] == "fin"][-1]' "[$1, null]"
}

conv_bg down --converter "$V4" --server "$SV4:8000" --bind 10.1.0.2:40001 recvall
ok "the second subflow joins, and sessions shows it" wait_until 5 has_two_subflows
sessions=$(ctl --json sessions) kernel=$(subflows) # while it lasts
is "sessions: both ends of both subflows" "$(jget 'sorted([f["remote"].split(":")[0],
	f["local"], f["backup"]] for f in d[0]["subflows"])' "$sessions")" \
	'[["10.1.0.2", "10.3.0.2:5124", false], ["10.2.0.2", "10.3.0.2:5124", false]]'
is "sessions: MPTCP, no fall-back" "$(jget 'd[0]["mptcp"], d[0]["fallback"]' "$sessions")" \
	'[true, false]'
is "the kernel saw the same" "$(grep -c tcp-ulp-mptcp <<<"$kernel")" 2
token=$(jget 'd[0]["token"]' "$sessions")
like "sessions: the token" "$token" '^[0-9a-f]{8}$'
# ss leaves leading zeros out.
like "the token is the kernel's" "$kernel" "token:[^ ]*/$(printf %x "0x$token")\\("
ok "down: ends" reap down 30
is "down: every byte" "$(report_get down 'd["rx"]["bytes"], d["rx"]["wrong_at"], d["end"]')" \
	'[16000000, null, "fin"]'
between "down: the sum of both links (Mbit/s)" "$(mbits down 16000000)" 49 60

conv_bg up --converter "$V4" --server "$SV4:8001" --bind 10.2.0.2:40002 send=16000000 shutwr recvall
ok "up: ends" reap up 30
ok "up: every byte" wait_until 5 saw_all 16000000
between "up: the sum of both links (Mbit/s)" "$(mbits up 16000000)" 49 60

# What follows looks at transfers under way: these take their time.
topo_shape 0 20
topo_shape 1 10
conv_bg v6 --converter "$V6" --server "$SV6:8003" --bind "[fd00:2::2]:40003" recvall
ok "IPv6: the second subflow joins" wait_until 5 has_two_subflows
ok "IPv6: ends" reap v6 30
is "IPv6: every byte" "$(report_get v6 'd["rx"]["bytes"], d["rx"]["wrong_at"]')" "[8000000, null]"

moved() { # bytes up and down so far, of the one session
	ctl_get sessions 'sum(s["bytes_up"] + s["bytes_down"] for s in d)'
}

moved_at_least() {
	[ "$(moved)" -ge "$1" ]
}

lose_link() { # NAME LINK PORT BYTES_BEFORE ACTION…
	ok "$1: nothing else is there" wait_until 20 n_sessions_is 0
	: >"$T/server.events"
	conv_bg lost --converter "$V4" --server "$SV4:$3" "${@:5}"
	ok "$1: under way" wait_until 10 moved_at_least "$4"
	topo_cut "$2"
	is "$1: the session lives" "$(ctl_get sessions 'len(d)')" 1
	ok "$1: ends" reap lost 40
	topo_mend "$2"
}

lose_link "link 1 dies, down" 0 8003 2000000 --bind 10.1.0.2:40004 recvall
is "link 1 dies, down: every byte" "$(report_get lost 'd["rx"]["bytes"], d["rx"]["wrong_at"], d["end"]')" \
	'[8000000, null, "fin"]'
lose_link "link 2 dies, up" 1 8001 2000000 --bind 10.1.0.2:40005 send=8000000 shutwr recvall
ok "link 2 dies, up: every byte" wait_until 5 saw_all 8000000
lose_link "link 1 dies, both ways" 0 8002 4000000 --bind 10.1.0.2:40006 duplex=8000000
is "link 1 dies, both ways: every byte down" \
	"$(report_get lost 'd["rx"]["bytes"], d["rx"]["wrong_at"]')" "[8000000, null]"
ok "link 1 dies, both ways: every byte up" wait_until 5 saw_all 8000000

between "joins are counted" "$(ctl_get counters 'd["mptcp"]["joins"]')" 6 60
is "nothing fell back" "$(ctl_get counters 'd["mptcp"]["fallbacks"]')" 0
is "nothing was reset" "$(ctl_get counters \
	'{k: n for k, n in d["relay"]["closed"].items() if n}')" '{"finished": 6}'
finish
