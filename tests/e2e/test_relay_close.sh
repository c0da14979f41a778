#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Ends and resets pass through, either way, for MPTCP and plain TCP clients.
. "$(dirname "$0")/lib.sh"

net_up nojoin
start_mpgated
start_server 8000:echo 8001:source:200000 8002:after:300000 8003:sendreset:1000000 8004:reset:1000 \
	8005:source:0 8006:silent
capture_start px0 px px0 tcp port 5124

closed() { # REASON: how many sessions ended so
	ctl_get counters "d['relay']['closed']['$1']"
}

closed_is() {
	[ "$(closed "$1")" = "$2" ]
}

counts() { # NAME REASON CMD…: the reason goes up by one
	local before
	before=$(closed "$2")
	: >"$T/server.events"
	"${@:3}"
	ok "$1: closed as $2" wait_until 5 closed_is "$2" $((before + 1))
}

talk() { # PORT ACTION…
	# shellcheck disable=SC2086 # none or one flag
	conv --converter "$V4" $flag --server "$SV4:$1" "${@:2}"
}

saw() { # EVENT: [bytes, wrong_at] of each
	server_saw "[[e['bytes'], e['wrong_at']] for e in ev if e['ev'] == '$1']"
}

saw_is() {
	[ "$(saw "$1")" = "$2" ]
}

got() {
	conv_get 'd["rx"]["bytes"], d["rx"]["wrong_at"], d["end"]'
}

operator_close() {
	conv_bg victim --converter "$V4" --server "$SV4:8000" send=5 recv=5 recvall
	wait_until 5 ctl_is sessions '[s["bytes_down"] for s in d]' "[5]"
	ctl close "$(ctl_get sessions 'd[0]["id"]')" >/dev/null
	reap victim 10
	wait_until 5 saw_is rst "[[5, null]]"
}

for flag in "" --tcp; do
	as=${flag:-mptcp}
	as=${as#--}

	counts "$as, the client ends first" finished talk 8002 send=100000 shutwr recvall
	is "$as, the client ends first: the server saw it all, and the end" "$(saw fin)" \
		"[[100000, null]]"
	is "$as, the client ends first: and still answered" "$(got)" '[300000, null, "fin"]'

	counts "$as, the server ends first" finished talk 8001 recvall send=100000 shutwr
	is "$as, the server ends first: the client saw it all, and the end" "$(got)" \
		'[200000, null, "fin"]'
	ok "$as, the server ends first: and still listened" wait_until 5 saw_is fin "[[100000, null]]"

	counts "$as, the server ends at once" finished talk 8005 recvall send=70000 shutwr
	is "$as, the server ends at once: the client saw the end" "$(got)" '[0, null, "fin"]'
	ok "$as, the server ends at once: and listened" wait_until 5 saw_is fin "[[70000, null]]"

	counts "$as, both end at once" finished talk 8001 shutwr recvall
	is "$as, both end at once: nothing is lost" "$(got)" '[200000, null, "fin"]'

	counts "$as, the server resets" server_reset talk 8004 send=1000 recvall
	is "$as, the server resets: so the client is" "$(got)" '[0, null, "rst"]'

	counts "$as, the server sends and resets" server_reset talk 8003 recvall
	is "$as, the server sends and resets: all it sent arrives first" "$(got)" \
		'[1000000, null, "rst"]'

	counts "$as, the client resets" client_reset talk 8000 send=5000 recv=5000 reset
	ok "$as, the client resets: so the server is" wait_until 5 saw_is rst "[[5000, null]]"

	counts "$as, the client resets an idle server" client_reset talk 8006 reset
	ok "$as, the client resets an idle server: it hears of it" wait_until 5 saw_is rst "[[0, null]]"
done

fastclose() { # as tcpdump calls it
	capture_show px0 'src port 5124 and tcp[tcpflags] & tcp-rst != 0' | grep -q fast-close
}
ok "MPTCP clients were told with MP_FASTCLOSE" wait_until 5 fastclose
flag=""
counts "an operator closes a session" operator operator_close
is "an operator closes a session: the client is reset" "$(report_get victim 'd["end"]')" rst
is "an operator closes a session: the server, too" "$(saw rst)" "[[5, null]]"
finish
