#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Connect over every pair of address families, with MPTCP and with plain TCP clients.
. "$(dirname "$0")/lib.sh"

net_up nojoin
start_mpgated
start_server 8000:echo

# carries NAME CONVERTER SERVER PROXY_SIDE mptcp|tcp
carries() {
	local name="$1, $5" flag="" mptcp=true
	[ "$5" = mptcp ] || { flag=--tcp && mptcp=false; }
	: >"$T/server.events"
	# shellcheck disable=SC2086 # none or one flag
	conv --converter "$2" $flag --server "$3:8000" --data "ping over $5" shutwr recvall
	is "$name: the answer is one Extended TCP Header" \
		"$(conv_get '[t["name"] for t in d["tlvs"]]')" '["ext_tcp_hdr"]'
	is "$name: what was echoed" "$(conv_get 'd["rx"]["text"]')" "ping over $5"
	is "$name: the end arrives as such" "$(conv_get 'd["end"]')" fin
	is "$name: the client's connection is MPTCP" "$(conv_get 'd["mptcp"]')" "$mptcp"
	like "$name: the server sees the proxy" \
		"$(server_saw '[e["peer"] for e in ev if e["ev"] == "accept"]')" "^\\[\"$4:[0-9]+\"\\]$"
	ok "$name: the server sees the end" wait_until 5 server_is \
		'[e["text"] for e in ev if e["ev"] == "fin"]' "[\"ping over $5\"]"
}

for kind in mptcp tcp; do
	carries "IPv4 to IPv4" "$V4" "$SV4" 10.4.0.1 $kind
	carries "IPv6 to IPv6" "$V6" "$SV6" '\[fd00:4::1\]' $kind
	carries "IPv4 to IPv6" "$V4" "$SV6" '\[fd00:4::1\]' $kind
	carries "IPv6 to IPv4" "$V6" "$SV4" 10.4.0.1 $kind
done

ok "no session is left" wait_until 5 n_sessions_is 0
is "every request was connected" \
	"$(ctl_get counters '[d["convert"]["requests"], d["convert"]["connected"]]')" "[8, 8]"
is "no error was answered" "$(ctl_get counters 'sum(d["convert"]["errors"].values())')" 0
finish
