#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Callers that never rest: each connects to an echo server with MPTCP, wants a word back, hangs up and
connects again, until this program is ended. A line of JSON per connection: when it began (ms on the
system's clock), how long it took, how it ended, and whether it was MPTCP.

usage: callers.py ADDR:PORT CALLERS [TIMEOUT_MS]
"""
import json
import socket
import sys
import threading
import time

from mptcp import IPPROTO_MPTCP, speaks_mptcp

lock = threading.Lock()


def now_ms():
    return int(time.time() * 1000)


def call(to, timeout):
    family = socket.AF_INET6 if ":" in to[0] else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM, IPPROTO_MPTCP) as s:
        s.settimeout(timeout)
        try:
            s.connect(to)
            s.sendall(b"hello")
            got = s.recv(5, socket.MSG_WAITALL)
            return "good" if got == b"hello" else "cut", speaks_mptcp(s)
        except OSError as e:
            return type(e).__name__, None


def caller(to, timeout):
    while True:
        at = now_ms()
        end, mptcp = call(to, timeout)
        with lock:
            print(json.dumps({"at": at, "ms": now_ms() - at, "end": end, "mptcp": mptcp}), flush=True)
        time.sleep(0.01)


def main():
    host, _, port = sys.argv[1].rpartition(":")
    timeout = int(sys.argv[3]) / 1000 if len(sys.argv) > 3 else 5
    for _ in range(int(sys.argv[2])):
        threading.Thread(target=caller, args=((host.strip("[]"), int(port)), timeout),
                         daemon=True).start()
    threading.Event().wait()


main()
