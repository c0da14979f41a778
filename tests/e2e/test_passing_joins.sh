#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Sessions that pass keep all they have: their second subflows join at the server, over the gateway that
# took over a neighbour's session at the same time and to the same host.
. "$(dirname "$0")/lib.sh"

net_up
no_offload
start_server 8000:echo
start_mserver m8443:echo m8444:source:300000
start_mpgated intercept.mode=hybrid
SNAP=0
syn='tcp[tcpflags] & (tcp-syn|tcp-ack) == tcp-syn'
capture_start sv sv sv0 tcp
capture_start ue rt rp0 tcp

joined_at_server() { # PORT N
	[ "$(nsx sv ss -Htni state established "sport = :$1" | grep -c tcp-ulp-mptcp)" = "$2" ]
}

for family in 4 6; do
	host=$SV4 from=10.1.0.2 name=IPv4
	[ $family = 4 ] || host=$SV6 from="[fd00:1::2]" name=IPv6
	direct_bg own "$host:8000" --bind "$from:41001" text=mine recv=4 wait shutwr recvall
	ok "$name: a session with a plain server is taken over, and joins here" \
		wait_until 5 ctl_is sessions '[len(s["subflows"]) for s in d]' '[2]'
	direct_bg first "$host:8443" --bind "$from:41002" text=hello recv=5 wait text=world recv=10 shutwr recvall
	ok "$name: first session with an MPTCP server: joins there" wait_until 5 joined_at_server 8443 2
	direct_bg second "$host:8443" --bind "$from:41003" text=hello recv=5 wait shutwr recvall
	ok "$name: second session: joins there" wait_until 5 joined_at_server 8443 4
	is "$name: no session here but the one" "$(ctl_get sessions '[s["client"] for s in d]')" \
		"[\"$from:41001\"]"
	for one in own first second; do
		go $one
		ok "$name: $one ends" reap $one 10
	done
	is "$name: MPTCP and echoed" "$(for one in own first second; do
		report_get $one 'd["mptcp"], d["rx"]["text"], d["end"]'
	done | xargs)" "[true, mine, fin] [true, helloworld, fin] [true, hello, fin]"
	direct "$host:8444" --bind "$from:41004" recvall shutwr
	is "$name: 300 kB over them" "$(conv_get 'd["mptcp"], d["rx"]["bytes"], d["rx"]["wrong_at"]')" \
		"[true, 300000, null]"
done
ok "each packet of theirs is the same on both sides" wait_until 3 python3 "$TOOLS/pcapsame.py" --hops 1 \
	--within "$T/ue.pcap" "$T/sv.pcap" "tcp port 8443 or tcp port 8444"
ok "the second links were used" capture_has sv "net 10.2.0.0/24 and tcp port 8443 and $syn"
is "joins taken here: the plain server's alone" "$(ctl_get counters 'd["mptcp"]["joins"]')" 2
finish
