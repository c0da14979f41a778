#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# sharing where sessions are intercepted, where servers speak MPTCP, and where thousands come: what
# finds no port is passed or dropped, the log loses no line over its rotations.
. "$(dirname "$0")/lib.sh"
. "$E2E_DIR/sharing.sh"

net_up nojoin
route_pool
start_server 8000:echo
for i in 1 2; do topo_ip ue addr add "10.1.0.1$i/24" dev ue0; done

hold() { # NAME FROM
	direct_bg "$1" "$SV4:8000" --bind "$2:0" text=x recv=1 wait shutwr recvall
}

blocks="pool: [ 198.51.100.1/32, \"$POOL6\" ], ports: 2000-2003, ports_per_subscriber: 2"
start_mpgated intercept.mode=take-over intercept.source=shared \
	"sharing={ $blocks, log: file, log_file: \"$LOG\" }"
hold a 10.1.0.2
hold b 10.1.0.2
hold c 10.1.0.11
ok "three are taken over" wait_until 10 ctl_is sessions '[s["state"] for s in d]' \
	'["relay", "relay", "relay"]'
is "from the pool" "$(ctl_get sessions 'sorted({s["source"].split(":")[0] for s in d})')" \
	'["198.51.100.1"]'
: >"$T/server.events"
direct "$SV4:8000" --bind 10.1.0.2:41009 text=hello recv=5 shutwr recvall
is "on_overload: pass: one that finds no port goes to its server" \
	"$(conv_get 'd["rx"]["text"]'),$(server_saw 'ev[0]["peer"]')" "hello,10.1.0.2:41009"
is "counted" "$(ctl_get counters 'd["sharing"]["no_ports"]')" 1
direct "$SV6:8000" --bind "[fd00:1::2]:41010" text=hello recv=5 shutwr recvall
like "IPv6 has ports of its own" "$(logged 'ev[-1]["external"]')" '^\[2001:db8:77::[0-9a-f]+\]:200[0-3]$'
for i in a b c; do go $i && reap $i 10; done
is "the log says what became of them" "$(logged 'sorted(e["reason"] for e in ev if e["event"] == "close")')" \
	'["finished", "finished", "finished", "finished"]'
stop mpgated

start_mpgated intercept.mode=take-over intercept.source=shared intercept.on_overload=drop \
	"sharing={ $blocks }"
hold a 10.1.0.2
hold b 10.1.0.2
ok "two are taken over" wait_until 10 ctl_is sessions '[s["state"] for s in d]' '["relay", "relay"]'
: >"$T/server.events"
direct_bg late "$SV4:8000" --bind 10.1.0.2:41011 text=hello recv=5 shutwr recvall
ok "on_overload: drop: a third is not" wait_until 5 ctl_is counters 'd["sharing"]["no_ports"] > 0' true
is "nor does its server hear of it" "$(server_saw 'len(ev)')" 0
for i in a b; do go $i && reap $i 10; done
ok "until there is a port" reap late 20
is "then it is served" "$(report_get late 'd["rx"]["text"]')" hello
stop mpgated

# ---- servers with MPTCP --------------------------------------------------------------------------
rm -f "$LOG"
start_mserver m8005:echo
start_mpgated converter.server_mptcp=always "sharing={ $blocks, log: file, log_file: \"$LOG\" }"
conv --converter "$V4" --server "$SV4:8005" --data hello shutwr recvall
is "a server with MPTCP" "$(conv_get 'd["rx"]["text"], d["end"]')" '["hello", "fin"]'
is "sees the pool, and speaks MPTCP" \
	"$(mserver_saw '[[e["mptcp"], e["peer"].split(":")[0]] for e in ev if e["ev"] == "accept"]')" \
	'[[true, "198.51.100.1"]]'
is "from the address and port that are logged" "$(logged 'ev[0]["external"]')" \
	"$(mserver_saw '[e["peer"] for e in ev if e["ev"] == "accept"][0]')"
stop mpgated

# ---- rotation ------------------------------------------------------------------------------------
rm -f "$LOG"
: >"$T/server.events"
start_mpgated "sharing={ pool: [ \"$POOL4\" ], log: file, log_file: \"$LOG\", log_rotate_mib: 1, log_keep: 9 }"
mkfifo "$T/many.fifo"
for round in 1 2; do
	spawn many nsx ue python3 "$TOOLS/many.py" "$V4" "$SV4:8000" 1500 "$T/many.fifo"
	ok "$round: 1500 sessions" wait_until 60 grep -q "open 1500" "$T/many.log"
	echo go >"$T/many.fifo"
	ok "$round: alive" wait_until 60 grep -q "alive 1500" "$T/many.log"
	echo go >"$T/many.fifo"
	ok "$round: end" reap many 60
done
ok "all is logged" wait_until 10 ctl_is counters 'd["sharing"]["log_lines"]' 6000
ok "the log was rotated" [ -e "$LOG.1" ]
is "and none is larger than it may be" "$(find "$T" -name 'sessions.json*' -size +1024k | wc -l)" 0
is "not a line is missing, or there twice" \
	"$(logged 'len(ev), len({(e["session"], e["event"]) for e in ev})')" '[6000, 6000]'
is "servers saw what the log says" "$(server_pairs | sha256sum)" "$(logged_pairs connect | sha256sum)"
is "nothing was dropped" "$(ctl_get counters 'd["sharing"]["log_dropped"], d["sharing"]["log_errors"]')" \
	'[0, 0]'
stop mpgated
finish
