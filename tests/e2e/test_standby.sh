#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Steering modes by MP_PRIO: a standby path carries not a byte until the active one fails, takes over in
# time and gives back; the smallest delay; one path first and the next when it is full. Live, and with
# addresses that are announced to each session by the daemon.
# test: alone timeout=180
. "$(dirname "$0")/lib.sh"

NETWORKS='[ { name: cellular, prefixes: [ "10.1.0.0/24", "fd00:1::/64" ] }, { name: wlan, prefixes: [ "10.2.0.0/24", "fd00:2::/64" ] } ]'
MBYTE=1000000
SIGNAL=10.3.0.9

net_up
topo_ip px addr add "$SIGNAL/24" dev px0
[ "$(nsx px sysctl -n net.mptcp.pm_type 2>/dev/null)" = 0 ] || skip_all "no path manager of user space in this kernel"
topo_shape 0 30
topo_shape 1 30
start_mpgated "access_networks=$NETWORKS" \
	'default_policy={ steering: active-standby, order: [ cellular, wlan ] }'
start_server 8000:source:12000000 8001:source:40000000 8002:source:4000000

steer() { # POLICY…
	ok "policy: $*" ctl policy set "{ name: default, $* }"
}

manager() {
	nsx px sysctl -n net.mptcp.pm_type
}

has_two_subflows() {
	ctl_is sessions '[len(s["subflows"]) for s in d]' '[2]'
}

moved_at_least() {
	[ "$(ctl_get sessions 'sum(s["bytes_down"] for s in d)')" -ge "$1" ]
}

start() { # NAME PORT [ARG…]
	down0=$(topo_down_bytes 0) down1=$(topo_down_bytes 1)
	conv_bg "$1" --converter "$V4" --server "$SV4:$2" "${@:3}" recvall
	ok "$1: the second subflow joins" wait_until 5 has_two_subflows
}

end() { # NAME BYTES
	ok "$1: ends" reap "$1" 60
	is "$1: every byte" "$(report_get "$1" 'd["rx"]["bytes"], d["rx"]["wrong_at"], d["end"]')" "[$2, null, \"fin\"]"
	down0=$(($(topo_down_bytes 0) - down0)) down1=$(($(topo_down_bytes 1) - down1))
}

asked() { # whom we asked to be a backup, and who asked us
	ctl_get sessions 'sorted([f["access"], f["backup_asked"], f["backup"]] for f in d[0]["subflows"])'
}

is "sessions are the daemon's to manage" "$(manager)" 1

# ---- active-standby -------------------------------------------------------------------------------
# The second link comes up in the middle of the download, when every packet is data.
capture_start standby ue ue1 "tcp port 5124"
nsx ue ip mptcp endpoint delete id 2
down0=$(topo_down_bytes 0) down1=$(topo_down_bytes 1)
conv_bg active --converter "$V4" --server "$SV4:8000" --bind 10.1.0.2:0 recvall
ok "active: under way" wait_until 10 moved_at_least $((2 * MBYTE))
nsx ue ip mptcp endpoint add 10.2.0.2 id 2 dev ue1 subflow
ok "active: the second subflow joins" wait_until 5 has_two_subflows
is "active-standby: the second is for backup" "$(asked)" '[["cellular", false, false], ["wlan", true, false]]'
is "sessions: how it is steered" "$(ctl_get sessions 'd[0]["steering"]')" active-standby
end active $((12 * MBYTE))
stop cap-standby
like "the SYN+ACK of the join says so already" "$(capture_show standby "tcp[13] = 0x12")" 'join backup'
is "the standby carried no data" "$(capture_count standby "src host 10.3.0.2 and (ip[2:2] - ((ip[0] & 0xf) << 2) - ((tcp[12] & 0xf0) >> 2)) != 0")" 0
between "the active one all of it" "$down0" $((12 * MBYTE)) $((13 * MBYTE))

# A session that begins on the worse path moves to the better one as soon as that joins.
start worse 8001 --bind 10.2.0.2:0
end worse $((40 * MBYTE))
between "who begins on the standby leaves it, with what it was given" "$down1" 0 $((8 * MBYTE))

wlan_carries() {
	[ "$(topo_down_bytes 1)" -gt "$((last1 + 200000))" ]
}
cellular_carries() {
	[ "$(topo_down_bytes 0)" -gt "$((last0 + 500000))" ]
}
start failing 8001 --bind 10.1.0.2:0
ok "failing: under way" wait_until 10 moved_at_least $((4 * MBYTE))
last1=$(topo_down_bytes 1) since=$(now_ms)
topo_cut 0
ok "the standby takes over" wait_until 6 wlan_carries
between "within two seconds (ms)" $(($(now_ms) - since)) 0 2500
is "and is no backup any more" "$(ctl_get sessions '[f["backup_asked"] for f in d[0]["subflows"] if f["access"] == "wlan"]')" '[false]'
topo_mend 0
last0=$(topo_down_bytes 0)
ok "the better one gets it back" wait_until 20 cellular_carries
end failing $((40 * MBYTE))

# ---- live -----------------------------------------------------------------------------------------
start live 8001 --bind 10.1.0.2:0
ok "live: under way" wait_until 10 moved_at_least $((4 * MBYTE))
steer "steering: active-standby, order: [ wlan, cellular ]"
last1=$(topo_down_bytes 1)
ok "live: the order turned round" wait_until 3 wlan_carries
last0=$(topo_down_bytes 0)
asked_is() {
	[ "$(asked)" = "$1" ]
}
ok "live: the other one rests" wait_until 3 asked_is '[["cellular", true, false], ["wlan", false, false]]'
steer "steering: load-balancing, split: { cellular: 50, wlan: 50 }"
last0=$(topo_down_bytes 0) last1=$(topo_down_bytes 1)
ok "live: to a split" wait_until 5 cellular_carries
ok "live: both carry" wait_until 5 wlan_carries
end live $((40 * MBYTE))

# ---- smallest delay -------------------------------------------------------------------------------
TOPO_QUEUE_MS=300 topo_shape 0 6
nsx sv tc qdisc add dev sv0 root tbf rate 15mbit burst 32k latency 100ms
steer "steering: smallest-delay"
start delay 8000 --bind 10.1.0.2:0
end delay $((12 * MBYTE))
between "smallest-delay: leaves the link whose queue grows" "$down1" $((9 * MBYTE)) $((13 * MBYTE))

# ---- priority -------------------------------------------------------------------------------------
topo_shape 0 30
steer "steering: priority, order: [ cellular, wlan ]"
start enough 8002 --bind 10.1.0.2:0
end enough $((4 * MBYTE))
between "priority: as long as the first has room, the second rests" "$down1" 0 200000
nsx sv tc qdisc del dev sv0 root
start full 8001 --bind 10.1.0.2:0
end full $((40 * MBYTE))
between "priority: full, and the second helps" "$(report_get full "d['rx']['bytes'] * 8 // 1000 // d['total_ms']")" 45 60

# ---- nobody asks any more -------------------------------------------------------------------------
ok "no policy" ctl policy set '{ name: default }'
is "sessions are the kernel's again" "$(manager)" 0
stop mpgated
is "it ends well" $? 0

# ---- what is announced ----------------------------------------------------------------------------
start_mpgated "access_networks=$NETWORKS" "converter.signal=[ \"$SIGNAL:5125\" ]" converter.deny_initial_joins=true \
	'default_policy={ steering: active-standby, order: [ cellular, wlan ] }'
nsx ue ip mptcp limits set subflow 2 add_addr_accepted 2
nsx ue ip mptcp endpoint flush
for i in 1 2; do nsx ue ip mptcp endpoint add "10.$i.0.2" dev "ue$((i - 1))" subflow fullmesh; done
joined_there() {
	ctl_get sessions '[f["local"] for s in d for f in s["subflows"] if f["access"] == "wlan"]' | grep -q "$SIGNAL:5125"
}
conv_bg signal --converter "$V4" --server "$SV4:8000" --bind 10.1.0.2:0 recvall
ok "the daemon announces, and the second link joins there" wait_until 5 joined_there
down0=$(topo_down_bytes 0) down1=$(topo_down_bytes 1)
end signal $((12 * MBYTE))
between "as a backup" "$down1" 0 100000
stop mpgated
is "the sysctl is as it was" "$(manager)" 0
finish
