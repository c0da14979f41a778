#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# How exactly a policy's split is held, and what it costs: a table as JSON. Each row is one download of
# $BYTES (100 MB) through the converter over two links; what each carried is the router's own count.
#
#   unshaped   links without a limit; the machine is
#   room       100 Mbit/s each, the server's link 80
#   short      60 and 30 Mbit/s, more than that to send: without `strict` it gives way
#   strict     the same with `strict: true`
#
# usage: BUILD=build tests/bench/split.sh [CASE…]
. "$(dirname "$0")/../e2e/lib.sh"

BYTES=${BYTES:-100000000}
NETWORKS='[ { name: cellular, prefixes: [ 10.1.0.0/24 ] }, { name: wlan, prefixes: [ 10.2.0.0/24 ] } ]'
rows=()

shape() { # CASE
	nsx sv tc qdisc del dev sv0 root 2>/dev/null
	case $1 in
	unshaped) topo_shape 0 0 && topo_shape 1 0 ;;
	room)
		topo_shape 0 100 && topo_shape 1 100
		nsx sv tc qdisc add dev sv0 root tbf rate 80mbit burst 64k latency 100ms
		;;
	*) topo_shape 0 60 && topo_shape 1 30 ;;
	esac
}

# download: sets down0, down1 (bytes on each link) and ms
download() {
	local before0 before1
	before0=$(topo_down_bytes 0) before1=$(topo_down_bytes 1)
	conv_bg get --converter "$V4" --server "$SV4:8000" --bind 10.1.0.2:0 recvall
	reap get 120
	[ "$(report_get get 'd["rx"]["bytes"], d["rx"]["wrong_at"]')" = "[$BYTES, null]" ] ||
		echo "split.sh: not every byte arrived: $(report_get get 'd["rx"]')" >&2
	down0=$(($(topo_down_bytes 0) - before0)) down1=$(($(topo_down_bytes 1) - before1))
	ms=$(report_get get 'd["total_ms"]')
}

row() { # CASE RATIO_OF_FIRST STRICT BASE_MS
	rows+=("$(awk -v c="$1" -v r="$2" -v s="$3" -v a="$down0" -v b="$down1" -v ms="$ms" -v base="$4" -v n="$BYTES" 'BEGIN {
		got = 100 * a / (a + b)
		printf "{\"case\": \"%s\", \"wanted\": %d, \"strict\": %s, \"got\": %.2f, \"off\": %.2f, \"mbit_s\": %.1f, \"of_unpaced\": %.3f}",
			c, r, s, got, got - r, n * 8 / 1000 / ms, base / ms }')")
	echo "${rows[-1]}" >&2
}

net_up
start_mpgated "access_networks=$NETWORKS" >/dev/null
start_server "8000:source:$BYTES" >/dev/null
for case in "${@:-unshaped room short strict}"; do
	# shellcheck disable=SC2086 # a list of words
	for one in $case; do
		shape "$one"
		ctl policy set '{ name: default }' >/dev/null
		base=
		# Without a limit a download is over within a second, and chance rules: the best of some.
		for _ in $([ "$one" != unshaped ] && echo 1 || echo 1 2 3 4 5); do
			download
			[ -n "$base" ] && [ "$base" -le "$ms" ] || base=$ms
		done
		strict=false
		[ "$one" != strict ] || strict=true
		for first in 50 60 70 80 90; do
			ctl policy set "{ name: default, split: { cellular: $first, wlan: $((100 - first)) }, strict: $strict }" >/dev/null
			download
			row "$one" "$first" "$strict" "$base"
		done
	done
done
printf '[\n'
printf '  %s,\n' "${rows[@]::${#rows[@]}-1}"
printf '  %s\n]\n' "${rows[-1]}"
