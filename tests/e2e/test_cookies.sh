#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# converter.cookie: required. No server hears of a client that has not shown its cookie.
. "$(dirname "$0")/lib.sh"

net_up nojoin
head -c 16 /dev/urandom | od -An -tx1 | tr -d ' \n' >"$T/cookie.key"
keys=(converter.cookie=required "converter.cookie_key_file=\"$T/cookie.key\"")
start_mpgated "${keys[@]}"
start_server 8000:echo

ask() { # ARG…
	: >"$T/server.events"
	conv --converter "${converter:-$V4}" --server "${server:-$SV4}:8000" --data hello "$@" \
		shutwr recvall
}

served() { # NAME
	is "$1: served" "$(conv_get 'd["error"], d["rx"]["text"]')" '[null, "hello"]'
}

refused() { # NAME
	is "$1: error 32, orderly end" \
		"$(conv_get 'd["error"]["code"], d["error"]["value"], d["end"]')" '[32, "00", "fin"]'
	is "$1: the server hears nothing" "$(server_saw 'len(ev)')" 0
}

cookie_of() {
	conv_get 'd["error"]["value"][2:]'
}

ask
is "no cookie: error 3, orderly end" "$(conv_get 'd["error"]["code"], d["end"]')" '[3, "fin"]'
like "no cookie: one comes with the error" "$(conv_get 'd["error"]["value"]')" '^00([0-9a-f]{2}){12,}$'
is "no cookie: the server hears nothing" "$(server_saw 'len(ev)')" 0
cookie=$(cookie_of)
ask --cookie "$cookie"
served "with the cookie"
ask --cookie "$cookie"
served "with the cookie again"
ask --cookie "$cookie" --tcp --deliver pieces
served "with the cookie, plain TCP, in pieces"

last=${cookie:22:2}
ask --cookie "${cookie:0:22}$(printf %02x $((0x$last ^ 1)))"
refused "one bit of the cookie changed"
ask --cookie "${cookie:0:16}"
refused "half the cookie"
ask --cookie "$(printf '%024d' 0)"
refused "a cookie of zeroes"
ask --cookie "$cookie" --bind 10.2.0.2:0
refused "another address shows the cookie"
ask --bind 10.2.0.2:0
other=$(cookie_of)
ask --cookie "$other" --bind 10.2.0.2:0
served "the other address with its own cookie"

converter=$V6 server=$SV6
ask
cookie6=$(cookie_of)
ask --cookie "$cookie6"
served "IPv6"
converter=$V4 server=$SV4
ask --cookie "$cookie6"
refused "the IPv6 cookie shown over IPv4"

conv --converter "$V4" --info
is "Info needs a cookie, too" "$(conv_get 'd["error"]["code"]')" 3
conv --converter "$V4" --info --cookie "$cookie"
is "Info with the cookie" "$(conv_get 'd["tlvs"][0]["name"]')" supported

ok "SIGHUP" kill -HUP "${PID[mpgated]}"
ask --cookie "$cookie"
served "after a reload"
is "counted" "$(ctl_get counters \
	'd["convert"]["errors"]["missing_cookie"], d["convert"]["errors"]["not_authorized"]')" "[4, 5]"

# With a key of its own in a file, cookies outlive the daemon.
stop mpgated
start_mpgated "${keys[@]}"
ask --cookie "$cookie"
served "after a restart with cookie_key_file"
stop mpgated

# Two epochs are valid: the current one and the one before it.
start_mpgated converter.cookie=required converter.cookie_rotate_s=1
ask
cookie=$(cookie_of)
ask --cookie "$cookie"
served "rotating keys"
cookie_is_old() {
	ask --cookie "$cookie"
	[ "$(conv_get 'd["error"] and d["error"]["code"]')" = 32 ]
}
ok "rotating keys: refused two epochs later" wait_until 6 cookie_is_old
finish
