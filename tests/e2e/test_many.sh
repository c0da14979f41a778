#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# 2,000 sessions at once: all of them work, all of them stay alive idle, all of them end, and nothing is
# left of them.
. "$(dirname "$0")/lib.sh"

n=${MG_TEST_SESSIONS:-2000}
net_up nojoin
ulimit -n 16384
start_mpgated
start_server 8000:echo

conv --converter "$V4" --server "$SV4:8000" --data x shutwr recvall # everything warm
wait_until 5 n_sessions_is 0
fds=$(n_fds)
idle_kb=$(rss_kb)
mkfifo "$T/many.in"
spawn many nsx ue python3 "$TOOLS/many.py" "$V4" "$SV4:8000" "$n" "$T/many.in"

said() {
	grep -qx "$1" "$T/many.log" || gone many
}

step() { # NAME LINE
	wait_until 60 said "$2 [0-9]*"
	is "$1" "$(grep "^$2" "$T/many.log")" "$2 $n"
}

step "all of them carry their own bytes" open
is "status counts them" "$(ctl_get status 'd["converter"]["active"]')" "$n"
is "sessions lists them, all MPTCP, all relaying" "$(ctl_get sessions \
	'len(d), sum(s["mptcp"] and s["state"] == "relay" for s in d), len({s["id"] for s in d})')" \
	"[$n, $n, $n]"
is "no token twice" "$(ctl_get sessions 'len({s["token"] for s in d})')" "$n"
is "none fell back" "$(ctl_get counters 'd["mptcp"]["fallbacks"]')" 0
between "two descriptors each" $(($(n_fds) - fds)) $((2 * n)) $((2 * n + 16))
diag "memory per idle session: $((($(rss_kb) - idle_kb) * 1024 / n)) bytes"
limit=16384
! sanitized || limit=$((16 * limit))
between "memory per idle session (bytes)" $((($(rss_kb) - idle_kb) * 1024 / n)) 0 $limit

go many
step "all of them are alive" alive
go many
step "all of them end in order" ended
ok "no session is left" wait_until 10 n_sessions_is 0
is "the counters add up" "$(ctl_get counters 'd["relay"]["sessions_opened"],
	d["relay"]["sessions_closed"], d["relay"]["closed"]["finished"], d["convert"]["requests"],
	d["convert"]["connected"]')" "[$((n + 1)), $((n + 1)), $((n + 1)), $((n + 1)), $((n + 1))]"
is "every byte is counted" "$(ctl_get counters 'd["relay"]["bytes_up"] == d["relay"]["bytes_down"]')" true
fds_back() {
	[ "$(n_fds)" -le $((fds + 2)) ]
}
ok "the descriptors are back" wait_until 5 fds_back
finish
