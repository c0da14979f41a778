#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# A thousand first connections to one server nobody knows yet, all at once: one probe is enough, none is
# lost, each becomes what it must. A crowd of plain ones beside them is left alone.
# test: timeout=120
. "$(dirname "$0")/lib.sh"

net_up nojoin
start_server 8000:echo
start_mserver m8443:echo
capture_start sv sv sv0 "tcp[13] & 18 == 2 or (ip6[6] == 6 and ip6[53] & 18 == 2)"
start_mpgated intercept.mode=hybrid intercept.held_per_subscriber=4096 converter.pending_per_client=4096
n=1000

crowd() { # NAME ARG…: into $T/NAME.json
	spawn "$1" nsx ue python3 "$TOOLS/crowd.py" "${@:2}" "$n"
}

result() { # NAME EXPR
	ok "$1: ends" reap "$1" 60
	is "$1: everyone was served" "$(report_get "$1" "d['ends'], d['lost']")" "[{\"good\": $n}, 0]"
	is "$1: MPTCP and plain TCP" "$(report_get "$1" "d['mptcp'], d['plain']")" "$2"
	diag "$1: $(report_get "$1" 'd["ms"]') ms"
}

mptcp_syns() { # PORT: SYNs with MPTCP at the server
	capture_show sv "dst port $1" | grep -c mptcp
}

probes() {
	ctl_get counters 'd["servers"]["probes"]'
}

accepted() { # WHO FROM: connections it accepted from there
	"$1_saw" "sum(e['ev'] == 'accept' and e['peer'].startswith('$2:') for e in ev)"
}

for family in 4 6; do
	host=$SV4 from=10.1.0.2 name=IPv4
	[ $family = 4 ] || host=$SV6 from="[fd00:1::2]" name=IPv6
	before=$(probes)
	crowd "$name-plain" --tcp "$host:8000"
	crowd "$name-taken" "$host:8000"
	result "$name-plain" "[0, $n]"
	result "$name-taken" "[$n, 0]"
	between "$name: probes" "$(($(probes) - before))" 1 2
	ok "$name: sessions end" wait_until 10 n_sessions_is 0
	is "$name: the server saw each of them once, as the phone" "$(accepted server "$from")" \
		$((2 * n))

	before=$(probes)
	crowd "$name-passing" "$host:8443"
	result "$name-passing" "[$n, 0]"
	between "$name: probes of the MPTCP server" "$(($(probes) - before))" 1 2
	between "$name: it saw each of them, and the probe" "$(accepted mserver "$from")" \
		"$n" $((n + 2))
	is "$name: no session is here" "$(ctl_get sessions 'len(d)')" 0
done
wait_until 3 capture_has sv "port 8443"
between "SYNs with MPTCP at the plain server: the probes" "$(mptcp_syns 8000)" 2 4
between "SYNs with MPTCP at the MPTCP server" "$(mptcp_syns 8443)" $((2 * n)) $((2 * n + 60))
is "nothing overflowed" "$(ctl_get counters 'd["hold"]["overflow"]')" 0
finish
