#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# proxy_protocol: v2. HAProxy, as the server, hears of the phone and of itself in a header ahead of all
# data; who is not named by a policy or a service hears nothing.
. "$(dirname "$0")/lib.sh"
. "$E2E_DIR/sharing.sh"

net_up nojoin
route_pool
# One byte after the other has to wait for the header, whoever speaks first.
start_server 8000:echo 8001:echo 8002:banner:welcome

cat >"$T/haproxy.cfg" <<-END
	defaults
	  mode http
	  timeout client 10s
	  timeout server 10s
	  timeout connect 10s
	frontend told
	  bind 10.4.0.2:9000 accept-proxy
	  bind [fd00:4::2]:9000 accept-proxy
	  log stdout format raw local0
	  log-format "told %[src]|%[src_port]|%[dst]|%[dst_port]|%[fc_pp_unique_id]"
	  http-request return status 200 content-type text/plain string welcome
END
spawn haproxy nsx sv haproxy -db -f "$T/haproxy.cfg"
wait_until 10 nsx sv bash -c 'exec 3<>/dev/tcp/10.4.0.2/9000' || bail "HAProxy starts"

services='services=[ { name: web, match: [ "10.4.0.0/24:9000", "[fd00:4::]/64:9000" ], proxy_protocol: v2 } ]'
policies='policies=[ { name: mail, services: [ mail ], proxy_protocol: v2 } ]'
both="${services% ]}, { name: mail, match: [ \"10.4.0.2/32:8001-8002\" ] } ]"
get=$'GET / HTTP/1.0\r\n\r\n'

# told NAME BIND WANTED ARG…: what HAProxy was told, without the session's number
told() {
	conv --bind "$2" "${@:4}" shutwr recvall
	like "$1: served" "$(conv_get 'd["rx"]["text"]')" '^HTTP/1.1 200'
	ok "$1: told" wait_until 5 grep -qE "told ${3//|/\\|}/[0-9]+\$" "$T/haproxy.log"
}

from() { # of the one session the server saw: its first bytes in hex
	server_saw '[e["hex"] for e in ev if e["ev"] == "first"][0]'
}

start_mpgated "sharing={ pool: [ \"$POOL4\", \"$POOL6\" ] }" "$both" "$policies"
told "IPv4, data in the SYN" 10.1.0.2:40001 "10.1.0.2|40001|10.4.0.2|9000|px1" \
	--converter "$V4" --server "$SV4:9000" --data "$get"
told "plain TCP, data after the handshake" 10.2.0.2:40002 "10.2.0.2|40002|10.4.0.2|9000|px1" \
	--converter "$V4" --server "$SV4:9000" --data "$get" --tcp --deliver pieces
told "IPv6" "[fd00:1::2]:40003" "fd00:1::2|40003|fd00:4::2|9000|px1" \
	--converter "$V6" --server "$SV6:9000" --data "$get"
told "from IPv6 to IPv4" "[fd00:1::2]:40004" "fd00:1::2|40004|::ffff:10.4.0.2|9000|px1" \
	--converter "$V6" --server "$SV4:9000" --data "$get"
is "counted" "$(ctl_get counters 'd["sharing"]["proxy_headers"]')" 4

: >"$T/server.events"
conv --converter "$V4" --server "$SV4:8000" --data hello shutwr recvall
is "no service, no policy: no header" "$(from)" "$(printf hello | od -An -tx1 | tr -d ' \n')"
: >"$T/server.events"
conv --converter "$V4" --server "$SV4:8001" --bind 10.1.0.2:40005 --data hello shutwr recvall
like "by a policy: the header, then the data in the SYN" "$(from)" \
	'^0d0a0d0a000d0a515549540a2111....0a0100020a0400029c451f4105....7078312f'
is "and nothing else before the data" "$(conv_get 'd["rx"]["text"][-5:], d["rx"]["bytes"] - d["rx"]["text"].index("px1/")')" \
	'["hello", 10]'
: >"$T/server.events"
conv --converter "$V4" --server "$SV4:8002" --bind 10.1.0.2:40006 recv=7 shutwr recvall
like "also where the server speaks first" "$(from)" '^0d0a0d0a000d0a515549540a2111'
is "header bytes are no user bytes" "$(ctl_get counters \
	'd["relay"]["bytes_up"], d["sharing"]["proxy_header_bytes"] > 6 * 28')" \
	"[$((4 * 18 + 5 + 5)), true]"
stop mpgated

# ---- on the path ---------------------------------------------------------------------------------
start_mpgated intercept.mode=take-over "$services"
told "intercepted, source preserved" 10.1.0.2:40010 "10.1.0.2|40010|10.4.0.2|9000|px1" \
	--converter "$SV4:9000" --deliver never --no-answer "text=$get"
stop mpgated
start_mpgated intercept.mode=take-over intercept.source=shared "$services"
told "intercepted, source shared" 10.1.0.2:40011 "10.1.0.2|40011|10.4.0.2|9000|px1" \
	--converter "$SV4:9000" --deliver never --no-answer "text=$get"
is "one session, one header" "$(ctl_get counters 'd["sharing"]["proxy_headers"]')" 1
stop mpgated

# ---- servers with MPTCP --------------------------------------------------------------------------
start_mserver m8005:echo
start_mpgated converter.server_mptcp=always 'default_policy={ proxy_protocol: v2 }'
conv --converter "$V4" --server "$SV4:8005" --bind 10.1.0.2:40012 --data hello shutwr recvall
is "a server with MPTCP" "$(mserver_saw '[e["mptcp"] for e in ev if e["ev"] == "accept"]')" '[true]'
like "hears the same" "$(mserver_saw '[e["hex"] for e in ev if e["ev"] == "first"][0]')" \
	'^0d0a0d0a000d0a515549540a2111....0a0100020a0400029c4c1f45.*68656c6c6f$'
stop mpgated
finish
