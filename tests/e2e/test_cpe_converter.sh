#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# test: timeout=240
# host ⇄ CPE ⇄ ISP's converter ⇄ server: plain TCP at both ends, MPTCP over both access links between,
# and what the host hears when something is wrong.
. "$(dirname "$0")/lib.sh"
. "$E2E_DIR/cpe.sh"

cpe_net_up
start_server 8000:echo 8001:sink 8002:source:8000000 8003:both:8000000 8010:banner:hi
start_mserver m9000:echo
capture_start host ho ho0 "tcp or icmp or icmp6"
capture_start isp px px0 "tcp port 5124"
start_mpgated
start_cpe cpe.converter="\"$V4\""

# ---- the chain ----------------------------------------------------------------------------------
isp_has_two_subflows() {
	ctl_is sessions '[[len(s["subflows"]), s["mptcp"], s["kind"]] for s in d]' '[[2, true, "convert"]]'
}

chain() { # NAME SERVER HOST
	host_bg one "$2" --bind "$3:43001" text=hello recv=5 wait text=world recv=10 shutwr recvall
	ok "$1: the ISP has both subflows" wait_until 5 isp_has_two_subflows
	is "$1: the CPE's session" "$(cpe_get sessions '[[s[k] for k in ("kind", "state", "client",
		"server", "mptcp", "server_mptcp")] for s in d]')" \
		"[[\"cpe\", \"relay\", \"$3:43001\", \"$2\", false, true]]"
	is "$1: the ISP's session" "$(ctl_get sessions '[[s["server"], sorted(f["remote"].rpartition(":")[0]
		for f in s["subflows"])] for s in d]')" "[[\"$2\", [\"10.1.0.2\", \"10.2.0.2\"]]]"
	go one
	ok "$1: ends" reap one 10
	is "$1: echoed, in order" "$(report_get one 'd["rx"]["text"], d["end"]')" '["helloworld", "fin"]'
}

chain "IPv4" "$SV4:8000" 192.168.0.2
chain "IPv6 through an IPv4 converter" "$SV6:8000" "[fd00:10::2]"
like "the SYN carries MP_CAPABLE" "$(capture_show isp 'tcp[13] == 2')" "mptcp [0-9]+ capable"
is "and the message, for the server" "$(tcpdump -Z root -n -x -r "$T/isp.pcap" 'tcp[13] == 2' \
	2>/dev/null | sed 's/.*: //' | tr -d ' \t\n' | grep -c 010722630a061f40 | xargs)" 1
is "plain TCP at the server" "$(server_saw '{e["mptcp"] for e in ev if e["ev"] == "accept"} == {False}')" \
	true
host "$SV4:8010" recv=2 text=x recv=3 shutwr recvall
is "a server that speaks first" "$(host_get 'd["rx"]["text"], d["end"]')" '["hix", "fin"]'

saw_all() { # PORT BYTES
	server_is "[[e['bytes'], e['wrong_at']] for e in ev if e['ev'] == 'fin' and e['port'] == $1][-1]" \
		"[$2, null]"
}

bulk() { # NAME SERVER
	host "$2:8002" recvall shutwr
	is "$1: 8 MB down, every byte" "$(host_get 'd["rx"]["bytes"], d["rx"]["wrong_at"], d["end"]')" \
		'[8000000, null, "fin"]'
	host "$2:8001" send=8000000 shutwr recvall
	ok "$1: 8 MB up, every byte" wait_until 5 saw_all 8001 8000000
	host "$2:8003" duplex=8000000
	is "$1: both ways at once, down" "$(host_get 'd["rx"]["bytes"], d["rx"]["wrong_at"]')" \
		'[8000000, null]'
	ok "$1: and up" wait_until 5 saw_all 8003 8000000
}
bulk "IPv4" "$SV4"
bulk "IPv6" "$SV6"

before=$(ctl_get counters 'd["convert"]["connected"]')
spawn crowd nsx ho python3 "$TOOLS/crowd.py" --tcp "$SV4:8000" 200
ok "200 at once: they end" reap crowd 40
is "200 at once: everyone was served" "$(report_get crowd 'd["ends"], d["lost"]')" '[{"good": 200}, 0]'
is "200 at once: through the converter" "$(ctl_get counters 'd["convert"]["connected"]')" \
	$((before + 200))
ok "200 at once: nothing is left of them" wait_until 10 cpe_is sessions 'len(d)' 0

# ---- what is wrong with the server ----------------------------------------------------------------
refused() { # NAME SERVER ERROR
	host "$2"
	like "$1" "$(host_get 'd["connect_error"]')" "$3"
}
refused "refused" "$SV4:81" '^ECONNREFUSED$'
ok "by a RST from the server's address" capture_has host "src host $SV4 and tcp[13] & 4 != 0"
refused "refused, IPv6" "$SV6:81" '^ECONNREFUSED$'
refused "unreachable" 10.6.0.1:80 '^EHOSTUNREACH$'
ok "by an ICMP error with its code" capture_has host "icmp[0] == 3 and icmp[1] == 1"
refused "unreachable, IPv6" "[fd00:6::1]:80" '^E(HOST|NET)UNREACH$'
ok "by an ICMPv6 error" capture_has host "icmp6 and ip6[40] == 1"
host 10.5.0.1:80 --timeout 7
is "silence" "$(host_get 'd["connect_error"]')" EINPROGRESS
is "not one packet" "$(capture_count host "src host 10.5.0.1")" 0
is "the converter is none the worse for it" "$(grep -c "not asked for" "$T/cpe.log")" 0

# ---- a link is cut ------------------------------------------------------------------------------
topo_shape 0 40
topo_shape 1 40
moved_at_least() {
	[ "$(cpe_get sessions 'sum(s["bytes_up"] + s["bytes_down"] for s in d)')" -ge "$1" ]
}
lose_link() { # NAME LINK PORT ACTION…
	host_bg cut "$SV4:$3" "${@:4}"
	ok "$1: under way" wait_until 10 moved_at_least 2000000
	topo_cut "$2"
	ok "$1: ends" reap cut 40
	topo_mend "$2"
}
lose_link "the first link dies, down" 0 8002 recvall
is "the first link dies, down: every byte" \
	"$(report_get cut 'd["rx"]["bytes"], d["rx"]["wrong_at"], d["end"]')" '[8000000, null, "fin"]'
lose_link "the second link dies, up" 1 8001 send=8000000 shutwr recvall
ok "the second link dies, up: every byte" wait_until 5 saw_all 8001 8000000
topo_shape 0 0
topo_shape 1 0

# ---- servers with MPTCP ---------------------------------------------------------------------------
to_mserver() { # who opened the connection that the server saw
	host "$SV4:9000" text=x recv=1 shutwr recvall
	mserver_saw '[[e["mptcp"], e["peer"].split(":")[0]] for e in ev if e["ev"] == "accept"][-1]'
}
is "a server with MPTCP, first through the converter" "$(to_mserver)" '[true, "10.4.0.1"]'
is "the CPE learned it" "$(cpe_get servers '[[s["server"], s["mptcp"]] for s in d]')" \
	"[[\"$SV4:9000\", true]]"
is "then straight" "$(to_mserver)" '[true, "10.1.0.2"]'
ok "it may forget" cpe_ctl servers forget "$SV4:9000"
is "through the converter again" "$(to_mserver)" '[true, "10.4.0.1"]'

# ---- cookies --------------------------------------------------------------------------------------
errors() { # LABEL: how many of them the ISP's converter told
	ctl_get counters "d['convert']['errors']['$1']"
}
stop mpgated TERM
start_mpgated converter.cookie=required
host "$SV4:8000" text=x recv=1 shutwr recvall
is "a cookie is asked for: it works" "$(host_get 'd["rx"]["text"], d["end"]')" '["x", "fin"]'
is "it was fetched" "$(errors missing_cookie)" 1
host "$SV4:8000" text=x recv=1 shutwr recvall
is "the next connection has it" "$(host_get 'd["rx"]["text"]') $(errors missing_cookie)" "x 1"
is "both went through the converter" "$(ctl_get counters 'd["convert"]["connected"]')" 2

# ---- converters that are of no use ----------------------------------------------------------------
last_peer() {
	server_saw '[e["peer"].split(":")[0] for e in ev if e["ev"] == "accept"][-1]'
}
stop mpgated TERM
host "$SV4:8000" text=x recv=1 shutwr recvall
is "the converter refuses: it works" "$(host_get 'd["rx"]["text"], d["end"]')" '["x", "fin"]'
is "straight" "$(last_peer)" 10.1.0.2
like "the log says so" "$(<"$T/cpe.log")" "cpe.converter $V4: .*refused; not asked for 10 s"
stop cpe TERM

ip -n "$TOPO-rt" route add blackhole 10.3.0.2/32
start_cpe cpe.converter="\"$V4\"" converter.listen="[]" converter.connect_timeout_ms=4000
host "$SV4:8000" text=x recv=1 shutwr recvall
is "the converter is silent: it works" "$(host_get 'd["rx"]["text"], d["end"]')" '["x", "fin"]'
between "after a while (ms)" "$(host_get 'd["total_ms"]')" 1900 4500
host "$SV4:8000" text=x recv=1 shutwr recvall
between "the next one at once (ms)" "$(host_get 'd["total_ms"]')" 0 1500
like "the log says so, too" "$(<"$T/cpe.log")" "no answer to a SYN.*not asked for 60 s"
ip -n "$TOPO-rt" route del blackhole 10.3.0.2/32
stop cpe TERM

# ---- a converter by IPv6 ------------------------------------------------------------------------
start_mpgated
start_cpe cpe.converter="\"$V6\""
host "$SV4:8000" text=x recv=1 shutwr recvall
is "an IPv6 converter" "$(host_get 'd["rx"]["text"], d["end"]') $(last_peer)" '["x", "fin"] 10.4.0.1'
finish
