#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""xdppass.py INTERFACE…: gives each an XDP program that lets everything pass. A veth device takes what
its peer's XDP sends back (XDP_TX) only if it has a program itself."""
import ctypes
import os
import platform
import socket
import struct
import sys

BPF_PROG_LOAD, BPF_PROG_TYPE_XDP, XDP_PASS = 5, 6, 2
RTM_SETLINK, NLM_F_REQUEST, NLM_F_ACK, NLA_F_NESTED = 19, 1, 4, 0x8000
IFLA_XDP, IFLA_XDP_FD, IFLA_XDP_FLAGS, XDP_FLAGS_DRV_MODE = 43, 1, 3, 4
SYS_BPF = {"x86_64": 321, "aarch64": 280}[platform.machine()]
libc = ctypes.CDLL(None, use_errno=True)


def load():
    insns = ctypes.create_string_buffer(struct.pack("<BBhi", 0xB7, 0, 0, XDP_PASS)
                                        + struct.pack("<BBhi", 0x95, 0, 0, 0), 16)
    name = ctypes.create_string_buffer(b"BSD")
    attr = ctypes.create_string_buffer(struct.pack("=IIQQ", BPF_PROG_TYPE_XDP, 2, ctypes.addressof(insns),
                                                   ctypes.addressof(name)), 128)
    fd = libc.syscall(SYS_BPF, BPF_PROG_LOAD, attr, len(attr))
    if fd < 0:
        sys.exit("bpf: " + os.strerror(ctypes.get_errno()))
    return fd


def attribute(kind, data):
    return struct.pack("=HH", 4 + len(data), kind) + data


def attach(netlink, fd, interface):
    xdp = attribute(IFLA_XDP_FD, struct.pack("=i", fd)) \
        + attribute(IFLA_XDP_FLAGS, struct.pack("=I", XDP_FLAGS_DRV_MODE))
    body = struct.pack("=BxHiII", socket.AF_UNSPEC, 0, socket.if_nametoindex(interface), 0, 0) \
        + attribute(IFLA_XDP | NLA_F_NESTED, xdp)
    netlink.send(struct.pack("=IHHII", 16 + len(body), RTM_SETLINK, NLM_F_REQUEST | NLM_F_ACK, 1, 0) + body)
    error = struct.unpack_from("=i", netlink.recv(4096), 16)[0]
    if error:
        sys.exit("%s: %s" % (interface, os.strerror(-error)))


def main():
    netlink = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)
    program = load()
    for interface in sys.argv[1:]:
        attach(netlink, program, interface)


main()
