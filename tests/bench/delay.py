#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""An Ethernet link of two TAP devices, in two network namespaces, on which every frame takes MS.

usage: delay.py MS NEAR NETNS FAR NETNS
"""
import collections
import ctypes
import fcntl
import os
import select
import struct
import sys
import time

TUNSETIFF, IFF_TAP, IFF_NO_PI, CLONE_NEWNET = 0x400454CA, 2, 0x1000, 0x40000000


def tap(name, netns):
    where = os.open(netns, os.O_RDONLY)
    if ctypes.CDLL(None, use_errno=True).setns(where, CLONE_NEWNET):
        sys.exit(os.strerror(ctypes.get_errno()))
    os.close(where)
    fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TAP | IFF_NO_PI))
    return fd


def frames(fd):
    while True:
        try:
            yield os.read(fd, 65536)
        except BlockingIOError:
            return


def main():
    delay_s = float(sys.argv[1]) / 1000
    near, far = tap(*sys.argv[2:4]), tap(*sys.argv[4:6])
    other = {near: far, far: near}
    print("listening", flush=True)
    under_way = collections.deque()  # in the order they came, so also in that of their ends
    while True:
        wait = max(0, under_way[0][0] - time.monotonic()) if under_way else None
        for fd in select.select([near, far], [], [], wait)[0]:
            due = time.monotonic() + delay_s
            under_way.extend((due, other[fd], frame) for frame in frames(fd))
        while under_way and under_way[0][0] <= time.monotonic():
            _, fd, frame = under_way.popleft()
            try:
                os.write(fd, frame)
            except OSError:  # not up yet
                pass


main()
