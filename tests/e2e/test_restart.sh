#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# After kill -9 the daemon starts again over what was left; after an orderly end nothing is left.
. "$(dirname "$0")/lib.sh"

net_up nojoin
start_server 8000:echo

carries() { # NAME CONVERTS
	conv --converter "$V4" --server "$SV4:8000" --data hello shutwr recvall
	is "$1: a session works" "$(conv_get 'd["rx"]["text"]')" hello
	like "$1: the SYN+ACK's options are told" "$(conv_get 'd["tlvs"][0]["value"]')" '^0000020405b4'
	conv --converter "$V6" --server "$SV6:8000" --data hello --bind "[fd00:1::2]:40001" shutwr recvall
	is "$1: a session works, IPv6" "$(conv_get 'd["rx"]["text"]')" hello
	is "$1: with its source preserved" "$(server_saw '[e["peer"] for e in ev if e["ev"] == "accept"][-1]')" \
		'[fd00:1::2]:40001'
	ok "$1: XDP counts it" ctl_is counters 'd["xdp"]["class"]["convert"]' "$2"
}

left() { # what a daemon may leave behind
	nsx px ip -o link show | grep -o 'prog/xdp.*'
	nsx px tc qdisc show | grep clsact
	nsx px tc filter show dev px1 ingress
	nsx px ip rule | grep fwmark
	nsx px ip -6 rule | grep fwmark
	nsx px ip route show table 28007 2>/dev/null
	find "$BPFFS" "$RUN" -mindepth 1 2>/dev/null
	[ ! -d "$cgroup" ] || echo "$cgroup"
}

cgroup=/nowhere
is "nothing is there before" "$(left)" ""
start_mpgated converter.source=preserved
# Its cgroup, if it has one of its own.
path=$(sed -n 's/^0:://p' "/proc/${PID[mpgated]}/cgroup")
[[ $path != */mpgate* ]] || cgroup=$CGROUPS$path
carries "first" 2
fails "it leaves traces while it runs" [ -z "$(left)" ]

conv_bg lost --converter "$V4" --server "$SV4:8000" --data x recv=1 recvall
wait_until 5 n_sessions_is 1
stop mpgated KILL
is "kill -9" $? 137
ok "the client of a killed daemon hears of it" reap lost 10
fails "a killed daemon leaves something" [ -z "$(left)" ]

ok "it starts over what was left" launch_mpgated
carries "second" 5 # what XDP counted goes on; "lost" was one too
stop mpgated KILL
ok "and again" launch_mpgated
carries "third" 7
is "one XDP program per interface" "$(nsx px ip -o link show px0 | grep -o 'prog/xdp' | wc -l)" 1
is "one rule per family" "$(nsx px ip rule | grep -c fwmark) $(nsx px ip -6 rule | grep -c fwmark)" "1 1"
stop mpgated
is "it ends well" $? 0
is "nothing is left" "$(left)" ""

# A start that fails leaves nothing either.
spawn holder nsx px python3 -c '
import socket, time
s = socket.socket()
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(("10.3.0.2", 5124))
s.listen()
print("bound", flush=True)
time.sleep(600)'
wait_until 5 grep -q bound "$T/holder.log"
fails "the port is taken: it does not start" launch_mpgated
like "the port is taken: it says so" "$(<"$T/mpgated.log")" '10\.3\.0\.2:5124'
reap mpgated 5
is "the port is taken: exit status 1" $? 1
is "the port is taken: nothing is left" "$(left)" ""
stop holder
ok "the port is free: it starts" launch_mpgated
finish
