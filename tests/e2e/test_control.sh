#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# The control socket: who may do what, what the commands say, in JSON and for people.
. "$(dirname "$0")/lib.sh"

net_up
start_mpgated
start_server 8000:echo
socket=$RUN/control.sock
chmod 755 "$T"
cp "$BUILD/mpgatectl" "$T/mpgatectl" # where everybody may run it
chmod 755 "$T/mpgatectl"

conv_bg one --converter "$V4" --server "$SV4:8000" --bind 10.1.0.2:40001 text=12345 recv=5 wait shutwr \
	recvall
wait_until 5 ctl_is sessions '[s["bytes_down"] for s in d]' "[5]"
wait_until 5 ctl_is sessions 'len(d[0]["subflows"])' 2
id=$(ctl_get sessions 'd[0]["id"]')

# ---- who ----
group=$(stat -c %g "$socket")
other=$((group == 65534 ? 65533 : 65534))
is "the socket is for its owner and group" "$(stat -c '%F %a %U' "$socket")" "socket 660 root"

as() { # GROUP ARG…: mpgatectl as an unprivileged user of that group
	setpriv --reuid=65534 --regid="$1" --clear-groups "$T/mpgatectl" --socket "$socket" "${@:2}"
}

for command in status sessions servers counters config "session $id"; do
	# shellcheck disable=SC2086 # words
	{
		ok "root: $command" ctl $command
		ok "the group: $command" as "$group" $command
		fails "others: $command" as $other $command
	}
done
for command in "close $id" "servers forget all" "log-level debug" drain; do
	# shellcheck disable=SC2086 # words
	{
		fails "the group may not: $command" as "$group" $command
		like "the group may not: $command: it is told" "$(<"$T/ok.out")" '[Pp]ermi|root|allowed'
		fails "others may not: $command" as $other $command
	}
done
is "nothing of that was done" "$(ctl_get status 'd["state"], d["converter"]["active"]')" '["running", 1]'

# ---- what, in JSON ----
is "status: shape" "$(ctl_get status 'sorted(d)')" \
	'["converter", "cpe", "features", "gateway", "hold", "intercept", "interfaces", "missing", "node", "pid", "policies", "state", "uptime_s", "version", "workers"]'
is "status: node, state, pid, workers" "$(ctl_get status 'd["node"], d["state"], d["pid"], d["workers"]')" \
	"[\"px1\", \"running\", ${PID[mpgated]}, 2]"
is "status: interfaces" "$(ctl_get status '[[i["name"], i["role"]] for i in d["interfaces"]]')" \
	'[["px0", "access"], ["px1", "core"]]'
is "status: the XDP programs are the kernel's" "$(ctl_get status 'd["interfaces"][0]["prog_id"]')" \
	"$(nsx px ip -o link show px0 | sed -n 's/.*prog\/xdp id \([0-9]*\).*/\1/p')"
like "status: how they run" "$(ctl_get status 'd["interfaces"][0]["xdp_mode"]')" \
	'^(native|generic)(\+dispatcher)?$'
is "status: converter" "$(ctl_get status 'd["converter"]')" \
	"{\"listen\": [\"$V4\", \"$V6\"], \"active\": 1, \"accepted\": 1}"
is "status: features are yes or no" "$(ctl_get status \
	'all(isinstance(v, bool) for v in d["features"].values()) and len(d["features"]) > 3')" true
is "status: what each missing one costs" "$(ctl_get status \
	'sorted(d["missing"]) == sorted(f for f, have in d["features"].items() if not have)')" true

is "sessions: shape" "$(ctl_get sessions 'sorted(d[0])')" \
	'["age_ms", "bytes_down", "bytes_up", "client", "fallback", "gives_way", "id", "kind", "mptcp", "policy", "server", "server_mptcp", "service", "source", "state", "steering", "subflows", "subscriber", "token"]'
is "sessions: who" "$(ctl_get sessions 'd[0]["kind"], d[0]["state"], d[0]["client"], d[0]["server"]')" \
	'["convert", "relay", "10.1.0.2:40001", "10.4.0.2:8000"]'
is "sessions: what moved" "$(ctl_get sessions 'd[0]["bytes_up"], d[0]["bytes_down"]')" '[5, 5]'
is "sessions: subflow shape" "$(ctl_get sessions 'sorted(d[0]["subflows"][0])')" \
	'["access", "backup", "backup_asked", "bytes_received", "bytes_sent", "cap_bytes_per_s", "local", "remote", "rtt_us", "share_permille", "works"]'
is "session: the same one, and more" "$(ctl_get session "$id" 'd["id"], d["client"], d["converter"]')" \
	"[$id, \"10.1.0.2:40001\", \"$V4\"]"
is "counters: shape" "$(ctl_get counters 'sorted(d), sorted(d["xdp"]["class"]), sorted(d["convert"])')" \
	'[["access", "admit", "convert", "hold", "mptcp", "radius", "relay", "servers", "sharing", "steer", "xdp"], ["convert", "data", "malformed", "mp_capable", "mp_join", "other", "syn"], ["connected", "errors", "requests"]]'
is "counters: held SYNs and known servers" "$(ctl_get counters 'sorted(d["hold"]), sorted(d["servers"])')" \
	'[["gave_up", "held", "joins", "lost", "overflow", "passed", "protected", "refused", "repeated", "replayed", "timed_out", "unattended"], ["forgotten", "known", "learned", "passes", "probes"]]'
is "counters of shared addresses" "$(ctl_get counters 'sorted(d["sharing"])')" \
	'["log_dropped", "log_errors", "log_lines", "no_ports", "proxy_header_bytes", "proxy_headers"]'
is "no gateway: status, counters" \
	"$(ctl_get status 'd["gateway"]') $(ctl_get counters 'sum(d["steer"].values())')" "null 0"
is "no gateway: proxies, tokens" "$(ctl_get proxies d) $(ctl_get tokens d)" "[] []"
fails "no gateway: no ring" ctl ring metro
fails "no gateway: nothing is steered" ctl locate 10.1.0.2:1 10.9.0.1:2
fails "no gateway: nobody to drain" ctl drain px2
like "no gateway: said" "$(<"$T/ok.out")" 'this host steers to no proxy px2'
is "servers: none is known" "$(ctl_get servers d)" '[]'
ok "servers forget all" ctl servers forget all
fails "servers forget one that is not known" ctl servers forget 192.0.2.1:80
like "servers forget: said" "$(<"$T/ok.out")" 'nothing is known of 192\.0\.2\.1:80'
is "counters: every error has its place" "$(ctl_get counters 'sorted(d["convert"]["errors"])')" \
	'["connection_reset", "destination_unreachable", "malformed_message", "missing_cookie", "network_failure", "not_authorized", "resource_exceeded", "unsupported_message", "unsupported_tcp_option", "unsupported_version"]'
ctl config >"$T/printed.yaml"
ok "config: what is printed is a configuration" nsx px "$BUILD/mpgated" --check -c "$T/printed.yaml"

# ---- what, for people ----
like "status" "$(ctl status)" 'px0 +access'
like "sessions" "$(ctl sessions)" '10\.1\.0\.2:40001 +10\.4\.0\.2:8000'
like "counters" "$(ctl counters)" convert
fails "no such session" ctl session 999999
like "no such session: said" "$(<"$T/ok.out")" 999999
fails "no such command" ctl dance
fails "close needs an id" ctl close
fails "no daemon behind the socket" "$BUILD/mpgatectl" --socket "$T/nothing.sock" status
like "no daemon behind the socket: said" "$(<"$T/ok.out")" 'nothing\.sock'

# ---- doing ----
ok "log-level debug" ctl log-level debug
fails "log-level loud" ctl log-level loud
ok "close" ctl close "$id"
ok "close: it is gone" wait_until 5 n_sessions_is 0
logged_close() {
	grep -q operator "$T/mpgated.log"
}
ok "close: at level debug the log tells" wait_until 5 logged_close
go one
reap one 5
is "close: the client is reset" "$(report_get one 'd["end"]')" rst

# Nonsense on the socket itself, then business as usual.
python3 - "$socket" <<-'END' >"$T/nonsense"
	import json, socket, sys
	def talk(data):
	    s = socket.socket(socket.AF_UNIX)
	    s.settimeout(5)
	    s.connect(sys.argv[1])
	    s.sendall(data)
	    f = s.makefile()
	    return [json.loads(f.readline() or "null") for _ in range(data.count(b"\n"))]
	answers = talk(b'nonsense\n{"cmd":"status"}\n{"cmd":"fly"}\n')
	print([a and a["ok"] for a in answers])
END
is "nonsense is answered, and what follows, too" "$(<"$T/nonsense")" "[False, True, False]"
ok "status after that" ctl status

# Who asks without end, and reads every answer, gets his turn and no more.
cat >"$T/flood.py" <<-'END'
	import socket, sys, threading
	s = socket.socket(socket.AF_UNIX)
	s.connect(sys.argv[1])
	def ask():
	    while True:
	        s.sendall(b'{"cmd":"status"}\n' * 2000)
	for _ in range(2):
	    threading.Thread(target=ask, daemon=True).start()
	for n in range(1, 1 << 30):
	    if not s.recv(1 << 20):
	        break
	    print(n, flush=True)
END
spawn flood python3 "$T/flood.py" "$socket"
flooding() {
	[ "$(tail -n 1 "$T/flood.log")" -gt 50 ]
}
ok "a client asks without end" wait_until 5 flooding
begin=$(now_ms)
for _ in 1 2 3 4 5 6 7 8 9 10; do ctl status >/dev/null; done
between "ten others are answered meanwhile (ms)" $(($(now_ms) - begin)) 0 5000
ok "it still asks" alive flood
stop flood KILL
finish
