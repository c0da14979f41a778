#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# The lab: a UE with two access links, mpgated on its path, and two web servers, one with plain TCP and
# one with MPTCP, kept up for playing.
set -u
root=$(cd "$(dirname "$0")/.." && pwd)
build=${BUILD:-build}
[[ $build = /* ]] || build=$root/$build
lab=${LAB:-mglab}
dir=/run/mpgate-lab/$lab
converter=10.3.0.2:5124
export TOPO=$lab
# shellcheck source=tools/topology.sh
. "$root/tools/topology.sh"

usage() {
	cat <<-END
		usage: tools/lab.sh COMMAND

		  up                build the network, start mpgated and the web servers
		  run CMD…          run CMD on the UE, asking the converter (mpgate-run)
		  phone CMD…        run CMD on the UE with MPTCP sockets (mptcpize), and nothing else
		  exec SPACE CMD…   run CMD in ue, rt (access routers), px (proxy) or sv (servers)
		  ctl ARG…          mpgatectl against the lab's mpgated
		  cut LINK          let nothing pass on access link 0 or 1; "mend LINK" undoes it
		  shape LINK MBIT   another rate for a link; 0: none
		  status            what runs, and how to reach it
		  down              take everything away

		  tools/lab.sh up
		  tools/lab.sh run curl -o /dev/null http://10.4.0.2/file
		  tools/lab.sh phone curl -o /dev/null http://10.4.0.2/file    # plain TCP: taken over
		  tools/lab.sh phone curl -o /dev/null http://10.4.0.3/file    # MPTCP: passes
		  tools/lab.sh ctl sessions
		  tools/lab.sh ctl servers
		  tools/lab.sh down

		Environment: LAB (name, default mglab), LAB_RATES (Mbit/s, default "40 20"),
		LAB_FILE_MIB (default 64), BUILD (default build).
	END
}

die() {
	echo "lab: $*" >&2
	exit 1
}

is_up() {
	[ -d "$dir" ]
}

need_up() {
	is_up || die "not up: run tools/lab.sh up"
}

write_config() {
	cat >"$dir/mpgate.yaml" <<-END
		node: px1
		runtime_dir: $dir/run
		bpffs: /sys/fs/bpf/$lab
		interfaces:
		  - { name: px0, role: access }
		  - { name: px1, role: core }
		converter:
		  listen: [ "$converter", "[fd00:3::2]:5124" ]
		intercept:
		  mode: hybrid
		  ports: any
		  source: preserved
		drain_timeout_s: 2
	END
}

# start NAME SPACE CMD…: in the background, gone from this terminal's job control.
start() {
	nsenter "--net=/run/netns/$TOPO-$2" -- setsid "${@:3}" >"$dir/$1.log" 2>&1 </dev/null &
	echo $! >"$dir/$1.pid"
}

# wait_for NAME CMD…: until CMD succeeds, while NAME lives.
wait_for() {
	local i
	for ((i = 0; i < 150; i++)); do
		! "${@:2}" >/dev/null 2>&1 || return 0
		kill -0 "$(cat "$dir/$1.pid")" 2>/dev/null || break
		sleep 0.1
	done
	cat "$dir/$1.log" >&2
	return 1
}

answers() {
	nsx sv curl -s -o /dev/null "http://$1/"
}

# speaks_mptcp: the server of 10.4.0.3 waits for MPTCP, not for TCP.
speaks_mptcp() {
	answers 10.4.0.3 && nsx sv ss -HMln src 10.4.0.3:80 | grep -q .
}

up() {
	local rates
	[ "$(id -u)" = 0 ] || die "needs root"
	[ -x "$build/mpgated" ] || die "no $build/mpgated: run make first"
	! is_up || die "already up; tools/lab.sh down takes it away"
	mkdir -p "$dir/www" || exit 1
	topo_up || fail "the network does not come up"
	read -ra rates <<<"${LAB_RATES:-40 20}"
	topo_shape 0 "${rates[0]}" || fail "tbf is refused"
	topo_shape 1 "${rates[1]}" || fail "tbf is refused"
	head -c "${LAB_FILE_MIB:-64}M" /dev/urandom >"$dir/www/file"
	write_config
	start mpgated px "$build/mpgated" -c "$dir/mpgate.yaml"
	topo_sysctl sv net.mptcp.enabled=1
	start web sv python3 -m http.server --bind 10.4.0.2 --directory "$dir/www" 80
	start mweb sv mptcpize run python3 -m http.server --bind 10.4.0.3 --directory "$dir/www" 80
	wait_for mpgated ctl status || fail "mpgated does not start"
	wait_for web answers 10.4.0.2 || fail "the web server does not start"
	wait_for mweb speaks_mptcp || fail "the web server with MPTCP does not start"
}

fail() {
	down
	die "$*"
}

down() {
	local f pid
	for f in "$dir"/*.pid; do
		[ -e "$f" ] || continue
		pid=$(cat "$f")
		kill "$pid" 2>/dev/null
		for ((i = 0; i < 50; i++)); do
			kill -0 "$pid" 2>/dev/null || break
			sleep 0.1
		done
		kill -KILL "$pid" 2>/dev/null
	done
	topo_down
	rm -rf "$dir" "/sys/fs/bpf/$lab"
	rmdir /run/mpgate-lab 2>/dev/null
	return 0
}

ctl() {
	"$build/mpgatectl" --socket "$dir/run/control.sock" "$@"
}

status() {
	is_up || { echo "lab $lab is down" && return 1; }
	echo "lab $lab is up: UE 10.1.0.2 and 10.2.0.2, converter $converter," \
		"http://10.4.0.2/file (plain TCP) and http://10.4.0.3/file (MPTCP)"
	ctl status
}

command=${1:-help}
shift
case $command in
up) up && status ;;
run) need_up && nsx ue "$build/mpgate-run" --converter "$converter" "$@" ;;
phone) need_up && nsx ue mptcpize run "$@" ;;
exec) need_up && PATH=$build:$PATH nsx "$@" ;;
ctl) need_up && ctl "$@" ;;
cut | mend | shape) need_up && "topo_$command" "$@" ;;
status) status ;;
down) down ;;
help | -h | --help) usage ;;
*) usage >&2 && exit 2 ;;
esac
