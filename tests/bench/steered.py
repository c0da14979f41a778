# SPDX-License-Identifier: BSD-2-Clause
"""What steering costs a packet on its way through a gateway, beside the kernel's own forwarding.

Each side has its own network of the same shape, all of them up the whole time, and they take turns:
small packets of many flows go to one address, by way of px, to sv, where XDP counts and drops them.
"""
import json
import os
import statistics
import subprocess

from net import FIRST_SERVER, BenchError, Net, settle
from proxies import CONVERTER, ECHO, Gateway, to_server

VIRTUAL = "%s:%d" % (FIRST_SERVER, CONVERTER)
FLOWS, SECONDS = 1024, 1
PATIENCE_S = 0.5  # before each run: the part is to end within two minutes
SIDES = ("sender", "forwarded", "l2", "ipip")
# All of a packet's way is on the sender's processor: where others take their share of that, the rate
# over its own time is what holds.
RATES = ("packets_per_s", "packets_per_cpu_s")
KEYS = (*RATES, "cpu_ns_each")


class Side:
    """`sender`: the packets end where they reach px; `forwarded`: its kernel routes them."""

    def __init__(self, name, opts, tool, build, work):
        self.name, self.tool, self.gateway, self.sink = name, tool, None, None
        self.net = Net(opts.congestion, "s" + name)
        self.up = lambda: self.start(opts, build, work)

    def start(self, opts, build, work):
        self.net.up()
        for s, dev in (("ue", "uea"), ("sv", "svs")):
            self.net.do(s, "ethtool", "-K", dev, "tx", "off")
        self.net.spawn_server("sv", self.tool("connect"), "serve", to_server(ECHO))
        if self.name in ("l2", "ipip"):
            self.gateway = Gateway(self.net, build, work, opts.xdp, VIRTUAL, self.name)
        where = ("px", "pxa") if self.name == "sender" else ("sv", "svs")
        self.sink = self.net.spawn(where[0], self.tool("blast"), "sink", where[1],
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        if "listening" not in self.sink.stdout.readline():
            raise BenchError("no sink")
        links = json.loads(self.net.do("px", "ip", "-j", "link", "show", "dev", "pxa"))
        self.mac = links[0]["address"]

    def down(self):
        try:
            if self.gateway:
                self.gateway.down()
        finally:
            self.net.down()

    def ended(self):
        self.sink.stdin.write("\n")
        self.sink.stdin.flush()
        return int(self.sink.stdout.readline())

    def steered(self):
        return self.gateway.ask("counters")["steer"] if self.gateway else {}

    def load(self):
        ended, steered = self.ended(), self.steered()
        row = json.loads(self.net.do("ue", self.tool("blast"), "send", "uea", self.mac, VIRTUAL,
                                     str(FLOWS), str(SECONDS), timeout=60))
        row["arrived"] = self.ended() - ended - FLOWS
        row["steer"] = {k: v - steered[k] for k, v in self.steered().items() if v != steered[k]}
        row["packets_per_s"] = row["arrived"] / row["seconds"]
        row["packets_per_cpu_s"] = row["arrived"] / row["cpu_seconds"]
        row["cpu_ns_each"] = row["cpu_seconds"] * 1e9 / max(row["arrived"], 1)
        return row


def not_meant(side, row):
    """Why a run's figures would be of something else than the side's name says; None if not."""
    if row["arrived"] < 1:
        return "nothing arrived"
    if side.gateway and row["steer"].get("flow", 0) < row["arrived"]:
        return "%d of %d packets followed a flow" % (row["steer"].get("flow", 0), row["arrived"])
    if side.name == "ipip" and row["steer"].get("encap", 0) < row["arrived"]:
        return "%d of %d packets were put into another" % (row["steer"].get("encap", 0),
                                                           row["arrived"])
    return None


def one(side, say, refuse):
    row = side.load()
    why = not_meant(side, row)
    say("  %-10s %8.0f packets/s  %5.0f CPU-ns each  %d of %d  %s", side.name,
        row["packets_per_s"], row["cpu_ns_each"], row["arrived"], row["sent"], row["steer"])
    if why:
        refuse("steer " + side.name, why)
    return None if why else row


def told(values):
    return {"median": round(statistics.median(values), 1), "runs": [round(v, 1) for v in values]}


def summary(rows):
    """Medians by side; what a packet takes above one that ends at the gateway's door, round by round."""
    out = {}
    for name, got in rows.items():
        good = [r for r in got if r]
        if not good:
            out[name] = None
            continue
        out[name] = {k: told([r[k] for r in good]) for k in KEYS}
        out[name]["arrived_share"] = round(statistics.median(
            [r["arrived"] / r["sent"] for r in good]), 4)
        both = [(r, s) for r, s in zip(got, rows["sender"]) if r and s]
        if name != "sender" and both:
            out[name]["added_cpu_ns_each"] = told(
                [r["cpu_ns_each"] - s["cpu_ns_each"] for r, s in both])
    for name in ("l2", "ipip"):
        if out[name] and out["forwarded"]:
            for key in RATES:
                out[name]["ratio_" + key] = round(
                    out[name][key]["median"] / out["forwarded"][key]["median"], 3)
    return out


def measure(opts, tool, build, work, say, refuse):
    sides, unsettled = [Side(name, opts, tool, build, work) for name in SIDES], 0
    rows = {s.name: [] for s in sides}
    try:
        for side in sides:
            side.up()
        for nth in range(opts.rounds + 5):  # the first is not counted
            for side in sides:
                unsettled += not settle(min(opts.patience, PATIENCE_S))
                row = one(side, say, refuse)
                if nth:
                    rows[side.name].append(row)
    finally:
        for side in sides:
            try:
                side.down()
            except BenchError as e:
                refuse("steer " + side.name, str(e))
    return {"flows": FLOWS, "runs_on_a_busy_machine": unsettled, **summary(rows)}
