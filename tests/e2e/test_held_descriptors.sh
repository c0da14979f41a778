#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# More callers than there are descriptors for: what cannot be taken over passes, nobody is turned away.
. "$(dirname "$0")/lib.sh"

net_up nojoin
start_server 8000:echo
write_config intercept.mode=take-over intercept.held_per_subscriber=4096 converter.pending_per_client=4096
spawn mpgated nsx px sh -c "ulimit -n 448; exec $BUILD/mpgated -c $T/mpgate.yaml"
wait_until 15 mpgated_up_or_dead
alive mpgated || bail "mpgated starts with few descriptors"

for i in 1 2 3; do
	spawn crowd nsx ue python3 "$TOOLS/crowd.py" "$SV4:8000" 600
	ok "crowd $i: ends" reap crowd 60
	is "crowd $i: everyone was served" "$(report_get crowd 'd["ends"], d["lost"]')" '[{"good": 600}, 0]'
	between "crowd $i: some of them taken over" "$(report_get crowd 'd["mptcp"]')" 20 599
	ok "crowd $i: no session is left" wait_until 10 n_sessions_is 0
done
direct "$SV4:8000" text=x shutwr recvall
is "who comes later is taken over" "$(conv_get 'd["mptcp"], d["rx"]["text"]')" '[true, "x"]'
is "it was never out of descriptors" "$(grep -c 'Too many open files' "$T/mpgated.log")" 0
finish
