#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# A long transfer each way, every byte compared with what it must be at its place. 2 GB, or 10 GB with
# MG_TEST_FULL=1.
# test: timeout=400
. "$(dirname "$0")/lib.sh"

down=1500000000 up=500000000 limit_s=180
[ "${MG_TEST_FULL:-0}" != 1 ] || down=10000000000 up=10000000000 limit_s=1200

net_up
start_mpgated
start_server "8000:source:$down" 8001:sink

spawn down nsx ue python3 "$TOOLS/rawconv.py" --converter "$V4" --server "$SV4:8000" recvall shutwr
ok "down: ends" reap down $limit_s
is "down: every byte" "$(report_get down 'd["rx"]["bytes"], d["rx"]["wrong_at"], d["end"]')" \
	"[$down, null, \"fin\"]"
diag "down: $(report_get down "int($down * 8 / 1000 / d['total_ms'])") Mbit/s"
spawn up nsx ue python3 "$TOOLS/rawconv.py" --converter "$V6" --server "$SV6:8001" "send=$up" shutwr \
	recvall
ok "up, IPv6: ends" reap up $limit_s
ok "up, IPv6: every byte" wait_until 5 server_is \
	'[[e["bytes"], e["wrong_at"]] for e in ev if e["ev"] == "fin" and e["port"] == 8001]' \
	"[[$up, null]]"
is "the counters add up" "$(ctl_get counters 'd["relay"]["bytes_up"], d["relay"]["bytes_down"]')" \
	"[$up, $down]"
finish
