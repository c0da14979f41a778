#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Holding SYNs where packets are lost, on the phone's side and on the server's: repetitions are consumed,
# every session gets to its server and every byte arrives, whatever became of MPTCP on the way.
# test: timeout=300 alone vm=6.12
. "$(dirname "$0")/../lib.sh"

net_up nojoin
nsx ue tc qdisc add dev ue0 root netem delay 1ms 2>/dev/null || skip_all "no netem in this kernel"
lossy() { # SPACE DEVICE
	nsx "$1" tc qdisc replace dev "$2" root netem delay 5ms loss 5% limit 10000
}

# A kernel that once lost three SYNs with MPTCP, and not the one without, offers none for an hour.
nsx ue sysctl -qw net.mptcp.blackhole_timeout=0 2>/dev/null || true

n=24
start_server 8000:echo
start_mserver m8443:echo
ok "5 % of all packets are lost, both ways, on both sides" eval \
	'lossy ue ue0 && lossy rt ra0 && lossy px px1 && lossy sv sv0'

crowd() { # NAME ARG…: everyone is served
	spawn crowd nsx ue python3 "$TOOLS/crowd.py" "${@:2}" "$n"
	ok "$1: ends" reap crowd 120
	is "$1: everyone was served" "$(report_get crowd 'd["ends"], d["lost"]')" "[{\"good\": $n}, 0]"
	diag "$1: $(report_get crowd '[d["mptcp"], d["plain"], d["ms"]]')"
}

for mode in take-over hybrid; do
	start_mpgated "intercept.mode=$mode"
	crowd "$mode" "$SV4:8000"
	# A SYN, its answer or what follows is lost in one of six cases; the rest must be MPTCP.
	between "$mode: sessions with MPTCP" "$(report_get crowd 'd["mptcp"]')" $((n / 4)) $n
	if [ "$mode" = hybrid ]; then
		crowd "$mode, an MPTCP server, IPv6" "$SV6:8443"
		crowd "$mode, plain TCP" --tcp "$SV4:8000"
	fi
	direct "$SV4:8000" --timeout 60 send=100000 shutwr recvall
	is "$mode: every byte, there and back" "$(conv_get 'd["rx"]["bytes"], d["rx"]["wrong_at"], d["end"]')" \
		'[100000, null, "fin"]'
	between "$mode: held" "$(ctl_get counters 'd["hold"]["held"]')" $((n / 2)) $((4 * n))
	ok "$mode: no session is left" wait_until 30 n_sessions_is 0
	ok "$mode: nothing overflowed" ctl_is counters 'd["hold"]["overflow"]' 0
	stop mpgated TERM 30
done

start_mpgated
# Kernels whose listeners take no SYN data have no clients that send it either.
deliver=syn
[ "$(ctl_get status 'd["features"]["mptcp_syn_data"]')" = true ] || deliver=after
bad=0
for i in $(seq 6); do
	conv --converter "$V4" --server "$SV4:8000" --data "call $i" --timeout 60 --deliver $deliver \
		shutwr recvall
	[ "$(conv_get 'd["rx"]["text"], d["end"]')" = "[\"call $i\", \"fin\"]" ] || bad=$((bad + 1))
done
is "converter: six messages, each echoed" "$bad" 0
finish
