#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# converter.reply. after-connect: the client's SYN is answered when its server has accepted or refused,
# and hold_max_ms later at the latest. at-once: before the server is asked. Either way MPTCP survives,
# also where the server takes longer than a client waits before it repeats its SYN.
# test: timeout=120
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/far.sh"

net_up
far_up 300:300 600:600 601:600 1500:1500 4000:4000
SERVER_SPACE=far start_server 300:echo 600:echo 601:echo 1500:echo 4000:echo 8000:echo
start_mpgated converter.connect_timeout_ms=10000
[ "$(ctl_get status 'd["features"]["mptcp_syn_data"]')" = true ] || skip_all "no SYN data with MPTCP"
capture_start px0 px px0 tcp port 5124
capture_start px1 px px1 tcp

# When the last SYN+ACK was seen, in microseconds of the one clock there is
answered_at() { # CAPTURE
	capture_settle "$1"
	tcpdump -Z root -tt -n -r "$T/$1.pcap" "tcp[13] & 18 == 18 or (ip6[6] == 6 and ip6[53] & 18 == 18)" \
		2>/dev/null | grep -v 'mptcp.*join' | tail -n 1 | awk '{ sub(/\./, "", $1); print $1 }'
}

# The same of the first packet of the last connection
first_at() { # CAPTURE FILTER
	capture_settle "$1"
	tcpdump -Z root -tt -n -r "$T/$1.pcap" "$2" 2>/dev/null |
		awk -v since="$(syn_at)" '{ sub(/\./, "", $1); if ($1 > since) { print $1; exit } }'
}

syn_at() {
	capture_settle px0
	tcpdump -Z root -tt -n -r "$T/px0.pcap" "src port 44444 and tcp[13] & 18 == 2" 2>/dev/null |
		awk '{ sub(/\./, "", $1); print $1; exit }'
}

# reply NAME CONVERTER SERVER MPTCP LOW HIGH ARG…: echoed, and the SYN answered between LOW and HIGH ms
reply() {
	conv --converter "$2" --server "$3" --data hello "${@:7}" shutwr recvall
	is "$1: echoed; MPTCP?" "$(conv_get 'd["rx"]["text"], d["end"], d["mptcp"]')" \
		"[\"hello\", \"fin\", $4]"
	is "$1: the SYN's data was taken" "$(conv_get 'd["syn_data_acked"]')" true
	is "$1: the server's options are told" "$(conv_get '[t["name"] for t in d["tlvs"]]')" '["ext_tcp_hdr"]'
	between "$1: the SYN was answered after (ms)" "$(conv_get 'd["connect_ms"]')" "$5" \
		$(($6 * ${TEST_SLOW:-1}))
}

in_order() { # NAME
	is "$1: the server accepted before the client was answered" \
		"$([ "$(answered_at px1)" -lt "$(answered_at px0)" ] && echo yes)" yes
}

refused() { # NAME CONVERTER SERVER CODE ARG…
	conv --converter "$2" --server "$3" --data hello "${@:5}"
	is "$1: the error, an orderly end" "$(conv_get 'd["error"]["code"], d["end"], d["syn_data_acked"]')" \
		"[$4, \"fin\", true]"
}

# ---- after-connect ----
reply "IPv4" "$V4" "$FAR4:8000" true 0 290
in_order "IPv4"
reply "IPv6" "$V6" "$FAR6:8000" true 0 290
in_order "IPv6"
reply "300 ms" "$V4" "$FAR4:300" true 300 600
in_order "300 ms"
reply "300 ms, IPv6 to IPv6" "$V6" "$FAR6:300" true 300 600
reply "600 ms, plain TCP" "$V4" "$FAR4:600" false 600 790 --tcp
in_order "600 ms, plain TCP"
refused "refused" "$V4" "$SV4:81" 96
refused "refused, IPv6" "$V6" "$SV6:81" 96
refused "refused, plain TCP" "$V4" "$SV4:81" 96 --tcp
refused "not to be reached" "$V4" "10.6.0.1:80" 97
refused "a message that is none of ours" "$V4" "127.0.0.1:80" 1
between "they were held" "$(ctl_get counters 'd["hold"]["held"]')" 10 12
is "and replayed" "$(ctl_get counters 'd["hold"]["replayed"] == d["hold"]["held"], d["hold"]["overflow"]')" \
	"[true, 0]"
conv --converter "$V4" --server "$FAR4:8000" --data-pattern 20000 shutwr recvall
is "20000 bytes behind the message" "$(conv_get 'd["rx"]["bytes"], d["rx"]["wrong_at"], d["mptcp"]')" \
	"[20000, null, true]"

# The client's third packet takes its time; its data does not wait for that.
ok "the UE's packets leave slowly" nsx ue tc qdisc replace dev ue0 root tbf rate 8kbit burst 150 latency 3s
conv --converter "$V4" --server "$FAR4:8000" --bind 10.1.0.2:44444 --data hello recv=5 shutwr recvall
nsx ue tc qdisc del dev ue0 root
is "data in the SYN: echoed" "$(conv_get 'd["rx"]["text"], d["mptcp"]')" '["hello", true]'
is "data in the SYN: went to the server before the client's next packet came" "$(
	[ "$(first_at px1 "dst port 8000 and tcp[13] & 8 != 0")" -lt \
		"$(first_at px0 "src port 44444 and tcp[13] & 2 == 0")" ] && echo yes)" yes

# A client that repeats its SYN is the one that loses MPTCP: it must not come to that.
slow() { # NAME CONVERTER SERVER FROM LOW HIGH
	: >"$T/server.events"
	conv_bg slow --converter "$2" --server "$3" --data hello --bind "$4" recv=5 wait text=world recv=10 \
		shutwr recvall
	ok "$1: the server is reached, with the SYN's data" wait_until 6 server_is \
		'[bytes.fromhex(e["hex"]).decode() for e in ev if e["ev"] == "first"]' '["hello"]'
	ok "$1: the second link joins" wait_until 3 ctl_is sessions \
		'[[s["mptcp"], s["fallback"], len(s["subflows"])] for s in d]' '[[true, false, 2]]'
	go slow
	ok "$1: ends" reap slow 10
	is "$1: MPTCP, echoed" "$(report_get slow 'd["mptcp"], d["rx"]["text"], d["end"]')" \
		'[true, "helloworld", "fin"]'
	is "$1: the server's options are told" "$(report_get slow '[t["name"] for t in d["tlvs"]]')" \
		'["ext_tcp_hdr"]'
	between "$1: the SYN was answered at the limit (ms)" "$(report_get slow 'd["connect_ms"]')" "$5" "$6"
}

slow "1500 ms" "$V4" "$FAR4:1500" 10.1.0.2:0 790 $((790 + 200 * ${TEST_SLOW:-1}))
slow "4000 ms, IPv6" "$V6" "$FAR6:4000" "[fd00:1::2]:0" 790 $((790 + 200 * ${TEST_SLOW:-1}))
ok "no session is left" wait_until 5 n_sessions_is 0
stop mpgated

# ---- a limit of its own ----
start_mpgated converter.hold_max_ms=200 converter.connect_timeout_ms=1000
slow "hold_max_ms" "$V4" "$FAR4:601" 10.1.0.2:0 0 $((190 + 200 * ${TEST_SLOW:-1}))
refused "timed out behind the limit" "$V4" 10.5.0.1:80 65
between "timed out: the SYN was answered at the limit (ms)" "$(conv_get 'd["connect_ms"]')" 190 \
	$((190 + 200 * ${TEST_SLOW:-1}))
stop mpgated

# ---- at-once ----
start_mpgated converter.reply=at-once converter.connect_timeout_ms=10000
conv --converter "$V6" --server "$FAR6:600" --data hello shutwr recvall
is "at-once: echoed, MPTCP" "$(conv_get 'd["rx"]["text"], d["mptcp"]')" '["hello", true]'
between "at-once: the SYN was answered after (ms)" "$(conv_get 'd["connect_ms"]')" 0 \
	$((200 * ${TEST_SLOW:-1}))
refused "at-once: refused" "$V4" "$SV4:81" 96
is "at-once: nothing was held" "$(ctl_get counters 'd["hold"]["held"]')" 0
finish
