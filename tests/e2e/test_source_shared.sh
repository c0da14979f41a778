#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# converter.source: shared. The server sees the proxy's own address, and `sessions` says which.
. "$(dirname "$0")/lib.sh"

net_up nojoin
start_mpgated converter.source=shared
start_server 8000:echo

peer() { # CONVERTER SERVER ARG…: leaves what the server saw in $seen, what `sessions` said in $said
	: >"$T/server.events"
	conv_bg client --converter "$1" --server "$2:8000" --data x "${@:3}" recv=1 wait shutwr recvall
	wait_until 5 server_is 'len(ev) > 1' true
	wait_until 5 ctl_is sessions '[s["state"] for s in d]' '["relay"]'
	seen=$(server_saw 'ev[0]["peer"]')
	said=$(ctl_get sessions 'd[0]["source"]')
	row=$(ctl_get sessions 'd[0]["client"], d[0]["server"], d[0]["kind"]')
	go client
	reap client 10
}

peer "$V4" "$SV4" --bind 10.1.0.2:40001
like "IPv4: the proxy's address" "$seen" '^10\.4\.0\.1:[0-9]+$'
is "IPv4: sessions tells the same" "$said" "$seen"
is "IPv4: client and server in sessions" "$row" '["10.1.0.2:40001", "10.4.0.2:8000", "convert"]'
peer "$V6" "$SV6" --bind "[fd00:2::2]:40002"
like "IPv6: the proxy's address" "$seen" '^\[fd00:4::1\]:[0-9]+$'
is "IPv6: sessions tells the same" "$said" "$seen"
is "IPv6: client and server in sessions" "$row" \
	'["[fd00:2::2]:40002", "[fd00:4::2]:8000", "convert"]'
peer "$V6" "$SV4"
like "IPv6 to IPv4: the proxy's address" "$seen" '^10\.4\.0\.1:[0-9]+$'
is "IPv6 to IPv4: sessions tells the same" "$said" "$seen"
finish
