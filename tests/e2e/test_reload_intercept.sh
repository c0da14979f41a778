#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# What is intercepted changes with a reload, in the kernel's maps too; what cannot change live is named,
# and then nothing changes. status tells what is held, and that somebody attends to it.
. "$(dirname "$0")/lib.sh"

net_up nojoin
start_mpgated intercept.mode=hybrid intercept.except='[ 22 ]'

map() { # NAME EXPR: over the list of entries
	nsx px bpftool -j map dump pinned "$BPFFS/$1" | jget "$2"
}

wanted() { # FIELD: of mg_intercept
	map mg_intercept "[e['formatted']['value']['$1'] for e in d][0]"
}

ports() { # PORT…: which of them the kernel's side takes for intercepted
	local IFS=,
	map mg_ports "[p for p in [$*] if d[p // 64]['formatted']['value'] >> (p % 64) & 1]"
}

logged() {
	grep -qE "$1" "$T/mpgated.log"
}

reload() { # WAIT_FOR_LOG KEY=VALUE…
	: >"$T/mpgated.log"
	write_config "${@:2}"
	kill -HUP "${PID[mpgated]}"
	wait_until 5 logged "$1"
}

is "status: the mode" "$(ctl_get status 'd["intercept"]')" '{"mode": "hybrid"}'
is "status: no LAN" "$(ctl_get status 'd["cpe"]')" null
is "status: what is held" "$(ctl_get status 'd["hold"]["kinds"]')" '["intercept", "convert"]'
is "status: it can be" "$(ctl_get status 'd["features"]["hold"]')" true
ok "status: all workers are alive" wait_until 2 ctl_is status 'd["hold"]["alive"]' true
is "status: the oldest sign of life is young" "$(ctl_get status '0 <= d["hold"]["beat_age_ms"] <= 200')" true
like "status, for people" "$(ctl status)" 'intercept  hybrid.*SYNs held  intercept convert.*heartbeat  alive, [0-9]+ ms ago'
is "the kernel's side: hybrid, ten minutes" "$(wanted mode) $(wanted learn_ttl_ns) $(wanted held_per_subscriber)" \
	"3 600000000000 256"
is "the kernel's side: all ports but one" "$(ports 1 21 22 23 80 65535)" "[1, 21, 23, 80, 65535]"

ok "another mode, other ports, other limits" reload "in force" intercept.mode=take-over \
	intercept.ports='[ 80, 443, 8443 ]' intercept.except='[ 443 ]' intercept.learn_ttl_s=7 \
	intercept.held_per_subscriber=9 intercept.on_overload=drop intercept.on_failure=closed \
	intercept.stale_ms=1000
is "status follows" "$(ctl_get status '[d["intercept"]["mode"], d["hold"]["stale_ms"]]')" '["take-over", 1000]'
is "the kernel's side follows" \
	"$(wanted mode) $(wanted learn_ttl_ns) $(wanted held_per_subscriber) $(wanted beat_stale_ms)" \
	"1 7000000000 9 1000"
is "on overload, on failure" "$(wanted drop_on_overload) $(wanted drop_on_failure)" "1 1"
is "and the ports" "$(ports 1 22 79 80 81 443 8443 65535)" "[80, 8443]"
ok "workers beat on" wait_until 2 ctl_is status 'd["hold"]["alive"]' true

for change in intercept.mode=off intercept.held_max=7 intercept.source=shared converter.reply=at-once; do
	key=${change%%=*}
	with=(intercept.mode=take-over intercept.stale_ms=500)
	[ "$key" != intercept.mode ] || with=(intercept.stale_ms=500)
	ok "$change cannot be had live: it is refused" reload "running configuration stays" "${with[@]}" "$change"
	like "$change: it is named" "$(<"$T/mpgated.log")" "$key: cannot change while running"
	is "$change: nothing else changed" "$(wanted mode) $(wanted beat_stale_ms)" "1 1000"
done

ok "back to the defaults" reload "in force" intercept.mode=transparent
is "the kernel's side is back, too" "$(wanted mode) $(wanted drop_on_failure) $(ports 22 443)" "2 0 [22, 443]"
finish
