#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""pcapopts.py FILE PORT: the TCP options, in hex, of each SYN+ACK from PORT in a capture of Ethernet
frames, a line each."""
import struct
import sys

SYNACK, MASK = 0x12, 0x17

with open(sys.argv[1], "rb") as f:
    data = f.read()
at = 24
while at + 16 <= len(data):
    size = struct.unpack_from("<I", data, at + 8)[0]
    frame = data[at + 16:at + 16 + size]
    at += 16 + size
    proto = struct.unpack_from(">H", frame, 12)[0]
    if proto == 0x0800 and frame[23] == 6:
        tcp = frame[14 + 4 * (frame[14] & 15):]
    elif proto == 0x86DD and frame[20] == 6:
        tcp = frame[54:]
    else:
        continue
    if struct.unpack_from(">H", tcp)[0] == int(sys.argv[2]) and tcp[13] & MASK == SYNACK:
        print(tcp[20:4 * (tcp[12] >> 4)].hex())
