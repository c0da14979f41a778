#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""COUNT connections to an echo server, all opened at the same moment. Each says a word of its own and
wants it back. Prints as JSON how many did, and as what.

usage: crowd.py [--tcp] ADDR:PORT COUNT
"""
import json
import os
import resource
import select
import socket
import sys
import time

from mptcp import IPPROTO_MPTCP, speaks_mptcp

PATIENCE_S = 30 * int(os.environ.get("TEST_SLOW") or 1)


def endpoint(text):
    host, _, port = text.rpartition(":")
    return host.strip("[]"), int(port)


class Caller:
    def __init__(self, to, proto, number):
        self.sock = socket.socket(socket.AF_INET6 if ":" in to[0] else socket.AF_INET,
                                  socket.SOCK_STREAM, proto)
        self.sock.setblocking(False)
        self.word, self.got, self.sent = b"caller %d" % number, b"", False
        self.sock.connect_ex(to)

    def go_on(self):
        """"" while there is more to come, then "good" or what went wrong."""
        try:
            if not self.sent:
                error = self.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                if error:
                    return "error %d" % error
                self.sock.send(self.word)
                self.sent = True
                return ""
            data = self.sock.recv(4096)
        except OSError as e:
            return "error %d" % e.errno
        self.got += data
        if not data or not self.word.startswith(self.got):
            return "wrong"
        return "good" if self.got == self.word else ""


def main():
    args = [a for a in sys.argv[1:] if a != "--tcp"]
    to, count = endpoint(args[0]), int(args[1])
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, count + 64), hard))
    start = time.monotonic()
    callers = [Caller(to, 0 if "--tcp" in sys.argv else IPPROTO_MPTCP, i) for i in range(count)]
    left, ends, kinds = {c.sock.fileno(): c for c in callers}, {}, {"mptcp": 0, "plain": 0}
    poll = select.epoll()
    for fd in left:
        poll.register(fd, select.EPOLLOUT)
    while left and time.monotonic() < start + PATIENCE_S:
        for fd, _ in poll.poll(1):
            caller = left[fd]
            end = caller.go_on()
            if not end:
                poll.modify(fd, select.EPOLLIN)
                continue
            ends[end] = ends.get(end, 0) + 1
            kinds["mptcp" if speaks_mptcp(caller.sock) else "plain"] += end == "good"
            poll.unregister(fd)
            del left[fd]
    took = int((time.monotonic() - start) * 1000)
    print(json.dumps(dict(ends=ends, lost=len(left), ms=took, **kinds)), flush=True)


main()
