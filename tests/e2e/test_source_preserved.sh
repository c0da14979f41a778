#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# converter.source: preserved. The server sees the UE's own address and, where it is free, its port;
# what the daemon set up for that is gone with it.
. "$(dirname "$0")/lib.sh"

net_up

routing() { # what of the proxy's routing a daemon could change
	ip -n "$TOPO-px" rule
	ip -6 -n "$TOPO-px" rule
	ip -n "$TOPO-px" route show table all
	ip -6 -n "$TOPO-px" route show table all | grep -v ^fe80 | sed 's/ expires.*//'
	nsx px tc filter show dev px1 ingress
	nsx px tc filter show dev px0 ingress
	nsx px tc qdisc show
	nsx px sysctl -a 2>/dev/null | grep -E 'rp_filter|src_valid_mark|accept_local|route_localnet'
}

before=$(routing)
start_mpgated converter.source=preserved \
	converter.listen="[ \"$V4\", \"10.3.0.2:5125\", \"$V6\" ]"
start_server 8000:echo 8001:source:20000000
fails "the daemon set up rules of its own" [ "$before" = "$(routing)" ]

seen() { # the addresses the server saw
	server_saw '[e["peer"] for e in ev if e["ev"] == "accept"]'
}

preserved() { # NAME CONVERTER SERVER BIND WANTED ARG…
	: >"$T/server.events"
	conv --converter "$2" --server "$3:8000" --bind "$4" --data hello "${@:6}" shutwr recvall
	is "$1: echoed" "$(conv_get 'd["rx"]["text"], d["end"]')" '["hello", "fin"]'
	like "$1: what the server saw" "$(seen)" "$5"
}

preserved "IPv4" "$V4" "$SV4" 10.1.0.2:40001 '^\["10\.1\.0\.2:40001"\]$'
preserved "IPv4, second link, plain TCP" "$V4" "$SV4" 10.2.0.2:40002 '^\["10\.2\.0\.2:40002"\]$' --tcp
preserved "IPv6" "$V6" "$SV6" "[fd00:1::2]:40003" '^\["\[fd00:1::2\]:40003"\]$'
preserved "IPv6, plain TCP" "$V6" "$SV6" "[fd00:2::2]:40004" '^\["\[fd00:2::2\]:40004"\]$' --tcp
preserved "IPv4 to IPv6: shared" "$V4" "$SV6" 10.1.0.2:40005 '^\["\[fd00:4::1\]:[0-9]+"\]$'
preserved "IPv6 to IPv4: shared" "$V6" "$SV4" "[fd00:1::2]:40006" '^\["10\.4\.0\.1:[0-9]+"\]$'

# The same UE port towards the same server twice: the second gets another port, not a refusal.
: >"$T/server.events"
conv_bg first --converter "$V4" --server "$SV4:8000" --bind 10.1.0.2:40007 --data one recv=3 wait \
	shutwr recvall
wait_until 5 server_is 'len(ev) > 1' true
is "sessions tells the source" "$(ctl_get sessions '[s["source"] for s in d]')" '["10.1.0.2:40007"]'
preserved "port taken" 10.3.0.2:5125 "$SV4" 10.1.0.2:40007 '^\["10\.1\.0\.2:[0-9]+"\]$'
fails "port taken: another one" [ "$(seen)" = '["10.1.0.2:40007"]' ]
go first
ok "the first goes on undisturbed" reap first 10
is "the first gets its echo" "$(report_get first 'd["rx"]["text"], d["end"]')" '["one", "fin"]'

: >"$T/server.events"
conv --converter "$V4" --server "$SV4:8001" --bind 10.1.0.2:40008 recvall shutwr
is "20 MB over both links, source kept" "$(conv_get 'd["rx"]["bytes"], d["rx"]["wrong_at"]')" \
	"[20000000, null]"
is "20 MB: what the server saw" "$(seen)" '["10.1.0.2:40008"]'
conv --converter "$V4" --server "$SV4:81" --bind 10.1.0.2:40009
is "a refusing server" "$(conv_get 'd["error"]["code"]')" 96
conv --converter "$V4" --server "10.6.0.1:80" --bind 10.1.0.2:40010
is "an unreachable server" "$(conv_get 'd["error"]["code"], d["error"]["value"]')" '[97, "01"]'

ok "what passes by the converter is forwarded" nsx ue timeout --foreground 10 python3 -c '
import socket
s = socket.create_connection(("10.4.0.2", 8000))
s.sendall(b"direct")
assert s.recv(6) == b"direct"
assert s.getpeername()[0] == "10.4.0.2"'

stop mpgated
is "the daemon ends well" $? 0
is "nothing of its routing is left" "$(routing)" "$before"

start_mpgated converter.source=preserved
stop mpgated KILL
fails "killed, it leaves its routing" [ "$(routing)" = "$before" ]
start_mpgated converter.source=shared converter.reply=at-once
is "one with a shared source takes it away" "$(routing)" "$before"
finish
