#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# intercept.mode: hybrid, first and second connections. A server that speaks MPTCP gets the phone's own
# session, unchanged from the first packet on; a plain one beside it, on the same host, is taken over.
. "$(dirname "$0")/lib.sh"

net_up nojoin
no_offload
start_server 8000:echo
start_mserver m8443:echo
SNAP=0
capture_start ue rt rp0 tcp
capture_start sv sv sv0 tcp
start_mpgated intercept.mode=hybrid

servers() { # counters
	ctl_get counters '[d["servers"][k] for k in ("probes", "passes")]'
}

syn='tcp[tcpflags] & (tcp-syn|tcp-ack) == tcp-syn'
syn6='(ip6[6] == 6 and ip6[53] & 18 == 2)'
synack='tcp[tcpflags] & (tcp-syn|tcp-ack) == (tcp-syn|tcp-ack)'
synack6='(ip6[6] == 6 and ip6[53] & 18 == 18)'

mptcp_syns() { # CAPTURE FILTER: how many offer MPTCP
	capture_show "$1" "($syn or $syn6) and $2" | grep -c mptcp
}

is "nothing is known" "$(ctl_get servers 'len(d)') $(servers)" "0 [0, 0]"

passes() { # NAME FROM HOST PORT: MPTCP end to end
	direct "$3:8443" --bind "$2:$4" text=hello recv=5 shutwr recvall
	is "$1: MPTCP, echoed" "$(conv_get 'd["mptcp"], d["rx"]["text"], d["end"]')" '[true, "hello", "fin"]'
	is "$1: the server speaks MPTCP with the phone itself" "$(mserver_saw \
		'[[e["peer"], e["mptcp"]] for e in ev if e["ev"] == "accept" and e["peer"].endswith(":'"$4"'")][-1]')" \
		"[\"$2:$4\", true]"
	ok "$1: the server got every byte" wait_until 5 mserver_is \
		'[e["bytes"] for e in ev if e["ev"] == "fin"][-1]' 5
	is "$1: no session here" "$(ctl_get sessions 'len(d)')" 0
}

# ended CAPTURE PORT: the captures have all of that session
ended() {
	capture_has "$1" "port $2 and (tcp[13] & 1 != 0 or (ip6[6] == 6 and ip6[53] & 1 != 0))"
}

first() { # NAME FROM HOST PORT
	passes "$1" "$2" "$3" "$4"
	wait_until 3 ended ue "$4" && wait_until 3 ended sv "$4"
	ok "$1: each packet of the phone's session is the same on both sides" \
		wait_until 3 python3 "$TOOLS/pcapsame.py" --hops 1 --within "$T/ue.pcap" "$T/sv.pcap" "tcp port $4"
	is "$1: the phone sent one SYN, and saw one SYN+ACK" \
		"$(capture_count ue "($syn or $syn6) and port $4") $(capture_count ue "($synack or $synack6) and port $4")" "1 1"
	is "$1: the server saw the probe's SYN and the phone's" "$(mptcp_syns sv "port $4")" 2
	is "$1: the probe said nothing" "$(mserver_saw \
		"[e['hex'] for e in ev if e['ev'] == 'first' and e['peer'].endswith(':$4')]")" '["68656c6c6f"]'
	is "$1: the server is known" "$(ctl_get servers \
		"[[s['mptcp'], s['source'], 590 <= s['expires_s'] <= 600] for s in d if s['server'] == '$3:8443']")" \
		'[[true, "probe", true]]'
}

again() { # NAME FROM HOST PORT
	local before
	before=$(servers)
	passes "$1" "$2" "$3" "$4"
	same_packets "$1: all of it is the same on both sides" ue sv 1 "tcp port $4"
	is "$1: no probe, one pass" "$(servers)" "$(jget '[d[0], d[1] + 1]' "$before")"
}

first "MPTCP server, first" 10.1.0.2 "$SV4" 42001
again "MPTCP server, second" 10.1.0.2 "$SV4" 42002
again "MPTCP server, from another link" 10.2.0.2 "$SV4" 42003
first "MPTCP server, IPv6, first" "[fd00:1::2]" "$SV6" 42004
again "MPTCP server, IPv6, second" "[fd00:1::2]" "$SV6" 42005

taken() { # NAME FROM HOST PORT PROBES: how many SYNs with MPTCP the server got
	direct_bg one "$3:8000" --bind "$2:$4" text=hello recv=5 wait shutwr recvall
	ok "$1: taken over" wait_until 5 ctl_is sessions '[[s["kind"], s["server_mptcp"], s["mptcp"]] for s in d]' \
		'[["intercept", false, true]]'
	wait_until 5 server_is '[e["peer"] for e in ev if e["ev"] == "first"][-1:]' "[\"$2:$4\"]"
	go one
	ok "$1: ends" reap one 10
	is "$1: MPTCP, echoed" "$(report_get one 'd["mptcp"], d["rx"]["text"], d["end"]')" '[true, "hello", "fin"]'
	is "$1: the server saw one connection, the phone's address and port" "$(server_saw \
		"[e['peer'] for e in ev if e['ev'] == 'accept' and e['peer'].endswith(':$4')]")" "[\"$2:$4\"]"
	wait_until 3 ended sv "$4"
	is "$1: SYNs that offered the server MPTCP" "$(mptcp_syns sv "port $4")" "$5"
	is "$1: the server is known as plain" "$(ctl_get servers \
		"[[s['mptcp'], s['source']] for s in d if s['server'] == '$3:8000']")" '[[false, "probe"]]'
}

taken "plain server, first" 10.1.0.2 "$SV4" 43001 1
taken "plain server, second" 10.1.0.2 "$SV4" 43002 0
taken "plain server, IPv6, first" "[fd00:1::2]" "$SV6" 43003 1
taken "plain server, IPv6, second" "[fd00:1::2]" "$SV6" 43004 0
is "probes and known servers are counted" \
	"$(ctl_get counters 'd["servers"]["probes"], d["servers"]["known"]')" "[4, 4]"
is "those that were not for us are counted as passed" "$(ctl_get counters 'd["hold"]["passed"]')" 2
finish
