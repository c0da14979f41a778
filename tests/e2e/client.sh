# shellcheck shell=bash
# SPDX-License-Identifier: BSD-2-Clause
# For the tests of the client: the reference converter and mpgate-run. Sourced after lib.sh.
#
# The reference converter (tests/tools/refconv.py) listens in the proxy's namespace, a mode a port.

export MPGATE_CACHE=$T/client-cache # nothing of this user's own
export C4=10.3.0.2 C6="[fd00:3::2]"

start_refconv() { # MODE@ADDR:PORT…
	local one args=()
	for one in "$@"; do args+=(--serve "$one"); done
	# SYN data without a cookie, as mpgated sets it for itself
	topo_sysctl px net.ipv4.tcp_fastopen=0x602
	spawn refconv nsx px python3 "$TOOLS/refconv.py" --events "$T/refconv.events" "${args[@]}"
	wait_until 10 grep -q listening "$T/refconv.events" || bail "the reference converter starts"
}

# A python expression over ev, the converter's events; prints it. refconv_is: for wait_until.
refconv_saw() {
	python3 "$TOOLS/jget.py" --lines ev "$1" <"$T/refconv.events"
}

refconv_is() {
	[ "$(refconv_saw "$1")" = "$2" ]
}

# A library built with the address sanitizer needs the sanitizer's before it.
sanitizer=$(ldd "$BUILD/libmpgate-preload.so" | awk '/libasan/ { print $3 }')

# mrun CONVERTER [OPTION…] CMD…: through mpgate-run in the UE's namespace, 30 s at most; a line for
# each connection goes to $T/mrun.log.
mrun() {
	local converter=$1 status
	shift
	LD_PRELOAD=$sanitizer ASAN_OPTIONS=detect_leaks=0:verify_asan_link_order=0 \
		nsx ue timeout 30 "$BUILD/mpgate-run" --log --converter "$converter" "$@" \
		2>"$T/mrun.log"
	status=$?
	cat "$T/mrun.log" >&2
	return $status
}

# probe CONVERTER WAY HOST [PORT] [OPTION…]: what connprobe.py prints.
probe() {
	mrun "$1" "${@:5}" python3 "$TOOLS/connprobe.py" "$2" "$3" "${4:-7}" 2>"$T/probe.log" |
		tail -n 1
}
