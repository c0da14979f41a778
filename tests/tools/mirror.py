#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""A TCP server for thousands of connections that says who is who and then sends back what comes: first
a line with the peer's address and the NAME it was given, so that clients know which proxy, or which
server, they got.

usage: mirror.py NAME [m]PORT [ADDRESS]     m: MPTCP
"""
import resource
import select
import socket
import sys

from mptcp import IPPROTO_MPTCP

CHUNK, MOST_QUEUED = 262144, 1 << 20
READ = select.EPOLLIN | select.EPOLLRDHUP


class Conn:
    def __init__(self, sock, line):
        self.sock, self.out, self.ended = sock, bytearray(line), False

    def flush(self):
        while self.out:
            try:
                del self.out[:self.sock.send(self.out[:CHUNK])]
            except BlockingIOError:
                return
        if self.ended:
            raise EOFError

    def read(self):
        while len(self.out) < MOST_QUEUED:
            try:
                data = self.sock.recv(CHUNK)
            except BlockingIOError:
                return
            if not data:
                self.ended = True
                return
            self.out += data
            self.flush()

    def wants(self):
        room = not self.ended and len(self.out) < MOST_QUEUED
        return (READ if room else 0) | (select.EPOLLOUT if self.out else 0)


def plain(host):
    return host[7:] if host.startswith("::ffff:") else host


def main():
    name, port = sys.argv[1], sys.argv[2]
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    door = socket.socket(socket.AF_INET6, socket.SOCK_STREAM, IPPROTO_MPTCP if port[0] == "m" else 0)
    door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    door.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    door.bind((sys.argv[3] if len(sys.argv) > 3 else "::", int(port.lstrip("m"))))
    door.listen(4096)
    door.setblocking(False)
    poll, conns = select.epoll(), {}
    poll.register(door, select.EPOLLIN)
    print("listening", flush=True)
    while True:
        for fd, _ in poll.poll():
            if fd == door.fileno():
                sock, peer = door.accept()
                sock.setblocking(False)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                conns[sock.fileno()] = Conn(sock, b"%s %s\n" % (plain(peer[0]).encode(), name.encode()))
                poll.register(sock, READ | select.EPOLLOUT)
                continue
            conn = conns[fd]
            try:
                conn.read()
                conn.flush()
                poll.modify(fd, conn.wants())
            except (OSError, EOFError):
                poll.unregister(fd)
                conn.sock.close()
                del conns[fd]


main()
