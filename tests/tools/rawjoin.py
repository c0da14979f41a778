#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""SYNs with MP_JOIN of a token of one's choice. Needs CAP_NET_RAW.

usage: rawjoin.py SOURCE CONVERTER:PORT TOKEN COUNT     IPv4 only; TOKEN in hex; one source port each
"""
import socket
import struct
import sys

FIRST_PORT, MSS, SYN = 30000, bytes.fromhex("020405b4"), 0x02


def checksum(data):
    data += bytes(len(data) % 2)
    s = sum(struct.unpack(">%dH" % (len(data) // 2), data))
    while s >> 16:
        s = (s & 0xFFFF) + (s >> 16)
    return ~s & 0xFFFF


def syn(source, sport, to, dport, token):
    options = MSS + bytes.fromhex("1e0c1001") + token + bytes.fromhex("01020304")
    tcp = struct.pack(">HHIIBBHHH", sport, dport, sport << 8, 0, (5 + len(options) // 4) << 4, SYN, 65535, 0,
                      0) + options
    pseudo = source + to + struct.pack(">BBH", 0, socket.IPPROTO_TCP, len(tcp))
    tcp = tcp[:16] + struct.pack(">H", checksum(pseudo + tcp)) + tcp[18:]
    return struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(tcp), 0, 0, 64, socket.IPPROTO_TCP, 0, source, to) + tcp


def main():
    host, _, port = sys.argv[2].rpartition(":")
    source, to = socket.inet_aton(sys.argv[1]), socket.inet_aton(host)
    raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    for i in range(int(sys.argv[4])):
        raw.sendto(syn(source, FIRST_PORT + i, to, int(port), bytes.fromhex(sys.argv[3])), (host, 0))


main()
