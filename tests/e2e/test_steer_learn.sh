#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# A gateway in front of MPTCP servers that know nothing of mpgate: it learns whose session is whose from
# the handshakes, so joins find their server; forged handshakes steal nobody's.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/steer.sh"

PROXY=([s1]="name: s1, address: 10.3.0.21, deliver: l2" [s2]="name: s2, address: 10.3.0.22, deliver: l2")
STEER_GROUPS=("name: web, members: [ s1, s2 ], check: { by: tcp, port: 9000, $CHECK }")
STEER_VIRTUAL=('address: "10.9.0.1:9000", group: web' 'address: "10.9.0.1:5201", group: web')
STEER_STORE=memory
steer_net_up
for s in 1 2; do
	mirror "m$s" "px$s" "s$s" m9000
	spawn "iperf$s" nsx "px$s" mptcpize run iperf3 -s
done
start_host gw1
ok "both servers are up" wait_until 5 proxies_are up gw1

# Joins come from a second address behind the same gateway: what it learns it tells nobody.
topo_ip ue addr add 10.1.0.3/24 dev ue0
topo_joins_from
nsx ue ip mptcp endpoint add 10.1.0.3 dev ue0 subflow

mib2() { # COUNTER: of both servers
	echo $(($(mib px1 "$1") + $(mib px2 "$1")))
}

# ---- joins follow what was learned ----
herd herd --first "$SUB1" --subscribers 300 --count 600 --held 300 --joins 1 --by name 10.9.0.1:9000
is "sessions whose every byte was right" "$(herd_get herd 'd["good"], d["broken"]')" "[600, {}]"
is "sessions whose join was established" "$(herd_get herd 'd["joined"], d["fallback"]')" "[600, 0]"
between "the share of s1" "$(herd_get herd 'd["by"]["s1"]')" 200 400
is "joins: begun, proved, of nobody's sessions" \
	"$(mib2 MPJoinSynRx) $(mib2 MPJoinAckRx) $(mib2 MPJoinNoTokenFound)" "600 600 0"
is "tokens learned, joins by them, joins unknown" \
	"$(steer_count gw1 learned) $(steer_count gw1 token_learned) $(steer_count gw1 unknown_join)" "600 600 0"

iperf() { # NAME ARG…
	nsx ue timeout 20 mptcpize run iperf3 -J -t 1 -P 4 -B 10.1.128.7 -c 10.9.0.1 "${@:2}" >"$T/iperf.json"
	between "$1: Mbit/s" \
		"$(jget 'int(d["end"]["sum_received"]["bits_per_second"] / 1e6)' <"$T/iperf.json")" 20 1000000
}

begun=$(mib2 MPJoinSynRx)
iperf "iperf3 under mptcpize, up"
iperf "iperf3 under mptcpize, down" -R
is "iperf3: a join for each of its ten connections, none elsewhere" \
	"$(($(mib2 MPJoinSynRx) - begun)) $(mib2 MPJoinNoTokenFound)" "10 0"
is "iperf3: its joins by learned tokens" "$(steer_count gw1 token_learned)" 610

# ---- forged handshakes ----
topo_joins_from # none, for now
capture_start victims ue ue0 "tcp port 9000"
herd_bg victims --first "$SUB1" --subscribers 40 --count 40 --gap 50 --by name 10.9.0.1:9000
ok "40 sessions live, with one subflow each" wait_until 10 said victims "ready 40"
python3 "$TOOLS/mpkeys.py" list "$T/victims.pcap" >"$T/keys"
is "their handshakes were overheard" "$(wc -l <"$T/keys")" 40
mapfile -t keys < <(cut -d' ' -f2 "$T/keys")
learned=$(steer_count gw1 learned)
nsx ue python3 "$TOOLS/forge.py" --no-syn 10.1.64.1 10.9.0.1:9000 "${keys[@]}"
nsx ue python3 "$TOOLS/forge.py" --isn-off 100000 10.1.65.1 10.9.0.1:9000 "${keys[@]}"
is "an ACK that no SYN came before, or far from its SYN, teaches nothing" \
	"$(steer_count gw1 learned)" "$learned"

where() { # TOKEN: the proxies a join would go to, in order
	hget gw1 locate --join "$1" 10.1.0.3:30000 10.9.0.1:9000 'd["proxy"], d["second"] or ""'
}

while read -r _ _ token _; do where "$token"; done <"$T/keys" >"$T/before"
for n in 66 67; do # from addresses whose sessions go to either server
	nsx ue python3 "$TOOLS/forge.py" 10.1.$n.1 10.9.0.1:9000 "${keys[@]}"
done
while read -r _ _ token _; do where "$token"; done <"$T/keys" >"$T/after"
is "every owner stays the first to be asked" "$(cut -d, -f1 "$T/after" | sha256sum)" "$(cut -d, -f1 "$T/before" | sha256sum)"
joins=$(mib2 MPJoinAckRx)
nsx ue ip mptcp endpoint add 10.1.0.3 dev ue0 subflow
ok "the victims' joins: all at their servers" joins victims 1 40
is "and the servers' kernels say so" "$(($(mib2 MPJoinAckRx) - joins)) $(mib2 MPJoinNoTokenFound)" "40 0"
herd_end victims
is "no victim broke" "$(herd_get victims 'd["good"], d["broken"]')" "[40, {}]"

# ---- the limit ----
stop gw1
STEER_GATEWAY="flows_max: 65536, tokens_max: 65536, learn_per_second: 20, unknown_join: drop"
start_host gw1
ok "another limit: both servers are up" wait_until 5 proxies_are up gw1
topo_joins_from
learned=$(steer_count gw1 learned)
limited=$(steer_count gw1 learn_limited)
herd herd --first "$SUB1" --subscribers 300 --count 300 --rounds 1 --by name 10.9.0.1:9000
between "no more than learn_per_second are learned" "$(($(steer_count gw1 learned) - learned))" 20 100
between "the rest is counted" "$(($(steer_count gw1 learn_limited) - limited))" 200 280
is "and nothing breaks" "$(herd_get herd 'd["good"]')" 300
finish
