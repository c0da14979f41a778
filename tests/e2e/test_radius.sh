#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# test: timeout=180
# Gateways say by RADIUS accounting who is where: radclient, and requests made by hand, against a
# running daemon with a session of two subflows.
. "$(dirname "$0")/lib.sh"

export MPGATE_CACHE=$T/cache
RADIUS=10.3.0.2:1813
IMSI=001010123456789
umask 077
echo s3cr3t >"$T/secret"

radius_config() { # WHAT: the lines under "radius:"
	write_config
	cat >>"$T/mpgate.yaml" <<-END
		access_networks:
		  - { name: cellular, prefixes: [ 10.1.0.0/16, "fd00:1::/32" ] }
		  - { name: wlan, prefixes: [ 10.2.0.0/16, "fd00:2::/32" ] }
		subscribers:
		  - { name: gold, match: [ "id:00101*" ] }
		policies:
		  - { name: rich, subscribers: [ gold ], limits: { sessions: 50 } }
		radius:
		$1
	END
}

clients="  listen: \"$RADIUS\"
  clients: [ { address: 10.3.0.1, secret_file: $T/secret } ]"

# acct ATTRIBUTES…: what radclient says of it; it retries once, so an unanswered one takes 2 s.
acct() {
	printf '%s\n' "$@" >"$T/request"
	nsx rt radclient -x -r 1 -t 2 -f "$T/request" "$RADIUS" acct "${SECRET:-s3cr3t}"
}

by_hand() { # KEY=VALUE…
	nsx rt python3 "$TOOLS/radius.py" send "$RADIUS" secret=s3cr3t "$@"
}

entry() { # PREFIX FIELD: of what RADIUS or a command said of it
	ctl_get access "[e['$2'] for e in d if e['prefix'] == '$1' and e['source'] != 'config']"
}

counted() { # COUNTER
	ctl_get counters "d['radius']['$1']"
}

subflow_access() { # REMOTE ADDRESS
	ctl_get sessions "[f['access'] for s in d for f in s['subflows'] if f['remote'].startswith('$1:')]"
}

# Milliseconds from sending a request to the moment sessions show another access network.
takes_ms() { # REMOTE WANTED KEY=VALUE…
	nsx rt python3 - "$TOOLS" "$RUN/control.sock" "$@" <<-'END'
		import json, socket, sys, time
		sys.path.insert(0, sys.argv[1])
		import radius
		ctl = socket.socket(socket.AF_UNIX)
		ctl.connect(sys.argv[2])
		lines = ctl.makefile("rw")
		udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
		packet = radius.request([tuple(w.split("=", 1)) for w in sys.argv[5:]])
		start = time.monotonic()
		udp.sendto(packet, ("10.3.0.2", 1813))
		while time.monotonic() < start + 5:
		    lines.write('{"cmd":"sessions"}\n')
		    lines.flush()
		    found = [f["access"] for s in json.loads(lines.readline())["result"]
		             for f in s["subflows"] if f["remote"].startswith(sys.argv[3] + ":")]
		    if found == [sys.argv[4]]:
		        print(round((time.monotonic() - start) * 1000, 1))
		        break
	END
}

net_up
topo_shape 0 4
topo_shape 1 4
start_server 80:http 8000:echo
radius_config "$clients"
launch_mpgated || bail "mpgated starts"

is "the configuration's prefixes are shown" \
	"$(ctl_get access "[(e['prefix'], e['access'], e['ttl_s']) for e in d if e['source'] == 'config'][0]")" \
	'["10.1.0.0/16", "cellular", null]'

# ---- a session with two subflows, then the first one's address moves
spawn run nsx ue timeout 90 "$BUILD/mpgate-run" --converter "$V4" \
	curl -sS -g -o "$T/got" "http://$SV4/30000000"
two_subflows() {
	ctl_is sessions 'sum(len(s["subflows"]) for s in d)' 2
}
ok "a session with two subflows" wait_until 10 two_subflows
is "its subflows' access networks are those of the prefixes" \
	"$(subflow_access 10.1.0.2) $(subflow_access 10.2.0.2)" '["cellular"] ["wlan"]'

like "radclient: a Start is answered" "$(acct "Acct-Status-Type = Start" "Acct-Session-Id = 0001" \
	"User-Name = alice" "NAS-IP-Address = 10.3.0.1" "Framed-IP-Address = 10.1.0.2" \
	"NAS-Port-Type = Wireless-802.11" 2>&1)" "Received Accounting-Response"
is "access shows it" "$(entry 10.1.0.2/32 access) $(entry 10.1.0.2/32 subscriber) \
$(entry 10.1.0.2/32 source)" '["wlan"] ["alice"] ["radius"]'
is "the program that admits says so" "$(ctl_get policy test --from 10.1.0.2 --to "$SV4:80" \
	"(d['access'], d['policy'])")" '["wlan", "default"]'
is "the live subflow is in that access network" "$(subflow_access 10.1.0.2)" '["wlan"]'
like "an Interim moves it back, by RAT type" "$(acct "Acct-Status-Type = Interim-Update" \
	"Acct-Session-Id = 0001" "NAS-IP-Address = 10.3.0.1" "3GPP-RAT-Type = EUTRAN" \
	"3GPP-IMSI = $IMSI" 2>&1)" "Received Accounting-Response"
is "whose class has another policy" "$(ctl_get policy test --from 10.1.0.2 --to "$SV4:80" \
	"(d['access'], d['policy'])")" '["cellular", "rich"]'
is "and says who it really is" "$(entry 10.1.0.2/32 access) $(entry 10.1.0.2/32 subscriber)" \
	"[\"cellular\"] [\"$IMSI\"]"
slowest=0
for i in 1 2 3 4 5; do
	for to in wlan:3 cellular:6; do
		ms=$(takes_ms 10.1.0.2 "${to%:*}" secret=s3cr3t "id=$i" status=3 session=0001 \
			"rat=${to#*:}" "time=$((1790000000 + i))")
		slowest=$(awk -v a="$slowest" -v b="${ms:-9999}" 'BEGIN { print (a > b ? a : b) }')
	done
done
diag "live sessions follow within $slowest ms, the slowest of 10"
between "live sessions follow within 100 ms" "$slowest" 0 100

like "radclient: a Stop is answered" "$(acct "Acct-Status-Type = Stop" "Acct-Session-Id = 0001" \
	"Acct-Terminate-Cause = User-Request" 2>&1)" "Received Accounting-Response"
is "and takes it back" "$(entry 10.1.0.2/32 access)" '[]'
is "the subflow is where the prefixes say" "$(subflow_access 10.1.0.2)" '["cellular"]'

# ---- two addresses, one subscriber
ok "the IMSI's first address" by_hand id=1 status=1 session=a "imsi=$IMSI" rat=6 ip=10.1.0.2
ok "the IMSI's second address" by_hand id=2 status=1 session=b "imsi=$IMSI" rat=3 ip=10.2.0.2
conv_bg one --converter "$V4" --server "$SV4:8000" --bind 10.1.0.2:40001 text=12345 recv=5 wait shutwr
conv_bg two --converter "$V4" --server "$SV4:8000" --bind 10.2.0.2:40002 text=12345 recv=5 wait shutwr
both() {
	ctl_is limits "[(e['sessions'], e['sessions_limit']) for e in d if '$IMSI' in e['subscriber']]" '[[2, 50]]'
}
ok "two addresses of one IMSI are one subscriber" wait_until 10 both
ctl limits >"$T/limits.log"
ok "limits takes its name" ctl limits "id:$IMSI"
go one
go two
reap one 20
reap two 20
reap run 90
is "the session outlives all of this" "$(stat -c %s "$T/got")" 30000000

# ---- IPv6
ok "an IPv6 prefix" by_hand id=3 status=1 session=c user=bob port=19 prefix6=2001:db8:7::/64 \
	delegated6=2001:db8:8::/56 address6=2001:db8::9
is "prefixes of all kinds" "$(entry 2001:db8:7::/64 access)$(entry 2001:db8:8::/56 access)$(entry 2001:db8::9/128 access)" \
	'["wlan"]["wlan"]["wlan"]'
ok "its Stop" by_hand id=4 status=2 session=c
is "takes all of them back" "$(ctl_get access "len([e for e in d if ':' in e['prefix'] and e['source'] == 'radius'])")" 0

# ---- what is not believed
changes=$(ctl_get counters "d['access']['changes']")
fails "another secret" by_hand id=5 status=1 session=d ip=10.1.0.9 sign=wrong wait=0.5
is "is counted" "$(counted bad_authenticator)" 1
SECRET=wrong acct "Acct-Status-Type = Start" "Acct-Session-Id = d" \
	"Framed-IP-Address = 10.1.0.9" >"$T/wrong.log" 2>&1
fails "radclient with another secret hears nothing" grep -q "^Received" "$T/wrong.log"
fails "whoever is no client" nsx ue python3 "$TOOLS/radius.py" send "$RADIUS" secret=s3cr3t \
	status=1 session=d ip=10.1.0.9 wait=0.5
is "is counted, too" "$(counted unknown_client)" 1
fails "an attribute that lies" by_hand id=6 status=1 session=d raw=08ff0a wait=0.5
is "is counted as such" "$(counted bad_attribute)" 1
is "nothing of it counts" "$(ctl_get counters "d['access']['changes']")" "$changes"

# ---- duplicates: the same bytes from the same port
starts=$(counted start)
ok "a request that is repeated is answered every time" by_hand id=7 status=1 session=e user=bob \
	ip=10.1.0.77 port=19 proxy=0102 times=5
is "and applied once" "$(($(counted start) - starts)) $(counted duplicate)" "1 4"

# ---- a late Stop, Accounting-On
ok "the address goes to another" by_hand id=8 status=1 session=f user=carol ip=10.1.0.77 port=19
ok "the first one's Stop is late" by_hand id=9 status=2 session=e ip=10.1.0.77
is "the second one's word counts" "$(entry 10.1.0.77/32 subscriber)" '["carol"]'
ok "the gateway starts anew" by_hand id=10 status=7 nas=10.3.0.1
is "its sessions are gone" "$(ctl_get access "len([e for e in d if e['source'] == 'radius'])") $(counted sessions)" "0 0"

# ---- commands
ok "access set" ctl access set 10.1.0.2 wlan --subscriber "$IMSI" --ttl 1
is "is shown" "$(entry 10.1.0.2/32 source)$(entry 10.1.0.2/32 ttl_s)" '["command"][1]'
ended() { [ "$(entry 10.1.0.2/32 source)" = '[]' ]; }
ok "and ends" wait_until 3 ended
ok "access set, for longer" ctl access set 10.1.8.0/24 wlan
ok "access del" ctl access del 10.1.8.0/24
fails "nothing is left to delete" ctl access del 10.1.8.0/24
fails "no such access network" ctl access set 10.1.8.0/24 lan
is "an entry by address" "$(ctl_get access 10.1.0.2 "[e['access'] for e in d]")" '["cellular"]'
fails "only root sets" setpriv --reuid 65534 --regid 0 --clear-groups -- \
	"$BUILD/mpgatectl" --socket "$RUN/control.sock" access set 10.1.0.2 wlan

# ---- a flood
before=$(rss_kb)
nsx rt timeout 120 python3 "$TOOLS/radius.py" flood "$RADIUS" 10000 secret=s3cr3t status=1 \
	imsi="$IMSI" rat=6 ip=10.64.0.0 >"$T/flood.json"
is "10,000 Starts are answered, and right" $? 0
after=$(rss_kb)
diag "flood: $(<"$T/flood.json"), memory from $before to $after kB"
is "all of them are in force" "$(ctl_get access "len([e for e in d if e['source'] == 'radius'])")" 10000
sanitized || between "they take less than 2 KiB each" "$((after - before))" 0 20000

# ---- reload
others="$clients
  types: { cellular: { nas: [ 19 ] }, wlan: { rat: [ eutran ] } }"
radius_config "$others"
ok "reload: other types" ctl reload
known_follows() { [ "$(entry 10.64.0.1/32 access)" = '["wlan"]' ]; }
ok "what is known follows" wait_until 5 known_follows
radius_config "$others
  stale_s: 2"
ok "reload: stale_s" ctl reload
gone_stale() { ctl_is access "len([e for e in d if e['source'] == 'radius'])" 0; }
ok "whoever says nothing is forgotten" wait_until 10 gone_stale
echo other >"$T/secret"
ok "reload: another secret" ctl reload
fails "the former one is none" by_hand id=20 status=1 session=z ip=10.1.0.9 wait=0.5
ok "the new one is" nsx rt python3 "$TOOLS/radius.py" send "$RADIUS" secret=other id=21 status=1 \
	session=z ip=10.1.0.9 rat=6
radius_config "${clients/1813/1814}"
ok "reload: another port" ctl reload
ok "is listened at" nsx rt python3 "$TOOLS/radius.py" send 10.3.0.2:1814 secret=other id=22 \
	status=3 session=z ip=10.1.0.9 rat=6
radius_config "  listen: \"[fd00:3::2]:813\"
  clients: [ { address: \"fd00:3::1\", secret_file: $T/secret } ]"
ok "reload: an IPv6 address, a port of root's, another client" ctl reload
is "what the former client said is gone" "$(ctl_get access "len([e for e in d if e['source'] == 'radius'])")" 0
ok "it is heard there" nsx rt python3 "$TOOLS/radius.py" send "[fd00:3::2]:813" secret=other id=30 \
	status=1 session=y prefix6=fd00:1:9::/64 rat=6
radius_config "${clients/1813/1814}"
ok "and back" ctl reload
rm "$T/secret"
fails "a reload without a secret is refused" ctl reload
ok "and what was in force is" nsx rt python3 "$TOOLS/radius.py" send 10.3.0.2:1814 secret=other \
	id=23 status=3 session=z ip=10.1.0.9 rat=6
stop mpgated
is "it ends well" $? 0
finish
