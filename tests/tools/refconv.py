#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""A small RFC 8803 converter for tests of the client: as plain as can be, and it can misbehave.

usage: refconv.py --events FILE --serve MODE@ADDR:PORT [--serve …]

Modes: good; split (the answer byte by byte); slow:MS (the answer late); cookie:HEX (required, error
3 tells it); stale:HEX (another cookie is Not Authorized); error:CODE[:VALUEHEX]; nonsense (an HTTP
answer); badtlv (Convert header, broken TLV); noheader (an answer without Extended TCP Header);
silent (never answers); eof (closes at once); rst (resets). Events: JSON lines, "listening" when
everything listens, then one "request" for each message.
"""
import argparse
import json
import socket
import struct
import threading
import time

IPPROTO_MPTCP = 262
TCP_FASTOPEN = 23
TCP_SYN_RECV = 3
CONNECT, COOKIE, EXT_HDR, SUPPORTED, ERROR = 0x0A, 0x16, 0x14, 0x15, 0x1E
SYNACK_OPTIONS = bytes.fromhex("020405b40402")

lock = threading.Lock()
events = None


def event(**fields):
    with lock:
        events.write(json.dumps(fields) + "\n")
        events.flush()


def tlv(kind, value):
    value += b"\0" * (-(len(value) + 2) % 4)
    return bytes([kind, (len(value) + 2) // 4]) + value


def message(*tlvs):
    body = b"".join(tlvs)
    return struct.pack(">BBH", 1, 1 + len(body) // 4, 0x2263) + body


def error(code, value=b"\0"):
    return message(tlv(ERROR, bytes([code]) + value))


def read_exactly(conn, n):
    data = b""
    while len(data) < n:
        part = conn.recv(n - len(data))
        if not part:
            raise EOFError
        data += part
    return data


def read_request(conn):
    """The TLVs of the client's message, by type."""
    version, words, magic = struct.unpack(">BBH", read_exactly(conn, 4))
    assert (version, magic) == (1, 0x2263), "not Convert"
    body = read_exactly(conn, 4 * words - 4)
    found = {}
    while body:
        kind, length = body[0], 4 * body[1]
        found[kind] = body[2:length]
        body = body[length:]
    return found


def dial(connect):
    """A connection to the Remote Peer; or the Error TLV's message."""
    port = struct.unpack(">H", connect[:2])[0]
    ip6 = socket.inet_ntop(socket.AF_INET6, connect[2:18])
    ip = ip6[7:] if ip6.startswith("::ffff:") else ip6
    try:
        return socket.create_connection((ip, port), timeout=5), None
    except ConnectionRefusedError:
        return None, error(96)
    except socket.timeout:
        return None, error(65)
    except OSError:
        return None, error(97, bytes([3 if ":" in ip else 1]))


def pump(a, b):
    try:
        while True:
            data = a.recv(65536)
            if not data:
                b.shutdown(socket.SHUT_WR)
                return
            b.sendall(data)
    except OSError:
        # a reset on one side is a reset on the other
        for s in (a, b):
            s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


def relay(a, b):
    a.settimeout(None)
    b.settimeout(None)
    back = threading.Thread(target=pump, args=(b, a))
    back.start()
    pump(a, b)
    back.join()
    a.close()
    b.close()


def close_nicely(conn, answer):
    """The Error TLV, then an orderly close; how the client closes is an event."""
    try:
        conn.sendall(answer)
        conn.shutdown(socket.SHUT_WR)
        conn.settimeout(10)
        while conn.recv(65536):
            pass
        event(event="closed", how="fin")
    except socket.timeout:
        event(event="closed", how="timeout")
    except OSError:
        event(event="closed", how="reset")
    conn.close()


def misbehave(mode, conn):
    """True if the mode is one that never serves."""
    name, _, arg = mode.partition(":")
    if name == "nonsense":
        conn.sendall(b"HTTP/1.0 400 Bad Request\r\n\r\n")
        close_nicely(conn, b"")
    elif name == "badtlv":
        close_nicely(conn, bytes.fromhex("01022263 14050000"))
    elif name == "noheader":
        close_nicely(conn, message(tlv(SUPPORTED, b"\0\0\x1e\0")))
    elif name == "silent":
        close_nicely_later(conn)
    elif name == "eof":
        conn.close()
    elif name == "rst":
        conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        conn.close()
    elif name == "error":
        code, _, value = arg.partition(":")
        close_nicely(conn, error(int(code), bytes.fromhex(value) or b"\0"))
    else:
        return False
    return True


def close_nicely_later(conn):
    try:
        while conn.recv(65536):
            pass
    except OSError:
        pass
    conn.close()


def send_answer(mode, conn):
    name, _, arg = mode.partition(":")
    answer = message(tlv(EXT_HDR, b"\0\0" + SYNACK_OPTIONS))
    if name == "slow":
        time.sleep(int(arg) / 1000)
    if name != "split":
        conn.sendall(answer)
        return
    conn.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for i in range(len(answer)):
        conn.sendall(answer[i:i + 1])
        time.sleep(0.01)


def cookie_error(mode, request):
    name, _, wanted = mode.partition(":")
    if name not in ("cookie", "stale"):
        return None
    wanted = bytes.fromhex(wanted)
    shown = request.get(COOKIE)
    if shown is None:
        return error(3, b"\0" + wanted)
    return None if shown[2:2 + len(wanted)] == wanted else error(32)


def wait_for_handshake(conn):
    """MPTCP keeps what it is given before the third ACK until the client speaks again."""
    while conn.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] == TCP_SYN_RECV:
        time.sleep(0.001)


def serve(mode, conn):
    try:
        request = read_request(conn)
        wait_for_handshake(conn)
    except (EOFError, OSError, AssertionError) as e:
        event(event="no request", why=str(e))
        conn.close()
        return
    proto = conn.getsockopt(socket.SOL_SOCKET, socket.SO_PROTOCOL)
    event(event="request", mode=mode, mptcp=proto == IPPROTO_MPTCP,
          cookie=request[COOKIE][2:].hex() if COOKIE in request else None,
          peer=request[CONNECT][:18].hex() if CONNECT in request else None)
    if misbehave(mode, conn):
        return
    refusal = cookie_error(mode, request)
    server = None
    if not refusal:
        server, refusal = dial(request[CONNECT])
    if refusal:
        close_nicely(conn, refusal)
        return
    send_answer(mode, conn)
    relay(conn, server)


def quietly(mode, conn):
    try:
        serve(mode, conn)
    except OSError as e:
        event(event="lost", why=str(e))
        conn.close()


def listen(mode, text):
    host, _, port = text.rpartition(":")
    host = host.strip("[]")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    s = socket.socket(family, socket.SOCK_STREAM, IPPROTO_MPTCP)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.setsockopt(socket.IPPROTO_TCP, TCP_FASTOPEN, 256)
    s.bind((host, int(port)))
    s.listen(256)

    def accept():
        while True:
            conn, _ = s.accept()
            threading.Thread(target=quietly, args=(mode, conn), daemon=True).start()
    return accept


def main():
    global events
    p = argparse.ArgumentParser()
    p.add_argument("--events", required=True)
    p.add_argument("--serve", action="append", required=True)
    args = p.parse_args()
    events = open(args.events, "w")
    loops = [listen(*one.split("@")) for one in args.serve]
    event(event="listening")
    threads = [threading.Thread(target=loop, daemon=True) for loop in loops]
    for t in threads:
        t.start()
    for t in threads:
        t.join()


if __name__ == "__main__":
    main()
