#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# test: timeout=180
# Programs people use, through mpgate-run: their bytes, their exit status, their messages.
. "$(dirname "$0")/lib.sh"
. "$E2E_DIR/client.sh"

[ -z "$sanitizer" ] || skip_all "curl hangs with the sanitizer's library alone"
# One path: a second one needs XDP to mend the SYN's window, which the reference converter has not.
net_up nojoin
start_server 80:http
start_refconv "good@$C4:5124" "good@$C6:5124" "slow:400@$C4:5125"

nsx sv curl -sS -o "$T/wanted" "http://$SV4/3000000" || bail "the server serves"
wanted=$(sha256 "$T/wanted")

get() { # CONVERTER URL [CURL OPTION…]
	rm -f "$T/got"
	mrun "$1" curl -sS --max-time 20 -o "$T/got" "${@:3}" "$2"
}

ok "curl" get "$C4:5124" "http://$SV4/3000000"
is "its bytes" "$(sha256 "$T/got")" "$wanted"
like "went through with MPTCP and 0-RTT" "$(<"$T/mrun.log")" \
	"$SV4:80 through $C4:5124, MPTCP, 0-RTT"
ok "curl, IPv6" get "$C6:5124" "http://$SV6/3000000"
is "its bytes, IPv6" "$(sha256 "$T/got")" "$wanted"
is "curl names the server, not the converter" \
	"$(get "$C4:5124" "http://$SV4/10" -w '%{remote_ip} %{remote_port}')" "$SV4 80"
is "curl keeps its source address and port" \
	"$(get "$C4:5124" "http://$SV4/10" --interface 10.2.0.2 --local-port 40000 \
		-w '%{local_ip} %{local_port}')" "10.2.0.2 40000"
ok "curl --tcp-fastopen" get "$C4:5124" "http://$SV4/3000000" --tcp-fastopen
get "$C4:5124" "http://$SV4:81/" 2>"$T/curl.err"
is "curl, refused: status" "$?" 7
get "$C4:5124" "http://10.6.0.2/" 2>"$T/curl.err"
is "curl, unreachable: status" "$?" 7
get "$C4:5125" "http://$SV4/10" --connect-timeout 0.1 2>"$T/curl.err"
is "curl --connect-timeout" "$?" 28

# Happy eyeballs: IPv6 goes nowhere, IPv4 answers.
for dead in fd00:5::2 fd00:6::2; do
	is "curl, happy eyeballs, $dead" "$(get "$C4:5124" http://both.test/10 \
		--resolve "both.test:80:[$dead],$SV4" -w '%{remote_ip}')" "$SV4"
done
is "curl, happy eyeballs, both well" "$(get "$C4:5124" http://both.test/10 \
	--resolve "both.test:80:$SV6,$SV4" -w '%{remote_ip}')" fd00:4::2

mrun "$C4:5124" curl -sS -Z --max-time 20 -o "$T/p1" -o "$T/p2" -o "$T/p3" "http://$SV4/3000000" \
	"http://10.4.0.3/3000000" "http://$SV6/3000000" 2>"$T/curl.err"
is "curl, three at once" "$(cat "$T"/p[123] | sha256sum)" \
	"$(cat "$T/wanted" "$T/wanted" "$T/wanted" | sha256sum)"

mrun "$C4:5124" wget -q -t 1 -O "$T/got" "http://$SV4/3000000"
is "wget" "$(sha256 "$T/got")" "$wanted"
mrun "$C4:5124" wget -q -t 1 -T 20 -O "$T/got" "http://$SV6/3000000"
is "wget -T, IPv6" "$(sha256 "$T/got")" "$wanted"
mrun "$C4:5125" wget -t 1 --connect-timeout 0.1 -O "$T/got" "http://$SV4/10" 2>"$T/wget.err"
is "wget --connect-timeout: status" "$?" 4
mrun "$C4:5124" wget -t 1 -O "$T/got" "http://$SV4:81/" 2>"$T/wget.err"
like "wget, refused" "$(<"$T/wget.err")" "Connection refused"

spawn iperf nsx sv iperf3 -s
listens() { # PORT
	nsx sv ss -Htln "sport = :$1" | grep -q .
}
wait_until 10 listens 5201 || bail "iperf3 -s starts"
iperf() { # HOST OPTION…
	mrun "$C4:5124" iperf3 -J -t 1 -c "$1" "${@:2}" >"$T/iperf.json" 2>/dev/null
	jget 'd["end"]["sum_received"]["bytes"] > 1000000' <"$T/iperf.json"
}
is "iperf3, up" "$(iperf "$SV4")" true
is "iperf3, down" "$(iperf "$SV4" -R)" true
is "iperf3, four streams" "$(iperf "$SV4" -P 4)" true
is "iperf3, IPv6" "$(iperf fd00:4::2)" true
is "iperf3 --connect-timeout" "$(iperf "$SV4" --connect-timeout 5000)" true

ssh-keygen -q -t ed25519 -N '' -f "$T/host_key"
ssh-keygen -q -t ed25519 -N '' -f "$T/user_key"
cp "$T/user_key.pub" "$T/authorized_keys"
cat >"$T/sshd_config" <<-END
	Port 2222
	HostKey $T/host_key
	AuthorizedKeysFile $T/authorized_keys
	PidFile none
	StrictModes no
	PermitRootLogin yes
	UsePAM no
END
mkdir -p /run/sshd
spawn sshd nsx sv /usr/sbin/sshd -D -e -f "$T/sshd_config"
wait_until 10 listens 2222 || bail "sshd starts"
mssh() { # HOST OPTION… COMMAND
	mrun "$C4:5124" ssh -F none -i "$T/user_key" -p 2222 -o LogLevel=ERROR \
		-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o BatchMode=yes \
		"${@:2:$#-2}" "root@$1" "${!#}"
}
is "ssh" "$(mssh "$SV4" "sha256sum" <"$T/wanted" 2>/dev/null)" "$wanted  -"
is "ssh -o ConnectTimeout, IPv6" \
	"$(mssh fd00:4::2 -o ConnectTimeout=10 "cat $T/wanted" 2>/dev/null | sha256sum)" \
	"$wanted  -"
mssh "$SV4" true 2>&1 >/dev/null | grep -v '^mpgate: ' >"$T/ssh.err"
is "ssh has nothing to complain of" "$(<"$T/ssh.err")" ""

# What a program starts goes the same way.
mrun "$C4:5124" bash -c "curl -sS -o $T/got http://$SV4/3000000 && exec wget -q -O $T/got2 \
	http://$SV4/3000000" 2>/dev/null
is "children, and what replaces a shell" "$(sha256 "$T/got") $(sha256 "$T/got2")" "$wanted $wanted"
is "the converter served MPTCP only" \
	"$(refconv_saw 'all(e["mptcp"] for e in ev if e["event"] == "request")')" true
finish
