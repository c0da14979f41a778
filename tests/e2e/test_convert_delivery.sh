#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# The Convert message in the SYN, after the handshake, in pieces, or never.
. "$(dirname "$0")/lib.sh"

net_up nojoin
start_mpgated converter.greet_timeout_ms=2000
start_server 8000:echo
capture_start px0 px px0 tcp port 5124
capture_start px1 px px1 tcp port 8000

echoes() { # NAME TEXT ARG…
	: >"$T/server.events"
	conv --converter "$V4" --server "$SV4:8000" --data "$2" "${@:3}" shutwr recvall
	is "$1: echoed" "$(conv_get 'd["rx"]["text"]')" "$2"
	is "$1: nothing but this reached the server" \
		"$(server_saw '[e["text"] for e in ev if e["ev"] == "fin"]')" "[\"$2\"]"
}

for kind in "" --tcp; do
	name=${kind:-mptcp}
	name=${name#--}
	# shellcheck disable=SC2086 # none or one flag
	{
		echoes "$name, in the SYN" "zero round trips" $kind
		is "$name, in the SYN: the SYN+ACK acknowledges it" "$(conv_get 'd["syn_data_acked"]')" true
		is "$name, in the SYN: MPTCP survives" "$(conv_get 'd["mptcp"]')" \
			"$([ -z "$kind" ] && echo true || echo false)"
		echoes "$name, after the handshake" "one round trip" $kind --deliver after
		echoes "$name, a byte at a time" "byte by byte" $kind --deliver pieces
		echoes "$name, cut in the header" "in three" $kind --deliver pieces --cut 2,5
		echoes "$name, half in the SYN" "two halves" $kind --deliver split --cut 11
		echoes "$name, a byte in the SYN" "one first" $kind --deliver split --cut 1,3,20
	}
done

syn='tcp[tcpflags] & (tcp-syn|tcp-ack) == tcp-syn'
ok "the SYN carried message and user data" wait_until 5 capture_has px0 \
	"$syn and ip[2:2] - ((ip[0] & 15) << 2) - ((tcp[12] >> 4) << 2) == 24 + 16"
ok "no SYN of ours carried data to the server" wait_until 5 capture_has px1 "$syn"
is "no SYN of ours carried data to the server" "$(capture_count px1 \
	"$syn and ip[2:2] - ((ip[0] & 15) << 2) - ((tcp[12] >> 4) << 2) > 0")" 0

# More user data than a SYN holds.
conv --converter "$V4" --server "$SV4:8000" --data-pattern 20000 shutwr recvall
is "20000 bytes behind the message come back" "$(conv_get '[d["rx"]["bytes"], d["rx"]["wrong_at"]]')" \
	"[20000, null]"
conv --converter "$V6" --server "$SV4:8000" --data-pattern 20000 shutwr recvall
is "20000 bytes behind the message come back, IPv6" \
	"$(conv_get '[d["rx"]["bytes"], d["rx"]["wrong_at"]]')" "[20000, null]"

# never NAME REASON ARG…: the deadline ends it, and no server hears of it.
never() {
	local before
	before=$(ctl_get counters "d['relay']['closed']['$2']")
	: >"$T/server.events"
	conv --converter "$V4" --no-answer "${@:3}" recvall
	is "$1: the converter says nothing" "$(conv_get 'd["rx"]["bytes"]')" 0
	ok "$1: counted as $2" ctl_is counters "d['relay']['closed']['$2']" $((before + 1))
	is "$1: the server hears nothing" "$(server_saw 'len(ev)')" 0
}

never "no message" greet_timeout --deliver never
between "no message: ended at the deadline" "$(conv_get 'd["end_ms"]')" 1900 4500
never "no message, plain TCP" greet_timeout --deliver never --tcp
never "half a message" greet_timeout --message 01062263 --deliver syn
between "half a message: ended at the deadline" "$(conv_get 'd["end_ms"]')" 1900 4500
never "not Convert" not_convert --message 474554202f20485454502f312e300d0a --deliver after
between "not Convert: ended at once" "$(conv_get 'd["end_ms"]')" 0 1500
never "Total Length 0" not_convert --message 010022630a060000 --deliver after
is "Total Length 0: reset" "$(conv_get 'd["end"]')" rst
never "gone without a word" client_gone --deliver never shutwr
finish
