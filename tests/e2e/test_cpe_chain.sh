#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# host ⇄ CPE ⇄ ISP on the path ⇄ server, nobody told of anybody: the CPE goes to the server with MPTCP,
# the ISP's hybrid mode takes over what the server cannot do, and lets pass what it can.
. "$(dirname "$0")/lib.sh"
. "$E2E_DIR/cpe.sh"

cpe_net_up
start_server 8000:echo 8001:sink 8002:source:4000000
start_mserver m9000:echo m9002:source:4000000
capture_start sv sv sv0 tcp
start_mpgated intercept.mode=hybrid intercept.except="[ 22 ]"
start_cpe

cpe_has_two() { # SERVER PORT
	cpe_has_subflows "$1" "$2" 2
}

through() { # NAME SERVER PORT KINDS-AT-THE-ISP
	host_bg one "$2:$3" text=hello recv=5 wait text=world recv=10 shutwr recvall
	ok "$1: MPTCP over both links" wait_until 5 cpe_has_two "$2" "$3"
	is "$1: the ISP" "$(ctl_get sessions '[[s["kind"], len(s["subflows"]), s["server_mptcp"]] for s in d]')" "$4"
	is "$1: the CPE" "$(cpe_get sessions '[[s["kind"], s["mptcp"], s["server_mptcp"]] for s in d]')" \
		'[["cpe", false, true]]'
	go one
	ok "$1: ends" reap one 10
	is "$1: echoed, in order" "$(report_get one 'd["rx"]["text"], d["end"]')" '["helloworld", "fin"]'
}

for sv in "$SV4" "$SV6"; do
	through "plain server, $sv" "$sv" 8000 '[["intercept", 2, false]]'
	through "MPTCP server, $sv" "$sv" 9000 '[]'
	host "$sv:8002" recvall shutwr
	is "plain server, $sv: 4 MB down" "$(host_get 'd["rx"]["bytes"], d["rx"]["wrong_at"], d["end"]')" \
		'[4000000, null, "fin"]'
	host "$sv:9002" recvall shutwr
	is "MPTCP server, $sv: 4 MB down" "$(host_get 'd["rx"]["bytes"], d["rx"]["wrong_at"], d["end"]')" \
		'[4000000, null, "fin"]'
	host "$sv:8001" send=4000000 shutwr recvall
	ok "plain server, $sv: 4 MB up" wait_until 5 server_is \
		'[[e["bytes"], e["wrong_at"]] for e in ev if e["ev"] == "fin"][-1]' '[4000000, null]'
done
is "the MPTCP server saw MPTCP, from the CPE" "$(mserver_saw '[[e["mptcp"], e["peer"].rpartition(":")[0]]
	for e in ev if e["ev"] == "accept"][0]')" '[true, "10.1.0.2"]'
host "$SV4:81"
is "refused" "$(host_get 'd["connect_error"]')" ECONNREFUSED
host 10.6.0.1:80
is "unreachable" "$(host_get 'd["connect_error"]')" EHOSTUNREACH
finish
