# shellcheck shell=bash
# SPDX-License-Identifier: BSD-2-Clause
# For the tests of shared addresses: the pool's way back, and the session log. Sourced after lib.sh.

export POOL4=198.51.100.0/29 POOL6=2001:db8:77::/120
LOG=$T/sessions.json

# Servers find the pool behind the proxy, which has none of it on an interface, and drops what comes for it
# and is nobody's.
route_pool() {
	topo_ip sv route add "$POOL4" via 10.4.0.1
	topo_ip sv -6 route add "$POOL6" via fd00:4::1
	topo_ip px route add blackhole "$POOL4"
	topo_ip px -6 route add blackhole "$POOL6"
}

# logged EXPR: a python expression over ev, all lines of the log, the oldest first; prints it.
# logged_is EXPR WANTED: for wait_until.
logged() {
	local n files=("$LOG")
	for n in {1..40}; do
		[ ! -e "$LOG.$n" ] || files=("$LOG.$n" "${files[@]}")
	done
	cat "${files[@]}" | python3 "$TOOLS/jget.py" --lines ev "$1"
}

logged_is() {
	[ "$(logged "$1")" = "$2" ]
}

# What the server saw and what the log says: pairs of server's and external address, sorted.
server_pairs() {
	server_saw 'sorted([e["local"], e["peer"]] for e in ev if e["ev"] == "accept")'
}

logged_pairs() { # EVENT
	logged "sorted([e['server'], e['external']] for e in ev if e['event'] == '$1')"
}
