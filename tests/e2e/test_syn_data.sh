#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Data in an intercepted SYN, and clients that are not there. Nobody asked the client for a cookie, so it may come from anywhere: the
# server gets it when the client has answered from where it says it is, and not before.
. "$(dirname "$0")/lib.sh"

net_up nojoin
start_server 8000:echo
start_mpgated intercept.mode=take-over converter.connect_timeout_ms=2000

direct_with_data() { # CLIENT SERVER
	conv --converter "$2" --bind "$1" --message "" --data hello --no-answer recv=5 text=x recv=6 shutwr recvall
}

for pair in "10.1.0.2:41001 $SV4:8000" "[fd00:1::2]:41002 $SV6:8000"; do
	# shellcheck disable=SC2086 # two words
	direct_with_data $pair
	is "${pair% *}: a client that is there" \
		"$(conv_get 'd["mptcp"], d["rx"]["text"], d["syn_data_acked"], d["end"]')" '[true, "hellox", true, "fin"]'
done

# These come from an address that nobody has.
before=$(server_saw 'sum(e["ev"] == "first" for e in ev)')
nsx ue python3 "$TOOLS/rawsyn.py" 10.1.0.77 "$SV4:8000" "$SV4:8000" 20
ok "SYNs from nowhere are let in" wait_until 5 ctl_is counters 'd["hold"]["replayed"] >= 22' true
ok "and given up in time" wait_until 6 n_sessions_is 0
is "the server got none of their data" \
	"$(server_saw 'sum(e["ev"] == "first" for e in ev)')" "$before"

# The phone's kernel knows of none of these, and answers the SYN+ACK with a RST.
given_up=$(ctl_get counters 'd["hold"]["gave_up"]')
begin=$(now_ms)
nsx ue python3 "$TOOLS/rawsyn.py" 10.1.0.2 "$SV4:8000" - 5
ok "a phone that resets what was let in" wait_until 5 ctl_is counters 'd["hold"]["gave_up"]' $((given_up + 5))
ok "holds no connection to the server" n_sessions_is 0
between "and without waiting for it (ms)" $(($(now_ms) - begin)) 0 $((1500 * ${TEST_SLOW:-1}))
finish
