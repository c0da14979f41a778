#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""pcapsame.py --hops N [--within] A B [FILTER]: every IP packet of capture A is in B, and, but with
--within, the other way round, byte for byte from the IP header on. What N routers in between change is
not compared: the TTLs must differ by N, the IPv4 header's checksum must be right. Prints how many there
are, or the first that differ; none at all is no success.

FILTER is tcpdump's. Both captures must be of whole packets.
"""
import argparse
import collections
import struct
import subprocess
import sys


def frames(path, expr):
    data = subprocess.run(["tcpdump", "-Z", "root", "-r", path, "-w", "-"] + expr, check=True,
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout
    at = 24
    while at + 16 <= len(data):
        kept, size = struct.unpack_from("<II", data, at + 8)
        if kept != size:
            sys.exit("%s: a packet was cut to %d bytes" % (path, kept))
        yield data[at + 16:at + 16 + kept]
        at += 16 + kept


def checksum_ok(header):
    s = sum(struct.unpack(">%dH" % (len(header) // 2), header))
    while s >> 16:
        s = (s & 0xFFFF) + (s >> 16)
    return s == 0xFFFF


def packets(path, expr):
    """(what must be the same, TTL), without Ethernet's padding"""
    for frame in frames(path, expr):
        ip = frame[14:]
        if frame[12:14] == b"\x08\x00":
            length = 4 * (ip[0] & 15)
            if not checksum_ok(ip[:length]):
                sys.exit("%s: wrong IPv4 header checksum: %s" % (path, ip.hex()))
            ip = ip[:struct.unpack_from(">H", ip, 2)[0]]
            yield ip[:8] + b"\0" + ip[9:10] + b"\0\0" + ip[12:], ip[8]
        elif frame[12:14] == b"\x86\xdd":
            ip = ip[:40 + struct.unpack_from(">H", ip, 4)[0]]
            yield ip[:7] + b"\0" + ip[8:], ip[7]


def only_those_of(left, right):
    """What of right has its like in left, and as often."""
    wanted = collections.Counter(packet for packet, _ in left)
    for packet, ttl in right:
        if wanted[packet]:
            wanted[packet] -= 1
            yield packet, ttl


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--hops", type=int, required=True)
    ap.add_argument("--within", action="store_true")
    ap.add_argument("a")
    ap.add_argument("b")
    ap.add_argument("filter", nargs="*")
    opts = ap.parse_args()
    hops, a, b = opts.hops, opts.a, opts.b
    left, right = sorted(packets(a, opts.filter)), sorted(packets(b, opts.filter))
    if opts.within:
        right = list(only_those_of(left, right))
        if len(left) != len(right):
            found = collections.Counter(packet for packet, _ in right)
            sys.exit("not there:\n" + "\n".join(p.hex() for p, _ in left if not found[p]))
    for (one, ttl), (other, ttl_other) in zip(left, right):
        if one != other:
            sys.exit("differ:\n%s\n%s" % (one.hex(), other.hex()))
        if abs(ttl - ttl_other) != hops:
            sys.exit("TTL %d and %d: %s" % (ttl, ttl_other, one.hex()))
    if len(left) != len(right) or not left:
        sys.exit("%d packets in %s, %d in %s" % (len(left), a, len(right), b))
    print(len(left), "packets")


main()
