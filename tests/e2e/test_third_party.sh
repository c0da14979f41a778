#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Access networks of others: who comes from there needs a cookie for a session and a known token for a
# join, or meets silence, and nothing is made for it: no socket, no session, no answer.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/policy.sh
. "$(dirname "$0")/policy.sh"

net_up
let_answers_out
start_server 8000:echo
start_mserver m8443:echo
policies='access_networks:
  - { name: cellular, prefixes: [ 10.1.0.0/16, "fd00:1::/64" ], trust: trusted }
  - { name: wlan, prefixes: [ 10.2.0.0/16, "fd00:2::/64" ], trust: third-party }'
# To be announced, for joins only
A4=10.3.0.9 A6=fd00:3::9
topo_ip px addr add "$A4/24" dev px0
topo_ip px addr add "$A6/64" dev px0 nodad
signal="converter.signal=[ \"$A4:5125\", \"[$A6]:5124\" ]"
capture_start ue1 ue ue1 "src host 10.3.0.2 or src host fd00:3::2 or src host $A4 or src host $A6"

ask() { # ARG…: from the third party's network
	: >"$T/server.events"
	conv --converter "$V4" --server "$SV4:8000" --bind 10.2.0.2:0 --data hello --timeout 1.5 "$@" \
		shutwr recvall
}

silence() { # NAME
	is "$1: the client does not get in" "$(conv_get 'd["connected"]')" false
	is "$1: not one packet answers" "$(capture_count ue1)" "$answers"
	is "$1: no socket knows of it" "$(nsx px ss -Htna dst 10.2.0.2 | grep -c .)" 0
	is "$1: no session is made" "$(ctl_get sessions 'len(d)')" 0
	is "$1: the server hears nothing" "$(server_saw 'len(ev)')" 0
}

served() { # NAME
	is "$1: served" "$(conv_get 'd["error"], d["rx"]["text"], d["end"]')" '[null, "hello", "fin"]'
	answers=$(capture_count ue1)
}

cookie_for() {
	ctl --json cookie "$1" | jget 'd["cookie"]'
}

start_policed <<<"$policies"
answers=$(capture_count ue1)
ask
silence "no cookie"
between "no cookie: dropped, and counted" "$(ctl_get counters 'd["xdp"]["reason"]["no_cookie"]')" 1 9
between "no cookie: of the subscriber, too" "$(limits_of 10.2.0.2 'd["refused"]["no_cookie"]')" 1 9
ask --deliver after
silence "the message comes later"
ask --cookie "$(printf '%024d' 0)"
silence "a cookie of zeroes"
between "a false cookie: dropped, and counted" "$(ctl_get counters 'd["xdp"]["reason"]["bad_cookie"]')" 1 9
ask --cookie "$(cookie_for 10.2.0.3)"
silence "another's cookie"
conv --converter "$V4" --info --bind 10.2.0.2:0 --timeout 1.5
silence "who only asks what we are"

# SYNs that the kernel takes, though nobody before it can look into them, or though they lie
hidden() { # MIN HOW SOURCE CONVERTER
	dropped unreadable "$@" 5124
}

dropped() { # REASON MIN HOW SOURCE ADDRESS PORT
	local reason=$1 min=$2
	shift 2
	local was of="src $3"
	[[ $3 != *:* ]] || of="src [$3]"
	was=$(ctl_get counters "d['admit']['$reason']")
	nsx ue python3 "$TOOLS/rawhide.py" "$@" 3
	counted() { [ $(($(ctl_get counters "d['admit']['$reason']") - was)) -ge "$min" ]; }
	ok "$1 from $2 to $3: dropped, and counted" wait_until 5 counted
	# shellcheck disable=SC2086  # two words
	is "$1 from $2 to $3: no socket knows of it" "$(nsx px ss -Htna state syn-recv $of | grep -c .)" 0
}
hidden 3 option 10.2.0.2 10.3.0.2
hidden 6 fragments 10.2.0.2 10.3.0.2
hidden 3 option fd00:2::2 fd00:3::2
hidden 6 fragments fd00:2::2 fd00:3::2
hidden 3 extensions fd00:2::2 fd00:3::2
capture_settle ue1
is "what hides: not one packet answers" "$(capture_count ue1)" "$answers"
is "the same, from whom is trusted, is the kernel's" "$(
	was=$(ctl_get counters 'd["admit"]["unreadable"]')
	nsx ue python3 "$TOOLS/rawhide.py" option 10.1.0.2 10.3.0.2 5124 3
	seen() { [ "$(ctl_get counters 'd["xdp"]["reason"]["tcp_option_overrun"]')" -ge 3 ]; }
	wait_until 5 seen >/dev/null
	echo $(($(ctl_get counters 'd["admit"]["unreadable"]') - was))
)" 0
cookie=$(cookie_for 10.2.0.2)
like "mpgatectl cookie gives one" "$cookie" '^[0-9a-f]{24}$'
nsx ue ip mptcp endpoint flush
ask --cookie "$cookie"
served "with it"
ask --cookie "$cookie" --tcp
served "with it, by TCP alone"
conv --converter "$V6" --server "$SV6:8000" --bind "[fd00:2::2]:0" --cookie "$(cookie_for fd00:2::2)" \
	--data hello shutwr recvall
served "with one, IPv6"
ok "SIGHUP" kill -HUP "${PID[mpgated]}"
ask --cookie "$cookie"
served "with it, after a reload"
ok "nothing is counted" wait_until 5 nothing_is_counted

# Joins from there to a session of the trusted network: by its token, and no other.
nsx ue ip mptcp endpoint add 10.2.0.2 dev ue1 subflow
hold_open one --bind 10.1.0.2:0
two_subflows() {
	ctl_is sessions 'sorted(f["access"] for s in d for f in s["subflows"])' '["cellular", "wlan"]'
}
ok "a join with a known token is let in, and sessions tells from where" wait_until 5 two_subflows
token=$(ctl_get sessions 'd[0]["token"]')
answers=$(capture_count ue1)
nsx ue python3 "$TOOLS/rawjoin.py" 10.2.0.2 "$V4" "$(printf %08x $((0x$token ^ 1)))" 5
unknown() {
	[ "$(ctl_get counters 'd["xdp"]["reason"]["no_token"]')" -ge 5 ]
}
ok "a join with an unknown token: dropped, and counted" wait_until 5 unknown
no_reset() { # nothing but what the session that is there says
	python3 "$TOOLS/pcaprst.py" "$T/ue1.pcap" 10.2.0.2 | jget 'len(d)'
}
capture_settle ue1
is "a join with an unknown token: silence" "$(no_reset)" 0
go one
ok "the session goes on, and ends" reap one 10
is "it carried what it should" "$(report_get one 'd["rx"]["text"], d["end"]')" '["hello", "fin"]'
ok "nothing is counted any more" wait_until 5 nothing_is_counted
stop mpgated

# What is announced is for joins only: the kernel would answer anybody.
nsx ue ip mptcp endpoint flush
start_policed "$signal" <<<"$policies"
answers=$(capture_count ue1)
for how in plain capable option; do
	reason=no_cookie
	[ $how != option ] || reason=unreadable
	dropped $reason 3 $how 10.2.0.2 "$A4" 5125
	dropped $reason 3 $how fd00:2::2 "$A6" 5124
done
dropped unreadable 6 fragments 10.2.0.2 "$A4" 5125
dropped unreadable 6 fragments fd00:2::2 "$A6" 5124
capture_settle ue1
is "to what is announced: not one packet answers" "$(capture_count ue1)" "$answers"
hold_open two --bind 10.1.0.2:0
has_session() { ctl_is sessions 'len(d)' 1; }
ok "a session of the trusted network" wait_until 5 has_session
token=$(ctl_get sessions 'd[0]["token"]')
answered_at() { # by the kernel, which knows the token
	[ "$(capture_count ue1 "src host $A4 and tcp[tcpflags] = tcp-syn|tcp-ack")" -gt 0 ]
}
nsx ue python3 "$TOOLS/rawjoin.py" 10.2.0.2 "$A4:5125" "$(printf %08x $((0x$token ^ 1)))" 5
ok "a join with an unknown token to what is announced: dropped, and counted" wait_until 5 unknown
fails "a join with an unknown token to what is announced: silence" answered_at
nsx ue python3 "$TOOLS/rawjoin.py" 10.2.0.2 "$A4:5125" "$token" 1
ok "a join with a known token to what is announced: answered" wait_until 5 answered_at
go two
ok "that session ends" reap two 10
stop mpgated

# Without XDP the daemon asks the same; the client hears that it may not.
nsx ue ip mptcp endpoint flush
start_policed px0.xdp=off converter.reply=at-once converter.cookie=required <<<"$policies"
ask
is "the daemon alone, no cookie: error 32" "$(conv_get 'd["error"]["code"], d["error"]["value"]')" '[32, "00"]'
ask --cookie "$(cookie_for 10.2.0.2)"
served "the daemon alone, with a cookie"
stop mpgated

# On the path: sessions from there are not taken over; and, if wanted, do not even pass.
start_policed intercept.mode=take-over <<<"$policies"
direct "$SV4:8443" --bind 10.2.0.2:42001 text=x shutwr recvall
is "on the path: passes" "$(mserver_saw '[[e["peer"], e["mptcp"]] for e in ev if e["ev"] == "accept"][-1]')" \
	'["10.2.0.2:42001", true]'
ok "a reload" reload_policed intercept.mode=take-over <<<"${policies/third-party/third-party, transit: drop}"
direct "$SV4:8443" --bind 10.2.0.2:42002 --timeout 1.5 text=x shutwr recvall
is "transit: drop: silence" "$(conv_get 'd["connected"]')" false
direct "$SV4:8443" --bind 10.2.0.2:42003 --tcp text=x shutwr recvall
is "transit: drop: plain TCP is none of ours" "$(conv_get 'd["rx"]["text"]')" x
direct "$SV4:8000" --bind 10.1.0.2:42004 text=x shutwr recvall
is "the trusted network's are taken over" "$(conv_get 'd["mptcp"], d["rx"]["text"]')" '[true, "x"]'
ok "nothing is counted in the end" wait_until 5 nothing_is_counted
finish
