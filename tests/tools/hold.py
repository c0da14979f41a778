#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Clients that say half a thing and then nothing.

usage: hold.py COUNT WAIT-ON ADDR:PORT     half a Convert message in the SYN
       hold.py COUNT WAIT-ON PATH          a control socket, and no request

Opens COUNT connections at once and prints "open". With every line from the fifo WAIT-ON it prints, as
JSON, how many of them are open, reset and ended, and goes on; it ends with the fifo.
"""
import json
import socket
import sys

IPPROTO_MPTCP, TCP_FASTOPEN_NO_COOKIE, MSG_FASTOPEN = 262, 34, 0x20000000
HALF = bytes.fromhex("01062263" "0a05")


def hold_converter(endpoint):
    host, _, port = endpoint.rpartition(":")
    host = host.strip("[]")
    s = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM, IPPROTO_MPTCP)
    s.setblocking(False)
    s.setsockopt(socket.IPPROTO_TCP, TCP_FASTOPEN_NO_COOKIE, 1)
    try:
        s.sendto(HALF, MSG_FASTOPEN, (host, int(port)))
    except BlockingIOError:
        pass
    return s


def hold_control(path):
    s = socket.socket(socket.AF_UNIX)
    s.connect(path)
    s.setblocking(False)
    return s


def state(s):
    try:
        return "open" if s.recv(4096) else "ended"
    except BlockingIOError:
        return "open"
    except OSError:
        return "reset"


def main():
    count, fifo, where = int(sys.argv[1]), sys.argv[2], sys.argv[3]
    hold = hold_control if where.startswith("/") else hold_converter
    socks = [hold(where) for _ in range(count)]
    states = dict.fromkeys(socks, "open")
    print("open", flush=True)
    with open(fifo) as lines:
        for _ in lines:
            for s in socks:
                if states[s] == "open":
                    states[s] = state(s)
            now = list(states.values())
            print(json.dumps({k: now.count(k) for k in ("open", "reset", "ended")}), flush=True)


main()
