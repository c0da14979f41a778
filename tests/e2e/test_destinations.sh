#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# The operator's allow and deny lists; the proxy's own addresses are denied whatever they say.
. "$(dirname "$0")/lib.sh"

net_up nojoin
# Addresses that no interface has, and that are delivered to the proxy all the same.
topo_ip px addr add 10.9.9.1/24 dev lo
topo_ip px route add local fd00:8::/64 dev lo
allow='"10.4.0.0/24", "fd00:4::/64", "10.3.0.0/24", "10.8.0.0/24", "10.9.9.0/24", "fd00:8::/64"'
start_mpgated destinations.allow="[ $allow ]" \
	destinations.deny='[ "10.4.0.3/32", "fd00:4::3" ]'
start_server 8000:echo

code_of() { # CONVERTER ADDR:PORT: the error code, or "served"
	: >"$T/server.events"
	conv --converter "$1" --server "$2" --data hello shutwr recvall
	conv_get '"served" if d["rx"]["text"] == "hello" else d["error"] and d["error"]["code"]'
}

is "allowed" "$(code_of "$V4" 10.4.0.2:8000)" served
is "allowed, IPv6" "$(code_of "$V6" "[fd00:4::2]:8000")" served
is "denied within what is allowed" "$(code_of "$V4" 10.4.0.3:8000)" 32
is "denied: the server hears nothing" "$(server_saw 'len(ev)')" 0
is "denied within what is allowed, IPv6" "$(code_of "$V6" "[fd00:4::3]:8000")" 32
is "not on the allow list" "$(code_of "$V4" 10.1.0.1:8000)" 32
is "not on the allow list, IPv6" "$(code_of "$V6" "[fd00:1::1]:8000")" 32

is "the converter itself" "$(code_of "$V4" "$V4")" 32
is "the converter's address, another port" "$(code_of "$V4" 10.3.0.2:22)" 32
is "the core address of the proxy" "$(code_of "$V4" 10.4.0.1:22)" 32
is "the core address of the proxy, IPv6" "$(code_of "$V6" "[fd00:4::1]:22")" 32
is "link-local" "$(code_of "$V6" "[fe80::1]:80")" 32
is "within the network of an address on lo" "$(code_of "$V4" 10.9.9.77:22)" 32
is "within a network with a local route" "$(code_of "$V6" "[fd00:8::5]:22")" 32

topo_ip px addr add 10.4.0.9/32 dev px1
became_own() {
	[ "$(code_of "$V4" "$1")" = 32 ]
}
ok "an address the proxy got later" wait_until 5 became_own 10.4.0.9:22
topo_ip px route add local 10.8.0.0/24 dev lo
ok "a local route the proxy got later" wait_until 5 became_own 10.8.0.5:22
finish
