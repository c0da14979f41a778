#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# test: timeout=180
# RFC 8803's rules for clients: what the SYN carries, Error TLVs, cookies, converters that must not
# be used again.
. "$(dirname "$0")/lib.sh"
. "$E2E_DIR/client.sh"

net_up nojoin
start_server 7:echo
codes="0:01 1 2 3 32 33:2200 64:0a 65 96 97:01 97:00 97:0d 200"
modes=()
port=6000
declare -A port_of
for code in $codes; do
	modes+=("error:$code@$C4:$port")
	port_of[$code]=$port
	port=$((port + 1))
done
start_refconv "good@$C4:5124" "good@$C6:5124" "cookie:0102030405@$C4:5125" \
	"cookie:aabbccdd@$C4:5126" "nonsense@$C4:5127" "badtlv@$C4:5128" "noheader@$C4:5129" \
	"silent@$C4:5130" "eof@$C4:5131" "${modes[@]}"

# ---- the SYN ------------------------------------------------------------------------------------
syn_is() { # NAME PAYLOAD-HEX-REGEX
	like "$1 carries MP_CAPABLE" "$(capture_show "$cap" "$syn")" "mptcp 4 capable v1"
	like "$1 carries the Connect TLV" \
		"$(tcpdump -Z root -n -x -r "$T/$cap.pcap" "$syn" 2>/dev/null | sed 's/.*: //' |
			tr -d ' \t\n')" "$2\$"
}
cap=syn4 syn='tcp[13] == 2'
capture_start $cap px px0 tcp port 5124
is "a connection" "$(probe "$C4:5124" block "$SV4")" "block ok $SV4"
wait_until 5 capture_has $cap "$syn" || bail "a SYN is captured"
syn_is "the SYN" "010622630a05000700000000000000000000ffff0a040002"
like "the SYN asks for no fast open cookie" "$(capture_show $cap "$syn" | grep -c tfo)" '^0$'
stop cap-$cap
cap=syn6 syn='ip6[53] == 2'
capture_start $cap px px0 tcp port 5124
is "an IPv6 connection" "$(probe "$C6:5124" block fd00:4::2)" "block ok fd00:4::2"
wait_until 5 capture_has $cap "$syn" || bail "an IPv6 SYN is captured"
syn_is "the IPv6 SYN" "010622630a050007fd000004000000000000000000000002"
stop cap-$cap
cap=fast syn='tcp[13] == 2'
capture_start $cap px px0 tcp port 5124
is "a connection with data" "$(probe "$C4:5124" fastopen "$SV4")" "fastopen ok $SV4"
wait_until 5 capture_has $cap "$syn" || bail "its SYN is captured"
syn_is "the SYN with data" "010622630a05000700000000000000000000ffff0a0400026669727374"
stop cap-$cap

# ---- Error TLVs ---------------------------------------------------------------------------------
closed="[e['how'] for e in ev if e['event'] == 'closed']"
n=0
while read -r code errno; do
	n=$((n + 1))
	is "error $code is $errno" "$(probe "$C4:${port_of[$code]}" block "$SV4")" "block $errno"
	wait_until 5 refconv_is "len($closed)" $n
	is "the client resets on error $code" "$(refconv_saw "${closed}[-1]")" reset
done <<-END
	0:01 EPROTO
	1 EPROTO
	2 EPROTO
	3 EACCES
	32 EACCES
	33:2200 ENOPROTOOPT
	64:0a ENOBUFS
	65 ETIMEDOUT
	96 ECONNREFUSED
	97:01 EHOSTUNREACH
	97:00 ENETUNREACH
	97:0d EHOSTUNREACH
	200 EPROTO
END
# A direct connection helps against the converter's refusals, not against the server's.
for code in 0:01 1 2 3 32 33:2200 64:0a; do
	is "fallback after error $code" \
		"$(probe "$C4:${port_of[$code]}" epoll "$SV4" 7 --fallback)" "epoll ok $SV4"
done
for pair in 65=ETIMEDOUT 96=ECONNREFUSED 97:01=EHOSTUNREACH; do
	is "no fallback after error ${pair%=*}" \
		"$(probe "$C4:${port_of[${pair%=*}]}" epoll "$SV4" 7 --fallback)" "epoll ${pair#*=}"
done

# ---- cookies ------------------------------------------------------------------------------------
cookies="[e['cookie'] for e in ev if e['event'] == 'request' and e['mode'].startswith('cookie')]"
is "asked for a cookie, shows it" "$(probe "$C4:5125" epollpre "$SV4")" "epollpre ok $SV4"
is "in a second attempt" "$(refconv_saw "$cookies")" '[null, "0102030405000000"]'
is "remembers it" "$(probe "$C4:5125" asyncio "$SV4")" "asyncio ok $SV4"
is "and shows it at once" "$(refconv_saw "${cookies}[2:]")" '["0102030405000000"]'
is "the cache is for this user only" "$(stat -c %a "$MPGATE_CACHE")" 600
sed -i 's/:5125 /:5126 /' "$MPGATE_CACHE" # a cookie of before the converter changed its keys
is "a stale cookie is replaced" "$(probe "$C4:5126" poll "$SV4")" "poll ok $SV4"
is "refused, asked again, shown" "$(refconv_saw "${cookies}[3:]")" \
	'["0102030405000000", null, "aabbccdd"]'
is "a configured cookie" "$(probe "$C4:5126" block "$SV4" 7 --cookie aabbccdd)" "block ok $SV4"
is "a wrong one is not replaced" "$(probe "$C4:5126" block "$SV4" 7 --cookie 00112233)" \
	"block EACCES"
echo "no such file can be made" >"$T/file"
is "no cache file, no harm" "$(MPGATE_CACHE=$T/file/cache probe "$C4:5125" block "$SV4")" \
	"block ok $SV4"

# ---- converters put aside -----------------------------------------------------------------------
# twice CONVERTER: two connections by one program; prints both outcomes
twice() {
	mrun "$@" bash -c "for i in 1 2; do python3 $TOOLS/connprobe.py block $SV4 7; done" \
		2>"$T/twice.log" | paste -sd ' '
}
n_requests() {
	refconv_saw 'sum(e["event"] == "request" for e in ev)'
}
for pair in 5127=EPROTO 5128=EPROTO 5129=EPROTO 5130=ETIMEDOUT; do
	before=$(n_requests)
	is "port ${pair%=*} answers nonsense, or nothing" "$(twice "$C4:${pair%=*}" --timeout 500)" \
		"block ${pair#*=} block EPROTO"
	is "it is asked once only" "$(n_requests)" $((before + 1))
	like "and the log says why" "$(<"$T/twice.log")" "put aside"
done
is "the next mpgate-run tries again" "$(probe "$C4:5127" block "$SV4")" "block EPROTO"
is "with fallback both go directly" "$(twice "$C4:5127" --fallback)" \
	"block ok $SV4 block ok $SV4"
before=$(n_requests)
is "resource exceeded" "$(twice "$C4:${port_of[64:0a]}")" "block ENOBUFS block ENOBUFS"
is "waits before it asks again" "$(n_requests)" $((before + 1))
is "a converter that just closes is asked again" "$(twice "$C4:5131")" \
	"block ECONNRESET block ECONNRESET"

# SYN data that is not acknowledged: what middleboxes do, and kernels without fast open
topo_sysctl px net.ipv4.tcp_fastopen=1
is "SYN data not acknowledged" "$(twice "$C4:5124")" "block EPROTO block EPROTO"
like "said so" "$(<"$T/twice.log")" "SYN data was not acknowledged"
is "with fallback" "$(twice "$C4:5124" --fallback)" "block ok $SV4 block ok $SV4"
is "with --no-0rtt it may be used" "$(probe "$C4:5124" epoll "$SV4" 7 --no-0rtt)" "epoll ok $SV4"
is "over MPTCP" "$(refconv_saw '[e["mptcp"] for e in ev if e["event"] == "request"][-1]')" true
is "or without" "$(probe "$C4:5124" block "$SV4" 7 --no-0rtt --no-mptcp)" "block ok $SV4"
is "then without" "$(refconv_saw '[e["mptcp"] for e in ev if e["event"] == "request"][-1]')" false
topo_sysctl ue net.mptcp.enabled=0
is "a kernel without MPTCP" "$(probe "$C4:5124" block "$SV4" 7 --no-0rtt)" "block ok $SV4"

# ---- usage --------------------------------------------------------------------------------------
run_status() {
	LD_PRELOAD=$sanitizer ASAN_OPTIONS=detect_leaks=0 env -u MPGATE_CONVERTER \
		"$BUILD/mpgate-run" "$@" >"$T/run.out" 2>&1
	echo $?
}
is "no converter" "$(run_status true)" 64
like "it says how" "$(<"$T/run.out")" "--converter"
is "a bad converter" "$(run_status --converter 10.0.0.1 true)" 64
is "a bad cookie" "$(run_status --converter 10.0.0.1:1 --cookie xyz true)" 64
is "a bad prefix" "$(run_status --converter 10.0.0.1:1 --direct 10.0.0.0/40 true)" 64
is "no command" "$(run_status --converter 10.0.0.1:1)" 64
is "no such command" "$(run_status --converter 10.0.0.1:1 /no/such/thing)" 127
is "the command's own status and options" "$(run_status -c 10.0.0.1:1 sh -c 'exit 5')" 5
finish
