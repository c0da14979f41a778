#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# A gateway where IPv6 is switched off serves its IPv4 clients, intercepted and by Convert.
. "$(dirname "$0")/lib.sh"

net_up nojoin
start_server 8000:echo
topo_sysctl px net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1
start_mpgated intercept.mode=hybrid converter.source=preserved "converter.listen=[ \"$V4\" ]"

direct "$SV4:8000" text=x shutwr recvall
is "a session is taken over" "$(conv_get 'd["mptcp"], d["rx"]["text"]')" '[true, "x"]'
conv --converter "$V4" --server "$SV4:8000" --data hello shutwr recvall
is "a converter's client is served" "$(conv_get 'd["rx"]["text"]')" hello
stop mpgated
is "it ends as ever" $? 0
is "nothing is left of it" "$(topo_ip px rule | grep -c '^100:')" 0
finish
