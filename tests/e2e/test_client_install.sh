#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# What `make install` puts in place is complete: a program finds the library with pkg-config,
# mpgate-run finds its own, manual pages and the unit are fit to be read.
. "$(dirname "$0")/lib.sh"
. "$E2E_DIR/client.sh"

prefix=/opt/mpgate
dest=$T/dest
ok "installs" env BUILD="$BUILD" PREFIX=$prefix DESTDIR="$dest" VERSION=9.8.7 "$ROOT/tools/install.sh"
for f in sbin/mpgated sbin/mpgatectl bin/mpgate-run lib/libmpgate.so lib/libmpgate.a \
	lib/mpgate/libmpgate-preload.so include/mpgate/mpgate.h share/man/man1/mpgate-run.1 \
	share/man/man3/libmpgate.3 share/man/man5/mpgate.yaml.5 share/man/man8/mpgated.8 \
	share/man/man8/mpgatectl.8; do
	ok "$f" test -s "$dest$prefix/$f"
done
is "nothing left to fill in" "$(grep -rl --include='*.pc' --include='*.service' '@[A-Z]*@' "$dest")" ""
ok "installs over itself" env BUILD="$BUILD" PREFIX=$prefix DESTDIR="$dest" VERSION=9.8.7 \
	"$ROOT/tools/install.sh"

if command -v systemd-analyze >/dev/null; then
	# the programs are not under this root's prefix, so name those that were installed
	sed "s|$prefix/|$dest$prefix/|" "$dest$prefix/lib/systemd/system/mpgated.service" \
		>"$T/mpgated.service"
	is "systemd reads the unit" "$(systemd-analyze verify --man=no "$T/mpgated.service" 2>&1 |
		grep mpgated.service)" ""
else
	skip "systemd reads the unit" "no systemd-analyze"
fi

cat >"$T/program.c" <<'END'
#include <mpgate/mpgate.h>
#include <stdio.h>
int main(void)
{
	struct mpgate_options options;

	mpgate_options_init(&options);
	printf("%s %d\n", mpgate_error_text(3), mpgate_options_from_env(&options));
	return 0;
}
END
if [ -n "$sanitizer" ]; then
	skip "a program with pkg-config" "the library wants a sanitizer"
else
	export PKG_CONFIG_PATH=$dest$prefix/lib/pkgconfig PKG_CONFIG_SYSROOT_DIR=$dest
	is "pkg-config knows the version" "$(pkg-config --modversion libmpgate)" 9.8.7
	# shellcheck disable=SC2046 # words
	ok "a program compiles" gcc -Wall -Wextra -Werror -o "$T/program" "$T/program.c" \
		$(pkg-config --cflags --libs libmpgate)
	is "and runs" "$(MPGATE_CONVERTER=192.0.2.1:5124 LD_LIBRARY_PATH=$dest$prefix/lib \
		"$T/program")" "Missing Cookie 0"
	# shellcheck disable=SC2046 # words
	ok "C++ reads the header" gcc -x c++ -fsyntax-only -Wall -Wextra -Werror \
		"$dest$prefix/include/mpgate/mpgate.h" $(pkg-config --cflags libmpgate)
fi
is "the library exports nothing but mpgate_*" "$(nm -D --defined-only "$BUILD/libmpgate.so.0" |
	awk '$2 == "T" && $3 !~ /^mpgate_/')" ""
is "mpgate-run finds its library" "$(LD_PRELOAD=$sanitizer ASAN_OPTIONS=detect_leaks=0 \
	"$dest$prefix/bin/mpgate-run" -c 192.0.2.1:1 cat /proc/self/maps |
	grep -o "$prefix/lib/mpgate/.*" | sort -u)" "$prefix/lib/mpgate/libmpgate-preload.so"
finish
