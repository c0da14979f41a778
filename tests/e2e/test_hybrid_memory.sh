#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# What hybrid mode remembers of servers: it is listed, it ends in its time unless connections confirm
# it, it can be forgotten by hand, and it goes when the server turns out to be otherwise.
. "$(dirname "$0")/lib.sh"

net_up nojoin
start_server 8000:echo
start_mserver m8443:echo m8444:echo
start_mpgated intercept.mode=hybrid intercept.learn_ttl_s=3

call() { # SERVER: leaves what the phone had in $T/conv.json
	direct "$1" text=hello recv=5 shutwr recvall
	[ "$(conv_get 'd["rx"]["text"]')" = hello ]
}

probes() {
	ctl_get counters 'd["servers"]["probes"]'
}

known() { # SERVER: as mptcp or not, while it counts
	ctl_get servers "[s['mptcp'] for s in d if s['server'] == '$1' and s['expires_s'] > 0]"
}

known_is() {
	[ "$(known "$1")" = "$2" ]
}

elapsed() {
	[ "$(now_ms)" -ge "$1" ]
}

# ---- by hand ----
ok "an MPTCP server" call "$SV4:8443"
ok "another one" call "$SV6:8444"
ok "a plain one" call "$SV4:8000"
is "they are known" "$(ctl_get servers 'sorted([s["server"], s["mptcp"]] for s in d)')" \
	"[[\"$SV4:8000\", false], [\"$SV4:8443\", true], [\"$SV6:8444\", true]]"
like "and listed for people" "$(ctl servers)" "10\.4\.0\.2:8443"
ok "one is forgotten" ctl servers forget "$SV4:8443"
is "it is gone, the others are not" "$(known "$SV4:8443") $(known "$SV4:8000") $(known "$SV6:8444")" \
	"[] [false] [true]"
fails "one that is not known cannot be forgotten" ctl servers forget "$SV4:9"
fails "what is no server, neither" ctl servers forget nonsense
before=$(probes)
ok "the forgotten one is asked again" call "$SV4:8443"
is "by a probe" "$(probes)" $((before + 1))
is "MPTCP end to end" "$(conv_get 'd["mptcp"]')$(mserver_saw '[e for e in ev if e["ev"] == "accept"][-1]["mptcp"]')" \
	truetrue
ok "all are forgotten" ctl servers forget all
is "none is known" "$(ctl_get servers 'len(d)')" 0

# ---- in its time ----
begin=$(now_ms)
ok "known once more" call "$SV4:8443"
ok "the plain one, too" call "$SV4:8000"
before=$(probes)
wait_until 4 elapsed $((begin + 2000))
ok "2 s later it is called" call "$SV4:8443"
is "without a probe" "$(probes)" "$before"
ok "the plain one is forgotten in its time" wait_until 4 known_is "$SV4:8000" "[]"
is "the other one is not: that call confirmed it" "$(known "$SV4:8443")" "[true]"
ok "left alone, it is forgotten" wait_until 4 known_is "$SV4:8443" "[]"
ok "called" call "$SV4:8443"
is "it is probed again" "$(probes)" $((before + 1))

# ---- reality ----
is "known as MPTCP" "$(known "$SV4:8443")" "[true]"
stop mserver
spawn mserver nsx sv python3 "$TOOLS/server.py" --events "$T/mserver.events" 8443:echo m8000:echo
stop server
wait_until 10 mserver_is 'sum(e["ev"] == "listening" for e in ev)' 2
ok "it lost its MPTCP: the first connection gets through" call "$SV4:8443"
is "as plain TCP, end to end" "$(conv_get 'd["mptcp"]')" false
fails "it is not known as MPTCP any more" known_is "$SV4:8443" "[true]"
ok "the next one" call "$SV4:8443"
is "is taken over" "$(conv_get 'd["mptcp"]') $(known "$SV4:8443")" "true [false]"
ok "a plain one that learned MPTCP" call "$SV4:8000"
is "passes" "$(conv_get 'd["mptcp"]')$(mserver_saw '[e for e in ev if e["ev"] == "accept"][-1]["mptcp"]')" truetrue
ok "no session is left" wait_until 5 n_sessions_is 0
finish
