#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Relocation, in some 20 s: a phone downloads through one gateway, moves to another in the middle, with a
# new address and the old link gone, and loses nothing: the second gateway brings its new subflow to the
# proxy that has had the session all the time. Part of tools/demo.sh. Exit status 1 if a byte differs.
set -u
root=$(cd "$(dirname "$0")/.." && pwd)
build=${BUILD:-build}
[[ $build = /* ]] || build=$root/$build
export TOPO=mgmove$$
dir=$(mktemp -d) pins=/sys/fs/bpf/$TOPO
mib=24 converter=10.9.0.1:5124
# shellcheck source=tools/topology.sh
. "$root/tools/topology.sh"
# shellcheck source=tools/topology_steer.sh
. "$root/tools/topology_steer.sh"
failed=0 pids="" bg=""

say() {
	printf '\n== %s\n' "$*"
}

die() {
	echo "FAILED: $*"
	cat "$dir"/*.log
	exit 1
}

cleanup() {
	local pid
	trap '' INT TERM
	for pid in $pids; do kill "$pid" 2>/dev/null; done
	for pid in $pids; do
		for ((i = 0; i < 50; i++)); do
			kill -0 "$pid" 2>/dev/null || break
			sleep 0.1
		done
		kill -KILL "$pid" 2>/dev/null
	done
	topo_down
	rm -rf "$dir" "$pins"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

start() { # NAME SPACE CMD…
	nsenter "--net=/run/netns/$TOPO-$2" -- setsid "${@:3}" >"$dir/$1.log" 2>&1 </dev/null &
	pids+=" $!"
}

wait_for() { # CMD…
	local i
	for ((i = 0; i < 150; i++)); do
		! "$@" >/dev/null 2>&1 || return 0
		sleep 0.1
	done
	return 1
}

ctl() { # HOST ARG…
	"$build/mpgatectl" --socket "$dir/$1/control.sock" "${@:2}"
}

# What all hosts are told: who there is.
common() {
	cat <<-END
		node: $1
		runtime_dir: $dir/$1
		bpffs: $pins/$1
		drain_timeout_s: 1
		store: redis://10.3.0.9:6379
		proxies:
		  - { name: px1, address: 10.3.0.21, deliver: l2 }
		  - { name: px2, address: 10.3.0.22 }
		  - { name: px3, address: 10.3.3.2 }
	END
}

proxy() { # NAME ADDRESS
	{
		common "$1"
		cat <<-END
			interfaces: [ { name: p0, role: access }, { name: p1, role: core } ]
			converter: { listen: [ "$converter", "$2:5124" ] }
			gateways: [ 10.3.0.0/24 ]
		END
	} >"$dir/$1.yaml"
	start "$1" "$1" "$build/mpgated" -c "$dir/$1.yaml"
}

gateway() { # NAME
	{
		common "$1"
		cat <<-END
			interfaces: [ { name: a0, role: access }, { name: c0, role: core }, { name: c1, role: core } ]
			gateway: { flows_max: 65536, tokens_max: 65536 }
			groups:
			  - { name: metro, members: [ px1, px2, px3 ] }
			virtual:
			  - { address: "$converter", group: metro }
		END
	} >"$dir/$1.yaml"
	start "$1" "$1" "$build/mpgated" -c "$dir/$1.yaml"
}

all_up() {
	local gw
	for gw in gw1 gw2; do
		[ "$(ctl "$gw" --json proxies | grep -o '"up"' | wc -l)" = 3 ] || return 1
	done
}

web_answers() {
	nsx sv curl -s -o /dev/null http://10.4.0.2/
}

store_answers() {
	nsx st redis-cli -h 10.3.0.9 ping
}

arrived() { # PERCENT: waits until so much is there
	while [ "$(stat -c %s "$dir/got" 2>/dev/null || echo 0)" -lt $((mib * 1048576 * $1 / 100)) ]; do
		kill -0 "$bg" 2>/dev/null || return 1
		sleep 0.05
	done
}

anchor() { # the proxy that has the session
	local host
	for host in px1 px2 px3; do
		! ctl "$host" sessions | grep -q 10.4.0.2:80 || echo "$host"
	done
}

subflows() { # of the session at its proxy: the UE's addresses
	ctl "$1" --json sessions | python3 -c '
import json, sys
print(", ".join(f["remote"] for s in json.load(sys.stdin) for f in s["subflows"]))'
}

say "two gateways, three proxies behind them at one address ($converter), and a phone at gateway 1"
topo_steer_up >"$dir/topology.log" 2>&1 || die "the network comes up"
ln -s /usr/bin/redis-check-rdb "$dir/redis-server"
start store st "$dir/redis-server" --bind 10.3.0.9 --protected-mode no --save "" --dir "$dir"
wait_for store_answers || die "redis starts"
proxy px1 10.3.0.21
proxy px2 10.3.0.22
proxy px3 10.3.3.2
gateway gw1
gateway gw2
mkdir "$dir/www"
head -c "${mib}M" /dev/urandom >"$dir/www/file"
start web sv python3 -m http.server --bind 10.4.0.2 --directory "$dir/www" 80
wait_for web_answers || die "the web server starts"
wait_for all_up || die "the gateways see their proxies"
for link in "ue ue0" "gw1 a0" "ue ue1" "gw2 a0"; do
	# shellcheck disable=SC2086 # two words
	set -- $link
	nsx "$1" tc qdisc add dev "$2" root tbf rate 40mbit burst 64k latency 40ms || die "tbf is refused"
done
topo_joins_from
topo_ip ue link set ue1 down

say "mpgate-run curl http://10.4.0.2/file through gateway 1; after a third, mpgatectl proxies says"
nsx ue "$build/mpgate-run" --converter "$converter" curl -s -o "$dir/got" http://10.4.0.2/file \
	>"$dir/curl.log" 2>&1 &
bg=$!
arrived 33 || die "it was over before its third"
ctl gw1 proxies
owner=$(anchor)
echo "the session is at $owner; subflows from $(subflows "$owner")"

say "the phone moves: gateway 2, another address, and the old link is gone"
topo_ip ue link set ue1 up
topo_ip ue route add default via 10.2.0.1 dev ue1 metric 12
topo_ip ue route add default via 10.2.0.1 dev ue1 table 102
nsx ue ip mptcp endpoint add 10.2.0.2 dev ue1 subflow
joined() {
	[[ $(subflows "$owner") == *10.2.0.2* ]]
}
wait_for joined || die "no subflow came through gateway 2"
topo_ip ue link set ue0 down
topo_ip ue rule add from 10.1.0.0/16 pref 100 unreachable
arrived 66 || die "it was over before its second third"
echo "the session is at $(anchor); subflows from $(subflows "$owner")"
echo "gateway 2 knew where to: $(ctl gw2 tokens | tail -n 1)"
wait "$bg" || die "curl failed"

say "result"
if [ "$(sha256sum <"$dir/got")" = "$(sha256sum <"$dir/www/file")" ]; then
	echo "  $((mib * 1048576)) bytes, begun at gateway 1 and ended at gateway 2, nothing lost"
else
	echo "FAILED: the bytes differ"
	failed=1
fi
exit "$failed"
