#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Everything that can be found without running a program. One line per check; the last line is
# "N passed, N failed". BUILD is where the BPF skeletons were generated. Arguments pick checks:
# format tidy shell manual python licence size documented.
set -u
cd "$(dirname "$0")/.." || exit 1
build=${BUILD:-build}
jobs=$(nproc)
passed=0 failed=0

files() { # PATTERN…: tracked and new files alike, ignored ones not
	git ls-files -z --cached --others --exclude-standard -- "$@" 2>/dev/null | sort -zu |
		while IFS= read -r -d '' f; do [ ! -f "$f" ] || printf '%s\0' "$f"; done
}

# Without git (a tarball) the tree itself says what belongs to it.
git rev-parse --git-dir >/dev/null 2>&1 || files() {
	local p args=()
	for p in "$@"; do args+=(-o -path "./${p#:/}"); done
	find . -path ./build -prune -o -type f \( "${args[@]:1}" \) -printf '%P\0' | sort -z
}

verdict() { # NAME FINDINGS: the findings as text, empty if there are none
	if [ -z "$2" ]; then
		passed=$((passed + 1))
		echo "ok   $1"
	else
		failed=$((failed + 1))
		echo "FAIL $1: $(wc -l <<<"$2") lines"
		printf '%s\n' "  | ${2//$'\n'/$'\n'  | }"
	fi
}

c_files() { files '*.c' '*.h' | grep -zv '^vmlinux/'; }

scripts() {
	files '*' | while IFS= read -r -d '' f; do
		read -r -n 64 first <"$f" 2>/dev/null
		case $f:$first in
		*.sh:* | *:'#!/bin/sh'* | *:'#!/bin/bash'*) printf '%s\0' "$f" ;;
		esac
	done
}

check_format() {
	verdict "format (clang-format)" "$(c_files | xargs -0 -r -n 16 -P "$jobs" \
		clang-format --dry-run -Werror 2>&1 | sed -n 's/^\([^ :]*\):.* error: \(.*\)/\1: \2/p' |
		sort -u)"
}

# The kernel side is compiled for another machine, with other headers.
tidy() {
	case $1 in
	*.bpf.c | bpf/*) set -- "$1" --target=bpf "-D__TARGET_ARCH_x86" -D__bpf__ -Iinclude \
		"-Ivmlinux/$(uname -m)" -Ibpf -Wno-everything ;;
	*) set -- "$1" -Iinclude -Iuser -isystem "$build/include" -D_GNU_SOURCE '-DMG_VERSION="lint"' ;;
	esac
	clang-tidy --quiet "$1" -- -std=gnu11 "${@:2}" 2>/dev/null | grep -E '(error|warning):' |
		grep -v "^$build/" # what bpftool generated
}
export -f tidy
export build

check_tidy() {
	# shellcheck disable=SC2016 # expanded by the inner shell
	verdict "clang-tidy" "$(files '*.c' | xargs -0 -r -n 1 -P "$jobs" bash -c 'tidy "$1"' tidy |
		sort -u)"
}

check_shell() {
	verdict "shell scripts (shellcheck)" \
		"$(scripts | xargs -0 -r shellcheck -x -S style -f gcc 2>&1)"
}

check_manual() {
	verdict "man pages (mandoc)" \
		"$(files 'docs/man/*' | xargs -0 -r mandoc -T lint -W warning 2>&1)"
}

check_python() {
	verdict "python programs compile" "$(
		{
			files '*.py'
			files '*' | while IFS= read -r -d '' f; do
				read -r -n 64 first <"$f" 2>/dev/null
				[[ $f = *.py || $first != '#!'*python3* ]] || printf '%s\0' "$f"
			done
		} | while IFS= read -r -d '' f; do
			python3 -c 'import sys; compile(open(sys.argv[1]).read(), sys.argv[1], "exec")' \
				"$f" 2>&1 | tail -n 1
		done
	)"
}

check_licence() {
	verdict "every source file says its licence (SPDX)" "$(
		{
			files '*.c' '*.h' '*.py' Makefile '.github/*.yml'
			scripts
		} | sort -zu | while IFS= read -r -d '' f; do
			head -n 5 "$f" | grep -q 'SPDX-License-Identifier:' || echo "$f"
		done
		files 'bpf/*' | xargs -0 -r grep -L 'SPDX-License-Identifier: .*GPL-2.0-only'
	)"
}

# A room that no longer fits on a few screens wants a wall; a pinned header is no room.
check_size() {
	verdict "no file beyond 500 lines" "$(
		{
			c_files
			files '*.py' '*.yml'
			scripts
		} | sort -zu | while IFS= read -r -d '' f; do
			n=$(wc -l <"$f")
			[ "$n" -le 500 ] || echo "$f: $n lines"
		done
	)"
}

# A class, verdict or reason the data plane can give is in the documents, under its label.
check_documented() {
	verdict "every class, verdict and reason is documented" "$(
		grep -oE 'X\([A-Z0-9_]+, *[a-z0-9_]+,' include/abi/*.h | sed 's/.*, *\([a-z0-9_]*\),$/\1/' |
			sort -u | while read -r label; do
			grep -rqwF --include='*.md' --include='*.[1-9]' -e "$label" docs || echo "$label"
		done
	)"
}

start=$SECONDS
for check in "${@:-all}"; do
	case $check in
	all) for c in format tidy shell manual python licence size documented; do "check_$c"; done ;;
	format | tidy | shell | manual | python | licence | size | documented) "check_$check" ;;
	*)
		echo "lint: no check '$check'" >&2
		exit 2
		;;
	esac
done
echo "lint: $((passed + failed)) checks in $((SECONDS - start)) s"
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
