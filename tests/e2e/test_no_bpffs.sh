#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Where no bpffs is mounted at the configured place the daemon mounts one, and takes it away again.
. "$(dirname "$0")/lib.sh"

net_up nojoin
start_server 8000:echo
BPFFS=$T/bpf

mounted() {
	grep -q " $T/bpf bpf " /proc/self/mounts
}

carries() { # NAME
	conv --converter "$V4" --server "$SV4:8000" --data hello shutwr recvall
	is "$1: a session works" "$(conv_get 'd["rx"]["text"]')" hello
	is "$1: XDP counts it" "$(ctl_get counters 'd["xdp"]["class"]["convert"]')" 1
	ok "$1: a bpffs is mounted" mounted
	like "$1: the maps are pinned there" "$(find "$T/bpf")" mg_class
}

fails "no bpffs is there before" mounted
start_mpgated
carries "none there"
stop mpgated
is "it ends well" $? 0
fails "its bpffs is gone" mounted

start_mpgated
stop mpgated KILL
ok "killed: its bpffs stays" mounted
ok "it starts over that" launch_mpgated
carries "over a killed one's"
stop mpgated
fails "and takes it away" mounted

mkdir -p "$T/bpf"
mount -t bpf bpf "$T/bpf"
start_mpgated
carries "somebody's own"
stop mpgated
ok "somebody's own bpffs stays" mounted
is "with no pin of ours in it" "$(find "$T/bpf" -mindepth 1 ! -name "*.debug")" ""
finish
