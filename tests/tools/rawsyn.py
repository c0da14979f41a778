#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""SYNs with MP_CAPABLE and a Connect message from an address that will not answer: handshakes that
never end. Needs CAP_NET_RAW.

usage: rawsyn.py SOURCE CONVERTER:PORT SERVER:PORT COUNT     IPv4 only; one source port each;
       no message with - for SERVER:PORT
"""
import socket
import struct
import sys
import time

FIRST_PORT, AT_ONCE = 20000, 50
MSS, MP_CAPABLE, SYN = bytes.fromhex("020405b4"), bytes.fromhex("1e040101"), 0x02


def checksum(data):
    data += bytes(len(data) % 2)
    s = sum(struct.unpack(">%dH" % (len(data) // 2), data))
    while s >> 16:
        s = (s & 0xFFFF) + (s >> 16)
    return ~s & 0xFFFF


def endpoint(text):
    host, _, port = text.rpartition(":")
    return socket.inet_aton(host), int(port)


def syn(source, sport, converter, dport, data):
    options = MSS + MP_CAPABLE
    tcp = struct.pack(">HHIIBBHHH", sport, dport, sport << 8, 0, (5 + len(options) // 4) << 4, SYN, 65535,
                      0, 0) + options + data
    pseudo = source + converter + struct.pack(">BBH", 0, socket.IPPROTO_TCP, len(tcp))
    tcp = tcp[:16] + struct.pack(">H", checksum(pseudo + tcp)) + tcp[18:]
    return struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(tcp), 0, 0, 64, socket.IPPROTO_TCP, 0, source,
                       converter) + tcp


def connect(server, port):
    return struct.pack(">BBHBBH", 1, 6, 0x2263, 0x0A, 5, port) + b"\0" * 10 + b"\xff\xff" + server


def main():
    source = socket.inet_aton(sys.argv[1])
    converter, dport = endpoint(sys.argv[2])
    message = b"" if sys.argv[3] == "-" else connect(*endpoint(sys.argv[3]))
    raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    for i in range(int(sys.argv[4])):
        raw.sendto(syn(source, FIRST_PORT + i, converter, dport, message), (socket.inet_ntoa(converter), 0))
        if i % AT_ONCE == AT_ONCE - 1:
            time.sleep(0.05)


main()
