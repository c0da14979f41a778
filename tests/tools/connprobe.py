#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Connects in one of the ways programs do, talks to an echo server, prints one line.

usage: connprobe.py WAY HOST PORT

WAY: block; timeout (0.3 s); sndtimeo (SO_SNDTIMEO of 0.3 s); poll, select, epoll, epollet
(non-blocking, wait so); epollpre (in the epoll set before it connects); again (asks with connect);
asyncio; threads (40 at once); fork (connects, a child talks); dup (talks over a copy); stdio
(through a file object); sockopts (options set before connecting are there after); alarm (a handler
without SA_RESTART runs meanwhile, the connection survives); fastopen (MSG_FASTOPEN).

Prints "WAY ok PEER-ADDRESS" or "WAY ERRNO-NAME"; anything else is a bug.
"""
import asyncio
import errno
import os
import select
import signal
import socket
import struct
import sys
import threading

DATA = bytes(range(256)) * 16
MSG_FASTOPEN = 0x20000000
NONBLOCKING = ("poll", "select", "epoll", "epollet", "epollpre", "again")


def talk(s, data=DATA):
    s.settimeout(20)
    s.sendall(data)
    got = b""
    while len(got) < len(data):
        part = s.recv(65536)
        assert part, "end of file after %d bytes" % len(got)
        got += part
    assert got == data, "other bytes came back"


def peer_of(s):
    return s.getpeername()[0]


def check(s):
    err = s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if err:
        raise OSError(err, os.strerror(err))


def start(s, address):
    err = s.connect_ex(address)
    if err not in (0, errno.EINPROGRESS):
        raise OSError(err, os.strerror(err))
    return err


def by_poll(s, address):
    if start(s, address):
        p = select.poll()
        p.register(s, select.POLLOUT)
        ready = []
        while not ready:
            ready = p.poll(100)
        assert ready[0][0] == s.fileno() and ready[0][1] & (select.POLLOUT | select.POLLERR)
    check(s)


def by_select(s, address):
    if start(s, address):
        r, w, x = select.select([s], [s], [s], 20)
        assert w == [s], "writable: %r" % w
    check(s)


def by_epoll(s, address, flags=0):
    if start(s, address):
        with select.epoll() as ep:
            ep.register(s, select.EPOLLOUT | flags)
            ready = ep.poll(20)
            assert ready and ready[0][0] == s.fileno()
    check(s)


def by_epollet(s, address):
    by_epoll(s, address, select.EPOLLET)


def by_epollpre(s, address):
    with select.epoll() as ep:
        ep.register(s, select.EPOLLIN | select.EPOLLOUT | select.EPOLLET)
        ep.poll(0)
        if start(s, address):
            ready = ep.poll(20)
            assert ready and ready[0][0] == s.fileno()
        check(s)
        # the registration lives on
        ep.modify(s, select.EPOLLIN)
        s.send(b"x")
        ready = ep.poll(20)
        assert ready == [(s.fileno(), select.EPOLLIN)], ready
        assert s.recv(1) == b"x"


def by_again(s, address):
    while True:
        err = s.connect_ex(address)
        if err == errno.EISCONN or err == 0:
            return
        if err not in (errno.EINPROGRESS, errno.EALREADY):
            raise OSError(err, os.strerror(err))
        select.select([], [s], [], 1)


def by_alarm(s, address):
    """EINTR or not: afterwards the connection is there (Python goes on after EINTR itself)."""
    hits = []
    signal.signal(signal.SIGALRM, lambda *_: hits.append(1))
    signal.setitimer(signal.ITIMER_REAL, 0.05, 0.05)
    s.connect(address)
    signal.setitimer(signal.ITIMER_REAL, 0)


def by_sndtimeo(s, address):
    s.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", 0, 300000))
    s.connect(address)


def by_sockopts(s, address):
    options = [(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
               (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
               (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 33),
               (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 7),
               (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3)]
    for option in options:
        s.setsockopt(*option)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 50000)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 60000)
    if s.family == socket.AF_INET:
        s.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, 0x10)
        s.bind(("", 0))
    else:
        s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS, 0x10)
    port = s.getsockname()[1]
    inheritable = s.get_inheritable()
    s.connect(address)
    for level, name, value in options:
        got = s.getsockopt(level, name)
        assert got == value, "option %d/%d: %d instead of %d" % (level, name, got, value)
    assert s.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) == 100000
    assert s.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) == 120000
    assert s.getsockopt(socket.SOL_SOCKET, socket.SO_PROTOCOL) == socket.IPPROTO_TCP
    assert s.getsockopt(socket.SOL_SOCKET, socket.SO_DOMAIN) == s.family
    assert s.get_inheritable() == inheritable
    assert port in (0, s.getsockname()[1])
    # a hint that MPTCP refuses is no error
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 30000)


def by_fastopen(s, address):
    assert s.sendto(b"first", MSG_FASTOPEN, address) == 5
    got = b""
    while len(got) < 5:
        got += s.recv(5 - len(got))
    assert got == b"first"


def fork(s):
    pid = os.fork()
    if pid == 0:
        try:
            talk(s)
        except BaseException:
            os._exit(1)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0, "the child failed"


def dup(s):
    copy = s.dup()
    assert peer_of(copy) == peer_of(s)
    talk(copy)


def stdio(s):
    with s.makefile("rwb") as f:
        f.write(b"a line\n")
        f.flush()
        assert f.readline() == b"a line\n"


def threads(family, address):
    failures = []

    def one():
        try:
            with socket.socket(family, socket.SOCK_STREAM) as s:
                s.connect(address)
                talk(s)
        except BaseException as e:
            failures.append(e)
    all_of_them = [threading.Thread(target=one) for _ in range(40)]
    for t in all_of_them:
        t.start()
    for t in all_of_them:
        t.join()
    if failures:
        raise failures[0]
    return address[0]


async def by_asyncio(address):
    reader, writer = await asyncio.open_connection(*address)
    writer.write(DATA)
    await writer.drain()
    assert await reader.readexactly(len(DATA)) == DATA
    name = writer.get_extra_info("peername")[0]
    writer.close()
    await writer.wait_closed()
    return name


def connect(way, family, address):
    if way == "asyncio":
        return asyncio.run(by_asyncio(address))
    if way == "threads":
        return threads(family, address)
    s = socket.socket(family, socket.SOCK_STREAM)
    if way in NONBLOCKING:
        s.setblocking(False)
    if way == "timeout":
        s.settimeout(0.3)
    if "by_" + way in globals():
        globals()["by_" + way](s, address)
    else:
        s.connect(address)
    globals().get(way if way in ("fork", "dup", "stdio") else "talk")(s)
    return peer_of(s)


def main():
    way, host, port = sys.argv[1:]
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        print(way, "ok", connect(way, family, (host, int(port))))
    except OSError as e:
        print(way, errno.errorcode[e.errno] if e.errno else type(e).__name__)


main()
