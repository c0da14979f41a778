#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""A control socket with canned answers: fake_control.py SOCKET [SESSIONS].

Prints "ready" once it listens; ends with its standard input. Sessions move bytes at steady rates:
session N sends N * 1 Mbit/s down. Some session numbers make it misbehave (see answer())."""

import json
import os
import socket
import sys
import threading
import time

START = time.monotonic()
KINDS = ["cpe", "convert", "intercept"]


def session(number):
    elapsed = time.monotonic() - START
    return {
        "id": number,
        "kind": KINDS[number % 3],
        "state": "relay",
        "client": "10.1.0.2:%d" % (40000 + number % 20000),
        "server": "[2001:db8::80]:443" if number % 2 else "192.0.2.80:80",
        "source": "10.4.0.2:%d" % (20000 + number % 20000),
        "subscriber": "10.1.0.2",
        "policy": "p%d" % (number % 2),
        "service": None,
        "mptcp": number % 3 != 0,
        "fallback": number % 5 == 0,
        "server_mptcp": number % 4 == 0,
        "token": "%08x" % (0xE3881C92 ^ number),
        "subflows": [
            {"local": "10.3.0.2:5124", "remote": "10.1.0.2:40001", "access": None,
             "backup": False},
            {"local": "10.3.0.2:5124", "remote": "10.2.0.2:40002", "access": "wlan",
             "backup": True},
        ][: 1 + number % 2],
        "bytes_up": int(1000 * elapsed),
        "bytes_down": int(number * 125000 * elapsed),
        "age_ms": 7384000 + int(1000 * elapsed),
    }


STATUS = {
    "node": "px1",
    "version": "0.1.0",
    "state": "running",
    "uptime_s": 93784,
    "pid": 4711,
    "features": {"syn_data": True, "sockops": True, "xdp_dispatcher": False},
    "missing": {"xdp_dispatcher": "nobody shares"},
    "interfaces": [
        {"name": "px0", "role": "access", "xdp_mode": "native+dispatcher", "prog_id": 12},
        {"name": "px1", "role": "core", "xdp_mode": "generic", "prog_id": 13},
    ],
    "converter": {
        "listen": ["10.3.0.2:5124", "[fd00:3::2]:5124"],
        "active": 12,
        "accepted": 1234567,
    },
    "intercept": {"mode": "hybrid"},
    "cpe": {"lan": ["br0", "br1"], "converter": "192.0.2.1:5124"},
    "hold": {
        "kinds": ["intercept", "cpe"],
        "alive": True,
        "beat_age_ms": 17,
        "stale_ms": 200,
    },
}

STATUS["gateway"] = {
    "steers": True,
    "proxies": {"up": 2, "down": 1, "draining": 0, "total": 3},
    "groups": 1,
    "location": "metro",
    "flows_max": 1048576,
    "tokens_max": 65536,
    "unknown_join": "drop",
    "learn": True,
    "store": "redis",
    "reachable": False,
    "tokens": 1234,
    "collisions": 2,
}

PROXIES = [
    {
        "name": "px1",
        "address": "10.3.0.21",
        "weight": 2,
        "state": "up",
        "sessions": 1234,
        "share": 0.6667,
        "kind": "off-path",
        "location": "metro",
        "deliver": "ipip",
        "way": True,
        "fault": "",
    },
    {
        "name": "px2",
        "address": "fd00:3::22",
        "weight": 1,
        "state": "down",
        "sessions": None,
        "share": 0.0,
        "kind": "on-path",
        "location": "",
        "deliver": "l2",
        "way": False,
        "fault": "Connection refused",
    },
]

TOKENS = [
    {"token": "00a1b2c3", "proxy": "px1", "origin": "pushed", "age_s": 61},
    {"token": "00a1b2c3", "proxy": "px2", "origin": "pushed", "age_s": 61},
    {"token": "fffffff0", "proxy": "px1", "origin": "learned", "age_s": 0},
]

RING = {
    "group": "metro",
    "hash": "subscriber",
    "slots": 65537,
    "changed_s": int(time.time()) - 3700,
    "members": [
        {"name": "px1", "slots": 65537, "share": 1.0, "previous_slots": 0},
        {"name": "px2", "slots": 0, "share": 0.0, "previous_slots": 21845},
    ],
}

SERVERS = [
    {"server": "192.0.2.80:443", "mptcp": True, "expires_s": 599, "source": "passive"},
    {"server": "[2001:db8::80]:80", "mptcp": False, "expires_s": 61, "source": "probe"},
]

COUNTERS = {
    "xdp": {
        "class": {"other": 0, "data": 98765432, "convert": 41},
        "verdict": {"pass": 98765473, "drop": 0},
    },
    "convert": {"requests": 41, "connected": 39, "errors": {"connection_reset": 2}},
    "relay": {
        "sessions_opened": 39,
        "sessions_closed": 27,
        "bytes_up": 1500,
        "bytes_down": 12345678901,
        "closed": {"finished": 27, **{"reason_%d" % n: 0 for n in range(9)}},
    },
    "mptcp": {"fallbacks": 1, "joins": 38},
    "hold": {"held": 4321, "replayed": 4300, "passed": 20, "overflow": 0},
    "servers": {"known": 2, "probes": 2, "passes": 1234},
    "steer": {"new": 65, "flow": 7654321, **{"counter_%d" % n: 0 for n in range(9)}},
}


def error(code, text):
    return {"ok": False, "error": text, "code": code}


def answer(request, sessions):
    """The answer as an object, or as bytes to be sent just so."""
    command, number = request["cmd"], request.get("id")
    if command == "status":
        return {"ok": True, "result": STATUS}
    if command == "sessions":
        return {"ok": True, "result": [session(n) for n in range(1, sessions + 1)]}
    if command == "servers":
        return {"ok": True, "result": SERVERS}
    if command == "servers-forget":
        if request["server"] == "192.0.2.99:80":
            return error("ENOENT", "nothing is known of 192.0.2.99:80")
        return {"ok": True, "result": {"done": True}}
    if command == "counters":
        return {"ok": True, "result": COUNTERS}
    if command == "config":
        return {"ok": True, "result": 'node: "px1"\nworkers: 0\n'}
    if command == "log-level":
        return {"ok": True, "result": {}}
    if command == "proxies":
        return {"ok": True, "result": PROXIES}
    if command == "tokens":
        wanted = request.get("token")
        return {"ok": True, "result": [t for t in TOKENS if wanted in (None, t["token"])]}
    if command == "ring":
        if request["group"] != "metro":
            return error("ENOENT", "no group " + request["group"])
        return {"ok": True, "result": RING}
    if command == "locate":
        return {"ok": True, "result": {"what": "steer", "proxy": "px1", "slot": 7, **request}}
    if command in ("drain", "undrain") and "proxy" in request:
        if request["proxy"] != "px1":
            return error("ENOENT", "this host steers to no proxy " + request["proxy"])
        return {"ok": True, "result": {"done": True}}
    if command == "drain":
        return error("EPERM", "drain is for root only")
    if number == 900:
        return b""
    if number == 901:
        return b"what?\n"
    if number == 902:
        return json.dumps({"ok": True, "result": {"id": 902}}).encode()[:-4]
    if number == 903:
        return {"ok": True, "result": {"id": 903, "server": "a\x1b[2Jb\x07"}}
    if number == 904:
        return {"ok": True, "result": {"id": 904, "new_ms": 1500, "new": {"a": [1, None, 2.5]}}}
    if number == 905:
        return {"ok": True, "result": {"id": 905, "source": None, "token": ""}}
    if number > sessions:
        return error("ENOENT", "no session %d" % number)
    return {"ok": True, "result": {} if command == "close" else session(number)}


def serve(connection, sessions):
    with connection, connection.makefile("rb") as lines:
        for line in lines:
            reply = answer(json.loads(line), sessions)
            if isinstance(reply, bytes):
                connection.sendall(reply)
                return
            line = json.dumps(reply).encode() + b"\n"
            # In pieces, as a stream may come.
            connection.sendall(line[:7])
            connection.sendall(line[7:])


def main():
    path, sessions = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 3
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(path)
    listener.listen(8)
    print("ready", flush=True)

    def accept():
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=serve, args=(connection, sessions), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    sys.stdin.read()
    os.unlink(path)


main()
