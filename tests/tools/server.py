#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""A TCP server that does one simple thing per port and writes down what it saw. Plain TCP, and MPTCP on
a port that is written with an m before it.

usage: server.py --events FILE [m]PORT:MODE[:ARG]...

  echo          sends back what comes
  sink          reads to the end, then ends too
  source:N      sends N bytes of the pattern, ends its side, reads to the end
  both:N        the same, reading all the while
  after:N       reads to the end, only then sends N bytes of the pattern, ends
  banner:TEXT   speaks first, then echoes
  urgent:TEXT   sends TEXT with its last byte marked urgent, then echoes
  hold:FILE     reads nothing before FILE exists, then like sink
  reset:N       reads N bytes, then resets
  sendreset:N   sends N bytes, waits until they are acknowledged, then resets
  http          GET /N answers N bytes of the pattern; keeps the connection
  silent        neither reads nor writes until the peer is gone

Events are JSON lines: listening, accept (peer, local, mptcp), first (the first bytes), fin, rst, sent; `conn` tells
connections apart, fin and rst carry what was received until then.
"""
import argparse
import array
import fcntl
import json
import os
import select
import socket
import struct
import sys
import termios
import threading
import time

import pattern
from mptcp import IPPROTO_MPTCP, speaks_mptcp

CHUNK = 262144


class Events:
    def __init__(self, path):
        self._f, self._lock = open(path, "a"), threading.Lock()

    def put(self, ev, **more):
        line = json.dumps(dict(ev=ev, ms=int(time.monotonic() * 1000), **more)) + "\n"
        with self._lock:
            self._f.write(line)
            self._f.flush()


class Conn:
    def __init__(self, events, sock, number, port, peer):
        self.events, self.sock, self.check = events, sock, pattern.Check()
        self.who = {"conn": number, "port": port, "peer": peer}
        self.over = False

    def put(self, ev, **more):
        self.events.put(ev, **self.who, **more)

    def read(self, n=CHUNK):
        """None when the peer ended or reset, after saying so."""
        try:
            data = self.sock.recv(n)
        except OSError as e:
            self.put("rst", error=e.strerror, **self.check.report())
            self.over = True
            return None
        if not self.check.bytes and data:
            self.put("first", hex=data[:64].hex())
        self.check.add(data)
        if not data:
            self.put("fin", **self.check.report())
            return None
        return data

    def send(self, data):
        try:
            self.sock.sendall(data)
            return True
        except OSError as e:
            if not self.over:
                self.put("rst", error=e.strerror, sending=True, **self.check.report())
            self.over = True
            return False

    def end(self):
        try:
            self.sock.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def send_pattern(self, n):
        for offset in range(0, n, CHUNK):
            if not self.send(pattern.at(offset, min(CHUNK, n - offset))):
                self.put("cut", bytes=offset)
                return
        self.put("sent", bytes=n)

    def drain(self):
        while self.read() is not None:
            pass

    def reset(self):
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def wait_acked(self):
        left = array.array("i", [1])
        while left[0]:
            fcntl.ioctl(self.sock, termios.TIOCOUTQ, left)
            time.sleep(0.005)


def do_echo(c, _arg):
    while True:
        data = c.read()
        if data is None:
            return c.end()
        if not c.send(data):
            return None


def do_sink(c, _arg):
    c.drain()


def do_source(c, arg):
    c.send_pattern(int(arg))
    c.end()
    if not c.over:
        c.drain()


def do_both(c, arg):
    reader = threading.Thread(target=c.drain)
    reader.start()
    c.send_pattern(int(arg))
    c.end()
    reader.join()


def do_after(c, arg):
    c.drain()
    if not c.over:
        c.send_pattern(int(arg))


def do_banner(c, arg):
    c.send(arg.encode())
    do_echo(c, arg)


def do_urgent(c, arg):
    c.sock.setsockopt(socket.SOL_SOCKET, socket.SO_OOBINLINE, 1)
    c.sock.send(arg.encode(), socket.MSG_OOB)
    do_echo(c, arg)


def do_hold(c, arg):
    while not os.path.exists(arg):
        time.sleep(0.02)
    c.drain()


def do_reset(c, arg):
    while c.check.bytes < int(arg):
        if c.read(int(arg) - c.check.bytes) is None:
            return
    c.reset()


def do_sendreset(c, arg):
    c.send_pattern(int(arg))
    c.wait_acked()
    c.reset()


def do_http(c, _arg):
    request = b""
    while True:
        data = c.read()
        if data is None:
            return c.end()
        request += data
        while b"\r\n\r\n" in request:
            head, request = request.split(b"\r\n\r\n", 1)
            n = int(head.split()[1].strip(b"/"))
            c.send(b"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\n"
                   b"Content-Length: %d\r\n\r\n" % n)
            c.send_pattern(n)


def do_silent(c, _arg):
    poll = select.poll()
    poll.register(c.sock, select.POLLRDHUP)
    poll.poll()
    c.drain()


MODES = {k[3:]: v for k, v in globals().items() if k.startswith("do_")}


def endpoint(addr):
    host = addr[0]
    if host.startswith("::ffff:"):
        return "%s:%d" % (host[7:], addr[1])
    return "[%s]:%d" % (host, addr[1])


def handle(conn, mode, arg):
    try:
        MODES[mode](conn, arg)
    finally:
        conn.sock.close()


def listen(port, proto):
    s = socket.socket(socket.AF_INET6, socket.SOCK_STREAM, proto)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    s.bind(("::", port))
    s.listen(4096)
    return s


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--events", required=True)
    ap.add_argument("ports", nargs="+")
    opts = ap.parse_args()
    events = Events(opts.events)
    threading.stack_size(262144)
    listeners, number = {}, 0
    for spec in opts.ports:
        port, mode, arg = (spec.split(":", 2) + [""])[:3]
        if mode not in MODES:
            sys.exit("unknown mode: " + spec)
        proto = IPPROTO_MPTCP if port.startswith("m") else 0
        port = int(port.lstrip("m"))
        listeners[listen(port, proto)] = (port, mode, arg)
    events.put("listening")
    while True:
        for s in select.select(list(listeners), [], [])[0]:
            port, mode, arg = listeners[s]
            sock, addr = s.accept()
            number += 1
            conn = Conn(events, sock, number, port, endpoint(addr))
            conn.put("accept", local=endpoint(sock.getsockname()), mptcp=speaks_mptcp(sock))
            threading.Thread(target=handle, args=(conn, mode, arg), daemon=True).start()


main()
