#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Subflows are limited, of a session and of a subscriber over all its sessions: a join beyond that is
# answered with a RST that says why (RFC 8684 section 3.6), and the session goes on over what it has.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/policy.sh
. "$(dirname "$0")/policy.sh"

net_up
let_answers_out
start_server 8000:echo
capture_start ue1 ue ue1 "tcp[tcpflags] & tcp-rst != 0"

subflows_are() { # LIST, sorted, for wait_until
	ctl_is sessions 'sorted(len(s["subflows"]) for s in d)' "$1"
}

resets() { # EXPR over d, the RSTs that came in on the second link
	capture_settle ue1
	python3 "$TOOLS/pcaprst.py" "$T/ue1.pcap" 10.2.0.2 | jget "$1"
}

was_reset() { # TIMES at least
	[ "$(resets 'len(d)')" -ge "$1" ]
}

refusals() { # REASON, of all subscribers
	ctl_get limits "sum(r['refused'].get('$1', 0) for r in d)"
}

limit() { # LIMITS, in force when this returns
	reload_policed <<<"default_policy: { limits: { $1 } }"
}

start_policed <<<"default_policy: { limits: { subflows_per_session: 1 } }"

hold_open one --bind 10.1.0.2:0
ok "one a session: the join is reset" wait_until 5 was_reset 1
is "one a session: it says why, and that it may change" \
	"$(resets 'sorted({(r["from"], r["tcprst"]["transient"], r["tcprst"]["reason"]) for r in d})')" \
	'[["10.3.0.2", 1, 2]]'
is "one a session: the first one stays" "$(ctl_get sessions '[len(s["subflows"]) for s in d]')" '[1]'
is "one a session: one is counted" "$(limits_of 10.1.0.2 'd["sessions"], d["subflows"]')" '[1, 1]'
between "one a session: refused, and counted" "$(refusals over_session_subflows)" 1 20
go one
ok "one a session: it ends" reap one 10
is "one a session: it carried what it should" "$(report_get one 'd["mptcp"], d["rx"]["text"], d["end"]')" \
	'[true, "hello", "fin"]'
ok "one a session: nothing is counted" wait_until 5 nothing_is_counted

ok "a reload gives room" limit "subflows_per_session: 2"
hold_open one --bind 10.1.0.2:0
ok "two a session: the second link joins" wait_until 5 subflows_are '[2]'
ok "two a session: two are counted" wait_until 5 limits_is 10.1.0.2 'd["subflows"]' 2
go one
ok "two a session: it ends" reap one 10

# Of all its sessions: what is left for the second one is its first subflow.
ok "another reload" limit "subflows: 3"
hold_open one --bind 10.1.0.2:0
ok "three in all: the first session has two" wait_until 5 subflows_are '[2]'
before=$(resets 'len(d)')
hold_open two --bind 10.1.0.2:0
ok "three in all: the second one's join is reset" wait_until 5 was_reset $((before + 1))
ok "three in all: two and one" wait_until 5 subflows_are '[1, 2]'
is "three in all: three are counted" "$(limits_of 10.1.0.2 'd["subflows"]')" 3
between "three in all: refused, and counted" "$(refusals over_subflows)" 1 20
go one
ok "three in all: the first one ends" reap one 10
ok "three in all: one is left" wait_until 5 limits_is 10.1.0.2 'd["subflows"]' 1
hold_open three --bind 10.1.0.2:0
ok "three in all: now the third one's joins" wait_until 5 subflows_are '[1, 2]'
go two
go three
ok "nothing is counted in the end" wait_until 10 nothing_is_counted

# What operators do not want to answer at all
reload_policed <<<"default_policy: { limits: { subflows_per_session: 1 }, refuse_join: drop }"
before=$(resets 'len(d)')
dropped=$(admit_count over_session_subflows)
hold_open one --bind 10.1.0.2:0
dropped_since() {
	[ "$(admit_count over_session_subflows)" != "$dropped" ]
}
ok "drop: it is refused" wait_until 5 dropped_since
is "drop: and nobody is told" "$(resets 'len(d)')" "$before"
is "drop: the first one stays" "$(ctl_get sessions '[len(s["subflows"]) for s in d]')" '[1]'
go one
ok "drop: it ends" reap one 10
ok "drop: nothing is counted" wait_until 15 nothing_is_counted

# Where the kernel's side sees nothing, the daemon hears of the join when it is there, and ends it.
stop mpgated
start_policed px0.xdp=off converter.reply=at-once \
	<<<"default_policy: { limits: { subflows_per_session: 1 } }"
before=$(resets 'len(d)')
hold_open one --bind 10.1.0.2:0
ok "the daemon alone: the join is reset" wait_until 5 was_reset $((before + 1))
ok "the daemon alone: the first one stays" wait_until 5 subflows_are '[1]'
is "the daemon alone: one is counted" "$(limits_of 10.1.0.2 'd["sessions"], d["subflows"]')" '[1, 1]'
go one
ok "the daemon alone: it ends" reap one 10
is "the daemon alone: it carried what it should" "$(report_get one 'd["rx"]["text"], d["end"]')" \
	'["hello", "fin"]'
ok "the daemon alone: nothing is counted" wait_until 5 nothing_is_counted
finish
