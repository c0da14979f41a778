#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""RADIUS accounting requests, made with hashlib alone, to be sent or printed.

radius.py hex KEY=VALUE…           the packet as hex digits, and the answer to it
radius.py send ADDR:PORT KEY=VALUE…    sends it, waits for the answer, checks it; JSON
radius.py flood ADDR:PORT N KEY=VALUE…  N Starts, each of an address and a session; JSON

Keys: secret id status session user calling nas nasid ip netmask prefix6 delegated6 address6 port
rat imsi delay time cause proxy (hex, may be given again); message=1 adds a Message-Authenticator;
raw=HEX adds bytes; sign=SECRET signs with another secret; source=ADDR:PORT to send from;
times=N sends the same bytes N times; wait=SECONDS for an answer.
"""
import hashlib
import hmac
import ipaddress
import json
import select
import socket
import struct
import sys
import time

NUMBERS = {"status": 40, "port": 61, "delay": 41, "time": 55, "cause": 49}
TEXTS = {"session": 44, "user": 1, "calling": 31, "nasid": 32}
IPV4 = {"ip": 8, "netmask": 9, "nas": 4}
PREFIXES = {"prefix6": 97, "delegated6": 123}


def tlv(kind, value):
    return bytes([kind, len(value) + 2]) + value


def attributes(pairs):
    out, vsas = b"", b""
    for key, value in pairs:
        if key in NUMBERS:
            out += tlv(NUMBERS[key], struct.pack("!I", int(value)))
        elif key in TEXTS:
            out += tlv(TEXTS[key], value.encode())
        elif key in IPV4:
            out += tlv(IPV4[key], ipaddress.IPv4Address(value).packed)
        elif key in PREFIXES:
            net = ipaddress.IPv6Network(value, strict=False)
            size = (net.prefixlen + 7) // 8
            out += tlv(PREFIXES[key],
                       bytes([0, net.prefixlen]) + net.network_address.packed[:size])
        elif key == "address6":
            out += tlv(168, ipaddress.IPv6Address(value).packed)
        elif key == "imsi":
            vsas += tlv(1, value.encode())
        elif key == "rat":
            vsas += tlv(21, bytes([int(value)]))
        elif key == "proxy":
            out += tlv(33, bytes.fromhex(value))
        elif key == "raw":
            out += bytes.fromhex(value)
        elif key not in ("secret", "id", "message", "sign", "source", "times", "wait"):
            sys.exit(f"radius.py: no key {key}")
    if vsas:
        out += tlv(26, struct.pack("!I", 10415) + vsas)
    return out


def request(pairs):
    """The packet. Of its keys, `sign` goes before `secret`."""
    given = dict(pairs)
    secret = given.get("sign", given.get("secret", "secret")).encode()
    ident = int(given.get("id", "1"))
    body = attributes(pairs)
    if "message" in given:
        size = struct.pack("!BBH", 4, ident, 20 + len(body) + 18)
        blank = size + bytes(16) + body + tlv(80, bytes(16))
        body += tlv(80, hmac.new(secret, blank, hashlib.md5).digest())
    head = struct.pack("!BBH", 4, ident, 20 + len(body))
    return head + hashlib.md5(head + bytes(16) + body + secret).digest() + body


def answer(packet, secret):
    """What RFC 2866 section 4.2 has as the answer."""
    states, at = b"", 20
    while at + 1 < len(packet) and packet[at + 1] >= 2:
        if packet[at] == 33:
            states += packet[at:at + packet[at + 1]]
        at += packet[at + 1]
    head = struct.pack("!BBH", 5, packet[1], 20 + len(states))
    return head + hashlib.md5(head + packet[4:20] + states + secret).digest() + states


def place(text):
    host, port = text.rsplit(":", 1)
    return host.strip("[]"), int(port)


def open_socket(to, given):
    sock = socket.socket(socket.AF_INET6 if ":" in to[0] else socket.AF_INET, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
    if "source" in given:
        sock.bind(place(given["source"]))
    sock.connect(to)
    return sock


def send(to, pairs):
    given = dict(pairs)
    packet = request(pairs)
    expected = answer(packet, given.get("secret", "secret").encode())
    sock = open_socket(to, given)
    sock.settimeout(float(given.get("wait", "2")))
    start, answers, good = time.monotonic(), 0, 0
    for _ in range(int(given.get("times", "1"))):
        sock.send(packet)
        try:
            good += sock.recv(4096) == expected
            answers += 1
        except (TimeoutError, ConnectionError):
            pass
    took = (time.monotonic() - start) * 1000
    print(json.dumps({"answers": answers, "good": good, "ms": round(took, 2)}))
    return 0 if good == int(given.get("times", "1")) else 1


def flood(to, count, pairs):
    """At most 128 are on their way; those lost are sent again after a second."""
    given = dict(pairs)
    base = int(ipaddress.IPv4Address(given.get("ip", "10.64.0.0")))
    rest = [(k, v) for k, v in pairs if k not in ("ip", "session", "id")]
    secret = given.get("secret", "secret").encode()
    socks = [open_socket(to, given) for _ in range(4)]
    todo, waiting, sent, bad = list(range(count - 1, -1, -1)), {}, 0, 0
    start = time.monotonic()
    while todo or waiting:
        while todo and len(waiting) < 128:
            n = todo.pop()
            key = (n % 4, n // 4 % 256)
            packet = request(rest + [("id", str(key[1])), ("session", f"flood-{n}"),
                                     ("ip", str(ipaddress.IPv4Address(base + n)))])
            waiting[key] = (n, answer(packet, secret), time.monotonic())
            socks[key[0]].send(packet)
            sent += 1
        for sock in select.select(socks, [], [], 1)[0]:
            got = sock.recv(4096)
            found = waiting.pop((socks.index(sock), got[1]), None)
            bad += found is None or found[1] != got
        now = time.monotonic()
        for key in [k for k, w in waiting.items() if now - w[2] > 1]:
            todo.append(waiting.pop(key)[0])
        if now - start > 300:
            break
    took = time.monotonic() - start
    print(json.dumps({"requests": count, "sent": sent, "bad": bad, "s": round(took, 3),
                      "per_s": round(count / took)}))
    return 1 if bad or todo or waiting else 0


def main(args):
    if len(args) < 1 or args[0] not in ("hex", "send", "flood"):
        sys.exit(__doc__)
    skip = {"hex": 1, "send": 2, "flood": 3}[args[0]]
    pairs = [tuple(word.split("=", 1)) for word in args[skip:]]
    if args[0] == "send":
        return send(place(args[1]), pairs)
    if args[0] == "flood":
        return flood(place(args[1]), int(args[2]), pairs)
    packet = request(pairs)
    print(packet.hex())
    print(answer(packet, dict(pairs).get("secret", "secret").encode()).hex())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
