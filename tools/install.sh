#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Installs what was built. BUILD, PREFIX, DESTDIR and VERSION from the environment.
set -eu
cd "$(dirname "$0")/.."

build=${BUILD:-build}
prefix=${PREFIX:-/usr/local}
root=${DESTDIR:-}
version=${VERSION:?}

put() { # MODE FILE DIRECTORY
	install -D -m "$1" "$2" "$root$3/$(basename "$2")"
}

# fill FILE DIRECTORY NAME: a template, with its places filled in
fill() {
	install -d "$root$2"
	sed -e "s|@PREFIX@|$prefix|g" -e "s|@VERSION@|$version|g" "$1" >"$root$2/$3"
	chmod 644 "$root$2/$3"
}

put 755 "$build/mpgated" "$prefix/sbin"
put 755 "$build/mpgatectl" "$prefix/sbin"
put 755 "$build/mpgate-run" "$prefix/bin"

put 755 "$build/libmpgate.so.0" "$prefix/lib"
ln -sf libmpgate.so.0 "$root$prefix/lib/libmpgate.so"
put 644 "$build/libmpgate.a" "$prefix/lib"
# where mpgate-run looks for it
put 755 "$build/libmpgate-preload.so" "$prefix/lib/mpgate"
put 644 include/mpgate/mpgate.h "$prefix/include/mpgate"
fill user/client/lib/libmpgate.pc.in "$prefix/lib/pkgconfig" libmpgate.pc

for page in docs/man/*.[1-8]; do
	put 644 "$page" "$prefix/share/man/man${page##*.}"
done
fill tools/mpgated.service "$prefix/lib/systemd/system" mpgated.service

# Examples only: what is configured already stays.
install -D -m 644 docs/mpgate.example.yaml "$root/etc/mpgate/mpgate.yaml.example"
install -D -m 644 docs/client.example.conf "$root/etc/mpgate/client.conf.example"

# So that programs find the library at once; a package does this by itself.
if [ -z "$root" ] && [ "$(id -u)" -eq 0 ] && command -v ldconfig >/dev/null; then
	ldconfig
fi
