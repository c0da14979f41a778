#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Steering modes while a client only sends: MP_PRIO tells it which path to use as soon as a better one
# joins, and when the policy changes; what was asked of a subflow is shown, whoever asked.
# test: alone timeout=120
. "$(dirname "$0")/lib.sh"

NETWORKS='[ { name: cellular, prefixes: [ "10.1.0.0/24", "fd00:1::/64" ] }, { name: wlan, prefixes: [ "10.2.0.0/24", "fd00:2::/64" ] } ]'
MBYTE=1000000

net_up
[ "$(nsx px sysctl -n net.mptcp.pm_type 2>/dev/null)" = 0 ] || skip_all "no path manager of user space in this kernel"
topo_shape 0 30
topo_shape 1 30
start_mpgated "access_networks=$NETWORKS" \
	'default_policy={ steering: active-standby, order: [ cellular, wlan ] }'
start_server 8000:sink

received() { # ACCESS: bytes of the client on its subflows there
	ctl_get sessions "sum(f['bytes_received'] for s in d for f in s['subflows'] if f['access'] == '$1')"
}

grew() { # ACCESS FROM BYTES
	[ "$(received "$1")" -gt $(($2 + $3)) ]
}

asked() {
	ctl_get sessions 'sorted([f["access"], f["backup_asked"]] for f in d[0]["subflows"])'
}

asked_is() {
	[ "$(asked)" = "$1" ]
}

carries_alone() { # WHAT ACCESS OTHER
	local here there
	here=$(received "$2")
	ok "$1: $2 carries" wait_until 5 grew "$2" "$here" $((2 * MBYTE))
	# What was in the client's queue there has left by now.
	here=$(received "$2") there=$(received "$3")
	ok "$1: $2 goes on" wait_until 5 grew "$2" "$here" $((3 * MBYTE))
	between "$1: $3 rests (bytes)" $(($(received "$3") - there)) 0 300000
}

# ---- a better path joins --------------------------------------------------------------------------
nsx ue ip mptcp endpoint flush
conv_bg up --converter "$V4" --server "$SV4:8000" --bind 10.2.0.2:0 "send=$((60 * MBYTE))" shutwr recvall
ok "under way" wait_until 10 grew wlan 0 $((3 * MBYTE))
nsx ue ip mptcp endpoint add 10.1.0.2 id 1 dev ue0 subflow
ok "a better path joins, and is no backup" wait_until 3 asked_is '[["cellular", false], ["wlan", true]]'
carries_alone "a better path" cellular wlan

# ---- live -----------------------------------------------------------------------------------------
ok "another order" ctl policy set '{ name: default, steering: active-standby, order: [ wlan, cellular ] }'
ok "live: who is asked" wait_until 3 asked_is '[["cellular", true], ["wlan", false]]'
carries_alone "live" wlan cellular
ok "ends" reap up 60
is "every byte" "$(report_get up 'd["tx_bytes"], d["end"]')" "[$((60 * MBYTE)), \"fin\"]"

# ---- at rest --------------------------------------------------------------------------------------
nsx ue ip mptcp endpoint flush
mkfifo "$T/go"
conv_bg rest --converter "$V4" --server "$SV4:8000" --bind 10.2.0.2:0 --wait-on "$T/go" send=1000 wait shutwr recvall
has_sessions() {
	ctl_is sessions '[len(s["subflows"]) for s in d]' "$1"
}
ok "a session" wait_until 5 has_sessions '[1]'
sleep 2.5 # nothing moves: nobody looks
nsx ue ip mptcp endpoint add 10.1.0.2 id 1 dev ue0 subflow
ok "a path joins" wait_until 3 has_sessions '[2]'
ok "what was asked at its join is shown" wait_until 2 asked_is '[["cellular", true], ["wlan", false]]'
ok "no more policy" ctl policy set '{ name: default }'
ok "nobody is a backup any more" wait_until 3 asked_is '[["cellular", false], ["wlan", false]]'
echo >"$T/go"
ok "rest: ends" reap rest 20
finish
