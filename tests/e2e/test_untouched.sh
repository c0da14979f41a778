#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# What nobody asked us to take over passes as if we were not there: in every mode what is no MPTCP, in
# modes off and transparent MPTCP too. Each packet leaves as it came, but for the TTL.
# test: timeout=120
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/far.sh"

net_up nojoin
no_offload
raw_ue_up
start_server 8000:echo 22:echo 8001:both:100000
start_mserver m8443:both:100000
spawn udp nsx sv python3 -c '
import socket
s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
s.bind(("::", 443))
print("ready", flush=True)
while True:
    data, peer = s.recvfrom(65536)
    s.sendto(data, peer)'
wait_until 5 grep -q ready "$T/udp.log"

phones="net 10.1.0.0/24 or net 10.2.0.0/24 or net fd00:1::/64 or net fd00:2::/64"
SNAP=0

watch() { # NAME: captures on both sides from here on
	capture_start "ue-$1" rt rp0
	capture_start "sv-$1" sv sv0
}

same() { # NAME
	same_packets "$1: every packet is the same on both sides" "ue-$1" "sv-$1" 1 "$phones"
	stop "cap-ue-$1"
	stop "cap-sv-$1"
}

udp() { # ADDRESS BYTES: an echo
	nsx ue python3 -c '
import socket, sys
s = socket.socket(socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(5)
s.sendto(b"x" * int(sys.argv[2]), (sys.argv[1], 443))
assert len(s.recv(65536)) == int(sys.argv[2])' "$1" "$2"
}

# answered NAME SERVER OPTIONS FLAGS STEP…: what a SYN with these options is answered with. Stacks are
# silent towards who signs without being asked to.
answered() {
	local from=$RAW4 wait_ms=3000
	[[ $2 != \[* ]] || from=$RAW6
	[ -n "$4" ] || wait_ms=50
	raw "$from:$((RANDOM % 20000 + 20000))" "$2" "${@:5}" "syn=$3" "until=1,$wait_ms" rst pause=20
	is "$1" "$(raw_get '[g["flags"] for g in d["got"]]')" "[$4]"
}

no_tcp() { # what is no TCP at all
	local a
	for a in "$SV4" "${SV6:1:-1}"; do
		ok "$1: ping $a" nsx ue ping -q -c 2 -i 0.05 -W 5 "$a"
		ok "$1: ping in fragments $a" nsx ue ping -q -c 2 -i 0.05 -W 5 -s 4000 "$a"
		ok "$1: UDP $a" udp "$a" 1200
		ok "$1: UDP in fragments $a" udp "$a" 4000
	done
}

plain_tcp() {
	local a
	for a in "$SV4" "$SV6"; do
		direct "$a:8001" --tcp duplex=100000
		is "$1: plain TCP $a" "$(conv_get 'd["rx"]["bytes"], d["rx"]["wrong_at"]')" "[100000, null]"
		direct "$a:81" --tcp
		is "$1: plain TCP, refused $a" "$(conv_get 'd["connect_error"]')" ECONNREFUSED
		answered "$1: TCP-AO $a" "$a:81" ao 20
		answered "$1: TCP-MD5 $a" "$a:81" md5 ""
		answered "$1: TCP-AO and MP_CAPABLE $a" "$a:81" "1e040101$(printf 1d100101%024d 0)" 20
		answered "$1: MP_CAPABLE and TCP-MD5 $a" "$a:81" "1e0401011312$(printf %032d 0)0101" ""
		answered "$1: a join of a session that is not ours $a" "$a:81" join 20
		answered "$1: MPTCP of version 0 $a" "$a:8443" 1e0c00810102030405060708 18
	done
	answered "$1: a SYN in fragments" "$SV4:8443" capable 18 fragments
}

mptcp() { # NAME SERVER PORT ANSWERED-WITH
	direct "$2:$3" duplex=100000
	is "$1: $2, port $3" "$(conv_get 'd["mptcp"], d["rx"]["bytes"], d["rx"]["wrong_at"]')" \
		"[$4, 100000, null]"
}

untouched() { # NAME
	is "$1: nothing was held" "$(ctl_get counters 'd["hold"]["held"]') $(ctl_get sessions 'len(d)')" "0 0"
}

# ---- nothing is taken over ----
for mode in transparent off; do
	start_mpgated intercept.mode=$mode
	watch $mode
	for server in "$SV4" "$SV6"; do
		mptcp $mode "$server" 8443 true
		mptcp $mode "$server" 8001 false
	done
	[ $mode = off ] || plain_tcp $mode
	untouched $mode
	same $mode
	stop mpgated
done

# ---- only MPTCP is ----
for mode in hybrid take-over; do
	start_mpgated intercept.mode=$mode intercept.except="[ 22 ]"
	watch $mode
	no_tcp $mode
	plain_tcp $mode
	direct "$SV4:22" text=x shutwr recvall
	is "$mode: a port in except" "$(conv_get 'd["mptcp"], d["rx"]["text"]')" '[false, "x"]'
	untouched $mode
	same $mode
	stop mpgated
done

# ---- a list of ports ----
start_mpgated intercept.mode=take-over intercept.ports="[ 8000, 22 ]" intercept.except="[ 22 ]"
watch ports
mptcp ports "$SV4" 8443 true
direct "$SV6:22" text=x shutwr recvall
is "ports: in the list and in except" "$(conv_get 'd["mptcp"]')" false
untouched ports
same ports
direct "$SV4:8000" text=x shutwr recvall
is "ports: one in the list is taken over" "$(conv_get 'd["mptcp"], d["rx"]["text"]')" '[true, "x"]'
finish
