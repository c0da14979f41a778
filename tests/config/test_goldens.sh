#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Configuration goldens. NAME.yaml prints as NAME.golden, which prints as itself; NAME.bad.yaml is
# refused with exactly the findings in NAME.err. UPDATE=1 writes the goldens anew: read the diff.
set -u
cd "$(dirname "$0")" || exit 1
tool=$(cd ../.. && pwd)/${BUILD:-build}/tests/tools/config_print
case ${BUILD:-} in /*) tool=$BUILD/tests/tools/config_print ;; esac
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
n=0
failed=0

result() {
	n=$((n + 1))
	if [ "$1" -eq 0 ]; then
		echo "ok $n - config $2"
	else
		echo "not ok $n - config $2"
		sed 's/^/# /' "$work/diff"
		failed=1
	fi
}

# expect FILE NAME: the output in $work/out is what FILE holds, the exit status what it should be.
expect() {
	[ -z "${UPDATE:-}" ] || cp "$work/out" "$1"
	diff -u "$1" "$work/out" >"$work/diff" 2>&1 && [ "$status" -eq "$3" ]
	result $? "$2"
}

run() {
	"$tool" "$1" >"$work/out" 2>"$work/err"
	status=$?
	# A sanitizer's report, or a finding about a file that should be fine, belongs in the diff.
	cat "$work/err" >>"$work/out"
}

for file in *.yaml; do
	name=${file%.yaml}
	case $name in
	*.bad)
		run "$file"
		expect "${name%.bad}.err" "$name: every finding" 1
		;;
	*)
		run "$file"
		expect "$name.golden" "$name: print" 0
		cp "$name.golden" "$work/again.yaml"
		run "$work/again.yaml"
		UPDATE='' expect "$name.golden" "$name: reparse" 0
		;;
	esac
done
echo "1..$n"
exit "$failed"
