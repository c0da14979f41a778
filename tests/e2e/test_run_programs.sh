#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# mpgate-run with the programs people use, through mpgated: their bytes, over two paths.
. "$(dirname "$0")/lib.sh"

ldd "$BUILD/libmpgate-preload.so" | grep -q libasan &&
	skip_all "curl hangs with the sanitizer's library alone"
export MPGATE_CACHE=$T/cache
net_up
start_mpgated
start_server 80:http
head -c 3000000 /dev/urandom >"$T/file"
want=$(sha256 "$T/file")

run() {
	nsx ue timeout --foreground 30 "$BUILD/mpgate-run" --converter "$V4" "$@"
}

opened() {
	ctl_get counters 'd["relay"]["sessions_opened"]'
}

through() { # NAME CMD…: succeeds, and in sessions of the proxy
	local before
	before=$(opened)
	ok "$@"
	between "$1: through the proxy" "$(opened)" $((before + 1)) $((before + 50))
}

check_get() { # FILE: what the server's pattern is
	python3 - "$1" "$TOOLS" <<-'END'
		import sys
		sys.path.insert(0, sys.argv[2])
		import pattern
		with open(sys.argv[1], "rb") as f:
		    data = f.read()
		sys.exit(data != pattern.at(0, 3000000))
	END
}

through "curl" run curl -sS -o "$T/curl" "http://$SV4/3000000"
ok "curl: every byte" check_get "$T/curl"
through "curl, IPv6" run curl -sS -g -o "$T/curl6" "http://$SV6/3000000"
ok "curl, IPv6: every byte" check_get "$T/curl6"
like "the server saw the proxy only" "$(server_saw \
	'sorted({e["peer"].rpartition(":")[0] for e in ev if e["ev"] == "accept"})')" '^\["10\.4\.0\.1", "\[fd00:4::1\]"\]$'
through "wget" run wget -q -O "$T/wget" "http://$SV4/3000000"
ok "wget: every byte" check_get "$T/wget"
through "python3, urllib" run python3 -c "
import urllib.request
open('$T/urllib', 'wb').write(urllib.request.urlopen('http://$SV4/3000000').read())"
ok "python3, urllib: every byte" check_get "$T/urllib"
through "python3, asyncio" run python3 -c "
import asyncio
async def main():
    r, w = await asyncio.open_connection('$SV4', 80)
    w.write(b'GET /3000000 HTTP/1.1\r\n\r\n')
    await r.readuntil(b'\r\n\r\n')
    open('$T/asyncio', 'wb').write(await r.readexactly(3000000))
asyncio.run(main())"
ok "python3, asyncio: every byte" check_get "$T/asyncio"

spawn iperf nsx sv iperf3 -s --forceflush
wait_until 10 grep -q "Server listening" "$T/iperf.log" || bail "iperf3 -s starts"
through "iperf3" run iperf3 -c "$SV4" -n 20M -P 2
through "iperf3 -R" run iperf3 -c "$SV4" -n 20M -R

ssh-keygen -q -t ed25519 -N "" -f "$T/host" && ssh-keygen -q -t ed25519 -N "" -f "$T/user"
mkdir -p /run/sshd
spawn sshd nsx sv /usr/sbin/sshd -D -e -f /dev/null -p 22 -h "$T/host" -o UsePAM=no \
	-o "AuthorizedKeysFile=$T/user.pub" -o StrictModes=no -o PidFile=none -o PermitRootLogin=yes
wait_until 10 grep -q "Server listening on 0.0.0.0" "$T/sshd.log" || bail "sshd starts"
through "ssh" run ssh -i "$T/user" -o BatchMode=yes -o StrictHostKeyChecking=no -o LogLevel=ERROR \
	-o UserKnownHostsFile="$T/known" "root@$SV4" "cat > $T/ssh; cat $T/ssh" <"$T/file"
is "ssh: every byte there" "$(sha256 "$T/ssh")" "$want"
is "ssh: every byte back" "$(sha256 "$T/ok.out")" "$want"

between "second subflows joined" "$(ctl_get counters 'd["mptcp"]["joins"]')" 5 100
is "nothing fell back" "$(ctl_get counters 'd["mptcp"]["fallbacks"]')" 0
between "the messages came in the SYN" "$(ctl_get counters 'd["xdp"]["class"]["convert"]')" 8 100

before=$(opened)
fails "server port closed" run python3 -c "import socket; socket.create_connection(('$SV4', 81))"
like "server port closed: the errno of a direct connection" "$(<"$T/ok.out")" ConnectionRefusedError
fails "server unreachable" run python3 -c "import socket; socket.create_connection(('10.6.0.1', 80))"
like "server unreachable: the errno of a direct connection" "$(<"$T/ok.out")" "No route to host"
is "both through the proxy" "$(opened)" $((before + 2))
stop mpgated
fails "no proxy, no --fallback: no connection" run curl -sS -m 10 -o "$T/none" "http://$SV4/10"
ok "no proxy, --fallback: a direct one" run --fallback curl -sS -m 20 -o "$T/direct" "http://$SV4/10"
like "--fallback: the server saw the UE itself" \
	"$(server_saw '[e["peer"] for e in ev if e["ev"] == "accept"][-1]')" '^10\.1\.0\.2:'
finish
