#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Idle and half-open sessions end in their time; ones that move do not. (The deadline of the message is
# in test_convert_delivery.sh, that of the server in test_convert_errors.sh.)
. "$(dirname "$0")/lib.sh"

net_up nojoin
start_mpgated converter.idle_timeout_s=3 converter.half_open_timeout_s=1
start_server 8000:echo 8002:source:100 8003:hold:/nonexistent

closed_is() { # REASON N
	ctl_is counters "d['relay']['closed']['$1']" "$2"
}

conv --converter "$V4" --server "$SV4:8000" text=x recv=1 recvall
is "idle: the client is cut off" "$(conv_get 'd["end"]')" rst
between "idle: after idle_timeout_s (ms)" "$(conv_get 'd["end_ms"]')" 2900 5000
ok "idle: the server, too" wait_until 5 server_is 'ev[-1]["ev"], ev[-1]["bytes"]' '["rst", 1]'
ok "idle: counted" closed_is idle 1

# Both ways count as movement.
for way in up down; do
	conv_bg $way --converter "$V4" --server "$SV4:8000" text=a recv=1 wait text=b recv=2 wait text=c \
		recv=3 wait shutwr recvall
done
elapsed() {
	[ "$(now_ms)" -ge "$1" ]
}
begin=$(now_ms)
for at in 1200 2400 3600; do
	wait_until 5 elapsed $((begin + at))
	go up
	go down
done
ok "movement keeps a session: ends" reap up 5
is "movement keeps a session: in order" "$(report_get up 'd["rx"]["text"], d["end"]')" '["abc", "fin"]'
reap down 5
is "movement keeps another one" "$(report_get down 'd["rx"]["text"], d["end"]')" '["abc", "fin"]'
ok "movement keeps a session: nothing was cut off" closed_is idle 1

conv_bg half --converter "$V4" --server "$SV4:8002" recvall wait send=1 recvall
ok "the server ended, nothing moves: counted as half-open" wait_until 5 closed_is half_open 1
go half
reap half 5
is "the server ended, nothing moves: all it sent had arrived" "$(report_get half 'd["rx"]["bytes"]')" 100
ok "the server ended, nothing moves: it is cut off" wait_until 5 server_is \
	'[e["ev"] for e in ev if e.get("port") == 8002][-1]' rst

conv_bg half --converter "$V4" --server "$SV4:8003" text=bye shutwr recvall
begin=$(now_ms)
ok "the client ended, nothing moves: it is cut off" reap half 5
between "the client ended, nothing moves: after half_open_timeout_s (ms)" $(($(now_ms) - begin)) 800 2500
is "the client ended, nothing moves: as a reset" "$(report_get half 'd["end"]')" rst
ok "the client ended, nothing moves: counted" wait_until 5 closed_is half_open 2
finish
