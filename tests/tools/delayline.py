#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""A link of two TUN devices, one in this network namespace and one in another. It loses nothing and is
fast, but lets no SYN through to a port before MS after the first SYN to that address and port: a
server that takes its time to answer.

usage: delayline.py NEAR FAR NETNS [PORT:MS]...
"""
import ctypes
import fcntl
import os
import select
import struct
import sys
import time

TUNSETIFF, IFF_TUN, IFF_NO_PI, CLONE_NEWNET = 0x400454CA, 1, 0x1000, 0x40000000
SYN, SYN_ACK_RST = 0x02, 0x16


def tun(name):
    fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TUN | IFF_NO_PI))
    return fd


def enter(netns):
    fd = os.open(netns, os.O_RDONLY)
    if ctypes.CDLL(None, use_errno=True).setns(fd, CLONE_NEWNET):
        sys.exit(os.strerror(ctypes.get_errno()))
    os.close(fd)


def syn_to(packet):
    """Address and port the packet's SYN goes to; None twice: it is not one."""
    v6 = packet[0] >> 4 == 6
    if packet[6 if v6 else 9] != 6:
        return None, None
    tcp = packet[40:] if v6 else packet[4 * (packet[0] & 15):]
    if len(tcp) < 14 or tcp[13] & SYN_ACK_RST != SYN:
        return None, None
    return packet[24:40] if v6 else packet[16:20], struct.unpack_from(">H", tcp, 2)[0]


def pass_on(fd, packet):
    try:
        os.write(fd, packet)
    except OSError:  # the device is not up yet, or full
        pass


def main():
    near_name, far_name, netns = sys.argv[1:4]
    late = {int(p): float(ms) / 1000 for p, ms in (a.split(":") for a in sys.argv[4:])}
    near = tun(near_name)
    enter(netns)
    far = tun(far_name)
    print("ready", flush=True)
    due, waiting = {}, []
    while True:
        now = time.monotonic()
        while waiting and waiting[0][0] <= now:
            pass_on(far, waiting.pop(0)[1])
        wait = max(0, waiting[0][0] - now) if waiting else None
        for fd in select.select([near, far], [], [], wait)[0]:
            packet = os.read(fd, 65536)
            to, port = syn_to(packet) if fd == near else (None, None)
            if port in late:
                at = due.setdefault((to, port), time.monotonic() + late[port])
                if at > time.monotonic():
                    waiting.append((at, packet))
                    waiting.sort(key=lambda w: w[0])
                    continue
            pass_on(far if fd == near else near, packet)


main()
