#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Every error code of RFC 8803 section 6.2.8 on the wire, with its value, and an orderly end behind it
# (code 3 is in test_cookies.sh). Also Info, and its Supported TCP Extensions.
. "$(dirname "$0")/lib.sh"

net_up nojoin
ip -n "$TOPO-px" route add 10.7.0.0/24 via 10.4.0.2
ip -n "$TOPO-sv" route add prohibit 10.7.0.0/24
start_mpgated converter.connect_timeout_ms=800 converter.retry_after_s=7 \
	converter.pending_per_client=2 destinations.deny='[ "10.4.0.3" ]'
start_server 8000:echo
capture_start px0 px px0 tcp port 5124

v4=00000000000000000000ffff # an IPv4 address in IPv6 form begins so
connect=0a05 good=1f40${v4}0a040002 # to 10.4.0.2:8000

# refused NAME CODE VALUE ARG…: the error arrives, then an orderly end; counted under its name.
declare -A count=([0]=0 [1]=0 [2]=0 [32]=0 [33]=0 [64]=0 [65]=0 [96]=0 [97]=0)
declare -A label=([0]=unsupported_version [1]=malformed_message [2]=unsupported_message
	[32]=not_authorized [33]=unsupported_tcp_option [64]=resource_exceeded
	[65]=network_failure [96]=connection_reset [97]=destination_unreachable)
refused() {
	local converter=$V4
	[[ $1 != *IPv6* ]] || converter=$V6
	conv --converter "$converter" "${@:4}"
	is "$1: error $2" "$(conv_get '[t["name"] for t in d["tlvs"]], d["error"]["code"]')" \
		"[[\"error\"], $2]"
	is "$1: its value" "$(conv_get 'd["error"]["value"]')" "$3"
	is "$1: then an orderly end" "$(conv_get '[d["end"], d["rx"]["bytes"]]')" '["fin", 0]'
	count[$2]=$((count[$2] + 1))
}

# echoed NAME CODE MESSAGE [ARG…]: errors 1 and 2 give the message back.
echoed() {
	refused "$1" "$2" "00$3" --message "$3" "${@:4}"
}

# to NAME CODE VALUE ADDR:PORT [ARG…]
to() {
	refused "$1" "$2" "$3" --server "${@:4}"
}

refused "version 2" 0 01 --message "02062263$connect$good"
refused "version 0" 0 01 --message "00062263$connect$good"
refused "version 2, plain TCP, IPv6" 0 01 --tcp --message "02062263$connect$good"

echoed "Connect twice" 1 "010b2263$connect$good$connect$good"
echoed "TLV beyond the message" 1 "010622630a06$good"
echoed "TLV of no length" 1 "0102226316000000"
echoed "no TLV" 1 01012263
echoed "to loopback" 1 "01062263${connect}1f40${v4}7f000001"
echoed "to loopback, IPv6" 1 "01062263${connect}1f4000000000000000000000000000000001"
echoed "to multicast" 1 "01062263${connect}1f40${v4}e0000001"
echoed "to multicast, IPv6" 1 "01062263${connect}1f40ff020000000000000000000000000001"
echoed "to broadcast" 1 "01062263${connect}1f40${v4}ffffffff"
echoed "to nowhere" 1 "01062263${connect}1f40${v4}00000000"
echoed "to port 0" 1 "01062263${connect}0000${v4}0a040002"
echoed "malformed, plain TCP" 1 "010b2263$connect$good$connect$good" --tcp
echoed "malformed, a byte at a time" 1 "0102226316000000" --deliver pieces
echoed "malformed, 5000 bytes behind it" 1 "0102226316000000" --data-pattern 5000
refused "half a message, then its end" 1 00010622630a000000 --message 010622630a --end

echoed "unknown TLV" 2 "0107226377010000$connect$good"
echoed "TLV type 0" 2 "0107226300010000$connect$good"
echoed "an answer as a request" 2 "0107226314010000$connect$good"

to "denied by the operator" 32 00 10.4.0.3:8000
to "denied, plain TCP" 32 00 10.4.0.3:8000 --tcp
to "denied, IPv6" 32 00 10.4.0.3:8000

to "TCP-AO" 33 1d "$SV4:8000" --opts 1d02
to "TCP-AO and MD5" 33 1d13000000 "$SV4:8000" --opts 1d021302

to "server port closed" 96 00 "$SV4:81"
to "server port closed, plain TCP" 96 00 "$SV4:81" --tcp
to "server port closed, IPv6" 96 00 "$SV6:81"

to "host unreachable" 97 01 10.6.0.1:80
to "prohibited" 97 0d 10.7.0.1:80
to "no route, IPv6" 97 00 "[fd00:6::1]:80"

to "no answer" 65 07 10.5.0.1:80
between "no answer: at the deadline" "$(conv_get 'd["answer_ms"]')" 750 2000
to "no answer, IPv6" 65 07 "[fd00:5::1]:80"

# Two requests pending, the third is too many; however slow this machine is just now.
sed -i 's/connect_timeout_ms: 800/connect_timeout_ms: 15000/' "$T/mpgate.yaml"
kill -HUP "${PID[mpgated]}"
wait_until 5 grep -q "in force" "$T/mpgated.log"
# A client that only ends may still want its answer.
conv_bg one --converter "$V4" --server 10.5.0.1:80 --no-answer wait reset
conv_bg two --converter "$V4" --server 10.5.0.1:80 --no-answer wait reset
ok "two are pending" wait_until 10 ctl_is sessions 'sum(s["state"] == "connect" for s in d)' 2
to "too many pending" 64 07 "$SV4:8000"
go one
go two
ok "both are gone" wait_until 10 n_sessions_is 0

for code in "${!count[@]}"; do
	is "counted as ${label[$code]}" \
		"$(ctl_get counters "d['convert']['errors']['${label[$code]}']")" "${count[$code]}"
done

conv --converter "$V4" --info recvall
is "Info: answered with Supported TCP Extensions" \
	"$(conv_get '[t["name"] for t in d["tlvs"]], d["end"]')" '[["supported"], "fin"]'
like "Info: MPTCP first, no option that MUST NOT be told" "$(conv_get 'd["tlvs"][0]["value"]')" \
	'^00001e(04|08|22)*(00)*$'

ok "the answers were captured" wait_until 5 capture_has px0 'src port 5124'
is "never a RST" "$(capture_count px0 'src port 5124 and tcp[tcpflags] & tcp-rst != 0')" 0
finish
