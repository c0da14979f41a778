#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# test: timeout=240
# mpgate-run with every way a program may connect and wait: the outcome is that of a direct
# connection, and comes when the converter has answered, not before.
. "$(dirname "$0")/lib.sh"
. "$E2E_DIR/client.sh"

net_up nojoin
start_server 7:echo
start_refconv "good@$C4:5124" "good@$C6:5124" "split@$C4:5125" "slow:600@$C4:5126" \
	"rst@$C4:5127" "silent@$C4:5128"

ways="block timeout sndtimeo poll select epoll epollet epollpre again asyncio threads fork dup stdio
	sockopts alarm fastopen"
waiting="block poll select epoll epollet epollpre again asyncio"

for way in $ways; do
	is "$way" "$(probe "$C4:5124" "$way" "$SV4")" "$way ok $SV4"
done
for way in $ways; do
	is "$way, all IPv6" "$(probe "$C6:5124" "$way" fd00:4::2)" "$way ok fd00:4::2"
done
for way in $waiting sockopts; do
	is "$way, IPv4 program, IPv6 converter" "$(probe "$C6:5124" "$way" "$SV4")" "$way ok $SV4"
	is "$way, IPv6 program, IPv4 converter" "$(probe "$C4:5124" "$way" fd00:4::2)" \
		"$way ok fd00:4::2"
done

# The answer comes late, or in pieces: nobody is told "writable" before it is whole.
for way in $waiting threads alarm; do
	is "$way, the answer in pieces" "$(probe "$C4:5125" "$way" "$SV4")" "$way ok $SV4"
	start=$(now_ms)
	is "$way, a late answer" "$(probe "$C4:5126" "$way" "$SV4")" "$way ok $SV4"
	between "$way waited for it" $(($(now_ms) - start)) 600 20000
done
is "a timeout of the program's own" "$(probe "$C4:5126" timeout "$SV4")" "timeout TimeoutError"
is "SO_SNDTIMEO" "$(probe "$C4:5126" sndtimeo "$SV4")" "sndtimeo EINPROGRESS"

for way in $waiting; do
	is "$way, server refuses" "$(probe "$C4:5124" "$way" "$SV4" 99)" "$way ECONNREFUSED"
	is "$way, unreachable" "$(probe "$C4:5124" "$way" 10.6.0.1)" "$way EHOSTUNREACH"
	is "$way, no converter there" "$(probe "$C4:9" "$way" "$SV4")" "$way ECONNREFUSED"
	is "$way, converter resets" "$(probe "$C4:5127" "$way" "$SV4")" "$way ECONNRESET"
	is "$way, never an answer" "$(probe "$C4:5128" "$way" "$SV4" 7 --timeout 300)" \
		"$way ETIMEDOUT"
	is "$way, fallback" "$(probe "$C4:5127" "$way" "$SV4" 7 --fallback)" "$way ok $SV4"
done
is "IPv6 unreachable" "$(probe "$C4:5124" poll fd00:6::1)" "poll EHOSTUNREACH"

requests=$(refconv_saw 'sum(e["event"] == "request" for e in ev)')
nsx ue "$BUILD/mpgate-run" --version >"$T/version" && like "--version" "$(<"$T/version")" '^mpgate-run '
spawn local nsx ue python3 "$TOOLS/server.py" --events "$T/local.events" 7:echo
wait_until 10 grep -q listening "$T/local.events" || bail "a server on the UE starts"
is "loopback is left alone" "$(probe "$C4:5124" epoll 127.0.0.1)" "epoll ok 127.0.0.1"
is "so is IPv6 loopback" "$(probe "$C4:5124" block ::1)" "block ok ::1"
is "so are the addresses of --direct" \
	"$(probe "$C4:5124" poll "$SV4" 7 --direct 10.4.0.0/24,fd00::/16)" "poll ok $SV4"
is "the converter saw none of them" "$(refconv_saw 'sum(e["event"] == "request" for e in ev)')" \
	"$requests"
finish
