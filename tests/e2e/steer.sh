# shellcheck shell=bash
# SPDX-License-Identifier: BSD-2-Clause
# Gateways, proxies and their store, for the tests of steering. Sourced after lib.sh. A test may change
# the variables below, then calls steer_up, or the single steps.
# shellcheck source=tools/topology_steer.sh
. "$ROOT/tools/topology_steer.sh"

export VIP4=10.9.0.1:5124 VIP6="[fd00:9::1]:5124"
export SUB1=10.1.128.1 SUB2=10.2.128.1 SUB1_6=fd00:1:8001::1 SUB2_6=fd00:2:8001::1

# What all hosts agree about. A proxy's line ends where more keys may follow.
declare -A PROXY=(
	[px1]="name: px1, address: 10.3.0.21, deliver: l2"
	[px2]="name: px2, address: 10.3.0.22, deliver: ipip"
	[px3]="name: px3, address: 10.3.3.2, deliver: ipip"
)
CHECK="interval_ms: 100, rise: 2, fall: 3"
STEER_GROUPS=("name: all, members: [ px1, px2, px3 ], hash: subscriber, check: { $CHECK }")
STEER_VIRTUAL=("address: \"$VIP4\", group: all" "address: \"$VIP6\", group: all")
STEER_SELECTION=()
STEER_GATEWAY="flows_max: 65536, tokens_max: 65536"
STEER_STORE=redis://10.3.0.9:6379
declare -A ACCESS=([gw1]="a0" [gw2]="a0") # a gateway's links to UEs
# More of a host's own, YAML lines: OWN[px1]="intercept: …"
declare -A OWN=()

declare -A CORE4=([px1]=10.3.0.21 [px2]=10.3.0.22 [px3]=10.3.3.2)
declare -A CORE6=([px1]=fd00:3::21 [px2]=fd00:3::22 [px3]=fd00:33::2)
# As which servers see a proxy
# shellcheck disable=SC2034 # for the tests
declare -A SEEN=([px1]=10.4.0.21 [px2]=10.4.0.22 [px3]=10.4.0.23)
# shellcheck disable=SC2034
declare -A SEEN6=([px1]=fd00:4::21 [px2]=fd00:4::22 [px3]=fd00:4::23)

trap 'cleanup; rm -rf "$BPFFS"-*' EXIT

steer_net_up() {
	[ "$(id -u)" = 0 ] || skip_all "needs root"
	sweep_dead
	topo_steer_up >"$T/topology.log" 2>&1 || bail "the network comes up"
	xdp_pass ue ue0 ue1
	xdp_pass r3 r1
	xdp_pass sw gw1c0 gw1c1 gw2c0 gw2c1 px1p0 px2p0
}

xdp_pass() { # SPACE IF…: so that what XDP at the other end sends back is taken
	nsx "$1" python3 "$TOOLS/xdppass.py" "${@:2}" >>"$T/topology.log" 2>&1 || bail "XDP on the links"
}

# Another UE, 10.1.100.2, behind a link of its own to gw1: space u2, plain TCP.
second_ue_up() {
	ip netns add "$TOPO-u2" || bail "another namespace"
	TOPO_SPACES+=" u2"
	topo_veth u2 u0 gw1 a1
	ip -n "$TOPO-u2" -batch - <<-END
		link set u0 up
		addr add 10.1.100.2/24 dev u0
		route add default via 10.1.100.1
	END
	topo_ip gw1 link set a1 up
	topo_ip gw1 addr add 10.1.100.1/24 dev a1
	topo_sysctl u2 net.mptcp.enabled=1 net.ipv4.tcp_congestion_control=reno
	nsx u2 ethtool -K u0 tx off >/dev/null
	ACCESS[gw1]="a0 a1"
}

# ---- the store ----------------------------------------------------------------------------------
start_store() {
	spawn store nsx st "$TOOLS/redis.sh" "$T/store" --bind 10.3.0.9 --port 6379 --protected-mode no
	wait_until 10 store_cli ping || bail "the store starts"
}

store_cli() {
	nsx st redis-cli -h 10.3.0.9 "$@"
}

# ---- configuration ------------------------------------------------------------------------------
items() { # KEY LINE…: a YAML list of mappings
	local line
	[ $# -gt 1 ] || return 0
	echo "$1:"
	for line in "${@:2}"; do echo "  - { $line }"; done
}

write_host() { # gwN or pxN: $T/NAME.yaml
	{
		cat <<-END
			node: $1
			runtime_dir: $T/$1
			bpffs: $BPFFS-$1
			workers: 1
			drain_timeout_s: 10
			interfaces:
		END
		case $1 in
		gw*) write_gateway "$1" ;;
		px*) write_proxy "$1" ;;
		esac
		items proxies "${PROXY[@]}"
		echo "store: $STEER_STORE"
		[ -z "${OWN[$1]:-}" ] || echo "${OWN[$1]}"
	} >"$T/$1.yaml"
}

write_gateway() {
	local link
	for link in ${ACCESS[$1]}; do echo "  - { name: $link, role: access }"; done
	cat <<-END
		  - { name: c0, role: core }
		  - { name: c1, role: core }
		gateway: { $STEER_GATEWAY }
	END
	items groups "${STEER_GROUPS[@]}"
	items virtual "${STEER_VIRTUAL[@]}"
	items selection ${STEER_SELECTION[@]+"${STEER_SELECTION[@]}"}
}

write_proxy() {
	cat <<-END
		  - { name: p0, role: access }
		  - { name: p1, role: core }
		converter:
		  listen: [ "$VIP4", "$VIP6", "${CORE4[$1]}:5124", "[${CORE6[$1]}]:5124" ]
		gateways: [ 10.3.0.0/24, "fd00:3::/64" ]
	END
}

# ---- hosts --------------------------------------------------------------------------------------
start_host() { # NAME…: configured as the variables say
	local host
	for host in "$@"; do
		write_host "$host"
		launch_host "$host"
	done
	for host in "$@"; do
		wait_until 15 host_up_or_dead "$host"
		alive "$host" || bail "mpgated of $host starts"
	done
}

launch_host() {
	spawn "$1" nsx "$1" "$BUILD/mpgated" -c "$T/$1.yaml"
}

host_up_or_dead() {
	gone "$1" || hctl "$1" status
}

hctl() { # HOST ARG…: mpgatectl there
	"$BUILD/mpgatectl" --socket "$T/$1/control.sock" "${@:2}"
}

hget() { # HOST COMMAND… EXPR
	hctl "$1" --json "${@:2:$#-2}" | jget "${!#}"
}

hget_is() { # HOST COMMAND… EXPR WANTED: for wait_until
	[ "$(hget "${@:1:$#-1}")" = "${!#}" ]
}

steer_count() { # GATEWAY COUNTER
	hget "$1" counters "d['steer']['$2']"
}

states() { # GATEWAY: "px1 up, px2 down…"
	hget "$1" proxies '", ".join(sorted(p["name"] + " " + p["state"] for p in d))'
}

states_are() { # STATES GATEWAY…
	local gw
	for gw in "${@:2}"; do
		[ "$(states "$gw")" = "$1" ] || return 1
	done
}

proxies_are() { # STATE [GATEWAY…]: all of them
	local want name
	for name in "${!PROXY[@]}"; do want+="$name $1"$'\n'; done
	want=$(sort <<<"${want%$'\n'}" | paste -sd , | sed 's/,/, /g')
	[ $# -gt 1 ] || set -- "$1" gw1 gw2
	states_are "$want" "${@:2}"
}

# steer_up: everything, until both gateways see all proxies.
steer_up() {
	steer_net_up
	[[ $STEER_STORE != redis:* ]] || start_store
	start_host px1 px2 px3 gw1 gw2
	wait_until 10 proxies_are up || { diag "$(states gw1); $(states gw2)" && bail "the proxies are up"; }
}

# ---- traffic ------------------------------------------------------------------------------------
# mirror NAME SPACE WHO [m]PORT [ADDRESS]: tests/tools/mirror.py
mirror() {
	spawn "$1" nsx "$2" python3 "$TOOLS/mirror.py" "${@:3}"
	wait_until 10 grep -q listening "$T/$1.log" || bail "the mirror server starts"
}

# herd NAME ARG…: tests/tools/herd.py at the UE, to its end; its last line is left in $T/NAME.json.
herd() {
	nsx ue timeout --foreground 100 python3 "$TOOLS/herd.py" "${@:2}" >"$T/$1.log" 2>&1
	tail -n 1 "$T/$1.log" >"$T/$1.json"
}

# herd_bg NAME ARG…: in the background, commands through tell; ended by herd_end.
herd_bg() {
	[ -p "$T/$1.in" ] || mkfifo "$T/$1.in"
	spawn "$1" nsx ue python3 "$TOOLS/herd.py" --wait-on "$T/$1.in" "${@:2}"
}

tell() { # NAME WORD…
	# shellcheck disable=SC2016 # a script of its own
	timeout --foreground 10 sh -c 'echo "$1" >"$0"' "$T/$1.in" "${*:2}"
}

said() { # NAME LINE: for wait_until
	grep -qx "$2" "$T/$1.log" || gone "$1"
}

# asked NAME WORDS ANSWER: tells a herd in the background, and waits for that answer
asked() {
	local before
	before=$(grep -cE '^(joined|fresh) ' "$T/$1.log")
	# shellcheck disable=SC2086 # several words
	tell "$1" $2
	wait_until 45 more_answers "$1" "$before"
	grep -E '^(joined|fresh) ' "$T/$1.log" | tail -n 1 | grep -qx "$3"
}

more_answers() {
	[ "$(grep -cE '^(joined|fresh) ' "$T/$1.log")" -gt "$2" ] || gone "$1"
}

fresh() { # NAME ROUNDS COUNT: so many sessions are open, and each does so many more rounds
	asked "$1" "fresh $2" "fresh $3"
}

joins() { # NAME JOINS COUNT: so many are open, and have so many joins by now or soon
	asked "$1" "joins $2 12000" "joined $3"
}

# join_from ADDRESS LINK: one more address of the UE, by which every session it has joins anew
join_from() {
	topo_ip ue addr add "$1/24" dev "$2"
	nsx ue ip mptcp endpoint add "$1" dev "$2" subflow
}

herd_end() { # NAME
	tell "$1" end
	reap "$1" 40
	tail -n 1 "$T/$1.log" >"$T/$1.json"
}

herd_get() { # NAME EXPR
	jget "$2" <"$T/$1.json"
}

# calls EXPR: over ev, the sessions that have ended by now of a herd with --events $T/calls.events
calls() {
	python3 "$TOOLS/jget.py" --lines ev "$1" <"$T/calls.events"
}

calls_since() { # MS COUNT: so many began later and have ended
	[ "$(calls "sum(e['at'] > $1 for e in ev)")" -ge "$2" ]
}

who_since() { # MS: who served those that began later
	calls "sorted({e['who'] for e in ev if e['at'] > $1 and e['end'] == 'good'})"
}

who_has() { # PROXY MS: for wait_until
	[[ $(who_since "$2") == *${SEEN[$1]}* ]]
}

seen_without() { # PROXY: the others, as who_since says it
	printf '%s\n' "${SEEN[@]}" | grep -vx "${SEEN[$1]}" | sort |
		python3 -c 'import json, sys; print(json.dumps(sys.stdin.read().split()))'
}

# mib SPACE COUNTER: of the kernel's own counting of MPTCP there
mib() {
	nsx "$1" nstat -asz "MPTcpExt$2" | awk -v n="MPTcpExt$2" '$1 == n { print $2 }'
}

mibs() { # COUNTER: of all proxies together
	local host sum=0
	for host in px1 px2 px3; do
		sum=$((sum + $(mib "$host" "$1")))
	done
	echo $sum
}
