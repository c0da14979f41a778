#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Another XDP program on the same interface, through libxdp's dispatcher: both work, either may come
# first, and whoever goes leaves the other alone. Needs a kernel with program extensions (freplace).
# test: timeout=180 alone vm=6.12
. "$(dirname "$0")/../lib.sh"

net_up nojoin
start_mpgated
[ "$(ctl_get status 'd["features"]["xdp_dispatcher"]')" = true ] ||
	skip_all "no program extensions: $(ctl_get status '[i["xdp_mode"] for i in d["interfaces"]]')"

# Ours, as libxdp sees the interface.
programs() {
	nsx px xdp-loader status px0
}

has_program() {
	programs | grep -q "$1"
}

lacks_program() {
	! has_program "$1"
}

blocked_count() { # packets xdp-filter dropped to port 8001
	nsx px xdp-filter status | awk '$1 == "8001" { print $NF }'
}

blocked_more_than() {
	[ "$(blocked_count)" -gt "$1" ]
}

# Through the converter, with the message in the SYN; any kernel takes that from plain TCP.
converts() {
	conv --tcp --converter "$V4" --server "$SV4:8000" --data "$1" shutwr recvall
	[ "$(conv_get 'd["rx"]["text"]')" = "$1" ]
}

# Around it: a connection the proxy forwards.
reaches() {
	nsx ue timeout 30 python3 -c 'import socket, sys
s = socket.create_connection((sys.argv[1], int(sys.argv[2])), 10)
s.sendall(b"x")
assert s.recv(1) == b"x"' "$SV4" "$1"
}

# The other program drops what goes to port 8001; a try that gets nowhere is given up at once.
is_blocked() { # NAME
	local before
	before=$(blocked_count)
	spawn "knock" nsx ue python3 -c 'import socket, sys
socket.create_connection((sys.argv[1], 8001), 60)' "$SV4"
	ok "$1" wait_until 10 blocked_more_than "${before:-0}"
	ok "$1: nothing came back" alive knock
	stop knock KILL
}

counted() {
	ctl_get counters "d['xdp']['class']['$1']"
}

start_server 8000:echo 8001:echo
is "both sides run behind the dispatcher" \
	"$(ctl_get status 'sorted({i["xdp_mode"].endswith("+dispatcher") for i in d["interfaces"]})')" \
	"[true]"
like "status names our program's id" "$(ctl_get status '[i["prog_id"] > 0 for i in d["interfaces"]]')" \
	'^\[true, true\]$'
ok "libxdp lists it" has_program mg_xdp
ok "it works alone" converts "alone"
ok "port 8001 is open" reaches 8001

# The other one comes second.
ok "xdp-filter loads beside it" nsx px xdp-filter load -p allow -f tcp px0
ok "xdp-filter blocks a port" nsx px xdp-filter port -p tcp -m dst 8001
ok "both are listed" has_program xdpfilt
ok "ours still is" has_program mg_xdp
before=$(counted convert)
ok "the converter works beside it" converts "beside"
between "and ours still counts" "$(($(counted convert) - before))" 1 100
ok "the other ports are open" reaches 8000
is_blocked "the other program drops its port"

# Ours goes, the other stays.
stop mpgated
is "ours leaves in order" $? 0
ok "ours is gone" lacks_program mg_xdp
ok "the other stays" has_program xdpfilt
is_blocked "and goes on dropping"
ok "the other ports stay open" reaches 8000

# Ours comes second.
ok "ours comes back beside it" launch_mpgated
ok "it is listed" has_program mg_xdp
before=$(counted convert)
ok "the converter works again" converts "again"
between "and counts" "$(($(counted convert) - before))" 1 100
is_blocked "the other program still drops its port"

# The other goes, ours stays.
ok "xdp-filter leaves" nsx px xdp-filter unload px0
ok "xdp-filter is gone" lacks_program xdpfilt
ok "ours stays" has_program mg_xdp
ok "port 8001 is open again" reaches 8001
before=$(counted convert)
ok "the converter works to the end" converts "end"
between "and counts to the end" "$(($(counted convert) - before))" 1 100

# kill -9 leaves our program behind: the next daemon takes its place.
stop mpgated KILL
ok "a killed daemon's program stays" has_program mg_xdp
ok "the next daemon starts" launch_mpgated
is "with one program of ours" "$(programs | grep -c mg_xdp)" 1
ok "and works" converts "after all"
stop mpgated
ok "nothing of ours is left" lacks_program mg_xdp
finish
