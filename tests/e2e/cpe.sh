# shellcheck shell=bash
# SPDX-License-Identifier: BSD-2-Clause
# For the tests of a CPE: its network, its daemon, and the host behind it. Sourced after lib.sh.
# shellcheck source=tools/topology_cpe.sh
. "$ROOT/tools/topology_cpe.sh"

CPE_RUN=$T/cpe-run
CPE_BPFFS=$BPFFS-cpe
trap 'cleanup; rm -rf "$CPE_BPFFS"' EXIT

cpe_net_up() {
	net_up
	topo_cpe >>"$T/topology.log" 2>&1 || bail "the CPE's network comes up"
}

# start_cpe [KEY=VALUE…]: the CPE's daemon, configured as write_config would.
start_cpe() {
	local pair
	local -A c=([node]=cpe [runtime_dir]=$CPE_RUN [bpffs]=$CPE_BPFFS [workers]=2
		[drain_timeout_s]=10 [cpe.lan]="[ lan0 ]")
	for pair in "$@"; do c[${pair%%=*}]=${pair#*=}; done
	{
		section "" c
		echo "interfaces:"
		echo "  - { name: ue0, role: access }"
		echo "  - { name: ue1, role: access }"
		for pair in converter intercept cpe; do
			[[ " ${!c[*]}" != *" $pair."* ]] || echo "$pair:"
			section "$pair." c
		done
	} >"$T/cpe.yaml"
	launch_cpe || bail "the CPE's mpgated starts"
}

launch_cpe() {
	spawn cpe nsx ue "$BUILD/mpgated" -c "$T/cpe.yaml"
	wait_until 15 cpe_up_or_dead && alive cpe
}

cpe_up_or_dead() {
	gone cpe || cpe_ctl status
}

cpe_ctl() {
	"$BUILD/mpgatectl" --socket "$CPE_RUN/control.sock" "$@"
}

cpe_get() { # COMMAND… EXPR
	cpe_ctl --json "${@:1:$#-1}" | jget "${!#}"
}

cpe_is() { # COMMAND… EXPR WANTED: for wait_until
	[ "$(cpe_get "${@:1:$#-1}")" = "${!#}" ]
}

# host ADDR:PORT ARG…: a plain TCP program on the LAN; its report (JSON) is left in $T/host.json.
host() {
	nsx ho timeout --foreground 60 python3 "$TOOLS/rawconv.py" --tcp --deliver never --no-answer \
		--converter "$@" >"$T/host.json" 2>"$T/host.log"
}

# host_bg NAME ADDR:PORT ARG…: the same in the background, as conv_bg.
host_bg() {
	[ -p "$T/$1.in" ] || mkfifo "$T/$1.in"
	spawn "$1" nsx ho python3 "$TOOLS/rawconv.py" --wait-on "$T/$1.in" --tcp --deliver never \
		--no-answer --converter "${@:2}"
}

host_get() {
	jget "$1" <"$T/host.json"
}

# The CPE's own connections, as its kernel has them: how many subflows. One that the server took as
# plain TCP is one.
cpe_subflows() { # PEER PORT
	nsx ue ss -Htni state established dst "$1" dport = ":$2" | grep -c tcp-ulp-mptcp
}

cpe_has_subflows() { # PEER PORT N
	[ "$(cpe_subflows "$1" "$2")" = "$3" ]
}

endpoints() { # on one line, sorted, ids of the daemon's own by that word
	nsx ue ip mptcp endpoint show | sed 's/ *$//; s/id 2[0-9][0-9]/id ours/' | sort | paste -sd ,
}
