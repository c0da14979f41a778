#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# The answer is ready before the client's third ACK is here, as on every real access network: it
# waits for that ACK, and then leaves at once.
. "$(dirname "$0")/lib.sh"

net_up nojoin
start_mpgated
start_server 8000:echo 8001:banner:hello 8002:source:3000 8003:both:4000000 8004:source:1

# Kernels without SYN data have no such problem, and no client for it either.
[ "$(ctl_get status 'd["features"]["mptcp_syn_data"]')" = true ] || skip_all "no SYN data with MPTCP"

# The SYN fits into the bucket; the third ACK has to wait for tokens.
ok "the UE's packets leave slowly" nsx ue tc qdisc replace dev ue0 root tbf rate 16kbit burst 150 \
	latency 3s

# answered NAME: with the client silent until the answer is here.
answered() {
	is "$1: MPTCP" "$(conv_get 'd["mptcp"]')" true
	between "$1: the answer came (ms)" "$(conv_get 'd.get("answer_ms", -1)')" 0 \
		$((1500 * ${TEST_SLOW:-1}))
	like "$1: and was whole" "$(conv_get 'd["answer"]')" '^01..2263'
}

for i in 1 2 3; do
	conv --converter "$V4" --bind 10.1.0.2:0 --server "$SV4:8000" text=x shutwr recvall
	answered "try $i"
	is "try $i: echoed" "$(conv_get 'd["rx"]["text"]')" x
done
is "the message was in the SYN" "$(conv_get 'd["syn_data_acked"]')" true

conv --converter "$V4" --bind 10.1.0.2:0 --server "$SV4:8001" recv=5 shutwr recvall
answered "a server that speaks first"
is "a server that speaks first: is heard" "$(conv_get 'd["rx"]["text"]')" hello

conv --converter "$V4" --bind 10.1.0.2:0 --server "$SV4:8002" recvall
answered "a server that says all and ends"
is "a server that says all and ends: every byte, and the end" \
	"$(conv_get 'd["rx"]["bytes"], d["rx"]["wrong_at"], d["end"]')" '[3000, null, "fin"]'

conv --converter "$V4" --bind 10.1.0.2:0 --server "$SV4:8004" recvall
answered "a server that ends at once"
is "a server that ends at once: its byte, and the end" \
	"$(conv_get 'd["rx"]["bytes"], d["end"]')" '[1, "fin"]'

conv --converter "$V4" --bind 10.1.0.2:0 --server "$SV4:1"
between "an error answer came (ms)" "$(conv_get 'd.get("answer_ms", -1)')" 0 \
	$((1500 * ${TEST_SLOW:-1}))
is "an error answer: Connection Reset" "$(conv_get 'd["error"]["code"], d["end"]')" '[96, "fin"]'

# More than a send buffer holds: nothing says that it is writable when the third ACK comes.
conv --converter "$V4" --bind 10.1.0.2:0 --server "$SV4:8003" recv=20000 reset
answered "a server that says more than a send buffer holds"
is "a server that says more: what was waited for" "$(conv_get 'd["rx"]["bytes"] >= 20000')" true

ok "no session is left" wait_until 20 n_sessions_is 0
finish
