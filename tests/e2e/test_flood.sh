#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Floods of SYNs end in XDP, every one of them counted: those of third parties, with made-up addresses,
# cookies and tokens, leave neither a socket nor a byte; those of a subscriber leave what it may have.
# Others' sessions do not notice.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/policy.sh
. "$(dirname "$0")/policy.sh"

TOPO_SPACES="$TOPO_SPACES fl"
SYNS=100000 GOOD=200
net_up nojoin
topo_sysctl ue net.ipv4.tcp_fastopen=0x207 # the message in the SYN, without a cookie of TCP's
topo_sysctl fl net.ipv6.conf.default.disable_ipv6=1
for i in 2 3; do
	topo_veth fl "fl$i" px "px$i"
	topo_ip fl link set "fl$i" up
	topo_ip px link set "px$i" up
done
mac() { # SPACE INTERFACE
	topo_ip "$1" -j link show dev "$2" | jget 'd[0]["address"]'
}
# What is said to who floods under an address of his own goes out, and is not heard.
topo_ip px route add 10.77.0.0/16 dev px3
topo_ip px neigh add 10.77.0.7 lladdr "$(mac fl fl3)" dev px3 nud permanent
start_server 8000:echo
write_policed <<<'access_networks:
  - { name: cellular, interfaces: [ px0, px3 ], trust: trusted }
  - { name: wlan, interfaces: [ px2 ], trust: third-party }
subscribers:
  - { name: few, match: [ 10.77.0.0/16 ] }
policies:
  - { name: few, subscribers: [ few ], limits: { sessions: 5 } }'
sed -i '/name: px1/a\  - { name: px2, role: access }\n  - { name: px3, role: access }' "$T/mpgate.yaml"
launch_mpgated || bail "mpgated starts"

flood() { # NAME INTERFACE COUNT WORD…: in the background; its report is the last line of $T/NAME.log
	spawn "$1" nsx fl "$BUILD/tests/bench/flood" send --count "$3" "${@:4}" "fl$2" "$(mac px "px$2")" "$V4"
}

good() { # NAME: sessions of the trusted network, one after the other; its report in $T/NAME.log
	spawn "$1" nsx ue "$BUILD/tests/bench/connect" run --per-s 150 --convert "$SV4:8000" "$V4" "$GOOD" 64
}

all_good() { # NAME
	ok "$1: the sessions of others end" reap "$1" 60
	is "$1: all as they should" "$(report_get "$1" 'd["count"], d["failed"], d["fell_back"]')" "[$GOOD, 0, 0]"
}

strangers() { # sockets of any kind with whom nobody knows
	nsx px ss -Htan | awk '$1 != "LISTEN" && $5 !~ /^\[?(10\.|::ffff:10\.)/' | wc -l
}

sockets_of() { # ADDRESS
	nsx px ss -Htan dst "$1" | wc -l
}

sent_by() { # NAME
	tail -n 1 "$T/$1.log" | jget 'd["sent"]'
}

reasons() { # REASON…
	ctl_get counters "[d[\"xdp\"][\"reason\"][k] for k in \"$*\".split()]"
}

requests() {
	ctl_get counters 'd["convert"]["requests"]'
}

good before
all_good before
ok "nothing is counted before" wait_until 10 nothing_is_counted
rss=$(rss_kb) fds=$(n_fds) asked=$(requests)

# A stranger's cookie has the right epoch, and so has to be looked into.
cookie=$(ctl --json cookie 192.0.2.1 | jget 'd["cookie"]')
good meanwhile
seen=0
for kind in plain convert "cookie --cookie $cookie" join; do
	name=${kind%% *}
	# shellcheck disable=SC2086 # an option and its value
	flood "$name" 2 "$SYNS" ${kind#"$name"} "$name"
	while alive "$name"; do
		n=$(strangers)
		[ "$n" -le "$seen" ] || seen=$n
	done
	ok "$name: the flood ends" reap "$name" 60
	is "$name: all of it was sent" "$(sent_by "$name")" "$SYNS"
done
all_good meanwhile
grown=$(($(rss_kb) - rss)) # before anybody asks for limits: an answer with all the refused is megabytes
is "each was dropped, and counted as what it was" "$(reasons no_cookie bad_cookie no_token)" \
	"[$((2 * SYNS)), $SYNS, $SYNS]"
is "admission counts the same" "$(admit_count no_cookie bad_cookie no_token)" "[$((2 * SYNS)), $SYNS, $SYNS]"
is "and nothing else was dropped" "$(ctl_get counters 'd["xdp"]["verdict"]["drop"]')" "$((4 * SYNS))"
is "at no time was there a socket for one of them" "$seen" 0
is "the daemon heard of others' sessions alone" "$(($(requests) - asked))" "$GOOD"
is "none waits for an answer" "$(nsx px ss -Htan state syn-recv | wc -l)" 0
ok "nothing is counted" wait_until 10 nothing_is_counted
is "no descriptor is left" "$(n_fds)" "$fds"
sanitized || between "the daemon's memory does not grow, KB" "$grown" -100000 1024

# A subscriber of the trusted network, beyond what it may have: five sessions, which nobody answers.
asked=$(requests) passed=$(reasons convert_syn | jget 'd[0]')
flood few 3 "$SYNS" --from 10.77.0.7 convert
ok "one subscriber: the flood ends" reap few 60
is "one subscriber: all of it was sent" "$(sent_by few)" "$SYNS"
is "one subscriber: all are counted, let in or not" \
	"$(reasons over_sessions convert_syn | jget "sum(d) - $passed")" "$SYNS"
ok "one subscriber: it has what it may have" wait_until 5 limits_is 10.77.0.7 'd["sessions"]' 5
diag "let pass: $(($(reasons convert_syn | jget 'd[0]') - passed)), heard by the daemon:" \
	"$(($(requests) - asked)), sockets: $(sockets_of 10.77.0.7)"
good after
all_good after
finish
