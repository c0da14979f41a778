#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Sysctls the daemon depends on: set, and said, where it may; else it says what to set and does not
# start.
. "$(dirname "$0")/lib.sh"

net_up nojoin
write_config

# shellcheck disable=SC2016 # a script of its own
readonly_run() { # in a mount namespace where /proc/sys is read-only
	spawn mpgated nsx px unshare --mount --propagation private sh -c '
		mount --bind /proc/sys /proc/sys && mount -o remount,bind,ro /proc/sys &&
		exec "$0" -c "$1"' "$BUILD/mpgated" "$T/mpgate.yaml"
}

fastopen() {
	nsx px sysctl -n net.ipv4.tcp_fastopen
}

topo_sysctl px net.ipv4.tcp_fastopen=1 net.mptcp.enabled=0 net.core.somaxconn=4096
readonly_run
reap mpgated 10
is "it may not set them: exit status" $? 1
log=$(<"$T/mpgated.log")
like "it names the first, its value, and the command" "$log" \
	'net\.ipv4\.tcp_fastopen is 1.*sysctl -w net\.ipv4\.tcp_fastopen=3'
like "it names the second" "$log" 'net\.mptcp\.enabled is 0.*sysctl -w net\.mptcp\.enabled=1'
like "a short queue is named, too" "$log" 'warning: .*net\.core\.somaxconn is 4096'
is "nothing was changed" "$(fastopen) $(nsx px sysctl -n net.mptcp.enabled)" "1 0"
is "nothing was attached" "$(nsx px ip -o link show | grep -c 'prog/xdp')" 0

# What it says to do helps.
while read -r setting; do
	topo_sysctl px "$setting"
done < <(sed -n 's/.*sysctl -w \([^ ]*\)$/\1/p' "$T/mpgated.log")
readonly_run
ok "set as it said, it starts" wait_until 10 ctl status
stop mpgated

topo_sysctl px net.ipv4.tcp_fastopen=0x400 net.mptcp.enabled=0 net.ipv4.tcp_syncookies=2 \
	net.core.somaxconn=4096
start_mpgated
is "it sets what it may, and keeps other bits" "$(($(fastopen) & 0x402))" $((0x402))
is "it sets the second" "$(nsx px sysctl -n net.mptcp.enabled)" 1
is "it sets the third" "$(nsx px sysctl -n net.ipv4.tcp_syncookies)" 1
is "no server switches MPTCP off for the others" "$(nsx px sysctl -n net.mptcp.blackhole_timeout)" 0
is "queues may be long" "$(nsx px sysctl -n net.core.somaxconn)" 65535
like "and says so" "$(<"$T/mpgated.log")" 'set net\.ipv4\.tcp_fastopen from 1024 to'
start_server 8000:echo
conv --converter "$V4" --server "$SV4:8000" --data hello shutwr recvall
is "a session works" "$(conv_get 'd["rx"]["text"], d["mptcp"], d["syn_data_acked"]')" \
	'["hello", true, true]'
stop mpgated
topo_sysctl px net.ipv4.tcp_syncookies=0
start_mpgated
is "no SYN cookies at all do no harm, and stay" "$(nsx px sysctl -n net.ipv4.tcp_syncookies)" 0
stop mpgated
topo_sysctl px net.core.somaxconn=70000 net.ipv4.tcp_syncookies=1
start_mpgated
is "a longer queue stays" "$(nsx px sysctl -n net.core.somaxconn)" 70000
stop mpgated
topo_sysctl px net.core.somaxconn=100
readonly_run
ok "a short one that may not be changed stops nothing" wait_until 10 ctl status
finish
