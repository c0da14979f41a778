#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# The point of mpgate in about a minute: one download over two access networks at once, and on
# through the loss of one of them. Exit status 1 if both together carry less than 85 % of their sum,
# or a byte differs.
set -u
root=$(cd "$(dirname "$0")/.." && pwd)
export LAB=mgdemo$$ LAB_RATES="40 20" LAB_FILE_MIB=36
url=http://10.4.0.2/file
tmp=$(mktemp -d)
failed=0 bg="" block="#"
[[ ${LC_ALL:-${LC_CTYPE:-${LANG:-}}} != *[Uu][Tt][Ff]* ]] || block="█"

lab() {
	"$root/tools/lab.sh" "$@"
}

cleanup() {
	trap '' INT TERM
	[ -z "$bg" ] || kill "$bg" 2>/dev/null
	lab down
	rm -rf "$tmp"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

say() {
	printf '\n== %s\n' "$*"
}

bad() {
	echo "FAILED: $*"
	failed=1
}

# fetch NAME HOW… : downloads to $tmp/NAME by `lab HOW… curl`, Mbit/s (goodput) to $tmp/NAME.rate.
fetch() {
	local bytes_per_s
	bytes_per_s=$(lab "${@:2}" -s -o "$tmp/$1" -w '%{speed_download}' "$url") ||
		{ echo "the download failed" >"$tmp/$1.error" && return 1; }
	awk -v b="$bytes_per_s" 'BEGIN { printf "%.1f\n", b * 8 / 1e6 }' >"$tmp/$1.rate"
}

rate() {
	cat "$tmp/$1.rate" 2>/dev/null || echo 0
}

# check NAME: what was downloaded is what the server has.
check() {
	[ ! -e "$tmp/$1.error" ] || bad "$1: $(cat "$tmp/$1.error")"
	[ "$(sha256sum <"$tmp/$1")" = "$sum" ] || bad "$1: the bytes differ"
}

# arrived NAME PERCENT: waits until so much is there; fails when the download is over before.
arrived() {
	local want=$((LAB_FILE_MIB * 1048576 * $2 / 100))
	while [ "$(stat -c %s "$tmp/$1" 2>/dev/null || echo 0)" -lt "$want" ]; do
		kill -0 "$bg" 2>/dev/null || return 1
		sleep 0.05
	done
}

fetch_bg() {
	fetch "$1" run curl &
	bg=$!
}

finish_bg() {
	wait "$bg"
	bg=""
}

row() { # TITLE RATE REMARK
	local bar gap n
	n=$(awk -v r="$2" 'BEGIN { printf "%d", r / 2 + 0.5 }')
	printf -v bar '%*s' "$n" ""
	printf -v gap '%*s' $((31 - n)) ""
	printf '  %-22s %5.1f Mbit/s  %s%s%s\n' "$1" "$2" "${bar// /$block}" "$gap" "$3"
}

say "two access networks (40 and 20 Mbit/s), a proxy, a plain TCP web server"
lab up || exit 1
sum=$(sha256sum <"/run/mpgate-lab/$LAB/www/file")

say "the same $LAB_FILE_MIB MiB over each link alone, without the proxy"
fetch first exec ue curl --interface 10.1.0.2
fetch second exec ue curl --interface 10.2.0.2
check first
check second
echo "link 1: $(rate first) Mbit/s   link 2: $(rate second) Mbit/s"

say "mpgate-run curl $url: both links through the proxy; half way, mpgatectl sessions says"
fetch_bg both
arrived both 50 || bad "it was over before its half"
lab ctl sessions || bad "no session to show half way"
finish_bg
check both

say "once more, and link 1 dies after a third"
fetch_bg cut
arrived cut 33 || bad "it was over before the link could die"
lab cut 0
finish_bg
lab mend 0
check cut
echo "it ended with $(stat -c %s "$tmp/cut") of $((LAB_FILE_MIB * 1048576)) bytes"

share=$(awk -v b="$(rate both)" -v x="$(rate first)" -v y="$(rate second)" \
	'BEGIN { printf "%d", x + y ? 100 * b / (x + y) : 0 }')
say "result"
row "link 1 alone" "$(rate first)" ""
row "link 2 alone" "$(rate second)" ""
row "both, through mpgate" "$(rate both)" "$share % of the sum"
row "both, link 1 dies" "$(rate cut)" "$([ "$failed" = 0 ] && echo "nothing lost")"

say "what XDP counted on the proxy"
lab ctl --json counters | python3 -c '
import json, sys
for name, n in json.load(sys.stdin)["xdp"]["class"].items():
    print("  %-12s %9d" % (name, n))'

[ "$share" -ge 85 ] || bad "both links together gave only $share % of their sum"
exit "$failed"
