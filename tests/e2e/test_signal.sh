#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# test: timeout=180
# The converter announces addresses of its own, with a port, and denies joins at the one it is asked
# at: the second subflow goes there, from a UE as Linux ships it, in IPv4, IPv6 and with both at once.
. "$(dirname "$0")/lib.sh"

A4=10.3.0.9 A6=fd00:3::9 P4=5125 P6=5124
export MPGATE_CACHE=$T/cache

net_up
topo_ip px addr add "$A4/24" dev px0
topo_ip px addr add "$A6/64" dev px0 nodad
# What a kernel has from its start, and the endpoints of both links.
nsx ue ip mptcp limits set subflow 2 add_addr_accepted 0
topo_shape 0 20
topo_shape 1 20
start_server 80:http
before=$(nsx px ip mptcp endpoint)

endpoints() {
	nsx px ip mptcp endpoint
}

joins_anywhere() {
	nsx px sysctl -n net.mptcp.allow_join_initial_addr_port
}

# Does the UE's kernel use its endpoints for what is announced, where joins are denied? Without mpgate.
knows_denied_joins() {
	local n
	nsx px ip mptcp endpoint add "$A4" port 9999 id 9 signal
	topo_sysctl px net.mptcp.allow_join_initial_addr_port=0
	spawn plain nsx px python3 "$TOOLS/server.py" --events "$T/plain.events" m9998:echo
	wait_until 10 grep -q listening "$T/plain.events" || bail "a plain server starts"
	direct_bg probe 10.3.0.2:9998 --bind 10.1.0.2:42000 text=hello recv=5 wait
	wait_until 2 joined_from_second 9999
	n=$?
	go probe
	reap probe 10
	stop plain
	nsx px ip mptcp endpoint delete id 9
	topo_sysctl px net.mptcp.allow_join_initial_addr_port=1
	return $n
}

joined_from_second() { # PORT
	nsx px ss -Htn state established sport = ":$1" | grep -qE '\[?(10\.2\.0\.2|fd00:2::2)\]?:'
}

# The flags of MP_CAPABLE in each SYN+ACK (RFC 8684 section 3.1): 20 is C, 01 HMAC-SHA256
capable_flags() { # NAME PORT
	python3 "$TOOLS/pcapopts.py" "$T/$1.pcap" "$2" | python3 -c '
import sys
for line in sys.stdin:
    o = bytes.fromhex(line.strip())
    while o and o[0] != 0:
        n = 1 if o[0] == 1 else o[1]
        if o[0] == 30 and o[2] >> 4 == 0:
            print("%02x" % o[3])
        o = o[n:]'
}

# Where SYNs with MP_JOIN went, "ADDRESS.PORT" each, once
joins() { # NAME
	capture_show "$1" tcp | sed -n 's/.* > \([0-9a-f.:]*\): Flags \[S\].*mptcp 12 join .*/\1/p' | sort -u
}

joined_at() { # ENDPOINT: a subflow, as sessions shows it
	ctl_get sessions '[f["local"] for s in d for f in s["subflows"]]' | grep -qE "\"$1\""
}

transfer() { # NAME CONVERTER SERVER LOCAL_OF_THE_JOIN
	local want
	capture_start "$1" px px0 tcp
	want=$(python3 -c "
import hashlib, sys
sys.path.insert(0, '$TOOLS')
import pattern
print(hashlib.sha256(pattern.at(0, 6000000)).hexdigest())")
	spawn "run-$1" nsx ue timeout 40 "$BUILD/mpgate-run" --converter "$2" \
		curl -sS -g -o "$T/$1.got" "http://$3/6000000"
	ok "$1: the second link joins" wait_until 8 joined_at "$4"
	ok "$1: ends" reap "run-$1" 40
	is "$1: every byte" "$(sha256 "$T/$1.got")" "$want"
	stop "cap-$1"
	is "$1: the SYN+ACK denies further joins" "$(capable_flags "$1" 5124 | sort -u)" 21
}

went() { # NAME JOINS…: where MP_JOIN SYNs went, all of them
	local got
	got=$(joins "$1")
	is "$1: joins go to what is announced, and nowhere else" "${got//$'\n'/ }" "${*:2}"
}

announced() { # NAME ADDRESS[:PORT]
	like "$1: ADD_ADDR" "$(capture_show "$1" tcp | grep add-addr)" "add-addr v1 id [0-9]+ $2 hmac"
}

# What serves with any kernel
full_mesh() {
	local i
	nsx ue ip mptcp limits set subflow 2 add_addr_accepted 2
	nsx ue ip mptcp endpoint flush
	for i in 1 2; do
		nsx ue ip mptcp endpoint add "10.$i.0.2" dev "ue$((i - 1))" subflow fullmesh
		nsx ue ip mptcp endpoint add "fd00:$i::2" dev "ue$((i - 1))" subflow fullmesh
	done
}

if ! knows_denied_joins; then
	skip "a UE as shipped" "its kernel leaves endpoints alone where joins are denied"
	full_mesh
fi

# A kernel without room for the port of an IPv6 address announces the address alone.
E6="$A6 (port $P6 )?id"

start_mpgated "converter.signal=[ \"$A4:$P4\" ]" converter.deny_initial_joins=true
like "the endpoint is there" "$(endpoints)" "$A4 port $P4 id 240 signal"
is "joins elsewhere are denied" "$(joins_anywhere)" 0
transfer v4 "$V4" "$SV4" "$A4:$P4"
announced v4 "$A4:$P4"
went v4 "$A4.$P4"
stop mpgated
is "IPv4: it ends well" $? 0
is "nothing is left" "$(endpoints)" "$before"
is "nor of the setting" "$(joins_anywhere)" 1

# What closed subflows still hold must not keep the kernel from its port.
start_mpgated "converter.signal=[ \"$A4:$P4\" ]" converter.deny_initial_joins=true
like "started again, it announces at once" "$(endpoints)" "$A4 port $P4 id 240 signal"
stop mpgated KILL
like "killed, it leaves what it announced" "$(endpoints)" "$A4 port $P4 id 240 signal"

start_mpgated "converter.signal=[ \"[$A6]:$P6\" ]" converter.deny_initial_joins=true
fails "what a killed daemon left is gone" grep -q "$A4" <<<"$(endpoints)"
like "and another address is there" "$(endpoints)" "$E6 240 signal"
transfer v6 "$V6" "$SV6" "\\[$A6]:$P6"
announced v6 "$A6(:$P6)?"
went v6 "$A6.$P6"
reset() {
	nsx ue python3 -c "
import socket
s = socket.create_connection(('$A6', $P6), 5)
s.settimeout(5)
try:
    print(s.recv(1))
except ConnectionResetError:
    print('reset')"
}
like "who does not join is turned away" "$(reset 2>&1)" 'reset|refused'
stop mpgated KILL

start_mpgated "converter.signal=[ \"[$A6]:$P6\", \"$A4:$P4\" ]" converter.deny_initial_joins=true
like "both: IPv6" "$(endpoints)" "$E6 240 signal"
like "both: IPv4" "$(endpoints)" "$A4 port $P4 id 241 signal"
transfer both4 "$V4" "$SV4" "$A4:$P4"
announced both4 "$A4:$P4"
went both4 "$A4.$P4"
# The UE has both families, and takes what comes first.
transfer both6 "$V6" "$SV6" "($A4:$P4|\\[$A6]:$P6)"
like "both6: joins go to what is announced, and nowhere else" "$(joins both6 | tr '\n' ' ')" \
	"^(($A4.$P4|$A6.$P6) )+\$"
stop mpgated KILL
ok "killed and started again, it takes over what it left" launch_mpgated
fails "without an error" grep -q "cannot be announced" "$T/mpgated.log"
full_mesh
transfer mesh "$V4" "$SV4" "$A4:$P4"
went mesh "$A4.$P4"
stop mpgated

if nsx px sysctl -n net.mptcp.add_addr_v6_port_drop_ts >/dev/null 2>&1; then
	skip "the port of an IPv6 address without room for it" "this kernel makes room"
else
	start_mpgated "converter.signal=[ \"[$A6]:$P4\" ]"
	ok "the port of an IPv6 address without room for it: the log says so" \
		grep -q "\\[$A6\\]:$P4: with TCP timestamps this kernel tells no port" "$T/mpgated.log"
	stop mpgated
fi

# Somebody else has the port, for a while.
spawn squatter nsx px python3 -c "
import socket
s = socket.create_server(('$A4', $P4))
print('listening', flush=True)
s.accept()"
wait_until 5 grep -q listening "$T/squatter.log" || bail "a squatter listens"
start_mpgated "converter.signal=[ \"$A4:$P4\" ]"
is "without deny_initial_joins, joins go where they will" "$(joins_anywhere)" 1
ok "a port in use: the log says so" grep -q "$A4:$P4 cannot be announced: Address already in use" \
	"$T/mpgated.log"
stop squatter KILL
ok "free again, it is announced" wait_until 5 grep -q "announcing $A4:$P4" "$T/mpgated.log"
like "indeed" "$(endpoints)" "$A4 port $P4 id 240 signal"

# One of a network namespace announces.
cp "$T/mpgate.yaml" "$T/second.yaml"
sed -i "s|$RUN|$RUN-2|; s|$BPFFS|$BPFFS-2|; s|role: [a-z]*|&, xdp: 'off'|; s|, xdp: auto||" "$T/second.yaml"
sed -i "s|listen: .*|listen: [ \"10.3.0.2:5129\" ]|; s|$P4|5128|" "$T/second.yaml"
fails "a second daemon does not" nsx px timeout 20 "$BUILD/mpgated" -c "$T/second.yaml"
like "and says why" "$(<"$T/ok.out")" "announced in this network namespace by mpgated, pid ${PID[mpgated]}"
like "the first one's stays" "$(endpoints)" "$A4 port $P4 id 240 signal"
stop mpgated
is "nothing is left in the end" "$(endpoints)" "$before"
finish
