#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# While a SYN is held: repetitions are consumed, a client that gives up ends the attempt, and one that
# repeats its SYN without MPTCP gets it through to the server, unchanged, and our attempt is gone.
# test: timeout=120
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/far.sh"

net_up nojoin
raw_ue_up
start_mserver m8443:echo
SNAP=0
capture_start ue rt rp0 "tcp or icmp"
capture_start sv sv sv0 tcp
start_mpgated intercept.mode=hybrid converter.connect_timeout_ms=20000

hold() { # COUNTER
	ctl_get counters "d['hold']['$1']"
}

theirs() { # CAPTURE PORT ISN: the client's SYNs there
	local at=$2
	capture_count "$1" "(tcp[tcpflags] & 18 == 2 and src port $at and tcp[4:4] == $3) or
		(ip6[6] == 6 and ip6[53] & 18 == 2 and ip6[40:2] == $at and ip6[44:4] == $3)"
}

ours() { # PORT ISN: SYNs at the server that are not the client's
	capture_count sv "(tcp[tcpflags] & 18 == 2 and src port $1 and tcp[4:4] != $2) or
		(ip6[6] == 6 and ip6[53] & 18 == 2 and ip6[40:2] == $1 and ip6[44:4] != $2)"
}

we_asked() { # PORT ISN: once or more, as the kernel repeats our SYN after a second
	[ "$(ours "$1" "$2")" -gt 0 ]
}

raw_bg() { # SOURCE:PORT SERVER:PORT STEP…: its steps "line" wait for `step`
	[ -p "$T/raw.in" ] || mkfifo "$T/raw.in"
	# shellcheck disable=SC2016 # a script of its own
	spawn rawbg nsx ue sh -c 'exec python3 "$@" <"$0"' "$T/raw.in" "$TOOLS/rawtcp.py" ue0 "$@"
	exec {raw_fd}>"$T/raw.in"
}

step() {
	echo >&"$raw_fd"
}

waiting() { # N: it has come to its Nth "line"
	[ "$(grep -c waiting "$T/rawbg.log")" -ge "$1" ]
}

raw_end() {
	exec {raw_fd}>&-
	reap rawbg 10
}

silence() { # NAME: nothing came back
	is "$1: the client heard nothing" "$(tail -n 1 "$T/rawbg.log" | jget 'd["got"]')" "[]"
}

# tries NAME SOURCE DEAD PORT: three ways, towards a server that never answers
tries() {
	local port=$4 gave_up held
	# ---- repeated, then given up with RST ----
	gave_up=$(hold gave_up) held=$(hold held)
	raw_bg "$2:$port" "$3:80" isn=70001 syn=capable line syn=capable syn=capable line rst line
	wait_until 5 waiting 1
	ok "$1: we ask the server ourselves" wait_until 5 we_asked "$port" 70001
	ok "$1: sessions shows the attempt" ctl_is sessions \
		"[[s['kind'], s['client'], s['server']] for s in d if s['state'] != 'relay']" \
		"[[\"intercept\", \"$2:$port\", \"$3:80\"]]"
	step
	wait_until 5 waiting 2
	is "$1: repetitions are held once" "$(hold held)" $((held + 1))
	is "$1: and the attempt is one" "$(ctl_get sessions 'len(d)')" 1
	step
	wait_until 5 waiting 3
	ok "$1: RST ends it" wait_until 2 n_sessions_is 0
	is "$1: which is counted" "$(hold gave_up)" $((gave_up + 1))
	step
	raw_end
	silence "$1: RST"
	is "$1: none of its SYNs came to the server" "$(theirs sv "$port" 70001)" 0
	is "$1: its RST neither" "$(capture_count sv "src port $port and ((tcp[13] == 4 and tcp[4:4] == 70002) or
		(ip6[6] == 6 and ip6[53] == 4 and ip6[44:4] == 70002))")" 0

	# ---- the same address and port again, another SYN ----
	port=$((port + 1))
	raw_bg "$2:$port" "$3:80" isn=70002 syn=capable line isn=80002 syn=capable line rst line
	wait_until 5 waiting 1
	wait_until 5 we_asked "$port" 70002
	step
	wait_until 5 waiting 2
	ok "$1: a new attempt from there replaces the old" wait_until 3 attempts_are 1 "$2:$port"
	step
	wait_until 5 waiting 3
	ok "$1: and is ended by its RST" wait_until 2 n_sessions_is 0
	step
	raw_end

	# ---- repeated without MPTCP ----
	port=$((port + 1))
	gave_up=$(hold gave_up)
	raw_bg "$2:$port" "$3:80" isn=70003 syn=capable line syn=capable syn=0101 line syn=0101 line
	wait_until 5 waiting 1
	wait_until 5 we_asked "$port" 70003
	is "$1: nothing of it at the server yet" "$(theirs sv "$port" 70003)" 0
	step
	wait_until 5 waiting 2
	ok "$1: without MPTCP it goes to the server" wait_until 3 theirs_at_server "$port" 70003 1
	ok "$1: our attempt is gone" wait_until 2 n_sessions_is 0
	is "$1: which is counted" "$(hold gave_up)" $((gave_up + 1))
	step
	wait_until 5 waiting 3
	ok "$1: repeated, it goes there again" wait_until 3 theirs_at_server "$port" 70003 2
	ok "$1: unchanged" wait_until 3 python3 "$TOOLS/pcapsame.py" --hops 1 --within "$T/sv.pcap" "$T/ue.pcap" \
		"(src port $port and tcp[4:4] == 70003) or (ip6[6] == 6 and ip6[40:2] == $port and ip6[44:4] == 70003)"
	step
	raw_end
	silence "$1: without MPTCP"
	asked[$port]=$(ours "$port" 70003)
}

attempts_are() { # N CLIENT
	ctl_is sessions "sum(s['client'] == '$2' for s in d), len(d)" "[$1, $1]"
}

theirs_at_server() { # PORT ISN N
	[ "$(theirs sv "$1" "$2")" = "$3" ]
}

elapsed() {
	[ "$(now_ms)" -ge "$1" ]
}

declare -A asked
tries IPv4 "$RAW4" 10.5.0.1 45001
tries IPv6 "$RAW6" "[fd00:5::1]" 45011

# Linux repeats a SYN after one second, and every second then.
end=$(($(now_ms) + 1300))
wait_until 2 elapsed $end
for port in "${!asked[@]}"; do
	is "port $port: we do not ask the server any more" "$(ours "$port" 70003)" "${asked[$port]}"
done

# A segment that is no SYN, of a connection nobody knows, is none of our business.
raw "$RAW4:45021" "$SV4:81" rst pause=50
ok "a RST of nothing held passes" wait_until 3 capture_has sv "src port 45021"
is "nothing is left" "$(ctl_get sessions 'len(d)') $(hold overflow)" "0 0"
finish
