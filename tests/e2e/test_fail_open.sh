#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# The daemon is killed while callers come in. They get through within a second, directly; a new daemon
# takes over again. With on_failure: closed they wait for it.
# test: timeout=120
. "$(dirname "$0")/lib.sh"

net_up nojoin
start_server 8000:echo
start_mserver m8443:echo
slow=${TEST_SLOW:-1}

now() {
	date +%s%3N
}

# calls EXPR: a python expression over c, the calls that ended so far
calls() {
	python3 "$TOOLS/jget.py" --lines c "$1" <"$T/callers.log"
}

calls_are() { # EXPR: true?
	[ "$(calls "$1")" = true ]
}

# good_since MS MPTCP N: N calls that began at or after MS ended well, as MPTCP or not
good_since() {
	calls_are "sum(x['end'] == 'good' and x['mptcp'] == $2 for x in c if x['at'] >= $1) >= $3"
}

callers() { # SERVER TIMEOUT_MS
	spawn callers nsx ue python3 "$TOOLS/callers.py" "$1" 4 "$2"
}

for host in "$SV4" "$SV6"; do
	start_mpgated intercept.mode=take-over
	callers "$host:8000" 5000
	ok "$host: callers are taken over" wait_until 5 good_since 0 True 40
	is "$host: all of them" "$(calls 'sum(x["end"] != "good" or not x["mptcp"] for x in c)')" 0

	stop mpgated KILL
	killed=$(now)
	ok "$host: killed: callers get through, directly" wait_until 5 good_since "$killed" False 40
	# A caller that was connected when the daemon died hears of it; the others see nothing but a pause.
	is "$host: whoever calls after the death gets through" \
		"$(calls "[x for x in c if x['at'] > $killed and x['end'] != 'good']")" "[]"
	between "$host: calls that began after it take (ms)" \
		"$(calls "max(x['ms'] for x in c if x['at'] > $killed)")" 0 $((1000 * slow))
	# A SYN that was held at that moment is lost, and Linux repeats it after 1 s.
	between "$host: those under way took (ms)" \
		"$(calls "max(x['ms'] for x in c if x['at'] >= $killed - 1000)")" 0 $((1600 * slow))
	between "$host: calls the death cut" \
		"$(calls "sum(x['end'] != 'good' for x in c)")" 0 4

	begin=$(now)
	ok "$host: it starts again" launch_mpgated
	up=$(now)
	ok "$host: callers are taken over again" wait_until 5 good_since "$up" True 40
	is "$host: the start cut no call" \
		"$(calls "[x for x in c if x['at'] >= $begin - 1000 and x['end'] != 'good' and x['at'] > $killed]")" "[]"
	stop callers
	stop mpgated
done

# ---- what is known of servers outlives the daemon; and goes on being learned without it ----
start_mpgated intercept.mode=hybrid
direct "$SV4:8443" text=x shutwr recvall
is "an MPTCP server is known" "$(ctl_get servers '[[s["mptcp"], s["source"]] for s in d]')" '[[true, "probe"]]'
stop mpgated KILL
direct "$SV6:8443" text=x shutwr recvall
is "killed: another is reached" "$(conv_get 'd["mptcp"], d["rx"]["text"]')" '[true, "x"]'
ok "it starts again" launch_mpgated
is "the first is still known; the other one, that was seen in passing, too" \
	"$(ctl_get servers 'sorted([s["server"], s["mptcp"], s["source"]] for s in d)')" \
	"[[\"$SV4:8443\", true, \"probe\"], [\"$SV6:8443\", true, \"passive\"]]"
direct "$SV6:8443" text=x shutwr recvall
is "no probe is needed for it" "$(conv_get 'd["mptcp"]') $(ctl_get counters 'd["servers"]["passes"] >= 1')" \
	"true true"
stop mpgated

# ---- one that hangs is as good as dead, for as long as it does ----
# It must not be taken for dead when it only waits for a processor. The SYN is repeated after 1 s.
start_mpgated intercept.mode=take-over intercept.stale_ms=700
direct "$SV4:8000" text=x shutwr recvall
is "it lives: taken over" "$(conv_get 'd["mptcp"], d["rx"]["text"]')" '[true, "x"]'
kill -STOP "${PID[mpgated]}"
hangs() {
	direct "$SV4:8000" --timeout 5 text=x shutwr recvall
	[ "$(conv_get 'd["mptcp"], d["rx"]["text"]')" = "[$1, \"x\"]" ]
}
begin=$(now_ms)
ok "it hangs: callers get through, directly" wait_until 5 hangs false
between "it hangs: after (ms)" $(($(now_ms) - begin)) 0 $((2700 * slow))
kill -CONT "${PID[mpgated]}"
ok "it goes on: taken over again" wait_until 5 hangs true
stop mpgated

# ---- closed ----
start_mpgated intercept.mode=take-over intercept.on_failure=closed
direct "$SV4:8000" text=x shutwr recvall
is "closed: taken over" "$(conv_get 'd["mptcp"], d["rx"]["text"]')" '[true, "x"]'
stop mpgated KILL
direct "$SV4:8000" --timeout 0.7
is "closed: killed: nothing gets through" "$(conv_get 'd["connect_error"]')" EINPROGRESS
direct "$SV4:8000" --tcp text=x shutwr recvall
is "closed: but what we would not have held" "$(conv_get 'd["rx"]["text"]')" x
# However long the start takes; Linux would leave MPTCP out of its third repetition.
topo_sysctl ue net.mptcp.syn_retrans_before_tcp_fallback=20 2>/dev/null
direct_bg waiting "$SV4:8000" text=x shutwr recvall
ok "closed: it starts again" launch_mpgated
ok "closed: who waited" reap waiting 10
is "closed: is taken over" "$(report_get waiting 'd["mptcp"], d["rx"]["text"]')" '[true, "x"]'
finish
