#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# An interface that is deleted and made anew, and an XDP program that somebody takes off: the daemon
# goes on, says what it lost, and ends cleanly.
. "$(dirname "$0")/lib.sh"

net_up nojoin
start_mpgated converter.source=preserved
start_server 8000:echo

modes() {
	ctl_get status '[i["xdp_mode"] for i in d["interfaces"]]'
}

lost() { # HOW MANY
	[ "$(modes | grep -o '"lost"' | wc -l)" = "$1" ] &&
		[ "$(grep -c 'XDP program is not attached any more' "$T/mpgated.log")" = "$1" ]
}

served() {
	conv --converter "$V4" --server "$SV4:8000" --data hello shutwr recvall
	[ "$(conv_get 'd["rx"]["text"]')" = hello ]
}

ok "at first nothing is" lost 0
nsx px ip link set px1 xdp off
ok "a program that was taken off is missed" wait_until 5 lost 1
is "it has no number any more" "$(ctl_get status 'd["interfaces"][1]["prog_id"]')" 0
ok "sessions go on" served

topo_ip px link del px0
topo_veth px px0 rt rp0
for at in "px px0 2" "rt rp0 1"; do
	# shellcheck disable=SC2086 # words
	set -- $at
	topo_ip "$1" link set "$2" up
	topo_ip "$1" addr add "10.3.0.$3/24" dev "$2"
done
topo_ip px route add 10.1.0.0/24 via 10.3.0.1
topo_ip rt route add default via 10.3.0.2
ok "an interface that is gone is missed" wait_until 5 lost 2
ok "sessions go on over the one that came in its place" wait_until 10 served

stop mpgated TERM 15
is "it ends as ever" $? 0
is "nothing is left of it" "$(topo_ip px -d link show | grep -c 'prog/xdp')$(topo_ip px rule | grep -c '^100:')" 00
finish
