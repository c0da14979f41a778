#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# sharing, changed while running: who has sessions keeps what it has, what comes next gets what is new.
. "$(dirname "$0")/lib.sh"
. "$E2E_DIR/sharing.sh"

net_up nojoin
route_pool
topo_ip sv route add 203.0.113.0/29 via 10.4.0.1
topo_ip ue addr add 10.1.0.11/24 dev ue0
start_server 8000:echo

reload() { # KEY=VALUE…
	write_config "$@"
	ctl reload
}

hold() { # NAME FROM
	conv_bg "$1" --converter "$V4" --server "$SV4:8000" --bind "$2:0" --data x recv=1 wait \
		text=y recv=2 shutwr recvall
}

sources() { # of sessions, the oldest first
	ctl_get sessions '[s["source"] for s in d]'
}

start_mpgated
fails "without a pool before, one takes a restart" reload "sharing={ pool: [ \"$POOL4\" ] }"
like "it says so" "$(<"$T/ok.out")" 'sharing.pool: .*expected a restart'
stop mpgated

start_mpgated "sharing={ pool: [ \"$POOL4\" ], log: file, log_file: \"$LOG\" }"
hold one 10.1.0.2
ok "a session" wait_until 5 ctl_is sessions '[s["state"] for s in d]' '["relay"]'
like "from the pool" "$(sources)" '^\["198\.51\.100\.[0-7]:[0-9]+"\]$'
first=$(ctl_get sessions 'd[0]["source"].split(":")[0]')

ok "blocks of ports" reload \
	"sharing={ pool: [ \"$POOL4\" ], ports: 3000-3999, ports_per_subscriber: 100, log: file, log_file: \"$LOG.b\" }"
hold two 10.1.0.2
hold three 10.1.0.11
ok "two more sessions" wait_until 5 ctl_is sessions '[s["state"] for s in d]' '["relay", "relay", "relay"]'
is "who had a session keeps its address" "$(ctl_get sessions \
	'[s["source"].split(":")[0] for s in d if s["client"].startswith("10.1.0.2:")]')" "[\"$first\", \"$first\"]"
like "who is new has a block" "$(ctl_get sessions \
	'[s["source"] for s in d if s["client"].startswith("10.1.0.11:")][0]')" ':3[0-9]{3}$'

ok "another pool" reload "sharing={ pool: [ 203.0.113.0/29 ], log: file, log_file: \"$LOG.b\" }"
hold four 10.1.0.2
ok "another session" wait_until 5 ctl_is sessions 'len([s for s in d if s["state"] == "relay"])' 4
like "of the same subscriber, is from that one" "$(ctl_get sessions 'sorted(d, key=lambda s: s["age_ms"])[0]["source"]')" \
	'^203\.0\.113\.[0-7]:'
fails "a log that cannot be" reload "sharing={ pool: [ 203.0.113.0/29 ], log: file, log_file: /nonexistent/log }"
for i in one two three four; do go $i; done
for i in one two three four; do
	ok "$i ends" reap $i 10
	is "$i lost nothing" "$(report_get $i 'd["rx"]["text"], d["end"]')" '["xy", "fin"]'
done
is "the first log has the first session's begin" "$(logged '[e["event"] for e in ev]')" '["connect"]'
LOG=$LOG.b
ok "the second one all else" wait_until 5 logged_is \
	'[sum(e["event"] == x for e in ev) for x in ("connect", "close")]' '[3, 4]'
ok "no log any more" reload "sharing={ pool: [ 203.0.113.0/29 ] }"
conv --converter "$V4" --server "$SV4:8000" --data hello shutwr recvall
is "served" "$(conv_get 'd["rx"]["text"]')" hello
is "nothing was written" "$(logged 'len(ev)')" 7
ok "no pool either" reload
: >"$T/server.events"
conv --converter "$V4" --server "$SV4:8000" --data hello shutwr recvall
like "the host's own address" "$(server_saw 'ev[0]["peer"]')" '^10\.4\.0\.1:'
stop mpgated
is "the daemon ends well" $? 0
finish
