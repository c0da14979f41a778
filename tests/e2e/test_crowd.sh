#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Crowds: one client that takes all descriptors, a group that takes all places at the control socket.
# The rest goes on, and the daemon stays in hand.
. "$(dirname "$0")/lib.sh"

net_up nojoin
start_server 8000:echo
write_config converter.pending_per_client=1000 converter.greet_timeout_ms=60000
spawn mpgated nsx px prlimit --nofile=320:320 "$BUILD/mpgated" -c "$T/mpgate.yaml"
wait_until 15 mpgated_up_or_dead
alive mpgated || bail "mpgated starts with few descriptors"

hold() { # NAME [nsx SPACE | CMD…]… COUNT WHERE
	mkfifo "$T/$1.in"
	spawn "$1" "${@:2:$#-3}" python3 "$TOOLS/hold.py" "${@: -2:1}" "$T/$1.in" "${@: -1}"
	eval "exec {${1}_fd}>\"$T/$1.in\""
	wait_until 10 grep -q open "$T/$1.log"
}

held() { # NAME STATE LOW HIGH: for wait_until
	local n fd=${1}_fd
	n=$(wc -l <"$T/$1.log")
	echo >&"${!fd}"
	wait_until 5 more_lines "$1" "$n" || return 1
	n=$(tail -n 1 "$T/$1.log" | jget "d['$2']")
	[ "$n" -ge "$3" ] && [ "$n" -le "$4" ]
}

more_lines() {
	[ "$(wc -l <"$T/$1.log")" -gt "$2" ]
}

letgo() { # NAME
	local fd=${1}_fd
	exec {fd}>&-
	eval "exec ${!fd}>&-"
	reap "$1" 10
}

# ---- descriptors ----
ok "400 half messages at once" hold crowd nsx ue 400 "$V4"
ok "clients there are no descriptors for are turned away, none waits" \
	wait_until 10 held crowd reset 250 400
ok "root is answered while clients hold all they can get" ctl status
ok "some descriptors stay free" test "$(n_fds)" -lt 315
topo_ip px addr add 10.4.0.9/32 dev px1
letgo crowd
served() {
	conv --converter "$V4" --server "$SV4:8000" --data hello shutwr recvall
	[ "$(conv_get 'd["rx"]["text"]')" = hello ]
}
ok "once they are gone, clients are served again" wait_until 10 served
conv --converter "$V4" --server 10.4.0.9:22
is "an address that came meanwhile is known" "$(conv_get 'd["error"]["code"]')" 32
is "the daemon was never out of descriptors itself" "$(grep -c 'Too many open files' "$T/mpgated.log")" 0

# ---- the control socket ----
chmod 755 "$T" "$RUN"
cp "$TOOLS/hold.py" "$T/hold.py"
group=$(stat -c %g "$RUN/control.sock")
stop mpgated
start_mpgated
chmod 755 "$RUN"
mkfifo "$T/idlers.in"
chmod 666 "$T/idlers.in"
ok "the group connects 100 times and asks nothing" \
	hold idlers setpriv --reuid=65534 "--regid=$group" --clear-groups 100 "$RUN/control.sock"
ok "root is answered" ctl status
letgo idlers
ok "and when they are gone, too" wait_until 5 ctl status
finish
