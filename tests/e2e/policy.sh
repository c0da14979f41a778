# shellcheck shell=bash
# SPDX-License-Identifier: BSD-2-Clause
# What tests of policies and limits share. Sourced after lib.sh.

# start_policed [KEY=VALUE…] <<YAML: mpgated with what write_config writes and these policies.
start_policed() {
	write_policed "$@"
	launch_mpgated || bail "mpgated starts"
}

write_policed() {
	write_config "$@"
	cat >>"$T/mpgate.yaml"
}

# reload_policed [KEY=VALUE…] <<YAML: the same for a daemon that runs; it is in force when this
# returns.
reload_policed() {
	write_policed "$@"
	ctl reload >"$T/reload.out" 2>&1
}

# limits_of SUBSCRIBER EXPR: of the one row d that is about it, e.g. 'd["sessions"]'
limits_of() {
	ctl --json limits "$1" | jget "[($2) for d in d][0]"
}

limits_is() { # SUBSCRIBER EXPR WANTED, for wait_until
	[ "$(limits_of "$1" "$2")" = "$3" ]
}

# Nobody has a session or a subflow, as the kernel's side counts.
nothing_is_counted() {
	[ "$(ctl_get limits '[[r["subscriber"], r["sessions"], r["subflows"]] for r in d
		if r["sessions"] or r["subflows"]]')" = "[]" ]
}

admit_count() { # REASON…, as numbers
	ctl_get counters "[d[\"admit\"][k] for k in \"$*\".split()]"
}

# hold_open NAME ARG…: a session through the converter that stays, until `go NAME` ends it.
hold_open() {
	conv_bg "$1" --converter "$V4" --server "$SV4:8000" "${@:2}" text=hello recv=5 wait shutwr recvall
}

served_is() { # NUMBER of connections that the servers accepted so far, for wait_until
	server_is 'len([e for e in ev if e["ev"] == "accept"])' "$1"
}

# What XDP answers gets out of a veth device only if the other end has a program, too.
let_answers_out() {
	nsx rt python3 "$TOOLS/xdppass.py" rp0 >>"$T/topology.log" 2>&1 || bail "XDP on the links"
}
