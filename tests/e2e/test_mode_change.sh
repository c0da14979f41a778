#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Mode, ports and limits of interception change while the daemon runs; sessions under way go on.
. "$(dirname "$0")/lib.sh"

net_up nojoin
start_server 8000:echo 8001:echo
start_mserver m8443:echo
start_mpgated intercept.mode=hybrid

becomes() { # NAME KEY=VALUE…
	write_config "${@:2}"
	: >"$T/mpgated.log"
	kill -HUP "${PID[mpgated]}"
	ok "$1: reload" wait_until 5 grep -q "in force" "$T/mpgated.log"
}

call() { # NAME SERVER MPTCP SESSIONS-OPENED
	local before
	before=$(ctl_get counters 'd["hold"]["replayed"]')
	direct "$2" text=hello recv=5 shutwr recvall
	is "$1: $2: echoed; MPTCP; taken over" "$(conv_get 'd["rx"]["text"], d["mptcp"]') $(($(ctl_get \
		counters 'd["hold"]["replayed"]') - before))" "[\"hello\", $3] $4"
}

direct_bg old "$SV4:8000" text=hello recv=5 wait text=world recv=10 shutwr recvall
ok "a session" wait_until 5 n_sessions_is 1
call hybrid "$SV4:8000" true 1
call hybrid "$SV4:8443" true 0
becomes take-over intercept.mode=take-over
call take-over "$SV4:8443" true 1
becomes ports intercept.mode=take-over intercept.ports="[ 8000, 8001 ]" intercept.except="[ 8001 ]"
call ports "$SV6:8000" true 1
call ports "$SV6:8001" false 0
call ports "$SV6:8443" true 0
becomes transparent intercept.mode=transparent
call transparent "$SV4:8000" false 0
becomes hybrid intercept.mode=hybrid
call "hybrid again" "$SV4:8001" true 1
go old
ok "the first session went on" reap old 10
is "the first session: in order" "$(report_get old 'd["rx"]["text"], d["end"]')" '["helloworld", "fin"]'
finish
