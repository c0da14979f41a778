#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# The point of mpgate in a minute and a half: one download over two access networks at once, and on
# through the loss of one of them; then a phone that knows of no proxy, whose sessions are taken over
# when the server speaks plain TCP and left alone when it speaks MPTCP; then a phone that moves from
# one gateway to another (demo_steer.sh). Exit status 1 if both links together carry less than 85 % of
# their sum, a byte differs, or the wrong sessions pass.
set -u
root=$(cd "$(dirname "$0")/.." && pwd)
export LAB=mgdemo$$ LAB_RATES="40 20" LAB_FILE_MIB=32
plain=10.4.0.2 capable=10.4.0.3
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

# fetch NAME SERVER HOW…: downloads to $tmp/NAME by `lab HOW…`, Mbit/s (goodput) to $tmp/NAME.rate.
fetch() {
	local bytes_per_s
	bytes_per_s=$(lab "${@:3}" -s -o "$tmp/$1" -w '%{speed_download}' "http://$2/file") ||
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

fetch_bg() { # NAME SERVER HOW…
	fetch "$@" &
	bg=$!
}

finish_bg() {
	wait "$bg"
	bg=""
}

# connections SPACE SERVER: what is open to or from that server there, for people and as
# "TCP SUBFLOWS PEERS".
connections() {
	local side=src
	[ "$1" = sv ] || side=dst
	lab exec "$1" ss -HOtni state established "$side" "$2" | awk '
		{ sub(/:[0-9]+$/, "", $4); peers = peers " " $4 }
		/tcp-ulp-mptcp/ { subflows++; next }
		{ tcp++ }
		END { print tcp + 0, subflows + 0, peers }'
}

in_words() { # TCP SUBFLOWS PEERS…
	case "$1 $2" in
	"0 0") echo "nothing" ;;
	"$1 0") echo "plain TCP, connections: $1" ;;
	"0 $2") echo "MPTCP, subflows: $2" ;;
	*) echo "plain TCP, connections: $1; MPTCP, subflows: $2" ;;
	esac
}

# unconfigured NAME SERVER: the phone downloads from there, with MPTCP and no more; on the way, who has
# what is shown, and left in $at_phone, $at_server and $proxied.
unconfigured() {
	local sessions
	fetch_bg "$1" "$2" phone curl
	arrived "$1" 33 || bad "$1: it was over before its third"
	read -ra at_phone <<<"$(connections ue "$2")"
	read -ra at_server <<<"$(connections sv "$2")"
	sessions=$(lab ctl sessions)
	proxied=$(grep -c "$2:" <<<"$sessions")
	finish_bg
	check "$1"
	[ "$proxied" = 0 ] || echo "$sessions"
	echo "phone:   $(in_words "${at_phone[@]}")"
	echo "mpgated: sessions: $proxied"
	echo "server:  $(in_words "${at_server[@]}"), from ${at_server[*]:2}"
}

row() { # TITLE RATE REMARK
	local bar gap n
	n=$(awk -v r="$2" 'BEGIN { printf "%d", r / 2 + 0.5 }')
	printf -v bar '%*s' "$n" ""
	printf -v gap '%*s' $((31 - n)) ""
	printf '  %-27s %5.1f Mbit/s  %s%s%s\n' "$1" "$2" "${bar// /$block}" "$gap" "$3"
}

say "two access networks (40 and 20 Mbit/s), a proxy, a plain TCP web server"
lab up || exit 1
sum=$(sha256sum <"/run/mpgate-lab/$LAB/www/file")

say "the same $LAB_FILE_MIB MiB over each link alone, without the proxy"
fetch first "$plain" exec ue curl --interface 10.1.0.2
fetch second "$plain" exec ue curl --interface 10.2.0.2
check first
check second
echo "link 1: $(rate first) Mbit/s   link 2: $(rate second) Mbit/s"

say "mpgate-run curl http://$plain/file: both links through the converter; half way, mpgatectl sessions says"
fetch_bg both "$plain" run curl
arrived both 50 || bad "it was over before its half"
lab ctl sessions || bad "no session to show half way"
finish_bg
check both

say "once more, and link 1 dies after a third"
fetch_bg cut "$plain" run curl
arrived cut 33 || bad "it was over before the link could die"
lab cut 0
finish_bg
lab mend 0
check cut
whole=$([ "$failed" = 0 ] && echo "nothing lost")
echo "it ended with $(stat -c %s "$tmp/cut") of $((LAB_FILE_MIB * 1048576)) bytes"

say "the same phone without mpgate-run and without a setting: MPTCP to http://$plain/file, a plain TCP server"
unconfigured taken "$plain"
[ "${at_phone[*]:0:2} $proxied ${at_server[*]}" = "0 2 1 1 0 10.1.0.2" ] ||
	bad "the session was not taken over"

say "and to http://$capable/file, which speaks MPTCP itself: the session passes untouched"
unconfigured passed "$capable"
[ "${at_phone[*]:0:2} $proxied ${at_server[*]:0:2}" = "0 2 0 0 2" ] || bad "the session did not pass"

say "what mpgated has learned of the two (mpgatectl servers)"
lab ctl servers

share() { # NAME: per cent of what the links carry alone
	awk -v b="$(rate "$1")" -v x="$(rate first)" -v y="$(rate second)" \
		'BEGIN { printf "%d", x + y ? 100 * b / (x + y) : 0 }'
}

say "result"
row "link 1 alone" "$(rate first)" ""
row "link 2 alone" "$(rate second)" ""
row "both, mpgate-run" "$(rate both)" "$(share both) % of the sum"
row "both, link 1 dies" "$(rate cut)" "$whole"
row "both, nothing configured" "$(rate taken)" "$(share taken) % of the sum"
row "the same, server has MPTCP" "$(rate passed)" "$(share passed) % of the sum"

say "what XDP counted on the proxy"
lab ctl --json counters | python3 -c '
import json, sys
for name, n in json.load(sys.stdin)["xdp"]["class"].items():
    print("  %-12s %9d" % (name, n))'

for name in both taken; do
	[ "$(share "$name")" -ge 85 ] ||
		bad "$name: the links together gave only $(share "$name") % of their sum"
done

"$root/tools/demo_steer.sh" || bad "the phone that moves"
exit "$failed"
