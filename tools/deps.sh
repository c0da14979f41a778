#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Installs the Debian packages that are missing, and touches apt only then.
set -eu

packages="gcc make clang llvm clang-format clang-tidy libclang-rt-14-dev bpftool pkg-config
	libbpf-dev libxdp-dev xdp-tools libelf-dev zlib1g-dev libmnl-dev libcyaml-dev libyaml-dev
	libjansson-dev libcap-ng-dev libsystemd-dev libhiredis-dev nettle-dev libcmocka-dev
	iproute2 iputils-ping ethtool procps util-linux python3 curl wget iperf3 tcpdump openssh-client
	openssh-server nginx-light haproxy iptables mptcpize redis-tools freeradius-utils shellcheck mandoc
	qemu-system-x86 busybox-static cpio kmod xz-utils git"

missing=""
for p in $packages; do
	dpkg-query -W -f='${db:Status-Status}\n' "$p" 2>/dev/null | grep -qx installed || missing="$missing $p"
done
[ -n "$missing" ] || exit 0

echo "deps: installing$missing"
if [ "$(id -u)" -ne 0 ]; then
	echo "deps: run as root to install them" >&2
	exit 1
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
# Services of these packages are started by the tests themselves, never by the package.
policy=/usr/sbin/policy-rc.d
made=""
if [ ! -e "$policy" ]; then
	printf '#!/bin/sh\nexit 101\n' >"$policy"
	chmod 755 "$policy"
	made=1
fi
trap '[ -z "$made" ] || rm -f "$policy"' EXIT
# shellcheck disable=SC2086 # a list of words
apt-get install -y -qq --no-install-recommends $missing
