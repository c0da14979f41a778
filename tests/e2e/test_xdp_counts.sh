#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# XDP counts every class as it was sent, and the pinned maps read the same.
. "$(dirname "$0")/lib.sh"

net_up nojoin
start_mpgated
start_server 8000:echo

sum_of() { # CLASS: over all interfaces and CPUs
	ctl_get counters "d['xdp']['class']['$1']"
}

counted() { # NAME CLASS LOW HIGH CMD…: CMD adds so many to the class
	local before
	before=$(sum_of "$2")
	"${@:5}" >/dev/null 2>&1
	between "$1" $(($(sum_of "$2") - before)) "$3" "$4"
}

hello() {
	conv --converter "$V4" --server "$SV4:8000" --data hello "$@" shutwr recvall
}

raw() { # HEX…: frames that come in on px0, as they are
	nsx rt python3 - "$@" <<-'END'
		import socket, sys
		s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
		s.bind(("rp0", 0))
		for frame in sys.argv[1:]:
		    s.send(bytes.fromhex(frame))
	END
}

counted "message in the SYN: convert" convert 1 1 hello
counted "message in the SYN, plain TCP: convert" convert 1 1 hello --tcp
counted "message in the SYN, IPv6: convert" convert 1 1 \
	conv --converter "$V6" --server "$SV6:8000" --data x shutwr recvall
counted "message later: mp_capable" mp_capable 1 1 hello --deliver after
counted "message later: not convert" convert 0 0 hello --deliver after
# The proxy's own SYN goes out, it does not come in.
counted "message later, plain TCP: syn" syn 1 1 hello --tcp --deliver after
counted "something else in the SYN: not convert" convert 0 0 \
	conv --converter "$V4" --message 47455420 --no-answer recvall
counted "MPTCP past the converter: mp_capable" mp_capable 1 1 nsx ue mptcpize run python3 -c "
import socket
socket.create_connection(('$SV4', 8000), 5)"
counted "a segment: data" data 4 50 hello
counted "echo requests: other" other 3 60 nsx ue ping -q -c 3 -i 0.05 10.3.0.2

joined() {
	conv_bg one --converter "$V4" --server "$SV4:8000" --bind 10.1.0.2:40001 text=1 recv=1 wait
	wait_until 5 ctl_is sessions 'len(d[0]["subflows"])' 2
	go one
	reap one 5
}
nsx ue ip mptcp endpoint add 10.2.0.2 dev ue1 subflow
counted "a second subflow: mp_join" mp_join 1 1 joined

# Ethernet, then IPv4 to the converter with a total length beyond the frame; IPv4 cut short; SYN and
# FIN at once; a TCP option of length 0.
eth=ffffffffffff0200000000010800
ip4=4500%04x00000000400600000a0100020a030002
tcp=9c4014040000000100000000
raw_tcp() { # TOTAL_LENGTH TCP_REST
	# shellcheck disable=SC2059 # the format is ours
	printf "$eth$ip4$tcp%s" "$1" "$2"
}
counted "total length beyond the frame: malformed" malformed 1 1 raw "$(raw_tcp 1500 5002fff000000000)"
counted "header cut short: malformed" malformed 1 1 raw "${eth}4500001400"
counted "SYN and FIN: malformed" malformed 1 1 raw "$(raw_tcp 40 5003fff000000000)"
counted "TCP option of length 0: malformed" malformed 1 1 \
	raw "$(raw_tcp 44 6002fff00000000002000000)"
counted "a fragment: other" other 1 3 raw "$(raw_tcp 40 5002fff000000000 |
	sed 's/^\(.\{40\}\)0000/\12000/')"
counted "nothing of that was let in as a SYN" syn 0 0 true

is "every packet passes" "$(ctl_get counters 'd["xdp"]["verdict"]["drop"]')" 0
is "each counts once in each list" "$(ctl_get counters 'len({sum(d["xdp"][k].values())
	for k in ("class", "verdict", "reason")})')" 1

# The maps are there for bpftool, in words.
maps=$(find "$BPFFS" -name 'mg_class*')
like "the counters are pinned" "$maps" mg_class
dump=$(bpftool -j map dump pinned "${maps%%$'\n'*}")
is "bpftool names the classes, and counts the same" "$(jget 'sum(cpu["value"]["convert"]
	for cpu in d[0]["formatted"]["values"])' "$dump")" "$(sum_of convert)"
finish
