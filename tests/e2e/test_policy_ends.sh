#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# However sessions end, nothing stays charged for them: of Convert and intercepted, with a second subflow.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/policy.sh
. "$(dirname "$0")/policy.sh"

net_up
start_server 8000:echo 8002:sendreset:5 8003:silent 8004:hold:/nonexistent
keys=(intercept.mode=hybrid intercept.except="[ 22, 5124 ]" converter.idle_timeout_s=3
	converter.connect_timeout_ms=700 converter.half_open_timeout_s=3)
policies="services: [ { name: web, match: [ \"10.4.0.0/16\" ], limits: { sessions: 90 } } ]
default_policy: { limits: { sessions: 90, subflows: 200, subflows_per_session: 4 } }"
start_policed "${keys[@]}" <<<"$policies"

counted() { # SESSIONS SUBFLOWS, for wait_until
	limits_is 10.1.0.2 'd["sessions"], d["subflows"]' "[$1, $2]"
}

# begin NAME HOW PORT ACTION…: a session that has two subflows when this returns
begin() {
	if [ "$2" = convert ]; then
		conv_bg "$1" --converter "$V4" --server "$SV4:$3" --bind 10.1.0.2:0 "${@:4}"
	else
		direct_bg "$1" "$SV4:$3" --bind 10.1.0.2:0 "${@:4}"
	fi
	ok "$2: a session and two subflows are counted" wait_until 5 counted 1 2
}

over() { # NAME
	ok "$1: nothing is counted" wait_until 12 nothing_is_counted
}

for how in convert intercept; do
	begin one "$how" 8000 text=hello wait shutwr recvall
	go one
	reap one 10
	over "$how, orderly"
	begin one "$how" 8000 text=hello wait reset
	go one
	reap one 10
	over "$how, reset by the client"
	begin one "$how" 8003 text=hello wait recvall
	stop server KILL
	over "$how, broken by the server"
	go one
	reap one 10
	start_server 8000:echo 8002:sendreset:5 8003:silent 8004:hold:/nonexistent
	begin one "$how" 8003 text=hello wait recvall
	over "$how, idle"
	stop one KILL
	# Nobody joins a session whose client has said its end.
	begin one "$how" 8004 text=hello wait shutwr recvall
	go one
	over "$how, half open"
	stop one KILL
	begin one "$how" 8000 text=hello wait recvall
	ok "$how: mpgatectl close" ctl close "$(ctl_get sessions 'd[0]["id"]')"
	over "$how, closed by mpgatectl"
	stop one KILL
	begin one "$how" 8000 text=hello wait recvall
	stop one KILL
	over "$how, its program killed"
done

conv --converter "$V4" --server "$SV4:9" --bind 10.1.0.2:0 shutwr recvall
is "refused by the server" "$(conv_get 'd["error"]["code"]')" 96
over "refused by the server"
direct "$SV4:9" --bind 10.1.0.2:0 shutwr recvall
is "intercepted, refused by the server" "$(conv_get 'd["connect_error"]')" ECONNREFUSED
over "intercepted, refused by the server"
conv --converter "$V4" --server 10.6.0.9:80 --bind 10.1.0.2:0 shutwr recvall
is "a server out of reach" "$(conv_get 'd["error"]["code"]')" 97
over "a server out of reach"
conv --converter "$V4" --server 10.5.0.9:80 --bind 10.1.0.2:0 shutwr recvall
is "a server that does not answer" "$(conv_get 'd["error"]["code"]')" 65
over "a server that does not answer"
direct 10.5.0.9:80 --bind 10.1.0.2:0 --timeout 1 shutwr recvall
over "intercepted, a server that does not answer"
nsx ue python3 "$TOOLS/rawsyn.py" 10.1.0.77 "$V4" "$SV4:8000" 60
ok "handshakes that never end are charged" wait_until 5 limits_is 10.1.0.77 'd["sessions"] > 0' true
over "handshakes that never end"

# What a killed daemon charged ended with it.
begin one convert 8000 text=hello wait recvall
begin_more() {
	direct_bg two "$SV4:8000" --bind 10.1.0.2:0 text=hello wait recvall
	wait_until 5 counted 2 4
}
ok "and one that is intercepted" begin_more
stop mpgated KILL
ok "killed, and started again" launch_mpgated
ok "nothing is counted" nothing_is_counted
stop one KILL
stop two KILL
begin one convert 8000 text=hello wait shutwr recvall
go one
reap one 10
over "and what comes then is charged and given back"
finish
