#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# A thousand sessions with a split that are at rest cost the daemon nothing: nobody looks at them.
# test: alone timeout=120
. "$(dirname "$0")/lib.sh"

NETWORKS='[ { name: cellular, prefixes: [ "10.1.0.0/24", "fd00:1::/64" ] }, { name: wlan, prefixes: [ "10.2.0.0/24", "fd00:2::/64" ] } ]'
SECONDS_AT_REST=5

net_up
ulimit -n 16384
start_mpgated "access_networks=$NETWORKS" converter.pending_per_client=1000 \
	'default_policy={ split: { cellular: 30, wlan: 70 } }'
spawn mirror nsx sv python3 "$TOOLS/mirror.py" mirror 8000
ok "a server" wait_until 10 grep -q listening "$T/mirror.log"
mkfifo "$T/herd.in"
spawn herd nsx ue python3 "$TOOLS/herd.py" --wait-on "$T/herd.in" --server "$SV4:8000" --count 1000 --rounds 1 \
	--gap 600000 --patience 600 "$V4"
ok "a thousand sessions" wait_until 60 grep -q "^ready 1000" "$T/herd.log"
is "all of them steered" "$(ctl_get sessions 'len([s for s in d if s["steering"] == "load-balancing"])')" 1000

cpu_ticks() { # of the daemon, a hundred a second
	awk '{ print $14 + $15 }' "/proc/${PID[mpgated]}/stat"
}

sleep 3 # the last of them moved
before=$(cpu_ticks)
sleep "$SECONDS_AT_REST"
# A look of each every 50 ms is some 20000 a second, and all of a CPU.
between "they rest: ticks of CPU in $SECONDS_AT_REST s" $(($(cpu_ticks) - before)) 0 10
is "and none is paced" "$(bpftool -j map dump pinned "$BPFFS/mg_paces" | jget 'len(d)')" 0
is "all are still there" "$(ctl_get sessions 'len(d)')" 1000
stop herd KILL
finish
