#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# test: timeout=180
# cpe without a converter: plain TCP of a host on the LAN goes to its server as MPTCP over both access
# links, or as plain TCP where the server has no more.
. "$(dirname "$0")/lib.sh"
. "$E2E_DIR/cpe.sh"

cpe_net_up
start_server 8000:echo 8001:sink 8002:source:8000000 8003:both:8000000
start_mserver m9000:echo m9001:sink m9002:source:8000000 m9003:both:8000000
capture_start host ho ho0 "tcp or icmp or icmp6"
nsx ue ip mptcp endpoint add 192.0.2.77 id 3 signal
before=$(endpoints)
start_cpe

# ---- endpoints ----------------------------------------------------------------------------------
both="10.1.0.2 id ours subflow dev ue0,10.2.0.2 id ours subflow dev ue1"
both+=",192.0.2.77 id 3 signal,fd00:1::2 id ours subflow dev ue0,fd00:2::2 id ours subflow dev ue1"
is "endpoints for all access addresses" "$(endpoints)" "$both"
is "the limits are raised" "$(nsx ue ip mptcp limits show | xargs)" "add_addr_accepted 2 subflows 4"
ip -n "$TOPO-ue" addr add 10.2.0.9/24 dev ue1
has_new() {
	[[ $(endpoints) = *"10.2.0.9 id ours"* ]]
}
has_both() {
	[ "$(endpoints)" = "$both" ]
}
ok "a new address gets one" wait_until 5 has_new
ip -n "$TOPO-ue" addr del 10.2.0.9/24 dev ue1
ok "and loses it" wait_until 5 has_both

# ---- servers ------------------------------------------------------------------------------------
rows() {
	cpe_get sessions '[[s[k] for k in ("kind", "state", "client", "server", "mptcp",
		"server_mptcp")] for s in d]'
}

host_ip() {
	[[ $1 = *]* ]] && echo "[fd00:10::2]" || echo 192.168.0.2
}

bare() {
	local a=${1#[}
	echo "${a%]}"
}

echoed() { # NAME SERVER PORT MPTCP SUBFLOWS
	local client
	client=$(host_ip "$2"):43001
	host_bg one "$2:$3" --bind "$client" text=hello recv=5 wait text=world recv=10 shutwr recvall
	wait_until 5 cpe_is sessions '[s["state"] for s in d]' '["relay"]'
	ok "$1: $5 subflows" wait_until 5 cpe_has_subflows "$2" "$3" "$5"
	is "$1: sessions tells what it is" "$(rows)" \
		"[[\"cpe\", \"relay\", \"$client\", \"$2:$3\", false, $4]]"
	go one
	ok "$1: ends" reap one 10
	is "$1: echoed, in order" "$(report_get one 'd["rx"]["text"], d["end"]')" '["helloworld", "fin"]'
}

echoed "MPTCP server" "$SV4" 9000 true 2
is "it saw MPTCP, from the CPE" "$(mserver_saw '[[e["mptcp"], e["peer"].split(":")[0]] for e in ev
	if e["ev"] == "accept"][-1]')" '[true, "10.1.0.2"]'
echoed "MPTCP server, IPv6" "$SV6" 9000 true 2
echoed "plain server" "$SV4" 8000 false 1
is "it saw plain TCP, from the CPE" "$(server_saw '[[e["mptcp"], e["peer"].split(":")[0]] for e in ev
	if e["ev"] == "accept"][-1]')" '[false, "10.1.0.2"]'
echoed "plain server, IPv6" "$SV6" 8000 false 1

saw_all() { # EVENTS PORT BYTES
	[ "$("$1" "[[e['bytes'], e['wrong_at']] for e in ev if e['ev'] == 'fin' and e['port'] == $2][-1]")" = \
		"[$3, null]" ]
}

bulk() { # NAME SERVER BASE-PORT EVENTS
	host "$2:$(($3 + 2))" recvall shutwr
	is "$1: 8 MB down, every byte" "$(host_get 'd["rx"]["bytes"], d["rx"]["wrong_at"], d["end"]')" \
		'[8000000, null, "fin"]'
	host "$2:$(($3 + 1))" send=8000000 shutwr recvall
	ok "$1: 8 MB up, every byte" wait_until 5 saw_all "$4" $(($3 + 1)) 8000000
	host "$2:$(($3 + 3))" duplex=8000000
	is "$1: both ways at once, down" "$(host_get 'd["rx"]["bytes"], d["rx"]["wrong_at"]')" \
		'[8000000, null]'
	ok "$1: and up" wait_until 5 saw_all "$4" $(($3 + 3)) 8000000
}

for family in "$SV4" "$SV6"; do
	bulk "plain server $family" "$family" 8000 server_saw
	bulk "MPTCP server $family" "$family" 9000 mserver_saw
done
is "MPTCP never reaches the host" "$(capture_show host | grep -c mptcp)" 0

# ---- servers that do not answer, or refuse --------------------------------------------------------
refused() { # NAME SERVER ERROR
	host "$2"
	is "$1" "$(host_get 'd["connect_error"]')" "$3"
}
refused "refused" "$SV4:81" ECONNREFUSED
refused "refused, IPv6" "$SV6:81" ECONNREFUSED
ok "by a RST from the server's address" capture_has host "src host $SV4 and tcp[13] & 4 != 0"
refused "unreachable" 10.6.0.1:80 EHOSTUNREACH
ok "by an ICMP error" capture_has host "icmp[0] == 3"
host "[fd00:6::1]:80"
like "unreachable, IPv6" "$(host_get 'd["connect_error"]')" '^E(HOST|NET)UNREACH$'
ok "by an ICMPv6 error" capture_has host "icmp6 and ip6[40] == 1"
host 10.5.0.1:80 --timeout 2.4
is "silence" "$(host_get 'd["connect_error"]')" EINPROGRESS
is "not one packet" "$(capture_count host "src host 10.5.0.1")" 0

# ---- ports that the CPE itself listens on, on all its addresses -------------------------------------
spawn own nsx ue python3 "$TOOLS/server.py" --events "$T/own.events" 8000:banner:mine
wait_until 10 grep -q listening "$T/own.events" || bail "the CPE's own server starts"
host "$SV4:8000" text=x recv=1 shutwr recvall
is "a port that the CPE has itself" "$(host_get 'd["rx"]["text"], d["end"]')" '["x", "fin"]'
host 192.168.0.1:8000 recv=4 shutwr recvall
is "the CPE's own server" "$(host_get 'd["rx"]["text"]')" mine
is "plain TCP needs nothing announced" \
	"$(endpoints) $(nsx ue sysctl -n net.mptcp.allow_join_initial_addr_port)" "$both 1"
stop own TERM

# ---- a link is cut ------------------------------------------------------------------------------
# Slow enough for whoever looks when the machine is busy
topo_shape 0 16
topo_shape 1 16
bytes_moved() {
	cpe_get sessions 'sum(s["bytes_up"] + s["bytes_down"] for s in d)'
}
moved_at_least() {
	[ "$(bytes_moved)" -ge "$1" ]
}
ok "nothing is left of what was before" wait_until 20 cpe_is sessions d "[]"
host_bg cut "$SV4:9002" recvall
ok "a transfer is under way" wait_until 10 moved_at_least 2000000
topo_cut 0
ok "its first link dies: it ends" reap cut 40
topo_mend 0
is "every byte" "$(report_get cut 'd["rx"]["bytes"], d["rx"]["wrong_at"], d["end"]')" \
	'[8000000, null, "fin"]'

# ---- hosts that speak MPTCP themselves ----------------------------------------------------------
topo_sysctl ho net.mptcp.enabled=1
nsx ho timeout 10 python3 "$TOOLS/rawconv.py" --deliver never --no-answer --converter "$SV4:9000" \
	--bind 192.168.0.2:43009 text=x recv=1 shutwr recvall >"$T/mhost.log"
is "a host's own MPTCP passes" "$(mserver_saw '[[e["mptcp"], e["peer"]] for e in ev
	if e["ev"] == "accept"][-1]')" '[true, "192.168.0.2:43009"]'

# ---- the daemon dies, and comes back --------------------------------------------------------------
stop cpe KILL
host "$SV4:8000" --bind 192.168.0.2:43010 text=x recv=1 shutwr recvall
is "a killed daemon: hosts go directly" "$(host_get 'd["rx"]["text"], d["end"]')" '["x", "fin"]'
between "at the latest when they repeat their SYN (ms)" "$(host_get 'd["total_ms"]')" 0 1500
is "with their own address" "$(server_saw '[e["peer"] for e in ev if e["ev"] == "accept"][-1]')" \
	'192.168.0.2:43010'
is "its endpoints are still there" "$(endpoints)" "$both"
launch_cpe || bail "the CPE's mpgated starts again"
is "they are adopted, not doubled" "$(endpoints)" "$both"
echoed "after the restart" "$SV4" 9000 true 2
ok "it stops" stop cpe TERM
is "no endpoint of ours is left" "$(endpoints)" "$before"
finish
