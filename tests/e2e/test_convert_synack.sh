#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# The Extended TCP Header TLV holds the options of the server's SYN+ACK, byte for byte.
. "$(dirname "$0")/lib.sh"

net_up nojoin
start_mpgated
if [ "$(ctl_get status 'any("synack" in k or "sockops" in k for k in d["features"])')" != true ]; then
	diag "features: $(ctl_get status 'd["features"]')"
fi
start_server 8000:echo
# A second server whose SYN+ACK has other options: no timestamps, no SACK, no window scale.
capture_start px1 px px1 tcp

port=8000
synack_matches() { # NAME SERVER ARG…
	local before options
	before=$(python3 "$TOOLS/pcapopts.py" "$T/px1.pcap" "$port" | wc -l)
	conv --server "$2:$port" --data x "${@:3}" shutwr recvall
	ok "$1: the SYN+ACK was captured" wait_until 5 synacks_are $((before + 1))
	options=$(python3 "$TOOLS/pcapopts.py" "$T/px1.pcap" "$port" | tail -n 1)
	like "$1: the SYN+ACK has options" "$options" '^(..)+$'
	is "$1: they are in the TLV" "$(conv_get 'd["tlvs"][0]["name"], d["tlvs"][0]["value"]')" \
		"[\"ext_tcp_hdr\", \"0000$options\"]"
	is "$1: and nothing else is" "$(conv_get 'len(d["tlvs"]), d["rx"]["text"]')" '[1, "x"]'
}

synacks_are() {
	[ "$(python3 "$TOOLS/pcapopts.py" "$T/px1.pcap" "$port" | wc -l)" = "$1" ]
}

synack_matches "IPv4" "$SV4" --converter "$V4"
synack_matches "IPv6" "$SV6" --converter "$V6"
synack_matches "IPv4 client, IPv6 server" "$SV6" --converter "$V4"
synack_matches "plain TCP client" "$SV4" --converter "$V4" --tcp
synack_matches "Connect asks for SACK and timestamps" "$SV4" --converter "$V4" --opts 04020802
synack_matches "Connect asks for MPTCP of a plain server" "$SV4" --converter "$V4" --opts 1e02

topo_sysctl sv net.ipv4.tcp_timestamps=0 net.ipv4.tcp_sack=0 net.ipv4.tcp_window_scaling=0
synack_matches "a server with fewer options" "$SV4" --converter "$V4"
like "a server with fewer options: only MSS is left" "$(conv_get 'd["tlvs"][0]["value"]')" \
	'^0000020405b4(0101)?$'

topo_sysctl sv net.ipv4.tcp_timestamps=1 net.ipv4.tcp_sack=1 net.ipv4.tcp_window_scaling=1
topo_sysctl sv net.mptcp.enabled=1
port=8001
spawn mptcpd nsx sv mptcpize run python3 "$TOOLS/server.py" --events "$T/mptcp.events" 8001:echo
wait_until 10 grep -q listening "$T/mptcp.events" || bail "the MPTCP server starts"
synack_matches "Connect asks for MPTCP of an MPTCP server" "$SV4" --converter "$V4" --opts 1e02
like "the client is told that the server speaks MPTCP" "$(conv_get 'd["tlvs"][0]["value"]')" 1e0c01
finish
