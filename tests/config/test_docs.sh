#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# The documents say what the code does: keys, values, defaults and what is live; the examples load.
set -u
cd "$(dirname "$0")/../.." || exit 1
tool=${BUILD:-build}/tests/tools/config_print
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
n=0
failed=0

result() {
	n=$((n + 1))
	if [ "$1" -eq 0 ]; then
		echo "ok $n - docs $2"
	else
		echo "not ok $n - docs $2"
		sed 's/^/# /' "$work/diff"
		failed=1
	fi
}

# Rows of the table of keys, without the lists, which the code has no such record of.
# shellcheck disable=SC2016 # backquotes of Markdown
sed -n 's/^| `\([][a-z0-9_.]*\)` | \(.*\)/\1 | \2/p' docs/configuration.md |
	awk -F ' [|] ' '$4 == "yes" || $4 == "no" {
		if ($2 ~ /^(list|mapping|path|two ports)/ || $2 ~ /ADDRESS/ || $3 == "mandatory") next
		if ($1 ~ /^selection/ || $3 == "any" || $3 ~ /^as /) next
		gsub(/`/, "", $2); gsub(/`/, "", $3)
		if ($3 == "none" || $3 == "name of the host") $3 = ""
		print $1 "|" $2 "|" $3 "|" $4
	}' >"$work/documented"
"$tool" --keys >"$work/keys"
[ -s "$work/keys" ] && diff -u "$work/documented" "$work/keys" >"$work/diff"
result $? "configuration.md has every key, value and default"

# Every key that there is has a row, lists too: what a finding about an unknown one names.
known() { # PREFIX YAML
	echo "$2" | "$tool" - 2>&1 | sed -n 's/.*: unknown key, expected one of //p' | tr ',' '\n' |
		sed "s/^ */$1/"
}
{
	known "" "x: 1"
	for section in converter intercept cpe gateway destinations; do
		known "$section." "$section: { x: 1 }"
	done
	for list in proxies groups virtual selection; do
		known "${list}[]." "$list: [ { x: 1 } ]"
	done
	known "groups[].check." "groups: [ { check: { x: 1 } } ]"
	for section in subscriber_key radius sharing provision; do
		known "$section." "$section: { x: 1 }"
	done
	for list in access_networks services subscribers policies; do
		known "${list}[]." "$list: [ { x: 1 } ]"
	done
	for list in services policies; do
		known "${list}[].limits." "$list: [ { limits: { x: 1 } } ]"
	done
	known "radius.clients[]." "radius: { clients: [ { x: 1 } ] }"
} | grep -vxE 'converter|intercept|cpe|gateway|destinations|groups\[\]\.check' |
	grep -vxE 'subscriber_key|radius|sharing|provision|(services|policies)\[\]\.limits' | sort >"$work/all"
# shellcheck disable=SC2016 # backquotes of Markdown
sed -n 's/^| `\([][a-z0-9_.]*\)` | .*/\1/p' docs/configuration.md |
	grep -vxE 'name|role|xdp|off|transparent|take-over|hybrid' | sort >"$work/rows"
[ -s "$work/all" ] && diff -u "$work/rows" "$work/all" >"$work/diff"
result $? "configuration.md has a row for each"

# The man page has each key, with its range, and says of the right ones that they are live.
while IFS='|' read -r key values default live; do
	name=${key##*.}
	section=${key%"$name"}
	section=$(echo "${section%.}" | tr -d '[]')
	sed -n "/^\.Ss ${section:-Top level}\$/,/^\.S[sh] /p" docs/man/mpgate.yaml.5 |
		sed -n "/^\.It Cm $name : /,/^\.It Cm\|^\.Ss\|^\.El/p" >"$work/entry"
	range=$(echo "$values" | sed -n 's/^\([0-9]*\) to \([0-9]*\)$/\1..\2/p')
	names=$(case $values in [a-z]*,*) ;; [a-z]*) echo "$values" | sed 's/ / | /g' ;; esac)
	printf '%s\n' "$key: expected $range$names, default $default, live $live" >"$work/diff"
	grep -q "^.It Cm $name : .*$range$names" "$work/entry" &&
		{ [ -z "$default" ] || grep -q "$default" "$work/entry"; } &&
		case $live in yes) grep -q '(live)' "$work/entry" ;; *) ! grep -q '(live)' "$work/entry" ;; esac
	result $? "mpgate.yaml(5): $key"
done <"$work/keys"

"$tool" docs/mpgate.example.yaml >/dev/null 2>"$work/diff"
result $? "mpgate.example.yaml is a configuration"
{
	echo "interfaces: [ { name: eth0, role: access } ]"
	sed -n '/^# gateway:/,/^# store:/s/^#//p' docs/mpgate.example.yaml
} | sed 's/^ //' | "$tool" - >/dev/null 2>"$work/diff"
result $? "so is the gateway in its comments"
{
	echo "interfaces: [ { name: eth0, role: access }, { name: eth1, role: core } ]"
	echo "converter: { listen: [ '192.0.2.1:5124' ] }"
	sed -n '/^# access_networks:/,/^# provision:/s/^#//p' docs/mpgate.example.yaml
} | sed 's/^ //' | "$tool" - >/dev/null 2>"$work/diff"
result $? "so are the policies in its comments"
for i in 1 2 3 4 5 6; do
	awk -v i="$i" '/^\.Sh/ { on = /EXAMPLES/ } /^\.Bd/ { n += on; text = 1 } /^\.Ed/ { text = 0 } on && text && n == i && !/^\./' \
		docs/man/mpgate.yaml.5 >"$work/example"
	[ -s "$work/example" ] && "$tool" "$work/example" >/dev/null 2>"$work/diff"
	result $? "example $i of mpgate.yaml(5) is a configuration"
done
awk '/^## Policies/ { on = 1 } /^```/ { text = on && /yaml/; if (!text && seen) exit; next } text { seen = 1; print }' \
	docs/configuration.md >"$work/example"
{
	cat "$work/example"
	echo "converter: { listen: [ '10.3.0.2:5124' ] }"
	echo "interfaces: [ { name: wl0, role: access } ]"
	echo "proxies: [ { name: px1, address: 10.3.0.3 } ]"
	echo "groups: [ { name: metro, members: [ px1 ] } ]"
	echo "virtual: [ { address: '10.9.0.1:5124', group: metro } ]"
} | "$tool" - 2>"$work/diff" | grep -q '^    split: { "cellular": 30, "wlan": 70 }'
result $? "so are the policies of configuration.md, with the group that they name"
for i in 1 2; do
	awk -v i="$i" '/^```yaml/ { on = ++n == i; next } /^```/ { on = 0 } on' README.md >"$work/example"
	[ -s "$work/example" ] && "$tool" "$work/example" >/dev/null 2>"$work/diff"
	result $? "example $i of the README is a configuration"
done

# shellcheck disable=SC2016 # backquotes of Markdown
sed -n 's/^} \(mg_[a-z_]*\) SEC("\.maps");$/\1/p' bpf/*.h bpf/*.c | sort -u >"$work/maps"
# shellcheck disable=SC2016
grep -o '`mg_[a-z_]*`' docs/maps.md | tr -d '`' | sort -u | comm -13 - "$work/maps" >"$work/diff"
[ -s "$work/maps" ] && [ ! -s "$work/diff" ]
result $? "maps.md has every map"
echo "1..$n"
exit "$failed"
