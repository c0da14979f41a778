#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# A gateway, and a proxy that unwraps, where libxdp has its dispatcher: behind it beside another XDP
# program if it takes what changes a packet's length, else alone. Steering goes on while the daemon is
# away, and --detach ends it, and nothing else.
# test: timeout=180 alone
. "$(dirname "$0")/../lib.sh"
trap 'cleanup; rm -rf "$BPFFS"-*' EXIT

vip=10.9.0.1:5124
net_up nojoin
# XDP finishes no checksums, and nobody else knows a way to the virtual address.
nsx ue ethtool -K ue0 tx off >/dev/null
nsx px ethtool -K px0 tx off >/dev/null
topo_ip px addr add "${vip%:*}/32" dev lo
topo_ip rt route add blackhole "${vip%:*}/32"
start_server 8000:echo 8001:echo

cat >"$T/gw.yaml" <<END
node: gw
runtime_dir: $T/gw
bpffs: $BPFFS-gw
workers: 1
interfaces:
  - { name: ra0, role: access }
  - { name: rp0, role: core }
gateway: { flows_max: 4096, tokens_max: 4096 }
proxies:
  - { name: px, address: 10.3.0.2, deliver: ipip }
groups:
  - { name: all, members: [ px ], check: { interval_ms: 1000, rise: 1, fall: 10 } }
virtual:
  - { address: "$vip", group: all }
store: memory
END
cat >"$T/mpgate.yaml" <<END
node: px
runtime_dir: $RUN
bpffs: $BPFFS
workers: 1
interfaces:
  - { name: px0, role: access }
converter:
  listen: [ "$vip", "$V4" ]
gateways: [ 10.3.0.1/32 ]
store: memory
END

gctl() {
	"$BUILD/mpgatectl" --socket "$T/gw/control.sock" "$@"
}

gget() { # COMMAND EXPR
	gctl --json "$1" | jget "$2"
}

gw_up_or_dead() {
	gone gw || gctl status
}

proxy_is_up() {
	[ "$(gget proxies '[p["state"] for p in d]')" = '["up"]' ]
}

start_gw() {
	spawn gw nsx rt "$BUILD/mpgated" -c "$T/gw.yaml"
	wait_until 30 gw_up_or_dead && alive gw && wait_until 10 proxy_is_up
}

gw_modes() {
	gget status 'sorted({i["xdp_mode"] for i in d["interfaces"]})'
}

# How many programs of ours, on the gateway's two interfaces, as libxdp sees them.
ours() {
	nsx rt xdp-loader status | grep -c mg_steer
}

other_is_there() {
	nsx rt xdp-loader status ra0 | grep -q xdpfilt
}

# Kernels whose listeners take no SYN data from MPTCP clients get the message after the handshake.
opened=(--converter "$vip" --server "$SV4:8000")

converts() { # TEXT
	conv "${opened[@]}" --data "$1" shutwr recvall
	[ "$(conv_get 'd["rx"]["text"], d["mptcp"]')" = "[\"$1\", true]" ]
}

joined() {
	[ "$(ctl_get sessions '[len(s["subflows"]) for s in d]')" = "[2]" ] &&
		[ "$(gget counters 'd["steer"]["token_learned"]')" -gt 0 ]
}

steered() {
	gget counters 'd["steer"]["encap"] > 0 and d["steer"]["new"] > 0'
}

blocked_count() { # packets xdp-filter dropped to port 8001
	nsx rt xdp-filter status | awk '$1 == "8001" { print $NF }'
}

blocked_more_than() {
	[ "$(blocked_count)" -gt "$1" ]
}

# What the gateway only forwards, the other program drops.
other_drops() { # NAME
	local before
	before=$(blocked_count)
	spawn "knock" nsx ue python3 -c 'import socket, sys
socket.create_connection((sys.argv[1], 8001), 60)' "$SV4"
	ok "$1" wait_until 10 blocked_more_than "${before:-0}"
	stop knock KILL
}

load_other() {
	nsx rt xdp-filter load -p allow -f tcp ra0 && nsx rt xdp-filter port -p tcp -m dst 8001
}

# ---- both there from the start ----
load_other >"$T/other.log" 2>&1 || bail "another XDP program is on the gateway's interface"
nsx rt xdp-loader status ra0 | grep -q xdp_dispatcher || skip_all "no program extensions"
ok "the proxy starts" launch_mpgated
[ "$(ctl_get status 'd["features"]["mptcp_syn_data"]')" = true ] || opened+=(--deliver after)
shared=yes
start_gw || shared=no
if [ $shared = yes ]; then
	is "the gateway runs behind the dispatcher" "$(gw_modes)" '["native+dispatcher"]'
	is "the proxy as well" "$(ctl_get status 'd["interfaces"][0]["xdp_mode"]')" native+dispatcher
	other_drops "beside the other program"
else
	# Nothing here lets both be there: it has to say so, to leave the other alone, and to do alone.
	like "the gateway says what is in its way" "$(cat "$T/gw.log")" \
		"ra0: another XDP program is attached, and libxdp's dispatcher takes none beside it"
	is "nothing of it stays" "$(ours)" 0
	other_drops "the other program goes on"
	ok "the other leaves" nsx rt xdp-filter unload ra0
	ok "the gateway starts" start_gw
	is "it runs alone" "$(gw_modes)" '["native"]'
	like "and says so" "$(cat "$T/gw.log")" "ra0: libxdp's dispatcher does not take mg_steer"
	is "the proxy too" "$(ctl_get status 'd["interfaces"][0]["xdp_mode"]')" native
	fails "another program has no room beside it" load_other
fi
ok "sessions are steered" converts "first"
is "by the gateway, in a tunnel" "$(steered)" true

# ---- the daemon is away, and comes back ----
# The UE has a second address by now, from which it joins.
nsx ue ip mptcp limits set subflow 2
nsx px ip mptcp limits set subflow 2
topo_ip ue addr add 10.1.0.3/24 dev ue0
nsx ue ip mptcp endpoint add 10.1.0.3 dev ue0 subflow
conv_bg long "${opened[@]}" --data long wait shutwr recvall
ok "a join follows its session, by the token" wait_until 10 joined
nsx ue ip mptcp endpoint flush
for signal in TERM KILL; do
	stop gw $signal
	is "$signal: its programs stay" "$(ours)" 2
	ok "$signal: new sessions are steered without it" converts "away after $signal"
	ok "$signal: it starts again" start_gw
	is "$signal: one program on each interface" "$(ours)" 2
	ok "$signal: new sessions are steered" converts "back after $signal"
	[ $shared = no ] || other_drops "$signal: the other program drops its port"
done
go long
ok "a session that lived through it ends well" reap long 20
is "with every byte" "$(report_get long 'd["rx"]["text"]')" long

# ---- the end ----
stop gw
ok "--detach" nsx rt "$BUILD/mpgated" --detach -c "$T/gw.yaml"
is "--detach takes ours away" "$(ours)" 0
is "and its pins" "$(find "$BPFFS-gw" -mindepth 1 2>/dev/null)" ""
if [ $shared = yes ]; then
	ok "the other program stays" other_is_there
	other_drops "and goes on dropping"
	nsx rt xdp-filter unload ra0 >/dev/null 2>&1
fi
fails "nobody steers any more" nsx ue timeout 5 python3 -c 'import socket
socket.create_connection(("10.9.0.1", 5124), 3)'
stop mpgated
is "the proxy leaves in order" $? 0
is "and leaves nothing" "$(nsx px xdp-loader status px0 | grep -c mg_steer)" 0
finish
