#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# sharing: servers see addresses of the pool, a subscriber the same one each time, and a block of its
# ports; the log tells whose they were.
. "$(dirname "$0")/lib.sh"
. "$E2E_DIR/sharing.sh"

net_up nojoin
route_pool
for i in 1 2 3 4 5; do topo_ip ue addr add "10.1.0.1$i/24" dev ue0; done
start_server 8000:echo 8001:echo

ask() { # FROM ARG…
	conv --converter "$V4" --server "$SV4:8000" --bind "$1:0" --data hello "${@:2}" shutwr recvall
}

seen() { # the addresses the server saw, each once
	server_saw 'sorted({e["peer"].rpartition(":")[0] for e in ev if e["ev"] == "accept"})'
}

# ---- addresses -----------------------------------------------------------------------------------
start_mpgated "sharing={ pool: [ \"$POOL4\", \"$POOL6\" ], log: file, log_file: \"$LOG\" }"
for i in 1 2 3 4 5 6; do ask 10.1.0.2; done
is "IPv4: served" "$(conv_get 'd["rx"]["text"], d["end"]')" '["hello", "fin"]'
like "paired: six sessions, one address" "$(seen)" '^\["198\.51\.100\.[0-7]"\]$'
first=$(seen)
for i in 1 2 3 4 5; do ask "10.1.0.1$i"; done
between "five more subscribers, other addresses, too" \
	"$(server_saw 'len({e["peer"].rpartition(":")[0] for e in ev if e["ev"] == "accept"})')" 2 6
: >"$T/server.events"
ask 10.1.0.2
is "and the first one has its own again" "$(seen)" "$first"

: >"$T/server.events"
for i in 1 2 3; do
	conv --converter "$V6" --server "$SV6:8000" --data hello shutwr recvall
done
is "IPv6: served" "$(conv_get 'd["rx"]["text"], d["end"]')" '["hello", "fin"]'
like "IPv6: one address, of the pool" "$(seen)" '^\["\[2001:db8:77::[0-9a-f]+\]"\]$'
: >"$T/server.events"
conv --converter "$V6" --server "$SV4:8000" --data hello shutwr recvall
like "from IPv6 to IPv4: the pool's" "$(seen)" '^\["198\.51\.100\.[0-7]"\]$'
conv --converter "$V4" --server 198.51.100.3:8000
is "nobody is connected to the pool" "$(conv_get 'd["error"]["code"]')" 32
conv --converter "$V4" --server "$SV4:81"
is "a server that refuses" "$(conv_get 'd["error"]["code"]')" 96

# ---- the log -------------------------------------------------------------------------------------
ok "each session has two lines" wait_until 5 logged_is \
	'len(ev), sum(e["event"] == "close" for e in ev)' '[34, 17]'
is "the last but one says it all" "$(logged '[[e[k] for k in ("event", "subscriber", "server")] for e in ev][-4:-2]')" \
	'[["connect", "fd00:1::/64", "10.4.0.2:8000"], ["close", "fd00:1::/64", "10.4.0.2:8000"]]'
is "how it ended, and how much" "$(logged '[ev[-3][k] for k in ("reason", "bytes_up", "bytes_down")]')" \
	'["finished", 5, 5]'
is "one that failed is there, too" "$(logged '[[e["event"], e["server"]] for e in ev[-2:]]')" \
	'[["connect", "10.4.0.2:81"], ["close", "10.4.0.2:81"]]'
is "both lines of a session agree" \
	"$(logged 'all([c[k] == o[k] for k in ("external", "client", "subscriber", "server")] and c["time"] >= o["time"] for o in ev for c in ev if c["session"] == o["session"] and (o["event"], c["event"]) == ("connect", "close"))')" true
like "in RFC 3339, UTC" "$(logged 'ev[0]["time"]')" '^20[0-9-]{8}T[0-9:]{8}\.[0-9]{3}Z$'
is "counted" "$(ctl_get counters 'd["sharing"]["log_lines"], d["sharing"]["log_dropped"]')" '[34, 0]'

mv "$LOG" "$LOG.moved"
ok "SIGHUP" kill -HUP "${PID[mpgated]}"
ok "opens the log anew" wait_until 5 [ -e "$LOG" ]
: >"$T/server.events"
for i in 1 2 3 4 5; do ask "10.1.0.1$i"; done
ok "and goes on there" wait_until 5 logged_is 'len(ev)' 10
is "servers saw what the log says" "$(server_pairs)" "$(logged_pairs connect)"
is "and both its lines" "$(server_pairs)" "$(logged_pairs close)"
stop mpgated
is "the daemon ends well" $? 0

# ---- blocks of ports -----------------------------------------------------------------------------
# 4 blocks of 6 ports
rm -f "$LOG"
: >"$T/server.events"
blocks="pool: [ 198.51.100.1/32 ], ports: 2000-2023, ports_per_subscriber: 6"
start_mpgated "sharing={ $blocks, log: file, log_file: \"$LOG\" }"

hold() { # NAME FROM [SERVER]
	conv_bg "$1" --converter "$V4" --server "${3:-$SV4:8000}" --bind "$2:0" --data x recv=1 wait \
		shutwr recvall
}

for i in 1 2 3 4 5 6; do hold "full$i" 10.1.0.2; done
ok "six sessions of one subscriber" wait_until 10 n_sessions_is 6
ok "all relaying" wait_until 5 ctl_is sessions 'sorted({s["state"] for s in d})' '["relay"]'
is "in six ports of one block" \
	"$(ctl_get sessions 'len({s["source"] for s in d}), len({(int(s["source"].split(":")[1]) - 2000) // 6 for s in d})')" '[6, 1]'
ask 10.1.0.2
is "the seventh finds no port: error 64" "$(conv_get 'd["error"]["code"]')" 64
is "counted" "$(ctl_get counters 'd["sharing"]["no_ports"]')" 1
conv --converter "$V4" --server "$SV4:8001" --bind 10.1.0.2:0 --data hello shutwr recvall
is "another server is another matter" "$(conv_get 'd["rx"]["text"]')" hello
like "from a port of the same block" "$(logged 'ev[-1]["external"]')" '^198\.51\.100\.1:20'

for i in 1 2 3; do hold "other$i" "10.1.0.1$i"; done
ok "three more subscribers" wait_until 10 n_sessions_is 9
is "four blocks" \
	"$(ctl_get sessions 'len({(int(s["source"].split(":")[1]) - 2000) // 6 for s in d})')" 4
ask 10.1.0.14
is "a fifth finds no block: error 64" "$(conv_get 'd["error"]["code"]')" 64
is "counted, too" "$(ctl_get counters 'd["sharing"]["no_ports"]')" 2
go other1
reap other1 10
ok "one ends" wait_until 5 n_sessions_is 8
ask 10.1.0.14
is "its block is the fifth's" "$(conv_get 'd["rx"]["text"]')" hello
go full1
reap full1 10
ok "one of six ends" wait_until 5 n_sessions_is 7
ask 10.1.0.2
is "its port is free" "$(conv_get 'd["rx"]["text"]')" hello
for i in 2 3 4 5 6; do go "full$i" && reap "full$i" 10; done
for i in 2 3; do go "other$i" && reap "other$i" 10; done
ok "none is left" wait_until 5 n_sessions_is 0
# Far more than there are ports: they come around.
for i in {1..20}; do ask 10.1.0.2; done
is "twenty more, one after the other" "$(conv_get 'd["rx"]["text"]')" hello
ok "all are logged" wait_until 5 logged_is 'len(ev)' 64
is "servers saw what the log says" "$(server_pairs)" "$(logged_pairs connect)"
stop mpgated

# ---- identities ----------------------------------------------------------------------------------
rm -f "$LOG"
start_mpgated "sharing={ pool: [ \"$POOL4\" ], log: file, log_file: \"$LOG\" }" \
	"access_networks=[ { name: cellular, prefixes: [ 10.1.0.0/16 ] } ]"
ok "who 10.1.0.2 is" ctl access set 10.1.0.2 cellular --subscriber 262010000000001
ask 10.1.0.2
is "is served" "$(conv_get 'd["rx"]["text"]')" hello
ok "logged by name" wait_until 5 logged_is '[e["subscriber"] for e in ev]' \
	'["id:262010000000001", "id:262010000000001"]'
stop mpgated
finish
