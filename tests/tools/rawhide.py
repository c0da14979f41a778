#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""SYNs to a converter that hide what they are, though Linux takes them. Needs CAP_NET_RAW.

usage: rawhide.py HOW SOURCE CONVERTER PORT COUNT     HOW: plain, capable, option, fragments,
    extensions (IPv6)
"""
import socket
import struct
import sys

FIRST_PORT, SYN, TCP, DEST_OPTS, FRAGMENT = 33000, 0x02, 6, 60, 44
MSS, LIES, NOPS = bytes.fromhex("020405b4"), bytes.fromhex("fd010000"), bytes([1] * 8)
CAPABLE = bytes.fromhex("1e040101")


def checksum(data):
    data += bytes(len(data) % 2)
    s = sum(struct.unpack(">%dH" % (len(data) // 2), data))
    while s >> 16:
        s = (s & 0xFFFF) + (s >> 16)
    return ~s & 0xFFFF


def syn(source, to, sport, dport, options):
    tcp = struct.pack(">HHIIBBHHH", sport, dport, sport << 8, 0, (5 + len(options) // 4) << 4, SYN, 65535, 0, 0)
    tcp += options
    pseudo = source + to + struct.pack(">II", len(tcp), TCP)
    return tcp[:16] + struct.pack(">H", checksum(pseudo + tcp)) + tcp[18:]


def ipv4(source, to, body, number=1, fragment=0):
    return struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(body), number, fragment, 64, TCP, 0, source, to) + body


def ipv6(source, to, body, next_header=TCP):
    return struct.pack(">IHBB", 0x60000000, len(body), next_header, 64) + source + to + body


def packets(how, source, to, sport, dport):
    v6 = len(source) == 16
    wrap = ipv6 if v6 else ipv4
    if how == "plain":
        return [wrap(source, to, syn(source, to, sport, dport, MSS))]
    if how == "capable":
        return [wrap(source, to, syn(source, to, sport, dport, MSS + CAPABLE))]
    if how == "option":
        return [wrap(source, to, syn(source, to, sport, dport, MSS + LIES))]
    tcp = syn(source, to, sport, dport, MSS + NOPS)
    if how == "extensions":
        headers = b"".join(bytes([DEST_OPTS if i < 6 else TCP, 0, 1, 4, 0, 0, 0, 0]) for i in range(7))
        return [ipv6(source, to, headers + tcp, DEST_OPTS)]
    if v6:
        parts = [(0 | 1, tcp[:24]), (24, tcp[24:])]
        return [ipv6(source, to, struct.pack(">BBHI", TCP, 0, at, sport) + part, FRAGMENT) for at, part in parts]
    return [ipv4(source, to, tcp[:24], sport, 0x2000), ipv4(source, to, tcp[24:], sport, 24 // 8)]


def main():
    how, source, to, port, count = sys.argv[1:]
    family = socket.AF_INET6 if ":" in source else socket.AF_INET
    raw = socket.socket(family, socket.SOCK_RAW, socket.IPPROTO_RAW)
    for i in range(int(count)):
        for packet in packets(how, socket.inet_pton(family, source), socket.inet_pton(family, to), FIRST_PORT + i,
                              int(port)):
            raw.sendto(packet, (to, 0))


main()
