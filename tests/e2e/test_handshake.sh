#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Requests whose handshake never ends: they stay pending, so one address holds only so many of them,
# and others are served.
. "$(dirname "$0")/lib.sh"

net_up nojoin
# Who is there does not answer.
topo_ip px route add 10.7.0.0/24 via 10.3.0.1
topo_ip rt route add blackhole 10.7.0.0/24
start_mpgated converter.pending_per_client=120 drain_timeout_s=1
start_server 8000:silent 8001:echo
ctl_is status 'd["features"]["mptcp_syn_data"]' true || skip_all "this kernel takes no SYN data for MPTCP"

silent() {
	nsx ue python3 "$TOOLS/rawsyn.py" 10.7.0.1 "$V4" "$SV4:8000" 400
}
ok "400 SYNs with a request" silent
all_seen() {
	ctl_is counters 'd["relay"]["sessions_opened"]' 400
}
ok "all were seen" wait_until 10 all_seen
ok "the server was asked for those within the limit" wait_until 5 ctl_is counters \
	'd["convert"]["connected"]' 120
is "as many were told to come later, the rest turned away" \
	"$(ctl_get counters 'd["convert"]["errors"]["resource_exceeded"], d["relay"]["closed"]["overload"]')" \
	"[120, 160]"
conv --converter "$V4" --server "$SV4:8001" --data hello shutwr recvall
is "another client is served" "$(conv_get 'd["rx"]["text"]')" hello

mkfifo "$T/many.in"
spawn many nsx ue python3 "$TOOLS/many.py" "$V4" "$SV4:8001" 300 "$T/many.in"
ok "sessions whose handshake ended are pending no more: 300 of one client" \
	wait_until 20 grep -q "open 300" "$T/many.log"
go many
wait_until 10 grep -q alive "$T/many.log"
go many
reap many 10
finish
