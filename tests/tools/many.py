#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Many Convert sessions at once, to an echo server. Opens COUNT, sends each a word of its own, checks
what comes back, prints "open COUNT"; a line on the fifo later does the same again over the sessions
that were idle, prints "alive COUNT"; ends all after a second line and prints "ended COUNT", the
number that ended in order.

usage: many.py CONVERTER SERVER COUNT FIFO
"""
import ipaddress
import resource
import select
import socket
import struct
import sys

IPPROTO_MPTCP, TCP_FASTOPEN_NO_COOKIE, MSG_FASTOPEN = 262, 34, 0x20000000
AT_ONCE = 100


def endpoint(text):
    host, _, port = text.rpartition(":")
    return host.strip("[]"), int(port)


def message(server):
    host, port = endpoint(server)
    raw = b"\0" * 10 + b"\xff\xff" + ipaddress.ip_address(host).packed
    return struct.pack(">BBHBBH", 1, 6, 0x2263, 0x0A, 5, port) + raw


def read_exactly(socks, want, skip_answer):
    """How many sockets delivered exactly what `want` says, within 30 s of silence."""
    left, have, good = {s.fileno(): s for s in socks}, {}, 0
    poll = select.poll()
    for s in socks:
        poll.register(s, select.POLLIN)
    while left:
        ready = poll.poll(30000)
        if not ready:
            break
        for fd, _ in ready:
            s = left[fd]
            try:
                data = s.recv(4096)
            except OSError:
                data = b""
            got = have[fd] = have.get(fd, b"") + data
            body = got
            if skip_answer:
                body = got[4 * got[1]:] if len(got) > 4 else b""
            if not data or len(body) >= len(want[fd]):
                good += bool(data) and body == want[fd]
                poll.unregister(s)
                del left[fd]
    return good


def words(socks, salt):
    return {s.fileno(): b"%s %d" % (salt, i) for i, s in enumerate(socks)}


def open_some(converter, msg, socks, n):
    fresh = []
    for _ in range(n):
        s = socket.socket(socket.AF_INET, socket.SOCK_STREAM, IPPROTO_MPTCP)
        s.setsockopt(socket.IPPROTO_TCP, TCP_FASTOPEN_NO_COOKIE, 1)
        s.sendto(msg + b"first %d" % (len(socks) + len(fresh)), MSG_FASTOPEN, converter)
        fresh.append(s)
    want = {s.fileno(): b"first %d" % (len(socks) + i) for i, s in enumerate(fresh)}
    good = read_exactly(fresh, want, True)
    socks += fresh
    return good


def wait_for_line(fifo):
    line = ""
    while not line:  # empty: the last writer had not closed it yet
        with open(fifo) as f:
            line = f.readline()


def main():
    converter, msg, count = endpoint(sys.argv[1]), message(sys.argv[2]), int(sys.argv[3])
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, count + 64), hard))
    socks, good = [], 0
    while len(socks) < count:
        good += open_some(converter, msg, socks, min(AT_ONCE, count - len(socks)))
    print("open", good, flush=True)
    wait_for_line(sys.argv[4])
    again = words(socks, b"again")
    for s in socks:
        s.sendall(again[s.fileno()])
    print("alive", read_exactly(socks, again, False), flush=True)
    wait_for_line(sys.argv[4])
    for s in socks:
        s.shutdown(socket.SHUT_WR)
    ended = 0
    for s in socks:
        s.settimeout(30)
        try:
            ended += s.recv(1) == b""
        except OSError:
            pass
    print("ended", ended, flush=True)


main()
