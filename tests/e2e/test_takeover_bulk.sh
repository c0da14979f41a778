#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Large transfers and programs people use, over what was taken over: 100 MB each way, nginx with curl,
# iperf3; none of them knows of it.
# test: timeout=180
. "$(dirname "$0")/lib.sh"

net_up
size=100000000
start_server "8001:source:$size" 8002:sink "8003:both:20000000"
start_mpgated intercept.mode=hybrid

mkdir -p "$T/www"
head -c 30000000 /dev/urandom >"$T/www/file"
cat >"$T/nginx.conf" <<-END
	daemon off; master_process off; user root; pid $T/nginx.pid; error_log stderr;
	events {}
	http {
		access_log $T/access.log;
		client_body_temp_path $T/body; proxy_temp_path $T/p; fastcgi_temp_path $T/f;
		uwsgi_temp_path $T/u; scgi_temp_path $T/s; client_max_body_size 0;
		dav_methods PUT; create_full_put_path on;
		server { listen 80; listen [::]:80; root $T/www; dav_methods PUT; }
	}
END
chmod 755 "$T"
spawn nginx nsx sv nginx -p "$T" -c "$T/nginx.conf"
spawn iperf nsx sv iperf3 -s

got() { # NAME: what the client says of a download
	is "$1: MPTCP, every byte" "$(conv_get 'd["mptcp"], d["rx"]["bytes"], d["rx"]["wrong_at"],
		d["end"]')" "[true, $2, null, \"fin\"]"
}

direct "$SV4:8001" --bind 10.1.0.2:0 recvall shutwr
got "100 MB down" "$size"
direct "$SV6:8001" --bind "[fd00:2::2]:0" recvall shutwr
got "100 MB down, IPv6" "$size"
direct "$SV4:8002" --bind 10.2.0.2:0 "send=$size" shutwr recvall
ok "100 MB up: every byte" wait_until 5 server_is \
	'[[e["bytes"], e["wrong_at"]] for e in ev if e["ev"] == "fin" and e["port"] == 8002]' "[[$size, null]]"
direct "$SV6:8003" duplex=20000000
got "both ways at once" 20000000
ok "both ways at once: every byte up" wait_until 5 server_is \
	'[[e["bytes"], e["wrong_at"]] for e in ev if e["ev"] == "fin" and e["port"] == 8003]' \
	"[[20000000, null]]"
ok "they went over both links" wait_until 1 test "$(ctl_get counters 'd["mptcp"]["joins"]')" -ge 4

listens() {
	[ -n "$(nsx sv ss -Hltn "sport = :$1")" ]
}

fetch() { # what curl says of a download by MPTCP
	nsx ue mptcpize run curl -sS --max-time 30 -o "$T/got" -w '%{http_code} %{remote_ip}' "$@" \
		2>"$T/curl.log"
}

ok "nginx is up" wait_until 5 listens 80
is "curl: down" "$(fetch "http://$SV4/file")" "200 $SV4"
is "curl: every byte" "$(sha256 "$T/got")" "$(sha256 "$T/www/file")"
is "curl: down, IPv6" "$(fetch -g "http://$SV6/file")" "200 ${SV6:1:-1}"
is "curl: every byte, IPv6" "$(sha256 "$T/got")" "$(sha256 "$T/www/file")"
is "curl: up" "$(fetch -T "$T/www/file" "http://$SV4/up")" "201 $SV4"
is "curl: every byte up" "$(sha256 "$T/www/up")" "$(sha256 "$T/www/file")"
is "nginx saw the phone's own addresses" "$(awk '{ print $1 }' "$T/access.log" | sort -u | xargs)" \
	"10.1.0.2 fd00:1::2"

taken() {
	ctl_get counters 'd["hold"]["replayed"]'
}
before=$(taken)
ok "iperf3 is up" wait_until 5 listens 5201
for way in "" -R; do
	# shellcheck disable=SC2086 # none or one flag
	nsx ue timeout 20 mptcpize run iperf3 -J -t 1 -P 2 $way -c "$SV4" >"$T/iperf.json"
	between "iperf3 ${way:-up}: Mbit/s" \
		"$(jget 'int(d["end"]["sum_received"]["bits_per_second"] / 1e6)' <"$T/iperf.json")" 20 1000000
done
is "iperf3: all six connections were taken over" "$(($(taken) - before))" 6
ok "no session is left" wait_until 10 n_sessions_is 0
finish
