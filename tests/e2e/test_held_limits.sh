#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# How many SYNs may be held, of one subscriber and in all; what is above passes or is dropped, and room
# that was given back is there again.
# test: timeout=120
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/far.sh"

net_up nojoin
raw_ue_up
topo_ip rt neigh replace 10.1.0.51 lladdr "$(topo_ip ue -o link show ue0 |
	sed 's/.*link.ether \([^ ]*\).*/\1/')" dev ra0 nud permanent
topo_ip rt neigh replace fd00:1:0:0:9::50 lladdr "$(topo_ip ue -o link show ue0 |
	sed 's/.*link.ether \([^ ]*\).*/\1/')" dev ra0 nud permanent
start_server 8000:echo

overflow() {
	ctl_get counters 'd["hold"]["overflow"]'
}

passed() { # PORT…: which of the SYNs from these ports came to the server as they were
	local p out=()
	for p in "$@"; do
		[ "$(capture_count sv "(src port $p and tcp[13] & 18 == 2 and tcp[4:4] == 60000) or
			(ip6[6] == 6 and ip6[40:2] == $p and ip6[53] & 18 == 2 and ip6[44:4] == 60000)")" = 0 ] ||
			out+=("$p")
	done
	echo "${out[*]}"
}

passed_are() { # WANTED PORT…
	[ "$(passed "${@:2}")" = "$1" ]
}

# syns SOURCE SERVER STEP FIRST LAST: one from each of these ports
syns() {
	local steps=() p
	for ((p = $4; p <= $5; p++)); do
		steps+=("port=$p" isn=60000 "$3")
	done
	raw "$1:$4" "$2:80" "${steps[@]}"
}

sessions_are() {
	ctl_is sessions 'len(d)' "$1"
}

for overload in pass drop; do
	capture_start sv sv sv0 tcp
	start_mpgated intercept.mode=take-over intercept.held_per_subscriber=3 intercept.held_max=5 \
		intercept.on_overload=$overload converter.connect_timeout_ms=30000 \
		drain_timeout_s=1
	above() { # PORTS: those that went on, with these above the limit
		[ $overload = pass ] && echo "$1" || echo ""
	}

	syns "$RAW4" 10.5.0.1 syn=capable 46001 46005
	ok "$overload: three of five are held" wait_until 3 sessions_are 3
	ok "$overload: what became of the others" wait_until 3 passed_are "$(above "46004 46005")" \
		46001 46002 46003 46004 46005
	is "$overload: they are counted" "$(overflow)" 2

	# Another address of IPv4 is another subscriber; all addresses of an IPv6 link are one.
	syns 10.1.0.51 10.5.0.1 syn=capable 46011 46011
	ok "$overload: another subscriber has room" wait_until 3 sessions_are 4
	syns "$RAW6" "[fd00:5::1]" syn=capable 46021 46022
	ok "$overload: there are five places in all" wait_until 3 sessions_are 5
	ok "$overload: what became of the sixth" wait_until 3 passed_are "$(above 46022)" 46011 46021 46022
	is "$overload: it is counted" "$(overflow)" 3

	# A repetition of what passed passes; one of what is held takes no second place.
	syns "$RAW4" 10.5.0.1 syn=capable 46001 46001
	is "$overload: a repetition is no other one" "$(ctl_get sessions 'len(d)')" 5

	syns "$RAW4" 10.5.0.1 rst 46001 46003
	ok "$overload: three clients give up" wait_until 3 sessions_are 2
	syns "[fd00:1:0:0:9::50]" "[fd00:5::1]" syn=capable 46031 46033
	ok "$overload: others take their places, as many as there are" wait_until 3 sessions_are 4
	ok "$overload: the third of that IPv6 link has none" wait_until 3 passed_are "$(above 46033)" \
		46031 46032 46033
	syns "$RAW4" 10.5.0.1 syn=capable 46041 46042
	ok "$overload: the last place" wait_until 3 sessions_are 5
	ok "$overload: was one" wait_until 3 passed_are "$(above 46042)" 46041 46042

	direct "$SV4:8000" --timeout 0.5 text=x shutwr recvall
	if [ $overload = pass ]; then
		is "pass: a real client gets through, directly" "$(conv_get 'd["mptcp"], d["rx"]["text"]')" \
			'[false, "x"]'
	else
		is "drop: a real client waits" "$(conv_get 'd["connect_error"]')" EINPROGRESS
	fi
	between "$overload: overflow is counted" "$(overflow)" 5 8
	stop mpgated
	stop cap-sv
done

# ---- the daemon's own limits ----
for said in pass drop; do
	stop mpgated
	start_mpgated intercept.mode=take-over converter.pending_per_client=2 intercept.on_overload=$said
	nsx ue python3 "$TOOLS/rawsyn.py" 10.1.0.2 10.5.0.1:80 - 6
	ok "$said: six are held" wait_until 5 ctl_is counters 'd["hold"]["held"]' 6
	ok "$said: two wait for the server" wait_until 5 n_sessions_is 2
	is "$said: what is too many for one client" "$(ctl_get counters 'd["hold"]["passed"]')" \
		"$([ "$said" = pass ] && echo 4 || echo 0)"
done
finish
