# shellcheck shell=bash
# SPDX-License-Identifier: BSD-2-Clause
# Servers that take their time, and clients without a stack. Sourced after lib.sh.

export FAR4=10.7.0.2 FAR6="[fd00:7::2]"

# far_up [PORT:MS]…: a namespace behind the servers' one, 10.7.0.2 and fd00:7::2. SYNs to PORT get there
# MS after the first of them.
far_up() {
	ip netns add "$TOPO-far" || bail "another namespace"
	TOPO_SPACES+=" far"
	topo_sysctl far net.ipv4.tcp_congestion_control=reno net.mptcp.enabled=0 \
		net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.accept_dad=0
	spawn delayline nsx sv python3 "$TOOLS/delayline.py" far0 far1 "/run/netns/$TOPO-far" "$@"
	wait_until 10 grep -q ready "$T/delayline.log" || bail "the delay line starts"
	far_end sv far0 1
	far_end far far1 2
	topo_ip far link set lo up
	topo_ip far route add default dev far1
	topo_ip far -6 route add default dev far1
	topo_ip px route add 10.7.0.0/24 via 10.4.0.2
	topo_ip px -6 route add fd00:7::/64 via fd00:4::2
}

far_end() { # SPACE DEVICE HOST
	topo_ip "$1" link set "$2" up
	topo_ip "$1" addr add "10.7.0.$3/24" dev "$2"
	topo_ip "$1" addr add "fd00:7::$3/64" dev "$2" nodad
}

# The UE's address for rawtcp.py: packets to it get to the UE's link, and nobody there knows it.
export RAW4=10.1.0.50 RAW6="[fd00:1::50]"
raw_ue_up() {
	local mac ip
	mac=$(topo_ip ue -o link show ue0 | sed 's/.*link.ether \([^ ]*\).*/\1/')
	for ip in 10.1.0.50 fd00:1::50; do
		topo_ip rt neigh replace "$ip" lladdr "$mac" dev ra0 nud permanent
	done
}

# raw SOURCE:PORT SERVER:PORT STEP…: its report is left in $T/raw.json.
raw() {
	nsx ue timeout --foreground 60 python3 "$TOOLS/rawtcp.py" ue0 "$@" >"$T/raw.json" 2>"$T/raw.log"
}

raw_get() {
	jget "$1" <"$T/raw.json"
}
