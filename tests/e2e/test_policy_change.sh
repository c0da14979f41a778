#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Policies changed while running: set, removed, reloaded; who is told what, and what the file keeps.
. "$(dirname "$0")/lib.sh"

net_up nojoin
start_mpgated access_networks='[ { name: cellular, prefixes: [ 10.1.0.0/24 ] }, { name: wlan } ]' \
	services="[ { name: echo, match: [ \"$SV4:8000\" ] } ]" \
	subscribers='[ { name: gold, match: [ 10.1.0.0/24 ] } ]' \
	policies='[ { name: p1, subscribers: gold, limits: { sessions: 7 } }, { name: p2, access: wlan } ]'
start_server 8000:echo
cp "$T/mpgate.yaml" "$T/first.yaml"
chmod 755 "$T"
cp "$BUILD/mpgatectl" "$T/mpgatectl"
chmod 755 "$T/mpgatectl"

served() { # "served", or the error code
	conv --converter "$V4" --server "$SV4:8000" --data x shutwr recvall
	conv_get '"served" if d["rx"]["text"] == "x" else d["error"]["code"]'
}

names() {
	ctl_get policies '" ".join(p["name"] for p in d)'
}

is "policies, in order" "$(names)" "p1 p2 default"
is "a policy, with everything it says" "$(ctl_get policies 'd[0]')" \
	'{"name": "p1", "subscribers": ["gold"], "services": "any", "access": "any", "limits": {"sessions": 7, "new_per_s": 0, "burst": 0, "held": 0, "subflows": 0, "subflows_per_session": 0}, "proxy_protocol": "off", "refuse": "pass", "refuse_join": "reset", "steering": "default", "strict": false}'
like "the default one says nothing of who it is for" "$(ctl_get policies 'sorted(d[-1])')" '^\["limits", "name", "proxy'
like "for people" "$(ctl policies)" 'p1 +gold +any +any +- +- +- +sessions 7 +default'
is "without a policy that refuses" "$(served)" served

# ---- set ----
ok "a policy more" ctl policy set '{ name: nobody, subscribers: [ gold ], services: [ echo ], mode: deny }'
like "the answer says what it is worth" "$(<"$T/ok.out")" 'running configuration only: the file is not touched'
is "it goes first" "$(names)" "nobody p1 p2 default"
is "and holds" "$(served)" 32
ok "another one of its name, in JSON" ctl policy set '{"name":"nobody","subscribers":"gold","services":"echo","split":{"wlan":40,"cellular":60}}'
is "in its place" "$(names)" "nobody p1 p2 default"
is "it holds as well" "$(served)" served
is "what policies shows can be set again" "$(ctl_get policies 'd[0]')" \
	"$(ctl policy set "$(ctl_get policies 'd[0]')" >/dev/null && ctl_get policies 'd[0]')"
ok "the default one" ctl policy set 'name: default
limits: { sessions: 3 }'
is "says so" "$(ctl_get policies 'd[-1]["limits"]["sessions"]')" 3
like "so does the configuration" "$(ctl config)" 'limits: \{ sessions: 3,'
ok "the file does not" cmp "$T/mpgate.yaml" "$T/first.yaml"

# ---- findings ----
fails "a policy that is wrong" ctl policy set '{ name: p9, subscribers: [ silver ],
  mode: deny, split: { wlan: 99 } }'
like "who is unknown" "$(<"$T/ok.out")" 'policy:1: subscribers\[0\]: is "silver", expected the name of one of subscribers'
like "and every other finding" "$(<"$T/ok.out")" 'policy:2: split: adds up to 99, expected 100'
fails "what is no policy" ctl policy set 'deny'
like "says so" "$(<"$T/ok.out")" 'is a single value, expected a mapping'
is "nothing has changed" "$(names)" "nobody p1 p2 default"

# ---- del ----
ok "a policy less" ctl policy del nobody
is "it is gone" "$(names)" "p1 p2 default"
fails "twice" ctl policy del nobody
like "is told" "$(<"$T/ok.out")" 'name: is "nobody", expected the name of one of policies'
ok "the default one says nothing again" ctl policy del default
is "no limit" "$(ctl_get policies 'd[-1]["limits"]["sessions"]')" 0

# ---- reload ----
ctl policy set '{ name: p2, access: wlan, mode: deny }' >/dev/null
ok "reload" ctl reload
like "says which file" "$(<"$T/ok.out")" "^reloaded: $T/mpgate.yaml"
is "what the file says holds again" "$(ctl_get policies '"mode" in d[1]')" false
sed -i 's/mode: deny/mode: denied/; s/name: p2/name: p2, mood: good/' "$T/mpgate.yaml"
fails "a file with an error" ctl reload
like "the finding is the answer" "$(<"$T/ok.out")" "$T/mpgate.yaml:[0-9]+: policies\[1\]\.mood: unknown key"
sed 's/^workers:.*/workers: 1/' "$T/first.yaml" >"$T/mpgate.yaml"
fails "a key that cannot change" ctl reload
like "so is that" "$(<"$T/ok.out")" 'workers: cannot change while running, expected 2 as before'
is "nothing has changed" "$(names)" "p1 p2 default"

# ---- who ----
group=$(stat -c %g "$RUN/control.sock")
as_group() {
	setpriv --reuid=65534 --regid="$group" --clear-groups "$T/mpgatectl" --socket "$RUN/control.sock" "$@"
}
ok "the group may look" as_group policies
for command in "policy set {name:p1}" "policy del p1" reload; do
	# shellcheck disable=SC2086 # words
	fails "but not: $command" as_group $command
	like "$command: it is told" "$(<"$T/ok.out")" 'for root only'
done
fails "half a command" ctl policy
like "is asked for the rest" "$(<"$T/ok.out")" 'policy what'
fails "an unknown half" ctl policy flush
like "is told" "$(<"$T/ok.out")" 'unknown command "policy flush"'

# ---- several at once ----
python3 - "$RUN/control.sock" >"$T/many.out" <<'PY'
import json, socket, sys

s = socket.socket(socket.AF_UNIX)
s.connect(sys.argv[1])
asks = []
for i in range(50):
    asks.append({"cmd": "policy-set", "policy": "{ name: m%d, limits: { sessions: %d } }" % (i, i + 1)})
    asks.append({"cmd": "policies"})
s.sendall("".join(json.dumps(a) + "\n" for a in asks).encode())
f = s.makefile()
answers = [json.loads(f.readline()) for _ in asks]
print(all(a["ok"] for a in answers), [len(a["result"]) for a in answers[1::2]] == list(range(4, 54)))
# One that goes before its answer comes.
g = socket.socket(socket.AF_UNIX)
g.connect(sys.argv[1])
g.sendall(b'{"cmd":"policy-set","policy":"{ name: gone }"}\n{"cmd":"reload"}\n')
g.close()
PY
is "requests of one connection are answered in order" "$(<"$T/many.out")" "True True"
ok "who leaves early does no harm" ctl status
is "the daemon lives" "$(ctl_get status 'd["state"]')" running
finish
