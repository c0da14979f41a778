#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# SIGHUP: what can change live does, without a session being dropped; what cannot is named, and then
# nothing changes.
. "$(dirname "$0")/lib.sh"

net_up nojoin
start_mpgated
start_server 8000:echo
cp "$T/mpgate.yaml" "$T/first.yaml"

code_of() { # SERVER: the error code, or "served"
	conv --converter "$V4" --server "$1:8000" --data x shutwr recvall
	conv_get '"served" if d["rx"]["text"] == "x" else d["error"]["code"]'
}

logged() {
	grep -qE "$1" "$T/mpgated.log"
}

reload() { # WAIT_FOR_LOG KEY=VALUE…
	: >"$T/mpgated.log"
	write_config "${@:2}"
	kill -HUP "${PID[mpgated]}"
	wait_until 5 logged "$1"
}

conv_bg old --converter "$V4" --server "$SV4:8000" text=before recv=6 wait text=after recv=11 wait \
	shutwr recvall
wait_until 5 ctl_is sessions '[s["bytes_down"] for s in d]' "[6]"
is "before: served" "$(code_of 10.4.0.3)" served

ok "a destination is denied, a time-out changed" reload "in force" \
	destinations.deny='[ "10.4.0.3" ]' converter.connect_timeout_ms=600
is "after: refused" "$(code_of 10.4.0.3)" 32
is "after: the others are served" "$(code_of "$SV4")" served
conv --converter "$V4" --server 10.5.0.1:80
between "after: the new time-out holds (ms)" "$(conv_get 'd["answer_ms"]')" 550 2000
like "config shows it" "$(ctl config)" '10\.4\.0\.3'
is "the old session is still there" "$(ctl_get sessions 'sum(s["bytes_down"] == 6 for s in d)')" 1
go old
ok "and works" wait_until 5 ctl_is sessions 'sum(s["bytes_down"] == 11 for s in d)' 1

ok "a cookie is required from now on" reload "in force" converter.cookie=required
is "after: error 3" "$(code_of "$SV4")" 3
is "the deny list is gone" "$(ctl config | grep -c 10.4.0.3)" 0

for change in bpffs=/sys/fs/bpf/elsewhere workers=1 converter.source=preserved \
	'converter.listen=[ "10.3.0.2:5125" ]' px0.xdp=generic; do
	key=${change%%=*}
	[ "$key" != px0.xdp ] || key=interfaces
	ok "$key cannot change live: it is refused" reload "running configuration stays" "$change"
	like "$key cannot change live: it is named" "$(<"$T/mpgated.log")" "$key"
	is "$key cannot change live: nothing else changed" "$(code_of "$SV4")" 3
done

: >"$T/mpgated.log"
echo "nonsense: [" >"$T/mpgate.yaml"
kill -HUP "${PID[mpgated]}"
ok "a broken file is refused" wait_until 5 logged "running configuration stays"
like "a broken file: with its place" "$(<"$T/mpgated.log")" 'mpgate\.yaml:[0-9]+: '
is "a broken file: all goes on" "$(code_of "$SV4")" 3

: >"$T/mpgated.log"
cp "$T/first.yaml" "$T/mpgate.yaml"
kill -HUP "${PID[mpgated]}"
ok "back to the first configuration" wait_until 5 logged "in force"
is "served as in the beginning" "$(code_of 10.4.0.3)" served
go old
ok "the old session ends" reap old 5
is "in order, with every byte" "$(report_get old 'd["rx"]["text"], d["end"]')" '["beforeafter", "fin"]'
finish
