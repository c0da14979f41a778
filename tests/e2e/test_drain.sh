#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# SIGTERM and `mpgatectl drain`: what runs may finish, nothing new begins, drain_timeout_s ends it.
. "$(dirname "$0")/lib.sh"

net_up
topo_shape 0 16
topo_shape 1 8
start_server 8000:source:12000000 8001:echo

refuses_new() {
	conv --converter "$V4" --server "$SV4:8001" --data x --timeout 2 shutwr recvall
	[ "$(conv_get 'd["rx"]["text"]')" != x ]
}

drains() { # NAME CMD…: CMD starts the drain while a download runs
	start_mpgated drain_timeout_s=20
	conv_bg down --converter "$V4" --server "$SV4:8000" recvall shutwr
	wait_until 5 ctl_is sessions 'len(d) == 1 and d[0]["bytes_down"] > 1000000' true
	: >"$T/server.events"
	"${@:2}" >/dev/null
	ok "$1: status says so" wait_until 5 ctl_is status 'd["state"]' draining
	ok "$1: nothing new is served" refuses_new
	is "$1: with error 64, and a time to come back" \
		"$(conv_get 'd["error"]["code"], d["error"]["value"], d["end"]')" '[64, "1e", "fin"]'
	is "$1: the server hears nothing of it" "$(server_saw 'sum(e["ev"] == "accept" for e in ev)')" 0
	ok "$1: it waits" alive mpgated
	ok "$1: the download ends" reap down 20
	is "$1: every byte" "$(report_get down 'd["rx"]["bytes"], d["rx"]["wrong_at"], d["end"]')" \
		'[12000000, null, "fin"]'
	reap mpgated 5
	is "$1: then the daemon ends, well" $? 0
}

terminate() {
	kill -TERM "${PID[mpgated]}"
}

drains SIGTERM terminate
drains "mpgatectl drain" ctl drain

start_mpgated drain_timeout_s=1
conv_bg stuck --converter "$V4" --server "$SV4:8001" --data x recv=1 recvall
wait_until 5 ctl_is sessions '[s["state"] for s in d]' '["relay"]'
begin=$(now_ms)
stop mpgated TERM 10
is "a session that does not end: the daemon does" $? 0
between "a session that does not end: at drain_timeout_s (ms)" $(($(now_ms) - begin)) 900 3000
ok "a session that does not end: the client hears of it" reap stuck 5
is "a session that does not end: as a reset" "$(report_get stuck 'd["end"]')" rst

start_mpgated drain_timeout_s=30
conv_bg stuck --converter "$V4" --server "$SV4:8001" --data x recv=1 recvall
wait_until 5 ctl_is sessions '[s["state"] for s in d]' '["relay"]'
kill -TERM "${PID[mpgated]}"
wait_until 5 ctl_is status 'd["state"]' draining
begin=$(now_ms)
stop mpgated TERM 10
is "a second SIGTERM ends it" $? 0
between "a second SIGTERM ends it at once (ms)" $(($(now_ms) - begin)) 0 2000
finish
