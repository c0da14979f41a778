#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# A gateway's daemon ends, or is killed, and starts again, with traffic all the time: the kernel steers on
# without it, sessions live and begin and get joins. --detach takes away what it left.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/steer.sh"

steer_up
mirror mirror sv mirror 9000
topo_joins_from ue1
to=(--server 10.4.0.2:9000 "$VIP4")
n_addr=2

traffic_goes_on() { # NAME
	local now
	now=$(now_ms)
	ok "$1: what lives goes on" fresh old 3 200
	ok "$1: new sessions begin" wait_until 15 calls_since "$now" 60
	is "$1: none of those broke" "$(calls 'sum(e["end"] != "good" for e in ev)')" 0
	is "$1: at all proxies" "$(who_since "$now")" "[\"${SEEN[px1]}\", \"${SEEN[px2]}\", \"${SEEN[px3]}\"]"
}

# join_anew NAME GATEWAY: each session joins from one more address behind that gateway
join_anew() {
	local n=${2#gw}
	n_addr=$((n_addr + 1))
	join_from "10.$n.0.$n_addr" "ue$((n - 1))"
	ok "$1: new joins through $2" joins old $((n_addr - 1)) 200
}

places() { # where sessions of 40 subscribers would go, by gw1
	local i
	for i in {1..20}; do
		hget gw1 locate --capable "10.1.128.$i:30000" "$VIP4" 'd["proxy"], d["slot"]'
	done
}

attached() { # of gw1's interfaces, with a program
	nsx gw1 ip -o link show | grep -c 'prog/xdp'
}

herd_bg old --first "$SUB1" --subscribers 200 --count 200 --gap 50 --joins 1 "${to[@]}"
ok "200 sessions live, through both gateways" wait_until 20 said old "ready 200"
herd_bg calls --first "$SUB1" --subscribers 1000 --every 10 --rounds 1 --events "$T/calls.events" "${to[@]}"
ok "new ones come all the time" wait_until 10 calls_since 0 50
places >"$T/before"

for signal in TERM KILL; do
	stop gw1 $signal
	is "$signal: its programs stay" "$(attached)" 3
	traffic_goes_on "$signal, gw1 away"
	join_anew "$signal, gw1 away" gw1
	launch_host gw1
	ok "$signal: it starts again" wait_until 10 proxies_are up
	traffic_goes_on "$signal, gw1 back"
	places >"$T/after"
	is "$signal: the ring is the same" "$(sha256 "$T/after")" "$(sha256 "$T/before")"
	is "$signal: one program per interface" "$(attached)" 3
done
stop gw2 KILL
traffic_goes_on "gw2 away"
launch_host gw2
ok "gw2 starts again" wait_until 10 proxies_are up
join_anew "gw2 back" gw2
traffic_goes_on "gw2 back"

herd_end old
herd_end calls
is "sessions that lived through it: good, broken" "$(herd_get old 'd["good"], d["broken"]')" "[200, {}]"
is "sessions that began meanwhile: broken" "$(herd_get calls 'd["broken"]')" "{}"
# Others, of short sessions, may come when their session has ended.
is "joins with a wrong key" "$(mibs MPJoinAckHMacFailure)" 0

# ---- --detach ----
left() {
	nsx gw1 ip -o link show | grep -o 'prog/xdp.*'
	find "$BPFFS-gw1" -mindepth 1 2>/dev/null
}

stop gw1
is "an orderly end" $? 0
fails "it leaves what steers" [ -z "$(left)" ]
ok "--detach" nsx gw1 "$BUILD/mpgated" --detach -c "$T/gw1.yaml"
is "--detach: nothing is left" "$(left)" ""
launch_host gw1
ok "and it starts from nothing" wait_until 10 proxies_are up
herd one --first "$SUB1" "${to[@]}"
is "and steers" "$(herd_get one 'd["good"]')" 1
fails "--detach is refused while it runs" nsx gw1 "$BUILD/mpgated" --detach -c "$T/gw1.yaml"
ok "which it survives" hctl gw1 status
for host in px1 px2 px3; do
	stop $host
	is "$host leaves nothing" "$(nsx $host ip -o link show | grep -o 'prog/xdp.*'
		find "$BPFFS-$host" -mindepth 1 2>/dev/null)" ""
done
finish
