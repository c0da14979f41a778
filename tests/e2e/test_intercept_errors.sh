#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Servers that refuse, cannot be reached, or say nothing: a phone whose sessions are taken over hears
# what it hears without us, and as soon.
# test: timeout=120
. "$(dirname "$0")/lib.sh"

net_up nojoin
start_server 8000:echo
# A web server on IPv4 alone: its IPv6 address refuses.
mkdir "$T/www" && echo "hello" >"$T/www/file"
# And what is prohibited, by the servers' router.
for net in 10.6.1.0/24 fd00:6:1::/64; do
	via=10.4.0.2
	[[ $net != *:* ]] || via=fd00:4::2
	topo_ip px route add $net via $via
	topo_ip sv route add prohibit $net
done
spawn http nsx sv python3 -m http.server 8080 --bind "$SV4" --directory "$T/www"
listens() {
	[ -n "$(nsx sv ss -Hltn "sport = :$1")" ]
}
wait_until 10 listens 8080 || bail "the web server starts"
capture_start ue ue ue0 "tcp or icmp or icmp6"

soon=$((300 * ${TEST_SLOW:-1}))

bare() {
	local a=${1#[}
	echo "${a%]}"
}

fails_soon() { # NAME SERVER ERROR MS
	direct "$2"
	is "$1" "$(conv_get 'd["connect_error"]')" "$3"
	between "$1: in good time (ms)" "$(conv_get 'd["total_ms"]')" 0 $((soon + $4))
}

silent() { # NAME ADDRESS
	direct "$2:80" --timeout 2.4
	is "$1" "$(conv_get 'd["connect_error"]')" EINPROGRESS
	is "$1: not one packet" "$(capture_count ue "src host $(bare "$2")")" 0
}

# eyes NAME DEAD ADDRESS PORT LOW HIGH: curl tries the dead IPv6 server first, IPv4 when 200 ms later
# nothing came, or as soon as it hears that it is in vain.
eyes() {
	local said
	said=$(nsx ue mptcpize run curl -sS --max-time 10 --noproxy '*' -o "$T/got" \
		--happy-eyeballs-timeout-ms 200 --resolve "name:$4:$2,$3" \
		-w '%{remote_ip} %{time_connect}' "http://name:$4/file" 2>"$T/curl.log")
	is "$1: by IPv4 in the end" "${said% *} $(cat "$T/got")" "$3 hello"
	between "$1: in good time (ms)" "$(awk -v s="${said#* }" 'BEGIN { print int(s * 1000) }')" "$5" "$6"
}

# Who told the phone of what is prohibited.
prohibited_heard() {
	capture_count ue "src host $1 and icmp[0] == 3 and icmp[1] == 13"
	capture_count ue "src net $2 and icmp6 and ip6[40] == 1 and ip6[41] == 1"
}

# How the phone was told of unreachable servers: types and codes.
icmp_heard() {
	capture_count ue "icmp[0] == 3 and icmp[1] == 1"
	capture_count ue "icmp6 and ip6[40] == 1 and (ip6[41] == 0 or ip6[41] == 3)"
}

all() { # NAME
	fails_soon "$1: refused" "$SV4:81" ECONNREFUSED 0
	fails_soon "$1: refused, IPv6" "$SV6:81" ECONNREFUSED 0
	# Here, where an error may be back before the SYN was quite sent, the kernel may only believe the
	# second one, that of the repetition.
	fails_soon "$1: unreachable" 10.6.0.1:80 EHOSTUNREACH 1000
	fails_soon "$1: unreachable, IPv6" "[fd00:6::1]:80" ENETUNREACH 1000
	fails_soon "$1: prohibited" 10.6.1.1:80 EHOSTUNREACH 1000
	fails_soon "$1: prohibited, IPv6" "[fd00:6:1::1]:80" EACCES 1000
	eyes "$1: a dead IPv6 server" "[fd00:5::1]" "$SV4" 8080 190 $((190 + soon))
	eyes "$1: an unreachable one" "[fd00:6::1]" "$SV4" 8080 0 $((190 + soon))
	eyes "$1: one that refuses" "$SV6" "$SV4" 8080 0 189
	silent "$1: silence" 10.5.0.1
	silent "$1: silence, IPv6" "[fd00:5::1]"
}

all "without us"
like "without us: ICMP errors came" "$(icmp_heard | xargs)" '^[1-9][0-9]* [1-9][0-9]*$'
like "without us: with their codes" "$(prohibited_heard 10.4.0.2 fd00:4::/64 | xargs)" '^[1-9][0-9]* [1-9][0-9]*$'

for mode in hybrid take-over; do
	stop cap-ue
	capture_start ue ue ue0 "tcp or icmp or icmp6"
	# Shorter than the phone waits: it must not notice when we give up.
	start_mpgated intercept.mode=$mode converter.connect_timeout_ms=1500
	all $mode
	like "$mode: so they do" "$(icmp_heard | xargs)" '^[1-9][0-9]* [1-9][0-9]*$'
	# Where hybrid could not see the code, the router says it itself.
	from="10.4.0.2 fd00:4::/64" refused=3
	[ $mode = hybrid ] || from="10.6.1.1 fd00:6:1::1/128" refused=8
	# shellcheck disable=SC2086 # two addresses
	like "$mode: with their codes" "$(prohibited_heard $from | xargs)" '^[1-9][0-9]* [1-9][0-9]*$'
	between "$mode: refused ones are counted" "$(ctl_get counters 'd["hold"]["refused"]')" 3 $refused
	between "$mode: silent ones, too" "$(ctl_get counters 'd["hold"]["timed_out"]')" 2 6
	is "$mode: such servers are not remembered" \
		"$(ctl_get servers '[s for s in d if s["server"].split(":")[-1] in ("80", "81")]')" "[]"
	direct "$SV4:8000" text=x shutwr recvall
	is "$mode: and one that answers is taken over" "$(conv_get 'd["mptcp"], d["rx"]["text"]')" '[true, "x"]'
	ok "$mode: nothing is left waiting" wait_until 8 n_sessions_is 0
	stop mpgated
done
finish
