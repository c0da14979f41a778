# shellcheck shell=bash
# SPDX-License-Identifier: BSD-2-Clause
# What every end-to-end test needs: TAP, background processes, the network, mpgated, servers,
# captures. Sourced first; a test then calls net_up, asserts with ok/is/like/fails, and ends with
# finish. Everything a test makes is named after its process id and removed on exit, also when it is
# killed. Files live in $T.

set -u
PATH=/usr/sbin:/usr/bin:/sbin:/bin:$PATH # the system's own python3, without wrappers around it
E2E_DIR=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
ROOT=$(cd "$E2E_DIR/../.." && pwd)
BUILD=${BUILD:-build}
[[ $BUILD = /* ]] || BUILD=$ROOT/$BUILD
TOOLS=$ROOT/tests/tools
TOPO=mgt$$
T=$(mktemp -d "/tmp/mpgate-test-$$.XXXXXX")
BPFFS=/sys/fs/bpf/mpgate-test-$$
RUN=$T/run
CGROUPS=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/self/mounts)
CGROUPS=${CGROUPS:-/sys/fs/cgroup}
# shellcheck source=tools/topology.sh
. "$ROOT/tools/topology.sh"

# The proxy's converter and the servers, as the topology has them.
export V4=10.3.0.2:5124 V6="[fd00:3::2]:5124"
export SV4=10.4.0.2 SV6="[fd00:4::2]"

# ---- TAP ----------------------------------------------------------------------------------------
tap_n=0 tap_failed=0

tap_result() { # STATUS NAME
	tap_n=$((tap_n + 1))
	if [ "$1" = 0 ]; then
		echo "ok $tap_n - $2"
	else
		tap_failed=$((tap_failed + 1))
		echo "not ok $tap_n - $2"
	fi
	return "$1"
}

diag() {
	local line
	while IFS= read -r line; do echo "# $line"; done <<<"$*"
}

# ok NAME CMD…: CMD succeeds. fails NAME CMD…: it does not.
ok() {
	"${@:2}" >"$T/ok.out" 2>&1
	tap_result $? "$1" || { diag "failed: ${*:2}" && diag "$(tail -n 20 "$T/ok.out")"; }
}

fails() {
	! "${@:2}" >"$T/ok.out" 2>&1
	tap_result $? "$1" || { diag "succeeded: ${*:2}" && diag "$(tail -n 20 "$T/ok.out")"; }
}

is() { # NAME GOT WANTED
	[ "$2" = "$3" ]
	tap_result $? "$1" || { diag "got:    $2" && diag "wanted: $3"; }
}

like() { # NAME GOT REGEX
	[[ $2 =~ $3 ]]
	tap_result $? "$1" || { diag "got:    $2" && diag "wanted: /$3/"; }
}

between() { # NAME GOT LOW HIGH (numbers, both ends included)
	awk -v g="$2" -v l="$3" -v h="$4" 'BEGIN { exit !(g != "" && g + 0 >= l && g + 0 <= h) }'
	tap_result $? "$1" || diag "got $2, wanted $3..$4"
}

skip() { # NAME WHY
	tap_n=$((tap_n + 1))
	echo "ok $tap_n - $1 # SKIP $2"
}

skip_all() {
	echo "1..0 # SKIP $1"
	exit 0
}

bail() {
	tap_result 1 "$1"
	finish
}

finish() {
	echo "1..$tap_n"
	[ "$tap_failed" = 0 ] || show_logs
	exit "$((tap_failed > 0))"
}

show_logs() {
	local f
	for f in "$T"/*.log "$T"/*.events; do
		[ ! -s "$f" ] || { echo "---- $(basename "$f")" && tail -n 40 "$f" | cut -c 1-300; }
	done
}

# ---- waiting ------------------------------------------------------------------------------------
# wait_until SECONDS CMD…: polls until CMD succeeds; fails at the deadline, which is TEST_SLOW times
# as far on a machine that slow.
wait_until() {
	local end=$((${EPOCHREALTIME/[.,]/} + $1 * ${TEST_SLOW:-1} * 1000000))
	while ! "${@:2}" >/dev/null 2>&1; do
		[ "${EPOCHREALTIME/[.,]/}" -lt "$end" ] || return 1
		read -r -t 0.05 <>"$T/pause"
	done
	return 0
}
mkfifo "$T/pause"

now_ms() {
	echo $((${EPOCHREALTIME/[.,]/} / 1000))
}

# ---- background processes -----------------------------------------------------------------------
declare -A PID

# spawn NAME [nsx SPACE] CMD…: output to $T/NAME.log, process id in ${PID[NAME]}. CMD is a program,
# so that the id is its own and no subshell's.
spawn() {
	local name=$1
	shift
	[ -z "${PID[$name]:-}" ] || stop "$name" KILL # whoever had the name
	[ "$1" != nsx ] || set -- nsenter "--net=/run/netns/$TOPO-$2" -- "${@:3}"
	# Appending, so that a test may empty the log.
	: >"$T/$name.log"
	"$@" >>"$T/$name.log" 2>&1 </dev/null &
	PID[$name]=$!
}

alive() {
	[ -n "${PID[$1]:-}" ] && [ -d "/proc/${PID[$1]}" ] &&
		! grep -q '^State:.Z' "/proc/${PID[$1]}/status" 2>/dev/null
}

gone() {
	! alive "$1"
}

# stop NAME [SIGNAL] [SECONDS]: signal it, wait, return its exit status (124: it did not go).
stop() {
	local pid=${PID[$1]:-}
	[ -n "$pid" ] || return 0
	kill "-${2:-TERM}" "$pid" 2>/dev/null
	reap "$1" "${3:-10}"
}

# reap NAME SECONDS: wait for its own end, return its exit status (124: none in time).
reap() {
	local pid=${PID[$1]}
	wait_until "$2" gone "$1" || return 124
	unset "PID[$1]"
	wait "$pid" 2>/dev/null
}

# ---- the network --------------------------------------------------------------------------------
# net_up [nojoin]: the topology; with nojoin sessions keep one subflow.
net_up() {
	[ "$(id -u)" = 0 ] || skip_all "needs root"
	sweep_dead
	topo_up >"$T/topology.log" 2>&1 || bail "the network comes up"
	[ "${1:-}" != nojoin ] || topo_no_join
}

# What a run that was killed with SIGKILL could not take away itself.
sweep_dead() {
	local path pid
	for path in /run/netns/mgt*-* /sys/fs/bpf/mpgate-test-* /tmp/mpgate-test-* \
		"$CGROUPS"/*-mpgate-test-*; do
		[[ $path =~ (netns/mgt|mpgate-test-)([0-9]+) ]] || continue
		pid=${BASH_REMATCH[2]}
		[ ! -d "/proc/$pid" ] || continue
		case $path in
		/run/netns/*) ip netns del "$(basename "$path")" 2>/dev/null ;;
		"$CGROUPS"/*) rmdir "$path" 2>/dev/null ;;
		*) umount "$path/bpf" 2>/dev/null || true && rm -rf "$path" ;;
		esac
	done
}

cleanup() {
	local name
	trap '' INT TERM HUP
	for name in "${!PID[@]}"; do
		kill -TERM "${PID[$name]}" 2>/dev/null
	done
	for name in "${!PID[@]}"; do
		# A second TERM ends a daemon that drains.
		wait_until 1 gone "$name" || kill -TERM "${PID[$name]}" 2>/dev/null
		wait_until 5 gone "$name" || kill -KILL "${PID[$name]}" 2>/dev/null
	done
	topo_down
	if mountpoint -q "$T/bpf" 2>/dev/null; then umount "$T/bpf"; fi
	rm -rf "$BPFFS" "$T"
	# Of a daemon that had to be killed.
	rmdir "$CGROUPS"/*-mpgate-test-$$.* 2>/dev/null
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# ---- mpgated ------------------------------------------------------------------------------------
# write_config KEY=VALUE…: $T/mpgate.yaml from the defaults below and the given keys; a key is
# "workers", "converter.cookie", "intercept.mode", "destinations.deny", "px0.xdp"; an empty value leaves
# the key out.
write_config() {
	local pair
	local -A c=([node]=px1 [runtime_dir]=$RUN [bpffs]=$BPFFS [workers]=2 [drain_timeout_s]=10
		[converter.listen]="[ \"$V4\", \"$V6\" ]" [px0.xdp]=auto)
	# A daemon that other tests leave no time to must not be taken for a dead one.
	[[ " $*" != *" intercept."* && " $*" != *" cpe."* ]] || c[intercept.stale_ms]=3000
	for pair in "$@"; do c[${pair%%=*}]=${pair#*=}; done
	{
		section "" c
		echo "interfaces:"
		echo "  - { name: px0, role: access, xdp: ${c[px0.xdp]} }"
		echo "  - { name: px1, role: core }"
		echo "converter:"
		section converter. c
		for pair in intercept cpe destinations; do
			[[ " ${!c[*]}" != *" $pair."* ]] || echo "$pair:"
			section "$pair." c
		done
	} >"$T/mpgate.yaml"
}

section() { # PREFIX MAP
	local -n map=$2
	local key name
	for key in "${!map[@]}"; do
		[[ $key = "$1"* ]] || continue
		name=${key#"$1"}
		[[ $name != *.* && -n ${map[$key]} ]] || continue
		echo "${1:+  }$name: ${map[$key]}"
	done
}

# start_mpgated [KEY=VALUE…]: configured as write_config says, up when its control socket answers.
start_mpgated() {
	write_config "$@"
	launch_mpgated || bail "mpgated starts"
}

launch_mpgated() {
	spawn mpgated nsx px "$BUILD/mpgated" -c "$T/mpgate.yaml"
	wait_until 15 mpgated_up_or_dead && alive mpgated
}

mpgated_up_or_dead() {
	gone mpgated || ctl status
}

ctl() {
	"$BUILD/mpgatectl" --socket "$RUN/control.sock" "$@"
}

# jget EXPR [JSON]: a python expression over d, the JSON given or on stdin. Strings bare, the rest as
# JSON. `ctl_get sessions 'len(d)'` asks mpgatectl first.
jget() {
	if [ $# -gt 1 ]; then
		python3 "$TOOLS/jget.py" "$1" <<<"$2"
	else
		python3 "$TOOLS/jget.py" "$1"
	fi
}

ctl_get() {
	ctl --json "${@:1:$#-1}" | jget "${!#}"
}

# ctl_is COMMAND… EXPR WANTED: for wait_until.
ctl_is() {
	[ "$(ctl_get "${@:1:$#-1}")" = "${!#}" ]
}

n_sessions_is() {
	ctl_is sessions 'len(d)' "$1"
}

rss_kb() {
	awk '/^VmRSS/ { print $2 }' "/proc/${PID[mpgated]}/status"
}

# A daemon built with the sanitizers needs more of everything.
sanitized() {
	ldd "$BUILD/mpgated" | grep -q libasan
}

n_fds() {
	find "/proc/${PID[mpgated]}/fd" -mindepth 1 2>/dev/null | wc -l
}

# ---- servers and clients ------------------------------------------------------------------------
# start_server [ARG…]: tests/tools/server.py in the servers' namespace, or in $SERVER_SPACE; its events
# are JSON lines in $T/server.events.
start_server() {
	: >"$T/server.events"
	spawn server nsx "${SERVER_SPACE:-sv}" python3 "$TOOLS/server.py" --events "$T/server.events" "$@"
	wait_until 10 grep -q listening "$T/server.events" || bail "the server starts"
}

# start_mserver [ARG…]: another one, on ports "mPORT" with MPTCP; its events are in $T/mserver.events.
start_mserver() {
	topo_sysctl sv net.mptcp.enabled=1
	: >"$T/mserver.events"
	spawn mserver nsx sv python3 "$TOOLS/server.py" --events "$T/mserver.events" "$@"
	wait_until 10 grep -q listening "$T/mserver.events" || bail "the MPTCP server starts"
}

mserver_saw() {
	python3 "$TOOLS/jget.py" --lines ev "$1" <"$T/mserver.events"
}

mserver_is() {
	[ "$(mserver_saw "$1")" = "$2" ]
}

# server_saw EXPR: a python expression over ev, the list of events; prints it.
server_saw() {
	python3 "$TOOLS/jget.py" --lines ev "$1" <"$T/server.events"
}

# server_is EXPR WANTED: for wait_until.
server_is() {
	[ "$(server_saw "$1")" = "$2" ]
}

# conv ARG…: the raw Convert client in the UE's namespace. Its report (JSON) is left in $T/conv.json.
conv() {
	nsx ue timeout --foreground 60 python3 "$TOOLS/rawconv.py" "$@" >"$T/conv.json" 2>"$T/conv.log"
}

# direct ADDR:PORT ARG…: no converter's client, one that simply connects to a server and acts. Reports
# as conv does.
direct() {
	conv --converter "$1" --deliver never --no-answer "${@:2}"
}

direct_bg() { # NAME ADDR:PORT ARG…
	conv_bg "$1" --converter "$2" --deliver never --no-answer "${@:3}"
}

# conv_bg NAME ARG…: the same in the background; report in $T/NAME.log, commands through fifo
# $T/NAME.in where an action says "wait".
conv_bg() {
	[ -p "$T/$1.in" ] || mkfifo "$T/$1.in"
	spawn "$1" nsx ue python3 "$TOOLS/rawconv.py" --wait-on "$T/$1.in" "${@:2}"
}

go() { # NAME: lets a background client past its "wait"
	# Nobody opens the other end when the client is gone.
	# shellcheck disable=SC2016 # a script of its own
	timeout --foreground 10 sh -c 'echo go >"$0"' "$T/$1.in"
}

conv_get() {
	jget "$1" <"$T/conv.json"
}

report_get() { # NAME EXPR
	jget "$2" <"$T/$1.log"
}

# ---- captures -----------------------------------------------------------------------------------
# capture_start NAME SPACE INTERFACE [FILTER]; with SNAP=0 whole packets
capture_start() {
	spawn "cap-$1" nsx "$2" tcpdump -Z root --immediate-mode -U -n -s "${SNAP:-256}" -i "$3" \
		-w "$T/$1.pcap" "${@:4}"
	wait_until 10 grep -q "listening on" "$T/cap-$1.log" || bail "tcpdump starts"
}

# capture_settle NAME: until all that its filter let in so far is in the file. tcpdump tells both
# numbers on USR1.
capture_settle() {
	! alive "cap-$1" || wait_until 5 capture_settled "$1"
}

capture_settled() { # NAME, for wait_until
	local log=$T/cap-$1.log
	: >"$log"
	kill -USR1 "${PID[cap-$1]}" && wait_until 5 grep -q "dropped by" "$log" &&
		[[ $(<"$log") =~ ([0-9]+)\ packets?\ capt.*\ ([0-9]+)\ packets?\ rec.*\ ([0-9]+)\ packets?\ dro ]] &&
		[ $((BASH_REMATCH[1] + BASH_REMATCH[3])) -ge "${BASH_REMATCH[2]}" ]
}

# capture_show NAME FILTER: what was captured so far, as tcpdump prints it.
capture_show() {
	capture_settle "$1"
	tcpdump -Z root -n -vv -r "$T/$1.pcap" "${@:2}" 2>/dev/null
}

capture_count() { # NAME FILTER
	capture_settle "$1"
	tcpdump -Z root -n -r "$T/$1.pcap" "${@:2}" 2>/dev/null | wc -l
}

capture_has() { # NAME FILTER
	[ "$(capture_count "$@")" -gt 0 ]
}

# Checksums that were left to the hardware, and segments larger than any wire takes, are no use to who
# compares captures byte for byte.
no_offload() {
	local s dev
	while read -r s dev; do
		nsx "$s" ethtool -K "$dev" tx off tso off gso off gro off >/dev/null 2>&1
	done <<-END
		ue ue0
		ue ue1
		rt ra0
		rt ra1
		rt rp0
		px px0
		px px1
		sv sv0
	END
}

# same_packets NAME A B HOPS [FILTER]: captures A and B, made with SNAP=0, hold the same, byte for byte.
same_packets() {
	local same=(python3 "$TOOLS/pcapsame.py" --hops "$4" "$T/$2.pcap" "$T/$3.pcap" "${@:5}")
	wait_until 3 "${same[@]}"
	ok "$1" "${same[@]}"
}

# ---- files --------------------------------------------------------------------------------------
sha256() {
	sha256sum "$1" | cut -d' ' -f1
}
