#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# mpgatectl against a control socket with canned answers: tables, JSON, errors, --top on a terminal.
set -u
cd "$(dirname "$0")/../.." || exit 1
build=${BUILD:-build}
tools=$PWD/tests/tools
case $build in /*) ;; *) build=$PWD/$build ;; esac
work=$(mktemp -d) || exit 1
fake=
cleanup() {
	exec 9>&-
	[ -z "$fake" ] || wait "$fake"
	rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 1' INT TERM HUP

n=0
failed=0
# result STATUS NAME [FILE]: FILE is shown if it went wrong.
result() {
	n=$((n + 1))
	if [ "$1" -eq 0 ]; then
		echo "ok $n - ctl $2"
		return
	fi
	echo "not ok $n - ctl $2"
	[ -z "${3:-}" ] || sed 's/^/# /' "$3"
	failed=1
}

start_fake() {
	mkfifo "$work/hold" "$work/ready"
	"$tools/fake_control.py" "$work/s" 12 <"$work/hold" >"$work/ready" &
	fake=$!
	# The server lives as long as this end is open.
	exec 9>"$work/hold"
	read -r line <"$work/ready" && [ "$line" = ready ]
}

ctl() {
	"$build/mpgatectl" --socket "$work/s" "$@" >"$work/out" 2>"$work/err"
	status=$?
	cat "$work/out" "$work/err" >"$work/all"
}

# prints NAME REGEX ARGS...: ends well and prints a line that matches.
prints() {
	name=$1 regex=$2
	shift 2
	ctl "$@"
	[ "$status" -eq 0 ] && [ ! -s "$work/err" ] && grep -Eq "$regex" "$work/out"
	result $? "$name" "$work/all"
}

# fails NAME STATUS LINE ARGS...: exactly that status, that line on stderr, nothing on stdout.
fails() {
	name=$1 want=$2 line=$3
	shift 3
	ctl "$@"
	[ "$status" -eq "$want" ] && [ ! -s "$work/out" ] &&
		[ "$(head -n 1 "$work/err")" = "mpgatectl: $line" ] &&
		{ [ "$want" -ne 1 ] || [ "$(wc -l <"$work/err")" -eq 1 ]; }
	result $? "$name" "$work/all"
}

# json NAME PYTHON ARGS...: the output is JSON, r, of which the expression is true.
json() {
	name=$1 expression=$2
	shift 2
	ctl --json "$@"
	[ "$status" -eq 0 ] &&
		python3 -c 'import json, sys; r = json.load(sys.stdin); sys.exit(not eval(sys.argv[1]))' \
			"$expression" <"$work/out" 2>>"$work/all"
	result $? "$name" "$work/all"
}

# top NAME TERM ROWS COLS REGEX KEYS PYTHON: of the screen's text s and the last line e.
top() {
	name=$1 term=$2 rows=$3 cols=$4 regex=$5 keys=$6 expression=$7
	TERM=$term "$tools/pty_run.py" "$rows" "$cols" "$regex" "$keys" \
		"$build/mpgatectl" --socket "$work/s" sessions --top >"$work/all" 2>&1
	python3 "$work/screen.py" "$expression" "$work/all" "$rows" "$cols" >"$work/why" 2>&1
	result $? "$name" "$work/all"
}

start_fake || { echo "Bail out! no fake control server"; exit 1; }

prints "status: head" '^px1  running  up 1 d 2 h  \(mpgate 0\.1\.0, pid 4711\)$' status
prints "status: interface" '^px0 +access +native\+dispatcher +12$' status
prints "status: converter" '^CONVERTER  10\.3\.0\.2:5124  \[fd00:3::2\]:5124$' status
prints "status: sessions" '^sessions   12 active, 1,234,567 accepted$' status
prints "status: features" '^no   xdp_dispatcher: nobody shares$' status
prints "status: mode" '^intercept  hybrid$' status
prints "status: LAN" '^LAN        br0 br1$' status
prints "status: the ISP's converter" '^converter  192\.0\.2\.1:5124$' status
prints "status: what is held" '^SYNs held  intercept cpe$' status
prints "status: heartbeat" '^heartbeat  alive, 17 ms ago$' status
prints "status: gateway" '^GATEWAY$' status
prints "status: a store that is away" '^store      redis, not reachable$' status
prints "status: tokens" '^tokens     1,234 of 65,536$' status
prints "status: proxies" '^proxies    2 up, 0 draining, 1 down$' status
prints "sessions: heads" '^ID  KIND +STATE  CLIENT .* AGE$' sessions
prints "sessions: a row" \
	'^ 7  convert    relay  10\.1\.0\.2:40007  \[2001:db8::80\]:443  mptcp +p1 +2 .* 2 h 3 min$' sessions
prints "sessions: fall-back" '10\.1\.0\.2:40010 .*  fallback  ' sessions
ctl sessions
[ "$(wc -l <"$work/out")" -eq 13 ] && [ "$(awk '{ print length }' "$work/out" | sort -u | wc -l)" -eq 1 ]
result $? "sessions: columns line up" "$work/all"
! grep -q "$(printf '\033')" "$work/out"
result $? "no colours in a pipe" "$work/all"
prints "session: token" '^token +e3881c95$' session 7
prints "session: subflow" '^10\.3\.0\.2:5124  10\.2\.0\.2:40002  wlan +client' session 7
prints "session: keys of a later version" '^new +\{"a":\[1,null,2\.5\]\}$' session 904
prints "session: text fit for a terminal" '^server  a\?\[2Jb\?$' session 903
prints "session: what is not there" '^source +-$' session 905
prints "session: kind" '^kind +intercept$' session 8
prints "session: the server's side" '^server_mptcp +yes$' session 8
prints "servers: heads" '^SERVER +MPTCP  SOURCE   +EXPIRES$' servers
prints "servers: one with MPTCP" '^192\.0\.2\.80:443 +yes +passive +9 min 59 s$' servers
prints "servers: one without" '^\[2001:db8::80\]:80 +no +probe +1 min 1 s$' servers
prints "servers forget one" '^forgotten: \[2001:db8::80\]:80$' servers forget '[2001:db8::80]:80'
prints "servers forget all" '^forgotten: all$' servers forget all
prints "proxies: heads" '^NAME  ADDRESS +WEIGHT  STATE  SESSIONS +SHARE  KIND +LOCATION  DELIVER +FAULT' proxies
prints "proxies: one that is up" \
	'^px1   10\.3\.0\.21 +2  up +1,234  66\.67 %  off-path  metro +ipip +- *$' proxies
prints "proxies: one that is down" \
	'^px2   fd00:3::22 +1  down +-   0\.00 %  on-path   - +l2 \(no way\)  Connection refused$' proxies
prints "tokens: heads" '^TOKEN +PROXY  ORIGIN +AGE$' tokens
prints "tokens: pushed" '^00a1b2c3  px1    pushed   1 min 1 s$' tokens
prints "tokens: learned" '^fffffff0  px1    learned        0 s$' tokens
prints "tokens: one that nobody knows" '^no tokens$' tokens 1
prints "ring: head" '^metro  hash subscriber, 65,537 slots, changed 1 h 1 min ago$' ring metro
prints "ring: a member" '^px2 +0 +0\.00 %  21,845$' ring metro
prints "locate" '^slot +7$' locate 10.1.0.2:40000 10.9.0.1:5124
prints "locate: a join" '^token +0000abcd$' locate --join abcd 10.1.0.2:40000 10.9.0.1:5124
prints "drain a proxy" '^draining: px1$' drain px1
prints "undrain it" '^no longer drained: px1$' undrain px1
prints "counters: SYNs held" '^  held +4,321$' counters
prints "counters: a group" '^xdp class$' counters
prints "counters: digits" '^  data +98,765,432$' counters
prints "counters: bytes" '^  bytes_down +12\.3 GB \(12,345,678,901\)$' counters
prints "counters: zeros of a short group" '^  drop +0$' counters
prints "counters: zeros of a long group" '^  others +0$' counters
! grep -q reason_ "$work/out"
result $? "counters: zeros of a long group are left out" "$work/all"
prints "config: YAML" '^node: "px1"$' config
prints "close" '^closed: 7$' close 7
prints "log-level" '^log level set: debug$' log-level debug
prints "version" '^mpgatectl [0-9]+\.[0-9]+\.[0-9]+$' --version
prints "help lists the commands" '^  servers forget ADDR:PORT\|all +ask' --help
prints "help lines up" '^  log-level LEVEL              +error, warning, info or debug$' --help

json "JSON: status" 'r["pid"] == 4711 and r["features"]["sockops"] is True' status
json "JSON: sessions" '[s["id"] for s in r] == list(range(1, 13))' sessions
json "JSON: session" 'r["id"] == 7 and len(r["subflows"]) == 2' session 7
json "JSON: counters" 'r["xdp"]["class"]["data"] == 98765432' counters
json "JSON: servers" 'r[0] == {"server": "192.0.2.80:443", "mptcp": True, "expires_s": 599, "source": "passive"}' \
	servers
json "JSON: status on the path" 'r["hold"]["beat_age_ms"] == 17 and r["cpe"]["lan"] == ["br0", "br1"]' status
json "JSON: proxies" '[p["state"] for p in r] == ["up", "down"] and r[1]["sessions"] is None' proxies
json "JSON: a token" '[t["proxy"] for t in r] == ["px1", "px2"]' tokens A1B2C3
json "JSON: ring" 'sum(m["slots"] for m in r["members"]) == r["slots"]' ring metro
json "JSON: locate, as it was asked" \
	'(r["client"], r["to"], r["kind"]) == ("10.1.0.2:1", "10.9.0.1:2", "capable") and "token" not in r' \
	locate 10.1.0.2:1 10.9.0.1:2
json "JSON: locate, with all there is" \
	'(r["client"], r["in"], r["kind"], r["token"]) == ("[fd00::2]:1", "eth0", "join", "00000007")' \
	locate --in eth0 --join 7 '[fd00::2]:1' '[fd00:9::1]:2'
json "JSON: locate, data" 'r["kind"] == "data"' locate --data 10.1.0.2:1 10.9.0.1:2
json "JSON: locate, plain TCP" 'r["kind"] == "syn"' locate --syn 10.1.0.2:1 10.9.0.1:2
json "JSON: config is the YAML as a string" 'r.startswith("node:")' config
json "JSON: close" 'r == {}' close 7

fails "an error of the daemon" 1 "no session 99" session 99
fails "root only" 1 "drain is for root only" drain
fails "hung up on" 1 "the daemon closed the connection" session 900
fails "nonsense" 1 "the answer makes no sense" session 901
fails "half an answer" 1 "the daemon closed the connection" session 902
fails "no daemon" 1 "no daemon at $work/none (is mpgated running?)" --socket "$work/none" status
fails "not a socket" 1 "no daemon at $work/out (is mpgated running?)" --socket "$work/out" status
long=$(printf '%0120d' 0)
fails "a path too long" 1 "the path of a socket has at most 107 bytes: $long" -s "$long" status
fails "no command" 2 "which command?"
fails "unknown command" 2 'unknown command "stats"' stats
fails "unknown option" 2 "unrecognized option '--all'" status --all
fails "an argument too many" 2 'status does not take "7"' status 7
fails "an argument too few" 2 "session needs ID" session
fails "no number" 2 'close needs the number of a session, not "7x"' close 7x
fails "no such number" 2 'session needs the number of a session, not "0"' session 0
fails "number too large" 2 \
	'session needs the number of a session, not "9223372036854775808"' \
	session 9223372036854775808
fails "a server nobody knows" 1 "nothing is known of 192.0.2.99:80" servers forget 192.0.2.99:80
fails "forget needs a server" 2 "servers forget needs ADDR:PORT|all" servers forget
fails "no server" 2 'servers forget needs a server'"'"'s address and port, or all, not "10.0.0.1"' \
	servers forget 10.0.0.1
fails "servers alone take nothing" 2 'servers does not take "remember"' servers remember
fails "one server at a time" 2 'servers forget does not take "all"' servers forget all all
fails "the wire's name is none" 2 'unknown command "servers-forget"' servers-forget all
fails "no such level" 2 'log-level needs error, warning, info or debug, not "loud"' log-level loud
fails "no such proxy" 1 "this host steers to no proxy px9" drain px9
fails "no such group" 1 "no group rural" ring rural
fails "ring needs a group" 2 "ring needs GROUP" ring
fails "undrain needs a proxy" 2 "undrain needs PROXY" undrain
fails "a name too long" 2 "ring needs the name of a group, not \"$long\"" ring "$long"
fails "no token" 2 'tokens needs a token in hex, not "0x12"' tokens 0x12
fails "locate needs two ends" 2 "locate needs CLIENT:PORT SERVER:PORT" locate 10.1.0.2:1
fails "locate needs ports" 2 'locate needs an address and port, not "10.9.0.1"' \
	locate 10.1.0.2:1 10.9.0.1
fails "three ends" 2 'locate does not take "10.9.0.2:2"' locate 10.1.0.2:1 10.9.0.1:2 10.9.0.2:2
fails "two kinds of packets" 2 "locate is about one kind of packet" \
	locate --syn --data 10.1.0.2:1 10.9.0.1:2
fails "no token of a join" 2 '--join needs a token in hex, not "x"' \
	locate --join x 10.1.0.2:1 10.9.0.1:2
fails "no interface" 2 '--in needs the name of an interface, not "0123456789abcdef"' \
	locate --in 0123456789abcdef 10.1.0.2:1 10.9.0.1:2
fails "--in alone" 2 "--in, --join, --capable, --syn and --data go with locate only" proxies --in eth0
fails "--top alone" 2 "--top goes with sessions only" status --top
fails "--top as JSON" 2 "--top and --json do not go together" sessions --top --json
fails "--socket without a path" 2 "option '--socket' requires an argument" status --socket

if [ "$(id -u)" -eq 0 ]; then
	chmod 755 "$work"
	chmod 660 "$work/s"
	setpriv --reuid 65534 --regid 65534 --clear-groups \
		"$build/mpgatectl" --socket "$work/s" status >"$work/out" 2>"$work/err"
	status=$?
	[ "$status" -eq 1 ] && [ "$(cat "$work/err")" = \
		"mpgatectl: no permission for $work/s (run as root, or join its group)" ]
	result $? "no permission" "$work/err"
else
	n=$((n + 1))
	echo "ok $n - ctl no permission # SKIP needs root"
fi

"$build/mpgatectl" --socket "$work/s" sessions >/dev/full 2>"$work/err"
status=$?
[ "$status" -eq 1 ] && grep -q '^mpgatectl: cannot write: ' "$work/err"
result $? "a full disk is an error" "$work/err"

"$build/mpgatectl" --socket "$work/s" sessions 2>"$work/err" | true
[ ! -s "$work/err" ]
result $? "a reader that leaves is none" "$work/err"
"$build/mpgatectl" --socket "$work/s" sessions --top 2>"$work/err" </dev/null | head -n 1 >"$work/out"
grep -q '^12 sessions  up ' "$work/out" && [ ! -s "$work/err" ]
result $? "nor one that leaves --top" "$work/err"

cat >"$work/screen.py" <<'EOF2'
import re, sys
text = open(sys.argv[2], encoding="utf-8", errors="replace", newline="").read()
rows, cols = int(sys.argv[3]), int(sys.argv[4])
s, e = text.rsplit("\nmatched", 1)
pages = [re.sub(r"\x1b\[[0-9?]*[a-zA-Z]", "", p).split("\r\n") for p in s.split("\x1b[H\x1b[J")[1:]]
ids = [[int(l.split()[0]) for l in p[3:] if re.match(r" *\d+  ", l)] for p in pages]
fits = all(len(p) <= rows and all(len(l) <= cols for l in p) for p in pages)
sys.exit(not eval(sys.argv[1]))
EOF2

ended='"True status 0 terminal restored" in e'
# The second page has rates: 12 sessions, the fastest first.
top "top: busiest first" xterm 40 120 'sessions  up.*sessions  up' q \
	"$ended and ids[-1] == list(range(12, 0, -1)) and fits"
top "top: rates from deltas" xterm 40 120 'Mbit/s.*AGE' q \
	"$ended and any(re.match(r'12 .* (9|1[0-5])\.\d Mbit/s ', l) for l in pages[-1])"
top "top: fits a small window" xterm 8 50 'sessions  up.*sessions  up' q \
	"$ended and fits and ids[-1] == [12, 11, 10, 9]"
top "top: gives the screen back" xterm 24 80 'sessions  up' q \
	"$ended and s.startswith('\x1b[?1049h') and s.endswith('\x1b[?25h\x1b[?1049l')"
top "top: Ctrl-C" xterm 24 80 'sessions  up' '\x03' "$ended and s.endswith('\x1b[?1049l')"
top "top: SIGTERM" xterm 24 80 'sessions  up' -SIGTERM "$ended and s.endswith('\x1b[?1049l')"
top "top: dumb terminal" dumb 24 80 'sessions  up.*sessions  up' q \
	"$ended and '\x1b' not in s and s.count('sessions  up') >= 2"

echo "1..$n"
exit "$failed"
