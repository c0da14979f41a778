#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# tests/run says "failed" whenever something did, and never otherwise.
# shellcheck disable=SC2016 # bodies are scripts of their own
set -u
cd "$(dirname "$0")/../.." || exit 1

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
n=0

# case_is NAME STATUS LAST_LINE BODY [ENV=VALUE…]: BODY as a script, run by tests/run, whose output
# is left in $out. Files for the script's own use go to $SCRATCH.
case_is() {
	local name=$1 status=$2 last=$3 body=$4 got
	shift 4
	n=$((n + 1))
	printf '#!/bin/bash\n%s\n' "$body" >"$dir/test_$n.sh"
	chmod +x "$dir/test_$n.sh"
	mkdir "$dir/scratch_$n"
	out=$(env -u REQUIRE_ALL -u UNSTEADY "$@" BUILD="$dir" SCRATCH="$dir/scratch_$n" \
		tests/run "$dir/test_$n.sh" 2>&1)
	got=$?
	if [ "$got" = "$status" ] && [ "$(tail -n 1 <<<"$out")" = "$last" ]; then
		echo "ok $n - $name"
	else
		echo "not ok $n - $name"
		echo "# wanted status $status and '$last'; got status $got and:"
		show_out
	fi
}

show_out() {
	local line
	while IFS= read -r line; do echo "#   $line"; done <<<"$out"
}

# says NAME N REGEX: N lines of the last case's output are like this.
says() {
	local count
	count=$(grep -cE "$3" <<<"$out")
	n=$((n + 1))
	if [ "$count" = "$2" ]; then
		echo "ok $n - $1"
	else
		echo "not ok $n - $1"
		echo "# $count lines instead of $2 are like '$3' in:"
		show_out
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

# ---- programs that fail run once more -----------------------------------------------------------
once='echo run >>"$SCRATCH/runs"; echo 1..2; echo ok 1 - a
if [ "$(wc -l <"$SCRATCH/runs")" = 1 ]; then echo "not ok 2 - b is quick"; exit 1; fi
echo ok 2 - b is quick'
case_is "fails once" 0 "2 passed, 0 failed" "$once"
case=$n
says "fails once: is named" 1 "^unsteady: .*/test_$case \(first run: b is quick\)$"
says "fails once: its first log is printed" 1 '^not ok 2 - b is quick$'
says "fails once: says so at once" 1 '^FAIL .*1 passed, 1 failed, runs again, alone$'
says "fails once: passes" 1 '^ok .*2 passed, second run$'
out=$(grep -c "^not ok" "$dir"/test-logs/*test_"$case".sh*.log)
says "fails once: its first log is kept" 1 '\.first\.log:1$'
says "fails once: and its second" 1 '\.sh\.log:0$'
case_is "fails once, with UNSTEADY=fail" 1 "1 passed, 1 failed" "$once" UNSTEADY=fail
says "with UNSTEADY=fail: is named" 1 '^unsteady: .* \(first run: b is quick\)$'
says "with UNSTEADY=fail: is failing" 1 '^failing: '
case_is "always fails" 1 "0 passed, 1 failed" \
	'echo run >>"$SCRATCH/runs"; echo 1..1; echo "not ok 1 - run $(wc -l <"$SCRATCH/runs")"'
says "always fails: not unsteady" 0 '^unsteady: '
says "always fails: ran twice" 1 '^not ok 1 - run 2$'
says "always fails: and no third time" 0 '^not ok 1 - run 3$'
case_is "always fails, with UNSTEADY=fail" 1 "0 passed, 1 failed" \
	'echo 1..1; echo "not ok 1 - a"' UNSTEADY=fail
case_is "passes" 0 "1 passed, 0 failed" 'echo run >>"$SCRATCH/runs"; echo 1..1
[ "$(wc -l <"$SCRATCH/runs")" = 1 ] && echo ok 1 - a'
says "passes: not unsteady" 0 'unsteady|second run'
case_is "a limit is met once" 0 "1 passed, 0 failed" 'echo run >>"$SCRATCH/runs"
[ "$(wc -l <"$SCRATCH/runs")" != 1 ] || sleep 60
echo 1..1; echo ok 1 - a' TEST_TIMEOUT=1
says "a limit is met once: is named" 1 '^unsteady: .*ran into its limit of 1 s'

case_is "dies once" 1 "1 passed, 1 failed" 'echo run >>"$SCRATCH/runs"; echo 1..1; echo ok 1 - a
[ "$(wc -l <"$SCRATCH/runs")" != 1 ] || kill -SEGV $$'
says "dies once: does not run again" 0 'unsteady|runs again|second run'

# What runs again has nothing beside it.
printf '#!/bin/bash\n%s\n' 'echo 1..1
if mkdir "$dir/${0##*/}.first" 2>/dev/null; then echo "not ok 1 - first"; exit; fi
mkdir "$dir/inside" && sleep 0.3 && rmdir "$dir/inside" && echo ok 1 - alone' >"$dir/test_pair.sh"
chmod +x "$dir/test_pair.sh"
cp "$dir/test_pair.sh" "$dir/test_other.sh"
out=$(env -u UNSTEADY dir="$dir" BUILD="$dir" JOBS=2 tests/run "$dir/test_pair.sh" "$dir/test_other.sh" 2>&1)
says "two fail once: alone they pass" 1 '^2 passed, 0 failed$'
says "two fail once: both are named" 2 '^unsteady: .*/test_(pair|other) '

n=$((n + 1))
out=$(BUILD="$dir" tests/run "$dir/nothing-here" 2>&1)
if [ $? = 1 ] && [ "$(tail -n 1 <<<"$out")" = "0 passed, 1 failed" ]; then
	echo "ok $n - a program that is not there"
else
	echo "not ok $n - a program that is not there"
fi
echo "1..$n"
