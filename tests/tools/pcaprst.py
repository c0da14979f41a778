#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""pcaprst.py FILE [ADDR]: the RSTs in a capture of Ethernet frames, to ADDR if one is given: a JSON list of
{from, to, tcprst}; tcprst is null without MP_TCPRST (RFC 8684 section 3.6), else {transient, reason}."""
import ipaddress
import json
import struct
import sys

RST, MPTCP, MP_TCPRST = 0x04, 30, 8


def tcprst(options):
    at = 0
    while at < len(options) and options[at]:
        if options[at] == 1:
            at += 1
            continue
        kind, size = options[at], options[at + 1] if at + 1 < len(options) else 0
        if size < 2:
            break
        if kind == MPTCP and size == 4 and options[at + 2] >> 4 == MP_TCPRST:
            return {"transient": options[at + 2] & 1, "reason": options[at + 3]}
        at += size
    return None


def packet(frame):
    """(from, to, TCP segment), or None."""
    proto = struct.unpack_from(">H", frame, 12)[0]
    if proto == 0x0800 and frame[23] == 6:
        return frame[26:30], frame[30:34], frame[14 + 4 * (frame[14] & 15):]
    if proto == 0x86DD and frame[20] == 6:
        return frame[22:38], frame[38:54], frame[54:]
    return None


def main():
    with open(sys.argv[1], "rb") as f:
        data = f.read()
    at, found = 24, []
    while at + 16 <= len(data):
        size = struct.unpack_from("<I", data, at + 8)[0]
        parts = packet(data[at + 16:at + 16 + size])
        at += 16 + size
        if not parts or not parts[2][13] & RST:
            continue
        source, to, tcp = str(ipaddress.ip_address(parts[0])), str(ipaddress.ip_address(parts[1])), parts[2]
        if len(sys.argv) > 2 and to != sys.argv[2]:
            continue
        found.append({"from": source, "to": to, "tcprst": tcprst(tcp[20:4 * (tcp[12] >> 4)])})
    print(json.dumps(found))


main()
