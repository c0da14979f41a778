#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# proxy_protocol: v2 on a CPE. What goes through a converter bears no header of the CPE's, which would
# be data to the server; what goes straight to its server does.
. "$(dirname "$0")/lib.sh"
. "$E2E_DIR/cpe.sh"

cpe_net_up
start_server 8000:echo
start_mpgated
policy=("default_policy={ proxy_protocol: v2 }" intercept.stale_ms=3000)

first() {
	server_saw '[e["hex"] for e in ev if e["ev"] == "first"]'
}

start_cpe cpe.converter="\"$V4\"" "${policy[@]}"
host "$SV4:8000" --bind 192.168.0.2:43001 text=hello recv=5 shutwr recvall
is "through the converter: echoed" "$(host_get 'd["rx"]["text"], d["end"]')" '["hello", "fin"]'
is "through the converter: no header" "$(first)" '["68656c6c6f"]'
is "none is counted" "$(cpe_get counters 'd["sharing"]["proxy_headers"]')" 0
stop cpe

: >"$T/server.events"
start_cpe "${policy[@]}"
host "$SV4:8000" --bind 192.168.0.2:43002 text=hello recv=5 shutwr recvall
like "straight to the server: the header" "$(first)" \
	'^\["0d0a0d0a000d0a515549540a2111....c0a800020a040002a7fa1f4005'
is "one is counted" "$(cpe_get counters 'd["sharing"]["proxy_headers"]')" 1
stop cpe
stop mpgated
finish
