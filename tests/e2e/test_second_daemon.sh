#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# A second mpgated on the same interface, or in the same runtime_dir, is refused, says why, and leaves
# the first alone.
. "$(dirname "$0")/lib.sh"

net_up nojoin
start_mpgated
start_server 8000:echo
config=$T/mpgate.yaml

second() { # KEY=VALUE…: its exit status; its words in $T/second.log
	cp "$config" "$T/first.yaml"
	write_config "$@"
	cp "$config" "$T/second.yaml"
	cp "$T/first.yaml" "$config"
	spawn second nsx px "$BUILD/mpgated" -c "$T/second.yaml"
	reap second 10
}

first_works() { # NAME
	conv --converter "$V4" --server "$SV4:8000" --data hello shutwr recvall
	is "$1: the first still serves" "$(conv_get 'd["rx"]["text"]')" hello
	is "$1: the first still counts" "$(ctl_get counters 'd["xdp"]["class"]["convert"]')" "$2"
	like "$1: the first still has the SYN+ACK's options" "$(conv_get 'd["tlvs"][0]["value"]')" \
		'^0000020405b4'
}

first_works "before" 1
second "runtime_dir=$T/run2" "bpffs=$BPFFS/second" 'converter.listen=[ "10.3.0.2:5125" ]'
is "same interfaces: exit status" $? 1
like "same interfaces: it says which, and whose they are" "$(<"$T/second.log")" \
	"px[01].*mpgated.*${PID[mpgated]}"
first_works "same interfaces" 2
second "bpffs=$BPFFS/second" 'converter.listen=[ "10.3.0.2:5125" ]' px0.xdp=off
is "same runtime_dir: exit status" $? 1
like "same runtime_dir: it says which, and whose it is" "$(<"$T/second.log")" \
	"$RUN.*${PID[mpgated]}"
first_works "same runtime_dir" 3
second "runtime_dir=$T/run2" 'converter.listen=[ "10.3.0.2:5125" ]' px0.xdp=off
is "same bpffs: exit status" $? 1
first_works "same bpffs" 4
stop mpgated
is "the first ends well" $? 0
is "nothing is left" "$(find "$BPFFS" "$T/run" "$T/run2" -mindepth 1 2>/dev/null)" ""
finish
