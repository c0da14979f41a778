#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Many sessions from many subscribers' addresses, to tests/tools/mirror.py: each sends bytes of its own,
round after round, wants the very same back, and knows by whom it was served.

usage: herd.py [options] ADDR:PORT

Either COUNT sessions in all, HELD of them open at once, each of so many rounds; or, with --wait-on, all
open until told to end; or, with --every, a new one every so many milliseconds until then. With --joins,
a session does not count as ready, nor end, before so many further subflows are established, and another
round went over them.

Prints "ready N" when all that are to be open are ready, and in the end one JSON object: sessions, good,
by (proxy -> good sessions), broken (proxy -> how -> sessions), joined, fallback, ms. Lines from the fifo:
  joins N MS    waits until all open ones have N joins, at most so long; prints "joined M"
  fresh ROUNDS  waits until each open one did so many more rounds; prints "fresh M"
  end           ends all in order
"""
import argparse
import ctypes
import ipaddress
import json
import os
import random
import resource
import select
import socket
import struct
import sys
import time

from mptcp import IPPROTO_MPTCP, SOL_MPTCP, speaks_mptcp

TCP_FASTOPEN_NO_COOKIE, MSG_FASTOPEN, MPTCP_TCPINFO, ESTABLISHED = 34, 0x20000000, 2, 1
SLOW = int(os.environ.get("TEST_SLOW") or 1)
POOL = random.Random(8684).randbytes(1 << 21)
libc = ctypes.CDLL(None, use_errno=True)


def endpoint(text):
    host, _, port = text.rpartition(":")
    return host.strip("[]"), int(port)


def message(server):
    host, port = endpoint(server)
    ip = ipaddress.ip_address(host)
    raw = ip.packed if ip.version == 6 else b"\0" * 10 + b"\xff\xff" + ip.packed
    return struct.pack(">BBHBBH", 1, 6, 0x2263, 0x0A, 5, port) + raw


def joins(sock):
    """Established subflows besides the first: the peer proved that it knows the session's keys."""
    most, size = 8, 8
    buf = ctypes.create_string_buffer(16 + most * size)
    struct.pack_into("IIII", buf, 0, 16, 0, 0, size)
    length = ctypes.c_uint(len(buf))
    if libc.getsockopt(sock.fileno(), SOL_MPTCP, MPTCP_TCPINFO, buf, ctypes.byref(length)):
        return 0
    n = min(struct.unpack_from("I", buf, 4)[0], most)
    return sum(buf[16 + i * size] == bytes([ESTABLISHED]) for i in range(n)) - 1


class Session:
    def __init__(self, herd, number):
        o = self.opts = herd.opts
        self.number, self.at, self.start = number, int(time.time() * 1000), time.monotonic()
        self.who, self.state, self.skip, self.head = "", "begins", bool(o.server), b""
        self.rounds, self.sent, self.got, self.next_at, self.late = 0, 0, 0, 0.0, 0.0
        self.joins, self.fallback, self.end, self.source = 0, False, "", herd.source(number)
        self.base = number * 7919 % (1 << 20)
        first = message(o.server) if o.server else b""
        self.sock = socket.socket(herd.family, socket.SOCK_STREAM, 0 if o.tcp else IPPROTO_MPTCP)
        self.sock.setblocking(False)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self.source:
            self.sock.bind((self.source, 0))
        self.pending = self.open(herd.to, first)
        self.touch()

    def open(self, to, first):
        if not first:
            self.sock.connect_ex(to)
            return b""
        self.sock.setsockopt(socket.IPPROTO_TCP, TCP_FASTOPEN_NO_COOKIE, 1)
        try:
            return first[self.sock.sendto(first, MSG_FASTOPEN, to):]
        except BlockingIOError:
            return first

    def touch(self):
        self.late = time.monotonic() + self.opts.patience * SLOW

    def flush(self):
        while self.pending:
            n = self.sock.send(self.pending)
            self.pending = self.pending[n:]

    def more(self):
        """Begins a round."""
        n = self.opts.bytes
        at = (self.base + self.rounds * 131) % (1 << 20)
        self.want, self.got, self.state = POOL[at:at + n], 0, "round"
        self.pending += self.want

    def take(self, data):
        if self.skip:
            self.head += data
            if len(self.head) < 4 or len(self.head) < 4 * self.head[1]:
                return
            data, self.head, self.skip = self.head[4 * self.head[1]:], b"", False
        if not self.who:
            self.head += data
            if b"\n" not in self.head:
                return
            line, data = self.head.split(b"\n", 1)
            peer, name = line.decode().split(" ", 1)
            self.who = {"peer": peer, "name": name, "both": name + " " + peer}[self.opts.by]
        if data:
            if self.state != "round" or data != self.want[self.got:self.got + len(data)]:
                raise ValueError("other bytes")
            self.got += len(data)
            if self.got == len(self.want):
                self.rounds += 1
                self.state, self.next_at = "idle", time.monotonic() + self.opts.gap / 1000

    def go_on(self):
        """After an event: False when it is over, and `end` says how."""
        try:
            error = self.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if error:
                raise OSError(error, os.strerror(error))
            if self.state == "begins":
                self.more()
            self.flush()
            while True:
                data = self.sock.recv(262144)
                if not data:
                    self.end = "good" if self.state == "ending" else "cut"
                    return False
                self.touch()
                self.take(data)
        except BlockingIOError:
            return True
        except OSError as e:
            self.end = type(e).__name__
        except ValueError as e:
            self.end = str(e)
        return False

    def look(self):
        if not self.opts.tcp:
            self.joins = max(self.joins, joins(self.sock))
            self.fallback = not speaks_mptcp(self.sock)
        return self.joins

    def is_ready(self):
        if self.state != "idle" or self.rounds < self.opts.rounds:
            return False
        if self.joins < self.opts.joins:
            if self.look() >= self.opts.joins:
                self.rounds = min(self.rounds, self.opts.rounds - 1)
            return False
        return True

    def finish(self):
        self.look()
        self.state = "ending"
        self.sock.shutdown(socket.SHUT_WR)
        self.touch()


class Herd:
    def __init__(self, opts):
        self.opts, self.to = opts, endpoint(opts.to)
        self.family = socket.AF_INET6 if ":" in self.to[0] else socket.AF_INET
        self.live, self.number, self.poll = {}, 0, select.epoll()
        self.result = {"sessions": 0, "good": 0, "by": {}, "broken": {}, "joined": 0, "fallback": 0}
        self.events = open(opts.events, "a", buffering=1) if opts.events else None
        self.fifo = os.open(opts.wait_on, os.O_RDWR | os.O_NONBLOCK) if opts.wait_on else None
        self.lines, self.waiting, self.ending, self.said = [], None, False, False
        self.least_joins = max(1, opts.joins)
        self.start = self.due = time.monotonic()

    def source(self, number):
        if not self.opts.first:
            return None
        return str(ipaddress.ip_address(self.opts.first) + number % self.opts.subscribers * self.step())

    def step(self):
        return 1 << 64 if self.family == socket.AF_INET6 and self.opts.subscribers > 1 else 1

    def open(self):
        session = Session(self, self.opts.skip + self.number)
        self.number += 1
        self.live[session.sock.fileno()] = session
        self.poll.register(session.sock, select.EPOLLIN | select.EPOLLOUT | select.EPOLLET)

    def close(self, session):
        del self.live[session.sock.fileno()]
        self.poll.unregister(session.sock)
        session.sock.close()
        r, who = self.result, session.who or "?"
        r["sessions"] += 1
        if session.end == "good":
            r["good"] += 1
            r["by"][who] = r["by"].get(who, 0) + 1
        else:
            broken = r["broken"].setdefault(who, {})
            broken[session.end] = broken.get(session.end, 0) + 1
        r["joined"] += session.end == "good" and session.joins >= self.least_joins
        r["fallback"] += session.fallback
        if self.events:
            took = int((time.monotonic() - session.start) * 1000)
            print(json.dumps({"at": session.at, "ms": took, "who": who, "end": session.end,
                              "from": session.source, "joins": session.joins}), file=self.events)

    def step_session(self, session, now):
        if not session.go_on():
            return self.close(session)
        if session.state == "idle" and now >= session.next_at:
            if (not self.fifo or self.opts.every or self.ending) and session.is_ready():
                session.finish()
                return session.go_on() or self.close(session)
            if session.rounds < self.opts.rounds or self.fifo:
                session.more()
                return session.go_on() or self.close(session)
        if now > session.late:
            session.end = "silence"
            self.close(session)
        return None

    def open_more(self, now):
        if self.ending:
            return
        if self.opts.every:
            if now >= self.due:
                self.due = max(self.due + self.opts.every / 1000, now - 1)
                self.open()
            return
        begun = 0
        while self.number < self.opts.count and len(self.live) < self.opts.held and begun < self.opts.at_once:
            self.open()
            begun += 1

    def say(self, *words):
        print(*words, flush=True)

    def commands(self):
        try:
            self.lines += os.read(self.fifo, 4096).decode().splitlines()
        except BlockingIOError:
            pass
        while self.lines and not self.waiting:
            verb, *args = self.lines.pop(0).split()
            if verb == "end":
                self.ending = True
                self.opts.rounds = self.opts.joins = 0  # as they are now
            elif verb == "joins":
                self.waiting = ("joined", int(args[0]), time.monotonic() + int(args[1]) / 1000 * SLOW, None)
            elif verb == "fresh":
                marks = {s: s.rounds + int(args[0]) for s in self.live.values()}
                self.waiting = ("fresh", 0, time.monotonic() + self.opts.patience * SLOW, marks)

    def wait_for(self, now):
        word, n, until, marks = self.waiting
        if marks is None:
            have = sum(s.look() >= n for s in self.live.values())
            all_there = have == len(self.live)
        else:
            have = sum(s.rounds >= marks.get(s, 0) for s in self.live.values())
            all_there = have == len(self.live)
        if all_there or now > until:
            self.say(word, have)
            self.waiting = None

    def is_over(self):
        if self.opts.every or self.fifo:
            return self.ending and not self.live
        return self.number >= self.opts.count and not self.live

    def ready(self):
        if self.said or self.opts.every or len(self.live) < min(self.opts.held, self.opts.count):
            return
        done = sum(s.rounds >= self.opts.rounds and s.joins >= self.opts.joins for s in self.live.values())
        if done == len(self.live):
            self.say("ready", done)
            self.said = True

    def run(self):
        swept = 0.0
        while not self.is_over():
            now = time.monotonic()
            self.open_more(now)
            if self.fifo is not None:
                self.commands()
            for fd, _ in self.poll.poll(0.002 if self.opts.every else 0.005):
                if fd in self.live:
                    self.step_session(self.live[fd], time.monotonic())
            now = time.monotonic()
            if now - swept > 0.02:
                swept = now
                for s in list(self.live.values()):
                    if s.state == "idle" and s.joins < self.opts.joins:
                        s.is_ready()
                    self.step_session(s, now)
                if self.waiting:
                    self.wait_for(now)
                if self.fifo is not None:
                    self.ready()
        self.result["ms"] = int((time.monotonic() - self.start) * 1000)
        print(json.dumps(self.result), flush=True)


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("to")
    ap.add_argument("--server", help="by Convert, to there")
    ap.add_argument("--tcp", action="store_true", help="plain TCP")
    ap.add_argument("--first", help="the first subscriber's address")
    ap.add_argument("--subscribers", type=int, default=1, help="so many addresses (IPv6: /64s) in a row")
    ap.add_argument("--skip", type=int, default=0, help="begin with this subscriber")
    ap.add_argument("--count", type=int, default=1)
    ap.add_argument("--held", type=int, default=1 << 30)
    ap.add_argument("--at-once", type=int, default=100, help="so many begin before others are looked after")
    ap.add_argument("--every", type=int, help="ms")
    ap.add_argument("--rounds", type=int, default=2)
    ap.add_argument("--bytes", type=int, default=1000, help="a round")
    ap.add_argument("--gap", type=float, default=0, help="ms between rounds")
    ap.add_argument("--joins", type=int, default=0)
    ap.add_argument("--by", choices=["peer", "name", "both"], default="peer",
                    help="who serves: the address the server saw, or the server's name")
    ap.add_argument("--patience", type=float, default=20, help="s of silence that break a session")
    ap.add_argument("--events", help="a JSON line per session: at (ms), ms, who, end, from, joins")
    ap.add_argument("--wait-on", help="fifo")
    opts = ap.parse_args()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    Herd(opts).run()


main()
