#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# A client that is farther away than the server: the answer is ready before the client's handshake is
# over, and has to wait for that. A busy, slow link makes the distance.
. "$(dirname "$0")/lib.sh"

net_up nojoin
topo_shape 0 16
start_mpgated
start_server 8000:echo 8001:source:200000000 8002:banner:welcome
conv_bg busy --converter "$V4" --server "$SV4:8001" --timeout 60 recvall

queue_is_long() {
	[ "$(nsx ue ping -n -q -c 1 -W 1 10.3.0.2 | sed -n 's/^rtt [^=]*= \([0-9]*\).*/\1/p')" -ge 15 ]
}
ok "the client is 15 ms away" wait_until 10 queue_is_long

for flag in "" --tcp; do
	as=${flag:-mptcp}
	as=${as#--}
	# shellcheck disable=SC2086 # none or one flag
	for how in syn after; do
		far() {
			conv --converter "$V4" $flag --deliver $how --timeout 8 "$@"
		}
		far --server 127.0.0.1:80
		is "$as, $how: an error arrives" "$(conv_get 'd["error"] and d["error"]["code"], d["end"]')" \
			'[1, "fin"]'
		far --server "$SV4:81"
		is "$as, $how: the server's refusal arrives" \
			"$(conv_get 'd["error"] and d["error"]["code"], d["end"]')" '[96, "fin"]'
		far --server "$SV4:8000" --data hello shutwr recvall
		is "$as, $how: the answer arrives, and what is echoed" \
			"$(conv_get '[t["name"] for t in d["tlvs"]], d["rx"]["text"], d["end"]')" \
			'[["ext_tcp_hdr"], "hello", "fin"]'
		far --server "$SV4:8002" recv=7 shutwr recvall
		is "$as, $how: a server that speaks first is heard" \
			"$(conv_get 'd["rx"]["text"], d["end"]')" '["welcome", "fin"]'
		far --info recvall
		is "$as, $how: Info is answered" \
			"$(conv_get '[t["name"] for t in d["tlvs"]], d["end"]')" '[["supported"], "fin"]'
	done
done
ok "the link was busy all the while" alive busy
stop busy KILL
finish
