#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# intercept.mode: take-over. A phone with MPTCP and a server without: the phone's session ends here,
# takes all its links, and the server sees plain TCP from the phone's own address and port.
. "$(dirname "$0")/lib.sh"

net_up
start_server 80:echo 8000:echo 40000:echo 22:echo 8010:banner:hello
start_mserver m8443:echo
capture_start sv sv sv0 tcp
start_mpgated intercept.mode=take-over intercept.except="[ 22 ]"

mptcp_at_server() { # packets there with an option of MPTCP
	capture_show sv | grep -c mptcp
}

capture_shows_mptcp() {
	[ "$(mptcp_at_server)" -gt 0 ]
}

accepted() { # what the server saw of the last connection
	server_saw '[[e["peer"], e["local"]] for e in ev if e["ev"] == "accept"][-1]'
}

has_two_subflows() {
	ctl_is sessions '[len(s["subflows"]) for s in d]' '[2]'
}

taken() { # NAME SERVER FROM JOINED: client address with port, addresses as the kernel shows them
	direct_bg one "$2" --bind "$3" text=hello recv=5 wait text=world recv=10 shutwr recvall
	ok "$1: the second link joins" wait_until 5 has_two_subflows
	is "$1: sessions tells what it is" "$(ctl_get sessions '[[s[k] for k in
		("kind", "state", "client", "server", "source", "mptcp", "fallback", "server_mptcp")] for s in d]')" \
		"[[\"intercept\", \"relay\", \"$3\", \"$2\", \"$3\", true, false, false]]"
	is "$1: sessions tells both subflows" "$(ctl_get sessions \
		'sorted(f["remote"].rpartition(":")[0] for f in d[0]["subflows"]),
		 {f["local"] for f in d[0]["subflows"]} == {d[0]["server"]}')" \
		"$(jget 'sorted(d), True' "[\"${3%:*}\", \"$4\"]")"
	is "$1: the phone's kernel has two, to the server's address" \
		"$(nsx ue ss -Htni state established dst "${2%:*}" | grep -c tcp-ulp-mptcp)" 2
	go one
	ok "$1: ends" reap one 10
	is "$1: MPTCP, echoed, in order" "$(report_get one 'd["mptcp"], d["rx"]["text"], d["end"]')" \
		'[true, "helloworld", "fin"]'
	is "$1: the server saw the phone" "$(accepted)" "[\"$3\", \"$2\"]"
}

for port in 8000 80 40000; do
	taken "IPv4, port $port" "$SV4:$port" 10.1.0.2:41001 10.2.0.2
done
taken "IPv6" "$SV6:8000" "[fd00:1::2]:41002" "[fd00:2::2]"
taken "IPv6, another port" "$SV6:80" "[fd00:1::2]:41003" "[fd00:2::2]"
taken "from the second link" "$SV4:8000" 10.2.0.2:41004 10.1.0.2

direct "$SV4:8010" --bind 10.1.0.2:41005 recv=5 text=x recv=6 shutwr recvall
is "a server that speaks first" "$(conv_get 'd["mptcp"], d["rx"]["text"], d["end"]')" \
	'[true, "hellox", "fin"]'
conv --converter "$SV4:8000" --bind 10.1.0.2:41008 --message "" --data hello --no-answer recv=5 shutwr \
	recvall
is "data in the SYN" "$(conv_get 'd["mptcp"], d["rx"]["text"], d["end"]')" '[true, "hello", "fin"]'
direct 10.4.0.3:8000 --bind 10.1.0.2:41001 text=x shutwr recvall
is "the same client address and port to another server" "$(conv_get 'd["mptcp"], d["rx"]["text"]')" \
	'[true, "x"]'
direct "$SV4:8443" --bind 10.1.0.2:41006 text=x shutwr recvall
is "an MPTCP server: taken over as well" "$(conv_get 'd["mptcp"], d["rx"]["text"]')" '[true, "x"]'
is "an MPTCP server: sees plain TCP" "$(mserver_saw '[[e["peer"], e["mptcp"]] for e in ev
	if e["ev"] == "accept"]')" '[["10.1.0.2:41006", false]]'
is "no packet at the servers has an MPTCP option" "$(mptcp_at_server)" 0
direct "$SV4:22" --bind 10.1.0.2:41007 text=x shutwr recvall
is "a port in except: plain TCP end to end" "$(conv_get 'd["mptcp"], d["rx"]["text"]')" '[false, "x"]'
ok "a port in except: the server sees the phone's MPTCP" wait_until 3 capture_shows_mptcp
is "each was held once, none was lost" "$(ctl_get counters 'd["hold"]["held"], d["hold"]["replayed"],
	d["hold"]["passed"], d["hold"]["refused"], d["hold"]["timed_out"], d["hold"]["overflow"],
	d["hold"]["gave_up"]')" "[10, 10, 0, 0, 0, 0, 0]"
ok "no session is left" wait_until 5 n_sessions_is 0
finish
