#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""A Convert client (RFC 8803) that does exactly what it is told, right or wrong, and reports what came
back as one JSON object.

usage: rawconv.py --converter ADDR:PORT [what to say] [how to deliver it] [ACTION...]

Actions, in order, once a good answer is there (or at once with --no-message):
  send=N      N bytes of the pattern          text=STRING  these bytes
  trickle=N   the same, one write per byte    recv=N       until N bytes in all were received
  recvall     until the other side ends       duplex=N     send=N and recvall at the same time
  shutwr      end our side                    reset        close with RST
  wait        until a line comes from --wait-on            urgent=STRING  its last byte marked urgent
  close
"""
import argparse
import errno
import ipaddress
import json
import select
import socket
import struct
import sys
import threading
import time

import pattern
from mptcp import IPPROTO_MPTCP, speaks_mptcp

TCP_FASTOPEN_NO_COOKIE = 34
MSG_FASTOPEN = 0x20000000
TCPI_OPT_SYN_DATA = 32
CHUNK = 262144
NAMES = {0x01: "info", 0x0A: "connect", 0x14: "ext_tcp_hdr", 0x15: "supported", 0x16: "cookie",
         0x1E: "error"}


def endpoint(text):
    host, _, port = text.rpartition(":")
    return host.strip("[]"), int(port)


def show(addr):
    return ("[%s]:%d" if ":" in addr[0] else "%s:%d") % addr[:2]


def tlv(kind, body):
    body += bytes(-(len(body) + 2) % 4)
    return bytes([kind, (len(body) + 2) // 4]) + body


def message(opts):
    if opts.message is not None:
        return bytes.fromhex(opts.message)
    out = b""
    if opts.info:
        out += tlv(0x01, b"\0\0")
    if opts.server:
        host, port = endpoint(opts.server)
        ip = ipaddress.ip_address(host)
        raw = ip.packed if ip.version == 6 else b"\0" * 10 + b"\xff\xff" + ip.packed
        out += tlv(0x0A, struct.pack(">H", port) + raw + bytes.fromhex(opts.opts))
    if opts.cookie:
        out += tlv(0x16, b"\0\0" + bytes.fromhex(opts.cookie))
    return struct.pack(">BBH", 1, len(out) // 4 + 1, 0x2263) + out


def parse(answer):
    tlvs, at = [], 4
    while at + 2 <= len(answer):
        kind, words = answer[at], answer[at + 1]
        value = answer[at + 2:at + 4 * words]
        tlvs.append({"type": kind, "name": NAMES.get(kind, "?"), "words": words,
                     "value": value.hex()})
        if words == 0:
            break
        at += 4 * words
    return tlvs


class Client:
    def __init__(self, opts):
        self.opts, self.check, self.lock = opts, pattern.Check(), threading.Lock()
        self.report = {"connected": False, "connect_error": None, "answer": "", "tlvs": [],
                       "error": None, "end": "open", "tx_bytes": 0}
        self.start = time.monotonic()
        host, _ = endpoint(opts.converter)
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.sock = socket.socket(family, socket.SOCK_STREAM,
                                  0 if opts.tcp else IPPROTO_MPTCP)
        limit = struct.pack("ll", int(opts.timeout), int(opts.timeout % 1 * 1e6))
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, limit)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if opts.rcvbuf:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, opts.rcvbuf)
        if opts.bind:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self.sock.bind(endpoint(opts.bind))

    def ended(self, how):
        with self.lock:
            if self.report["end"] == "open":
                self.report["end"] = how
                self.report["end_ms"] = self.ms()

    def ms(self):
        return int((time.monotonic() - self.start) * 1000)

    def recv(self, n):
        try:
            data = self.sock.recv(n)
        except BlockingIOError:
            self.ended("timeout")
            return b""
        except OSError as e:
            self.ended("rst" if e.errno in (errno.ECONNRESET, errno.EPIPE) else e.strerror)
            return b""
        if not data:
            self.ended("fin")
        return data

    def send(self, data):
        at, view = 0, memoryview(data)
        while at < len(data):
            try:
                sent = self.sock.send(view[at:])
            except OSError as e:
                self.report["send_error"] = errno.errorcode.get(e.errno, str(e.errno))
                return False
            at += sent
            self.report["tx_bytes"] += sent
        return True

    def connect(self, first):
        """With `first`, carries it in the SYN."""
        to = endpoint(self.opts.converter)
        try:
            if first:
                self.sock.setsockopt(socket.IPPROTO_TCP, TCP_FASTOPEN_NO_COOKIE, 1)
                sent = self.sock.sendto(first, MSG_FASTOPEN, to)
                if sent < len(first):
                    self.sock.sendall(first[sent:])
            else:
                self.sock.connect(to)
        except OSError as e:
            self.report["connect_error"] = errno.errorcode.get(e.errno, str(e.errno))
            return False
        self.report.update(connected=True, local=show(self.sock.getsockname()),
                           connect_ms=self.ms())
        return True

    def deliver(self, msg):
        data = (self.opts.data.encode() + bytes.fromhex(self.opts.data_hex)
                + pattern.at(0, self.opts.data_pattern))
        how = self.opts.deliver
        if how == "syn":
            return self.connect(msg + data)
        if how == "split":
            if not self.connect(msg[:self.opts.cut[0]]):
                return False
            msg = msg[self.opts.cut[0]:]
            how = "pieces" if self.opts.cut[1:] else "after"
            self.opts.cut = [c - self.opts.cut[0] for c in self.opts.cut[1:]]
            time.sleep(self.opts.gap / 1000)
            return self.deliver_now(how, msg, data)
        if not self.connect(b""):
            return False
        return self.deliver_now(how, msg, data)

    def deliver_now(self, how, msg, data):
        if how == "after":
            self.sock.sendall(msg + data)
        elif how == "pieces":
            bounds = [0] + list(self.opts.cut or range(1, len(msg)))
            for a, b in zip(bounds, bounds[1:]):
                self.sock.sendall(msg[a:b])
                time.sleep(self.opts.gap / 1000)
            self.sock.sendall(msg[bounds[-1]:] + data)
        return True

    def read_answer(self):
        answer = b""
        while len(answer) < 4 or len(answer) < 4 * answer[1]:
            want = 4 - len(answer) if len(answer) < 4 else 4 * answer[1] - len(answer)
            data = self.recv(want)
            if not data:
                break
            answer += data
        self.report.update(answer=answer.hex(), tlvs=parse(answer), answer_ms=self.ms())
        for t in self.report["tlvs"]:
            if t["type"] == 0x1E:
                self.report["error"] = {"code": int(t["value"][:2], 16), "value": t["value"][2:]}
        return bool(answer) and self.report["error"] is None

    def read_rest(self):
        while True:
            data = self.recv(CHUNK)
            if not data:
                return
            self.check.add(data)

    def act(self, action):
        verb, _, arg = action.partition("=")
        if verb == "send":
            n, done = int(arg), 0
            while done < n and self.send(pattern.at(done, min(CHUNK, n - done))):
                done += min(CHUNK, n - done)
        elif verb == "trickle":
            for b in pattern.at(0, int(arg)):
                if not self.send(bytes([b])):
                    break
        elif verb == "text":
            self.send(arg.encode())
        elif verb == "urgent":
            self.sock.send(arg.encode(), socket.MSG_OOB)
        elif verb == "recv":
            while self.check.bytes < int(arg):
                data = self.recv(min(CHUNK, int(arg) - self.check.bytes))
                if not data:
                    break
                self.check.add(data)
        elif verb == "recvall":
            self.read_rest()
        elif verb == "duplex":
            reader = threading.Thread(target=self.read_rest)
            reader.start()
            self.act("send=" + arg)
            self.act("shutwr")
            reader.join()
        elif verb == "shutwr":
            try:
                self.sock.shutdown(socket.SHUT_WR)
            except OSError as e:
                self.report["shut_error"] = errno.errorcode.get(e.errno, str(e.errno))
        elif verb == "reset":
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.sock.close()
        elif verb == "close":
            self.sock.close()
        elif verb == "wait":
            line = ""
            while not line:  # empty: the last writer had not closed it yet
                with open(self.opts.wait_on) as f:
                    line = f.readline()
        else:
            sys.exit("unknown action: " + action)

    def note_socket(self):
        """What kind of connection it became."""
        try:
            self.report["mptcp"] = not self.opts.tcp and speaks_mptcp(self.sock)
            info = self.sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 8)
            self.report["syn_data_acked"] = bool(info[5] & TCPI_OPT_SYN_DATA)
        except OSError:
            self.report["mptcp"] = None

    def run(self):
        if not self.deliver(message(self.opts)):
            return
        self.note_socket()
        if self.opts.end:
            self.sock.shutdown(socket.SHUT_WR)
        good = True
        if not self.opts.no_answer:
            good = self.read_answer()
        self.note_socket()
        if not good:
            if self.report["end"] == "open":
                self.read_rest()
            return
        for action in self.opts.actions:
            self.act(action)

    def result(self):
        self.report.update(rx=self.check.report(), total_ms=self.ms())
        return self.report


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--converter", required=True)
    ap.add_argument("--bind", help="ADDR:PORT to come from, port 0 for any")
    ap.add_argument("--tcp", action="store_true", help="plain TCP instead of MPTCP")
    ap.add_argument("--rcvbuf", type=int)
    ap.add_argument("--server", help="Connect TLV to ADDR:PORT")
    ap.add_argument("--opts", default="", help="TCP options in the Connect TLV, hex")
    ap.add_argument("--info", action="store_true", help="Info TLV")
    ap.add_argument("--cookie", help="Cookie TLV, hex")
    ap.add_argument("--message", help="this message instead, hex")
    ap.add_argument("--data", default="", help="user data right behind the message")
    ap.add_argument("--data-hex", default="")
    ap.add_argument("--data-pattern", type=int, default=0, help="N bytes of the pattern")
    ap.add_argument("--deliver", default="syn", choices=["syn", "after", "pieces", "split", "never"])
    ap.add_argument("--gap", type=float, default=2, help="ms between pieces")
    ap.add_argument("--cut", type=lambda s: [int(x) for x in s.split(",")],
                    help="where the pieces end; default: after each byte (split: the first goes in the SYN)")
    ap.add_argument("--end", action="store_true", help="end our side right behind the message")
    ap.add_argument("--no-answer", action="store_true", help="do not wait for one")
    ap.add_argument("--timeout", type=float, default=20)
    ap.add_argument("--wait-on", help="fifo for wait")
    ap.add_argument("actions", nargs="*")
    client = Client(ap.parse_args())
    try:
        client.run()
    finally:
        print(json.dumps(client.result()), flush=True)


main()
