#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# tests/run says "failed" whenever something did, and never otherwise.
# shellcheck disable=SC2016 # bodies are scripts of their own
set -u
cd "$(dirname "$0")/../.." || exit 1

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
n=0

# case_is NAME STATUS LAST_LINE BODY [ENV=VALUE…]: BODY as a script, run by tests/run.
case_is() {
	local name=$1 status=$2 last=$3 body=$4 out got
	shift 4
	n=$((n + 1))
	printf '#!/bin/bash\n%s\n' "$body" >"$dir/test_$n.sh"
	chmod +x "$dir/test_$n.sh"
	out=$(env -u REQUIRE_ALL "$@" BUILD="$dir" tests/run "$dir/test_$n.sh" 2>&1)
	got=$?
	if [ "$got" = "$status" ] && [ "$(tail -n 1 <<<"$out")" = "$last" ]; then
		echo "ok $n - $name"
	else
		echo "not ok $n - $name"
		echo "# wanted status $status and '$last'; got status $got and:"
		while read -r line; do echo "#   $line"; done <<<"$out"
	fi
}

case_is "all well" 0 "2 passed, 0 failed" 'echo ok 1 - a; echo ok 2 - b; echo 1..2'
case_is "plan first" 0 "1 passed, 0 failed" 'echo 1..1; echo ok 1 - a'
case_is "two groups, two plans" 0 "2 passed, 0 failed" \
	'echo 1..1; echo ok 1 - a; echo 1..1; echo ok 1 - b'
case_is "not ok" 1 "1 passed, 1 failed" 'echo 1..2; echo ok 1 - a; echo not ok 2 - b; exit 1'
case_is "not ok on stderr" 1 "1 passed, 1 failed" \
	'echo 1..2; echo ok 1 - a; echo "not ok 2 - b" >&2'
case_is "exit status alone" 1 "1 passed, 1 failed" 'echo 1..1; echo ok 1 - a; exit 3'
case_is "died of a signal" 1 "1 passed, 1 failed" 'echo 1..1; echo ok 1 - a; kill -SEGV $$'
case_is "no test at all" 1 "0 passed, 1 failed" 'echo hello'
case_is "an empty plan" 1 "0 passed, 1 failed" 'echo 1..0'
case_is "no plan" 1 "1 passed, 1 failed" 'echo ok 1 - a'
case_is "plan too long" 1 "1 passed, 1 failed" 'echo 1..2; echo ok 1 - a'
case_is "plan too short" 1 "2 passed, 1 failed" 'echo 1..1; echo ok 1 - a; echo ok 2 - b'
case_is "a skip" 0 "1 passed, 0 failed, 1 skipped" \
	'echo 1..2; echo ok 1 - a; echo "ok 2 - b # SKIP no reason"'
case_is "a skip with REQUIRE_ALL" 1 "1 passed, 1 failed" \
	'echo 1..2; echo ok 1 - a; echo "ok 2 - b # SKIP no reason"' REQUIRE_ALL=1
case_is "all skipped" 0 "0 passed, 0 failed, 1 skipped" 'echo "1..0 # SKIP not here"'
case_is "all skipped with REQUIRE_ALL" 1 "0 passed, 1 failed" \
	'echo "1..0 # SKIP not here"' REQUIRE_ALL=1
case_is "never ends" 1 "0 passed, 2 failed" 'trap "echo cleaned up" EXIT; sleep 60' TEST_TIMEOUT=1
case_is "its own limit" 1 "0 passed, 2 failed" '# test: timeout=1
sleep 60'
case_is "cmocka speaks TAP" 0 "1 passed, 0 failed" \
	'[ "$CMOCKA_MESSAGE_OUTPUT" = TAP ] && echo 1..1 && echo ok 1 - tap'

n=$((n + 1))
out=$(BUILD="$dir" tests/run "$dir/nothing-here" 2>&1)
if [ $? = 1 ] && [ "$(tail -n 1 <<<"$out")" = "0 passed, 1 failed" ]; then
	echo "ok $n - a program that is not there"
else
	echo "not ok $n - a program that is not there"
fi
echo "1..$n"
