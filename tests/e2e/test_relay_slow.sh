#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Back-pressure: a reader that does not read stops the sender, not the daemon's memory. And the other
# end of the scale, a write per byte.
. "$(dirname "$0")/lib.sh"

net_up nojoin
start_mpgated
start_server 8000:echo "8001:hold:$T/release" 8002:source:100000000 8003:silent
limit_kb=8192

conv --converter "$V4" --server "$SV4:8000" send=100000 shutwr recvall # everything warm
warm_kb=$(rss_kb)

moved() {
	ctl_get sessions 'sum(s["bytes_up"] + s["bytes_down"] for s in d)'
}

last=0
stalled() { # bytes moved, but none since the last look
	local now
	now=$(moved)
	[ "$now" -gt 0 ] && [ "$now" = "$last" ] && return 0
	last=$now
	read -r -t 0.3 <>"$T/pause"
	return 1
}

held() { # NAME: within bounds while nobody reads
	ok "$1: the sender is stopped" wait_until 20 stalled
	between "$1: before it sent all" "$(moved)" 1 90000000
	between "$1: the daemon's memory grew by (KiB)" $(($(rss_kb) - warm_kb)) -100000 $limit_kb
	between "$1: held by the session itself" "$(ctl_get session \
		"$(ctl_get sessions 'd[0]["id"]')" 'd["held_bytes"]')" 0 1048576
}

conv_bg up --converter "$V4" --server "$SV4:8001" send=100000000 shutwr recvall
held "the server does not read"
touch "$T/release"
ok "the server reads: ends" reap up 30
is "the server reads: every byte" "$(server_saw \
	'[[e["bytes"], e["wrong_at"]] for e in ev if e["ev"] == "fin" and e["port"] == 8001]')" \
	"[[100000000, null]]"

last=0
conv_bg down --converter "$V4" --server "$SV4:8002" wait recvall shutwr
held "the client does not read"
go down
ok "the client reads: ends" reap down 30
is "the client reads: every byte" "$(report_get down 'd["rx"]["bytes"], d["rx"]["wrong_at"], d["end"]')" \
	'[100000000, null, "fin"]'

# Ten of them at once, each stuck.
for i in 0 1 2 3 4 5 6 7 8 9; do
	conv_bg "stuck$i" --converter "$V4" --server "$SV4:8003" --timeout 40 send=100000000
done
all_moved() {
	ctl_is sessions 'len(d) == 10 and all(s["bytes_up"] > 100000 for s in d)' true
}
ok "ten stuck sessions: under way" wait_until 20 all_moved
last=0
ok "ten stuck sessions: all stopped" wait_until 20 stalled
between "ten stuck sessions: the daemon's memory grew by (KiB)" $(($(rss_kb) - warm_kb)) -100000 \
	$limit_kb
stop server KILL
ok "ten stuck sessions: gone with the server" wait_until 10 n_sessions_is 0
start_server 8000:echo

for flag in "" --tcp; do
	# shellcheck disable=SC2086 # none or one flag
	conv --converter "$V4" $flag --server "$SV4:8000" trickle=3000 shutwr recvall
	is "a write per byte${flag:+, plain TCP}" "$(conv_get 'd["rx"]["bytes"], d["rx"]["wrong_at"]')" \
		"[3000, null]"
done
finish
