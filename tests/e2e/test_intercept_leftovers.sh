#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# What interception needs on the host is there once, however often the daemon died, and gone when it
# ends.
. "$(dirname "$0")/lib.sh"

net_up nojoin
start_server 8000:echo

host() { # all that a daemon could change, but for sysctls that docs/operations.md names
	ip -n "$TOPO-px" -o link show | sed 's/^[0-9]*: //; s/ qlen [0-9]*//'
	ip -n "$TOPO-px" -o addr show | sed 's/^[0-9]*: //'
	ip -n "$TOPO-px" rule
	ip -6 -n "$TOPO-px" rule
	ip -n "$TOPO-px" route show table all
	ip -6 -n "$TOPO-px" route show table all | grep -v ^fe80 | sed 's/ expires.*//'
	nsx px tc qdisc show
	for dev in px0 px1; do
		nsx px tc filter show dev $dev ingress
		nsx px tc filter show dev $dev egress
	done
	nsx px ip mptcp endpoint
	nsx px ip mptcp limits
	nsx px sysctl -a 2>/dev/null | grep -E \
		'rp_filter|src_valid_mark|accept_local|route_localnet|fwmark|early_demux|nonlocal'
	find "$BPFFS" "$RUN" -mindepth 1 2>/dev/null
}

count() { # what must not be doubled
	echo "$(nsx px tc filter show dev px0 ingress | grep -c 'direct-action')" \
		"$(nsx px tc filter show dev px1 ingress | grep -c 'direct-action')" \
		"$(nsx px tc qdisc show | grep -c clsact)" \
		"$(nsx px ip rule | grep -c fwmark)" "$(nsx px ip -6 rule | grep -c fwmark)" \
		"$(nsx px ip -o link show px0 | grep -c prog/xdp)" \
		"$(ip -n "$TOPO-px" -o link show | wc -l)"
}

works() { # NAME
	direct "$SV4:8000" text=x shutwr recvall
	is "$1: taken over" "$(conv_get 'd["mptcp"], d["rx"]["text"]')" '[true, "x"]'
	direct "$SV6:8000" text=x shutwr recvall
	is "$1: taken over, IPv6" "$(conv_get 'd["mptcp"], d["rx"]["text"]')" '[true, "x"]'
}

before=$(host)
start_mpgated intercept.mode=hybrid
works "first"
running=$(host)
once=$(count)
diag "filters, queues, rules, programs, links: $once"
fails "it changes the host while it runs" [ "$running" = "$before" ]
stop mpgated
is "it ends well" $? 0
is "nothing is left" "$(diff <(host) <(echo "$before"))" ""

ok "it starts" launch_mpgated
for i in 1 2; do
	stop mpgated KILL
	ok "killed, it starts again ($i)" launch_mpgated
	is "all is there once ($i)" "$(count)" "$once"
	works "again ($i)"
done
stop mpgated
is "nothing is left" "$(diff <(host) <(echo "$before"))" ""

# What a dead one left is taken away by one that does not need it.
ok "it starts" launch_mpgated
stop mpgated KILL
start_mpgated intercept.mode=off converter.reply=at-once
is "one that intercepts nothing: nothing waits for SYNs" \
	"$(nsx px tc filter show dev px0 ingress | grep -c direct-action)" 0
direct "$SV4:8000" text=x shutwr recvall
is "one that intercepts nothing: plain TCP" "$(conv_get 'd["mptcp"], d["rx"]["text"]')" '[false, "x"]'
stop mpgated
is "nothing is left" "$(diff <(host) <(echo "$before"))" ""

# An orderly end under way: sessions that run go on to their end, new ones pass.
start_mpgated intercept.mode=take-over
direct_bg long "$SV4:8000" text=hello recv=5 wait text=world recv=10 shutwr recvall
wait_until 5 ctl_is sessions 'len(d)' 1
kill -TERM "${PID[mpgated]}"
wait_until 5 ctl_is status 'd["state"]' draining
direct "$SV4:8000" text=x shutwr recvall
is "draining: new sessions pass" "$(conv_get 'd["mptcp"], d["rx"]["text"]')" '[false, "x"]'
go long
ok "draining: the old one ends" reap long 10
is "draining: in order" "$(report_get long 'd["mptcp"], d["rx"]["text"], d["end"]')" \
	'[true, "helloworld", "fin"]'
ok "then the daemon ends" reap mpgated 12
is "nothing is left" "$(diff <(host) <(echo "$before"))" ""
finish
