#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# A UE moves from one gateway to the other in the middle of its transfers: a new address by the new link,
# the old one gone. Its anchor gets the new subflows, every byte arrives; who stayed notices nothing, and
# no control traffic ever holds a key.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/steer.sh"

size=12000000
steer_net_up
second_ue_up
start_store
start_host px1 px2 px3 gw1 gw2
ok "all proxies are up" wait_until 10 proxies_are up
start_server "8000:both:$size"
mirror mirror sv mirror 9000

# Who stays: a UE of its own at gw1, plain TCP and UDP to a server.
spawn udpserver nsx sv python3 -c '
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("10.4.0.2", 7000))
print("listening", flush=True)
while True:
    data, peer = s.recvfrom(2048)
    s.sendto(data, peer)'
wait_until 5 grep -q listening "$T/udpserver.log"
spawn udp nsx u2 python3 -u -c '
import signal, socket, sys, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.connect(("10.4.0.2", 7000))
s.settimeout(1)
over = []
signal.signal(signal.SIGINT, lambda *_: over.append(1))
sent = lost = 0
while not over:
    sent += 1
    s.send(b"%d" % sent)
    try:
        lost += s.recv(2048) != b"%d" % sent
    except OSError:
        lost += 1
    time.sleep(0.01)
print(sent, lost)'
mkfifo "$T/stays.in"
spawn stays nsx u2 python3 "$TOOLS/herd.py" --wait-on "$T/stays.in" --tcp --count 10 --gap 20 --by both 10.4.0.2:9000
ok "who stays has 10 TCP connections" wait_until 5 said stays "ready 10"

# ---- the move ----
control="not proto 4 and not proto 41 and not host 10.9.0.1 and not host fd00:9::1
	and not net 10.1.0.0/16 and not net 10.2.0.0/16 and tcp"
SNAP=160
capture_start keys ue ue0 tcp
SNAP=0
capture_start store st s0
capture_start gw1 gw1 c0 "$control"
capture_start gw2 gw2 c0 "$control"
capture_start proxies px1 p0 "$control"
SNAP=256

# The UE has gw1's link alone.
topo_joins_from
topo_ip ue link set ue1 down
topo_shape_link() { # SPACE IF MBIT
	nsx "$1" tc qdisc replace dev "$2" root tbf rate "${3}mbit" burst 64k latency 50ms
}
for pair in "ue ue0" "gw1 a0" "gw2 a0"; do
	# shellcheck disable=SC2086 # two words
	topo_shape_link $pair 40
done
mapfile -t bulk < <(printf 'b%d\n' 1 2 3)
for name in "${bulk[@]}"; do
	conv_bg "$name" --converter "$VIP4" --server 10.4.0.2:8000 --timeout 30 "duplex=$size"
done
herd_bg many --first "$SUB1" --subscribers 30 --count 60 --gap 30 --server 10.4.0.2:9000 "$VIP4"
ok "60 sessions live through gw1" wait_until 20 said many "ready 60"

moved() { # bytes, of the three
	local host sum=0
	for host in px1 px2 px3; do
		sum=$((sum + $(hget $host sessions 'sum(s["bytes_up"] + s["bytes_down"] for s in d)')))
	done
	echo $sum
}
moved_at_least() {
	[ "$(moved)" -ge "$1" ]
}
ok "the transfers are under way" wait_until 20 moved_at_least $((size))
before=$(mibs MPJoinAckRx)

topo_ip ue link set ue1 up
topo_ip ue route add default via 10.2.0.1 dev ue1 metric 12
topo_ip ue route add default via 10.2.0.1 dev ue1 table 102
nsx ue ip mptcp endpoint add 10.2.0.2 dev ue1 subflow
all_joined() {
	[ $(($(mibs MPJoinAckRx) - before)) -ge 63 ]
}
ok "all sessions join through gw2" wait_until 10 all_joined
left_at=$(moved)
topo_ip ue link set ue0 down
topo_ip ue rule add from 10.1.0.0/16 pref 100 unreachable
diag "gw1's link goes when $left_at of $((6 * size)) bytes were moved"
fails "that was in the middle" [ "$left_at" -ge $((5 * size)) ]
for name in "${bulk[@]}"; do
	ok "$name ends" reap "$name" 40
	is "$name: every byte down" "$(report_get "$name" 'd["rx"]["bytes"], d["rx"]["wrong_at"], d["end"]')" \
		"[$size, null, \"fin\"]"
done
ok "every byte up" wait_until 10 server_is \
	'[[e["bytes"], e["wrong_at"]] for e in ev if e["ev"] == "fin"]' "[[$size, null], [$size, null], [$size, null]]"
ok "60 sessions move more bytes" fresh many 3 60
herd_end many
is "60 sessions: none broke" "$(herd_get many 'd["good"], d["broken"]')" "[60, {}]"
is "joins at the wrong proxy" "$(mibs MPJoinNoTokenFound) $(mibs MPJoinAckHMacFailure)" "0 0"

# ---- who stayed ----
kill -INT "${PID[udp]}"
reap udp 5
like "UDP of who stayed: sent, lost" "$(tail -n 1 "$T/udp.log")" '^[1-9][0-9]{2,} 0$'
tell stays end
reap stays 10
is "TCP of who stayed" "$(tail -n 1 "$T/stays.log" | jget 'd["good"], d["by"]')" \
	'[10, {"mirror 10.1.100.2": 10}]'

# ---- keys ----
for name in keys store gw1 gw2 proxies; do stop cap-$name; done
found=$(python3 "$TOOLS/mpkeys.py" find "$T/keys.pcap" "$T/store.pcap" "$T/gw1.pcap" "$T/gw2.pcap" "$T/proxies.pcap")
is "the sessions' keys were captured, two each" "$(jget 'd["keys"]' "$found")" 126
between "frames of control traffic" "$(jget 'd["frames"]' "$found")" 300 1000000
is "keys in them" "$(jget 'd["found"]' "$found")" 0
between "the same search finds keys where they are" \
	"$(python3 "$TOOLS/mpkeys.py" find "$T/keys.pcap" "$T/keys.pcap" | jget 'd["found"]')" 126 126
token=$(python3 "$TOOLS/mpkeys.py" list "$T/keys.pcap" | sed -n '1s/ [^ ]*$//; 1s/.* //p')
ok "the store was told the tokens, which is all it needs" grep -aq "$token" "$T/store.pcap"
finish
