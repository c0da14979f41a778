#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""pcaptunnel.py FILE [ADDRESS]: how the TCP packets of a capture of Ethernet frames are wrapped, as JSON:
"4", "6 in 4", "4 in 6 in 4", … -> n (packets), syn, synack (the MSS that those name), largest (bytes of
the outermost IP packet). With ADDRESS only those to or from it, innermost."""
import ipaddress
import json
import struct
import sys

from mpkeys import frames, options

IPIP, IPV6_IN_IP, TCP = 4, 41, 6


def ip_bytes(packet):
    if packet[0] >> 4 == 4:
        return struct.unpack_from(">H", packet, 2)[0]
    return 40 + struct.unpack_from(">H", packet, 4)[0]


def walk(packet):
    """(versions, outer to inner; addresses of the innermost; TCP), or None."""
    versions = []
    while packet:
        version = packet[0] >> 4
        versions.append(version)
        if version == 4:
            proto, ends, body = packet[9], (packet[12:16], packet[16:20]), packet[4 * (packet[0] & 15):]
        else:
            proto, ends, body = packet[6], (packet[8:24], packet[24:40]), packet[40:]
        if proto == TCP:
            return versions, ends, body
        if proto not in (IPIP, IPV6_IN_IP):
            return None
        packet = body
    return None


def main():
    only = ipaddress.ip_address(sys.argv[2]).packed if len(sys.argv) > 2 else None
    out = {}
    for frame in frames(sys.argv[1]):
        found = frame[12:14] in (b"\x08\x00", b"\x86\xdd") and walk(frame[14:])
        if not found or (only and only not in found[1]):
            continue
        versions, _, tcp = found
        way = out.setdefault(" in ".join(map(str, reversed(versions))),
                             {"n": 0, "syn": [], "synack": [], "largest": 0})
        way["n"] += 1
        way["largest"] = max(way["largest"], ip_bytes(frame[14:]))
        if tcp[13] & 2:
            kind = "synack" if tcp[13] & 16 else "syn"
            mss = [struct.unpack(">H", o[2:])[0] for o in options(tcp) if o[0] == 2]
            way[kind] = sorted(set(way[kind] + mss))
    print(json.dumps(out))


main()
