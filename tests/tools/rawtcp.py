#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Single TCP segments from an address no stack answers for, and what comes back, as JSON. Needs
CAP_NET_RAW; packets leave by the routes there are, answers are read from DEV.

usage: rawtcp.py DEV SOURCE:PORT SERVER:PORT STEP...

  syn[=OPTIONS]      a SYN; its options in hex, or a name below; MSS comes first by itself
  data=TEXT          what the next SYNs carry
  isn=N              their sequence number (1000)
  port=N             another source port from here on
  fragments          the next segment goes as two IP fragments (IPv4)
  rst                resets the connection of the last SYN
  pause=MS           goes on reading for so long
  until=N,MS         reads until N answers are there, MS at most
  line               waits for a line on stdin

Options by name: capable (MP_CAPABLE v1), join (MP_JOIN with token 0), ao (TCP-AO), md5 (TCP-MD5).
"""
import ipaddress
import json
import select
import socket
import struct
import sys
import time

SYN, RST = 0x02, 0x04
ETH_P_ALL, PACKET_OUTGOING, IPV6_HDRINCL = 3, 4, 36
NAMES = {"capable": "1e040101", "join": "1e0c00010000000000000001",
         "ao": "1d100101" + "00" * 12, "md5": "1312" + "00" * 16}


def checksum(data):
    data += bytes(len(data) % 2)
    s = sum(struct.unpack(">%dH" % (len(data) // 2), data))
    while s >> 16:
        s = (s & 0xFFFF) + (s >> 16)
    return ~s & 0xFFFF


def endpoint(text):
    host, _, port = text.rpartition(":")
    return ipaddress.ip_address(host.strip("[]")), int(port)


class Raw:
    def __init__(self, dev, source, server):
        (self.src, self.port), (self.dst, self.dport) = endpoint(source), endpoint(server)
        self.isn, self.data, self.fragments, self.start = 1000, b"", False, time.monotonic()
        self.report = {"sent": [], "got": []}
        self.tap = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETH_P_ALL))
        self.tap.bind((dev, ETH_P_ALL))
        if self.src.version == 4:
            self.out = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
        else:
            self.out = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_RAW)
            self.out.setsockopt(socket.IPPROTO_IPV6, IPV6_HDRINCL, 1)

    def ms(self):
        return int((time.monotonic() - self.start) * 1000)

    def segment(self, flags, seq, options, data):
        options += b"\1" * (-len(options) % 4)
        tcp = struct.pack(">HHIIBBHHH", self.port, self.dport, seq & 0xFFFFFFFF, 0,
                          (5 + len(options) // 4) << 4, flags, 65535, 0, 0) + options + data
        pseudo = self.src.packed + self.dst.packed + struct.pack(">IHBB", len(tcp), 0, 0, 6)
        return tcp[:16] + struct.pack(">H", checksum(pseudo + tcp)) + tcp[18:]

    def ip(self, payload, offset=0):
        if self.src.version == 6:
            return struct.pack(">IHBB", 6 << 28, len(payload), 6, 64) + self.src.packed \
                + self.dst.packed + payload
        # The kernel writes length and checksum.
        return struct.pack(">BBHHHBBH", 0x45, 0, 0, 8803, offset, 64, 6, 0) + self.src.packed \
            + self.dst.packed + payload

    def send(self, flags, seq, options=b"", data=b""):
        tcp = self.segment(flags, seq, options, data)
        parts = [self.ip(tcp)]
        if self.fragments:
            parts = [self.ip(tcp[:16], 0x2000), self.ip(tcp[16:], 2)]
            self.fragments = False
        for part in parts:
            self.out.sendto(part, (str(self.dst), 0))
        self.report["sent"].append(self.ms())

    def take(self):
        data, where = self.tap.recvfrom(65536)
        if where[2] == PACKET_OUTGOING:
            return
        v6 = data[0] >> 4 == 6
        to, proto = (data[24:40], data[6]) if v6 else (data[16:20], data[9])
        if to != self.src.packed:
            return
        body = data[40:] if v6 else data[4 * (data[0] & 15):]
        seen = {"ms": self.ms(), "from": str(ipaddress.ip_address(data[8:24] if v6 else data[12:16]))}
        if proto == 6:
            sport, port, seq, ack, off, flags = struct.unpack_from(">HHIIBB", body)
            seen.update(sport=sport, port=port, seq=seq, ack=ack, flags=flags,
                        options=body[20:4 * (off >> 4)].hex())
        else:
            seen.update(icmp=body[0], code=body[1])
        self.report["got"].append(seen)

    def read(self, n, ms):
        end = time.monotonic() + ms / 1000
        while len(self.report["got"]) < n:
            left = end - time.monotonic()
            if left <= 0 or not select.select([self.tap], [], [], left)[0]:
                return
            self.take()

    def step(self, text):
        verb, _, arg = text.partition("=")
        if verb == "syn":
            options = bytes.fromhex("020405b4" + NAMES.get(arg, arg))
            self.send(SYN, self.isn, options, self.data)
        elif verb == "rst":
            self.send(RST, self.isn + 1)
        elif verb == "data":
            self.data = arg.encode()
        elif verb in ("isn", "port"):
            setattr(self, verb, int(arg))
        elif verb == "fragments":
            self.fragments = True
        elif verb == "pause":
            self.read(1 << 30, int(arg))
        elif verb == "until":
            self.read(*map(int, arg.split(",")))
        elif verb == "line":
            print("waiting", file=sys.stderr, flush=True)
            sys.stdin.readline()
        else:
            sys.exit("unknown step: " + text)


def main():
    raw = Raw(*sys.argv[1:4])
    for text in sys.argv[4:]:
        raw.step(text)
    raw.read(1 << 30, 0)
    print(json.dumps(raw.report))


main()
