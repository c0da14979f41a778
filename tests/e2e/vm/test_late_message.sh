#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Kernels whose MPTCP listeners take no SYN data: the Convert message comes after the handshake, the
# session is MPTCP all the same, joins, and loses nothing. On kernels that do take it the same holds.
# test: timeout=120 vm=6.1
. "$(dirname "$0")/../lib.sh"

net_up
start_mpgated
syn_data=$(ctl_get status 'd["features"]["mptcp_syn_data"]')
diag "kernel $(uname -r), MPTCP listeners take SYN data: $syn_data"
like "status says whether SYN data is taken" "$syn_data" '^(true|false)$'
[ "$syn_data" = true ] || ok "the log says what that costs" grep -q "SYN" "$T/mpgated.log"
start_server 8000:echo 8001:source:3000000 8002:sink

has_two_subflows() {
	ctl_is sessions '[len(s["subflows"]) for s in d]' '[2]'
}

for family in 4 6; do
	converter=$V4 server=$SV4 from=10.1.0.2:0
	[ $family = 4 ] || converter=$V6 server=$SV6 from="[fd00:1::2]:0"
	name="IPv$family, after the handshake"
	conv --converter "$converter" --server "$server:8000" --deliver after --data "late" \
		shutwr recvall
	is "$name: echoed" "$(conv_get 'd["rx"]["text"]')" late
	is "$name: MPTCP" "$(conv_get 'd["mptcp"]')" true
	is "$name: the answer is an Extended TCP Header" "$(conv_get '[t["name"] for t in d["tlvs"]]')" \
		'["ext_tcp_hdr"]'

	conv_bg down --converter "$converter" --server "$server:8001" --bind "$from" \
		--deliver after wait recvall
	ok "$name: a second subflow joins" wait_until 10 has_two_subflows
	is "$name: no fall-back" "$(ctl_get sessions '[[s["mptcp"], s["fallback"]] for s in d]')" \
		'[[true, false]]'
	go down
	ok "$name: a download ends" reap down 60
	is "$name: every byte of it" "$(report_get down 'd["rx"]["bytes"], d["rx"]["wrong_at"]')" \
		'[3000000, null]'
	conv --converter "$converter" --server "$server:8002" --deliver after send=3000000 shutwr recvall
	is "$name: every byte of an upload" "$(server_saw \
		'[[e["bytes"], e["wrong_at"]] for e in ev if e["ev"] == "fin" and e["port"] == 8002][-1:]')" \
		'[[3000000, null]]'
done

# In the SYN all the same: not taken from there on such a kernel, and sent again by the client's.
conv --converter "$V4" --server "$SV4:8000" --tcp --data "early" shutwr recvall
is "plain TCP, in the SYN: echoed" "$(conv_get 'd["rx"]["text"], d["syn_data_acked"]')" \
	"[\"early\", $syn_data]"
if [ "$syn_data" = true ]; then
	conv --converter "$V4" --server "$SV4:8000" --data "early" shutwr recvall
	is "MPTCP, in the SYN: echoed, and MPTCP survives" \
		"$(conv_get 'd["rx"]["text"], d["mptcp"]')" '["early", true]'
fi

# The shim takes whatever way the kernel leaves it.
ok "mpgate-run: a program gets through" nsx ue "$BUILD/mpgate-run" --converter "$V4" \
	python3 -c 'import socket, sys
s = socket.create_connection((sys.argv[1], 8000), 20)
s.sendall(b"through the shim")
s.shutdown(socket.SHUT_WR)
assert s.recv(100) == b"through the shim"' "$SV4"
is "mpgate-run: through the converter" "$(server_saw \
	'[e["peer"].split(":")[0] for e in ev if e["ev"] == "accept"][-1]')" '10.4.0.1'
ok "no session is left" wait_until 10 n_sessions_is 0
finish
