#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Servers that take long to answer a SYN. A phone's SYN may be held until its kernel gives up MPTCP, with
# the third repetition: sessions are taken over as ever before that, and are plain TCP, directly with the
# server, after it.
# test: timeout=120
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/far.sh"

net_up
far_up 1500:1500 2500:2500 4500:4500
SERVER_SPACE=far start_server 1500:echo 2500:echo 4500:echo
capture_start far far far1 tcp
start_mpgated intercept.mode=hybrid converter.connect_timeout_ms=20000

# All at once: the clock is all that this waits for.
for port in 1500 2500 4500; do
	direct_bg "v4-$port" "$FAR4:$port" --bind "10.1.0.2:4$port" text=hello recv=5 wait shutwr recvall
	direct_bg "v6-$port" "$FAR6:$port" --bind "[fd00:1::2]:4$port" text=hello recv=5 wait shutwr recvall
done

subflows_are() { # CLIENT N
	ctl_is sessions "[len(s['subflows']) for s in d if s['client'] == '$1' and s['state'] == 'relay']" "[$2]"
}

echoed() { # PORT N
	server_is "sum(e['ev'] == 'first' and e['port'] == $1 for e in ev)" "$2"
}

peers() { # PORT: of the connections something was said on
	server_saw "sorted(e['peer'] for e in ev if e['ev'] == 'first' and e['port'] == $1)"
}

ends() { # NAME PORT MPTCP LOW HIGH
	local v
	for v in v4 v6; do
		go "$v-$2"
		ok "$1, $v: ends" reap "$v-$2" 10
		is "$1, $v: echoed; is it MPTCP?" "$(report_get "$v-$2" 'd["rx"]["text"], d["end"], d["mptcp"]')" \
			"[\"hello\", \"fin\", $3]"
		between "$1, $v: connected after (ms)" "$(report_get "$v-$2" 'd["connect_ms"]')" "$4" \
			$(($5 * ${TEST_SLOW:-1}))
	done
	is "$1: the server saw the phone" "$(peers "$2")" "[\"10.1.0.2:4$2\", \"[fd00:1::2]:4$2\"]"
}

for port in 1500 2500; do
	ok "$port ms: the server is reached" wait_until 6 echoed $port 2
	ok "$port ms: the second link joins" wait_until 3 subflows_are "10.1.0.2:4$port" 2
	ok "$port ms: the second link joins, IPv6" wait_until 3 subflows_are "[fd00:1::2]:4$port" 2
	ends "$port ms" $port true $port $((port + 400))
done
ok "4500 ms: the server is reached" wait_until 12 echoed 4500 2
ends "4500 ms" 4500 false 4500 8500
ok "no session is left" wait_until 5 n_sessions_is 0
is "each was held once, two gave up MPTCP" \
	"$(ctl_get counters 'd["hold"]["replayed"], d["hold"]["gave_up"]')" "[4, 2]"
is "such a server is not known as one with MPTCP" \
	"$(ctl_get servers '[s["server"] for s in d if s["mptcp"]]')" "[]"
finish
