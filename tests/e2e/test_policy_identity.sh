#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Two addresses of one identity are one subscriber: its sessions and subflows are counted together, and
# its class is that of the identity.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/policy.sh
. "$(dirname "$0")/policy.sh"

net_up nojoin
start_server 8000:echo
start_policed <<-END
	access_networks:
	  - { name: cellular, prefixes: [ 10.1.0.0/16 ] }
	  - { name: wlan }
	subscribers:
	  - { name: silver, match: [ "id:26201*" ] }
	policies:
	  - { name: p-silver, subscribers: [ silver ], limits: { sessions: 2 } }
	default_policy: { limits: { sessions: 1 } }
END

ask() { # FROM
	conv --converter "$V4" --server "$SV4:8000" --bind "$1:0" --data hello shutwr recvall
}

# Two subscribers by their addresses, each with one session
hold_open a --bind 10.1.0.2:0
hold_open b --bind 10.2.0.2:0
ok "each address has its session" wait_until 5 served_is 2
go a
go b
reap a 10
reap b 10
ok "they end" wait_until 5 nothing_is_counted

ok "one identity" ctl access set 10.1.0.2 cellular --subscriber 262010000000001
ok "has both" ctl access set 10.2.0.2 wlan --subscriber 262010000000001
for from in 10.1.0.2 10.2.0.2; do
	hold_open "s$from" --bind "$from:0"
done
both_in() {
	ctl_is sessions 'sorted((s["policy"], s["subflows"][0]["access"]) for s in d if s["subflows"])' \
		'[["p-silver", "cellular"], ["p-silver", "wlan"]]'
}
ok "the class is the identity's, and access is known" wait_until 5 both_in
is "it is one subscriber" "$(ctl_get sessions 'len({s["subscriber"] for s in d})')" 1
is "by either address" "$(limits_of 10.1.0.2 'd["sessions"], d["sessions_limit"]') $(limits_of 10.2.0.2 \
	'd["sessions"], d["sessions_limit"]')" '[2, 2] [2, 2]'
for from in 10.1.0.2 10.2.0.2; do
	ask "$from"
	is "no third one from $from" "$(conv_get 'd["error"]["code"], d["end"]')" '[64, "fin"]'
done
go s10.1.0.2
reap s10.1.0.2 10
ok "one ends" wait_until 5 limits_is 10.2.0.2 'd["sessions"]' 1
ask 10.2.0.2
is "there is room from either" "$(conv_get 'd["rx"]["text"]')" hello

# Who it belongs to changes while it lasts: what was charged is given back to whom it was charged.
ok "the address is somebody else's now" ctl access set 10.2.0.2 wlan --subscriber 262010000000002
is "who has no session yet" "$(limits_of 10.2.0.2 'd["sessions"]')" 0
go s10.2.0.2
ok "the session ends" reap s10.2.0.2 10
ok "nothing is counted" wait_until 5 nothing_is_counted
finish
