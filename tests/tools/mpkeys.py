#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The keys of MPTCP sessions, out of captures of Ethernet frames.

usage: mpkeys.py list HANDSHAKES.pcap            a line per session: client's key, server's key, the
                                                 token of its joins, client's ADDR:PORT
       mpkeys.py find HANDSHAKES.pcap CAPTURE…   how many keys there are, how many of them stand in a
                                                 frame of the CAPTUREs, as bytes or as hex digits, and
                                                 how many frames these have, as JSON
"""
import hashlib
import ipaddress
import json
import struct
import sys

MP_OPTION, MP_CAPABLE, BOTH_KEYS = 30, 0, (20, 22, 24)


def frames(path):
    with open(path, "rb") as f:
        data = f.read()
    at = 24
    while at + 16 <= len(data):
        size = struct.unpack_from("<I", data, at + 8)[0]
        yield data[at + 16:at + 16 + size]
        at += 16 + size


def tcp_of(packet):
    """(source, TCP) of an IP packet, looking into tunnels; None for others."""
    while packet:
        if packet[0] >> 4 == 4:
            proto, source, body = packet[9], packet[12:16], packet[4 * (packet[0] & 15):]
        else:
            proto, source, body = packet[6], packet[8:24], packet[40:]
        if proto == 6:
            return ipaddress.ip_address(source), body
        if proto not in (4, 41):
            return None
        packet = body
    return None


def options(tcp):
    at, end = 20, 4 * (tcp[12] >> 4)
    while at < end and tcp[at]:
        if tcp[at] == 1:
            at += 1
            continue
        if at + 1 >= end or tcp[at + 1] < 2:
            return
        yield tcp[at:at + tcp[at + 1]]
        at += tcp[at + 1]


def sessions(path):
    """{(client's key, server's key): who}, of third ACKs and what else carries both."""
    found = {}
    for frame in frames(path):
        if frame[12:14] not in (b"\x08\x00", b"\x86\xdd"):
            continue
        source, tcp = tcp_of(frame[14:]) or (None, b"")
        if len(tcp) < 20 or tcp[13] & 2:
            continue
        for o in options(tcp):
            if o[0] == MP_OPTION and o[2] >> 4 == MP_CAPABLE and len(o) in BOTH_KEYS:
                port = struct.unpack_from(">H", tcp)[0]
                found[o[4:12], o[12:20]] = "%s:%d" % (source, port)
    return found


def main():
    found = sessions(sys.argv[2])
    if sys.argv[1] == "list":
        for (client, server), who in found.items():
            print(client.hex(), server.hex(), hashlib.sha256(server).digest()[:4].hex(), who)
        return
    keys = {k for pair in found for k in pair}
    seen = [f for path in sys.argv[3:] for f in frames(path)]
    text = b"\0".join(seen)
    lower = text.lower()
    hits = sum(k in text or k.hex().encode() in lower for k in keys)
    print(json.dumps({"keys": len(keys), "found": hits, "frames": len(seen)}))


if __name__ == "__main__":
    main()
