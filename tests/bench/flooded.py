# SPDX-License-Identifier: BSD-2-Clause
"""What a SYN flood leaves of admitted traffic.

Clients in a trusted access network have sessions through the converter at a steady rate, while SYNs
come in from another one as fast as they can be sent. Two networks of one shape take turns:

  fla ---- pxf  third party      `mpgate`: mpgated has pxf and pxg, too, and drops there;
  flb ---- pxg  trusted          `bare`: XDP_DROP is all there is on them, and mpgated on the rest.

The flooder has the last processor to itself, and with it what px does with each SYN, as veth hands
packets over on the sender's; client, mpgated and server share the first. So what is left of the
admitted traffic beside `bare` is mpgate's doing, and beside no flood the machine's as well.
"""
import contextlib
import json
import os
import statistics
import subprocess
import time

from net import PROXY, BenchError, Net, cpu_seconds, memory_kb, run, settle
from proxies import CONVERTER, ECHO, SOURCE, Daemon, to_server

MBIT_S, PER_S, SECONDS = 500, 400, 2
LONGER_S = 1  # a flood is there before the traffic
SUBSCRIBER = "10.77.0.7"
POLICIES = """access_networks:
  - { name: cellular, interfaces: [ pxa, pxb, pxg ], trust: trusted }
  - { name: wlan, interfaces: [ pxf ], trust: third-party }
subscribers:
  - { name: few, match: [ 10.77.0.0/16 ] }
policies:
  - { name: few, subscribers: [ few ], limits: { sessions: 10, new_per_s: 10, burst: 10 } }
"""
# Name: interface, words of `flood send`, and what XDP says of it
FLOODS = {
    "plain": (("fla", "pxf"), ["plain"], ("no_cookie",)),
    "convert": (("fla", "pxf"), ["convert"], ("no_cookie",)),
    "cookie": (("fla", "pxf"), ["cookie"], ("bad_cookie",)),
    "join": (("fla", "pxf"), ["join"], ("no_token",)),
    "subscriber": (("flb", "pxg"), ["--from", SUBSCRIBER, "convert"],
                   ("over_sessions", "over_rate")),
}
# At the rates offered, and as much as goes with nothing left of the processor
LOADS = ("bulk", "connect", "bulk_most", "connect_most")
MOST_SOURCE, MOST_BYTES, MOST_CONNECTIONS = 9004, 400 * 10**6, 3000


@contextlib.contextmanager
def processors(realtime):
    """All that is started from here on has the first; what floods moves away by itself."""
    was = os.sched_getaffinity(0), os.sched_getscheduler(0), os.sched_getparam(0)
    os.sched_setaffinity(0, {min(was[0])})
    if realtime:
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    try:
        yield max(was[0])
    finally:
        os.sched_setscheduler(0, was[1], was[2])
        os.sched_setaffinity(0, was[0])


class Side:
    def __init__(self, name, opts, tool, build, work):
        self.name, self.tool, self.opts = name, tool, opts
        self.net = Net(opts.congestion, "f" + name[0])
        self.up = lambda: self.start(build, work)

    def start(self, build, work):
        self.net.up()
        fl = self.net.space("fl")
        run("ip", "netns", "add", fl)
        self.net.do("fl", "sysctl", "-q", "-w", "net.ipv6.conf.default.disable_ipv6=1")
        for here, there in (("fla", "pxf"), ("flb", "pxg")):
            run("ip", "link", "add", here, "netns", fl, "type", "veth", "peer", "name", there,
                "netns", self.net.space("px"))
            self.net.ip("fl", "link", "set", here, "up")
            self.net.ip("px", "link", "set", there, "up")
        self.net.ip("px", "route", "add", "10.77.0.0/16", "dev", "pxg")
        self.net.ip("px", "neigh", "add", SUBSCRIBER, "lladdr", self.link("fl", "flb")["address"],
                    "dev", "pxg", "nud", "permanent")
        self.net.spawn_server("sv", self.tool("connect"), "serve", to_server(ECHO))
        self.net.spawn_server("sv", self.tool("flow"), "serve", "source", to_server(SOURCE),
                              str(MBIT_S * 125000 * SECONDS), str(MBIT_S))
        self.net.spawn_server("sv", self.tool("flow"), "serve", "source", to_server(MOST_SOURCE),
                              str(MOST_BYTES))
        ends = "".join("  - { name: %s, role: access, xdp: %s }\n" % (dev, self.opts.xdp)
                       for dev in ("pxf", "pxg"))
        policies = POLICIES
        if self.name == "bare":
            ends, policies = "", POLICIES.replace(", pxg", "").replace(
                "interfaces: [ pxf ]", "prefixes: [ 198.18.0.0/15 ]")
        self.daemon = Daemon(
            self.net, build, work, self.opts.xdp,
            "%sconverter:\n  listen: [ \"%s:%d\" ]\n  pending_per_client: 65535\n%s"
            % (ends, PROXY, CONVERTER, policies))
        for dev in ("pxf", "pxg") if self.name == "bare" else ():
            self.program("drop", dev)

    def program(self, *words):
        p = self.net.spawn("px", self.tool("flood"), *words, stdin=subprocess.PIPE,
                           stdout=subprocess.PIPE)
        if "listening" not in p.stdout.readline():
            raise BenchError("flood " + " ".join(words))
        return p

    def down(self):
        try:
            self.net.down()
        finally:
            subprocess.run(("ip", "netns", "del", self.net.space("fl")), check=False,
                           stderr=subprocess.DEVNULL)

    def link(self, space, dev):
        return json.loads(self.net.ip(space, "-s", "-j", "link", "show", "dev", dev))[0]

    # ---- the flood ----------------------------------------------------------------------------

    def begin(self, kind, processor):
        (here, there), words, _ = FLOODS[kind]
        if kind == "cookie":  # the worst: another's, so its epoch is right
            cookie = self.daemon.ask("cookie", "192.0.2.1")["cookie"]
            words = ["--cookie", cookie] + words
        self.there, self.arrived = there, self.link("px", there)["stats64"]["rx"]["packets"]
        self.counted = self.daemon.ask("counters")
        p = self.net.spawn("fl", "taskset", "-c", str(processor), self.tool("flood"), "send", "--by",
                           self.opts.flood_by, *words, here, self.link("px", there)["address"],
                           "%s:%d" % (PROXY, CONVERTER), stdin=subprocess.DEVNULL,
                           stdout=subprocess.PIPE)
        if "flooding" not in p.stdout.readline():
            raise BenchError("no flood")
        return p

    def end(self, p):
        p.terminate()
        told = json.loads(p.stdout.readline() or "{}")
        p.wait(20)
        self.net.children.remove(p)
        arrived = self.link("px", self.there)["stats64"]["rx"]["packets"] - self.arrived
        return {"arrived": arrived, "per_s": arrived / told["seconds"],
                "cpu_ns_each": told["cpu_seconds"] * 1e9 / max(arrived, 1),
                "per_cpu_s": arrived / max(told["cpu_seconds"], 1e-9),
                "processor_share": told["cpu_seconds"] / told["seconds"],
                "dropped": self.reasons()}

    def reasons(self):
        was, now = self.counted["xdp"]["reason"], self.daemon.ask("counters")["xdp"]["reason"]
        return {k: now[k] - was[k] for _, _, why in FLOODS.values() for k in why if now[k] != was[k]}

    # ---- admitted traffic ---------------------------------------------------------------------

    def transfer(self, port, size):
        got = json.loads(self.net.do("ue", self.tool("flow"), "get", "--convert", to_server(port),
                                     "%s:%d" % (PROXY, CONVERTER), str(size), timeout=120))
        return {"rate": size * 8e-6 / got["seconds"], "lost": not got["mptcp"]}

    def connections(self, n, *how):
        got = json.loads(self.net.do("ue", self.tool("connect"), "run", "--times", *how,
                                     "--convert", to_server(ECHO), "%s:%d" % (PROXY, CONVERTER),
                                     str(n), "256" if how else "32", timeout=120))
        times = sorted(got["first_byte_us"])
        return {"rate": (n - got["failed"]) / got["seconds"], "lost": got["failed"] + got["fell_back"],
                "p50_us": times[len(times) // 2], "p99_us": times[len(times) * 99 // 100]}

    def load(self, what):
        if what == "bulk":
            return self.transfer(SOURCE, MBIT_S * 125000 * SECONDS)
        if what == "bulk_most":
            return self.transfer(MOST_SOURCE, MOST_BYTES)
        if what == "connect":
            return self.connections(PER_S * SECONDS, "--per-s", str(PER_S))
        return self.connections(MOST_CONNECTIONS)


def maps_kb(pid):
    """The kernel's memory for all maps that a process has open."""
    found, folder = {}, "/proc/%d/fdinfo" % pid
    for fd in os.listdir(folder):
        with contextlib.suppress(OSError):
            with open(os.path.join(folder, fd)) as f:
                rows = dict(line.split(":", 1) for line in f if ":" in line)
            if "map_id" in rows:
                found[int(rows["map_id"])] = int(rows["memlock"])
    return sum(found.values()) // 1024


def what_it_holds(side):
    """What a flood must not add to."""
    def count(*words):
        return len(side.net.do("px", "ss", "-Htan", *words).splitlines())
    return {"tcp_sockets": count(), "half_open": count("state", "syn-recv"),
            "rss_kb": memory_kb(side.daemon.pid)["rss_kb"], "maps_kb": maps_kb(side.daemon.pid),
            "requests": side.daemon.ask("counters")["convert"]["requests"],
            "sessions": len(side.daemon.ask("sessions"))}


def alone(side, kind, processor):
    """A flood and nothing else: what of it the daemon sees, what it leaves, what a SYN costs XDP."""
    before, cpu = what_it_holds(side), cpu_seconds(side.daemon.pid)
    watch = side.program("watch", FLOODS[kind][0][1])
    def runs():
        watch.stdin.write("\n")
        watch.stdin.flush()
        return json.loads(watch.stdout.readline())
    flood, was = side.begin(kind, processor), runs()
    time.sleep(SECONDS)
    now, during = runs(), what_it_holds(side)
    told = side.end(flood)
    watch.stdin.close()
    watch.wait(20)
    side.net.children.remove(watch)
    told["daemon_cpu_s"] = round(cpu_seconds(side.daemon.pid) - cpu, 3)
    told["xdp_ns_each"] = round((now["ns"] - was["ns"]) / max(now["runs"] - was["runs"], 1))
    told["before"], told["during"] = before, during
    return told


def traffic(side, load, kind, processor):
    flood = side.begin(kind, processor) if kind else None
    if flood:
        time.sleep(LONGER_S)
    row = side.load(load)
    if flood:
        row["flood"] = side.end(flood)
    return row


def told(values):
    return {"median": round(statistics.median(values), 3), "runs": [round(v, 3) for v in values]}


def summary(rows):
    """By load and arm; ratios round by round, to what there is without a flood and to `bare`."""
    out = {}
    for load, arms in rows.items():
        out[load] = {}
        for name, got in arms.items():
            arm = out[load][name] = {k: told([r[k] for r in got])
                                     for k in ("rate", "p50_us", "p99_us") if k in got[0]}
            if "flood" in got[0]:
                for k in ("per_s", "per_cpu_s", "cpu_ns_each", "processor_share"):
                    arm["flood_" + k] = told([r["flood"][k] for r in got])
                arm["dropped_share"] = told([sum(r["flood"]["dropped"].values())
                                             / max(r["flood"]["arrived"], 1) for r in got])
                for other in ("calm", "bare"):
                    arm["kept_beside_" + other] = told([r["rate"] / o["rate"]
                                                        for r, o in zip(got, arms[other])])
    return out


def as_meant(kind, flood):
    """Was all of it dropped, for the reason meant? Among thousands of sessions and millions of
    random tokens one or two may hit; a subscriber has what it may have, and is told of a few."""
    left = flood["arrived"] - sum(flood["dropped"].get(why, 0) for why in FLOODS[kind][2])
    return left <= {"join": 10, "subscriber": flood["arrived"] // 10}.get(kind, 0)


def one_round(sides, loads, opts, processor, rows, say, refuse):
    for load in loads:
        for name in ("calm", "bare", *FLOODS):
            settle(opts.patience)
            side = sides["bare" if name == "bare" else "mpgate"]
            kind = {"calm": None, "bare": "cookie"}.get(name, name)
            row = traffic(side, load, kind, processor)
            rows[load].setdefault(name, []).append(row)
            flood = row.get("flood", {})
            say("  %-12s %-11s %7.1f %s  %9.0f SYNs/s  %5.0f CPU-ns each  %s", load, name, row["rate"],
                "Mbit/s" if load.startswith("bulk") else "/s", flood.get("per_s", 0),
                flood.get("cpu_ns_each", 0), {k: v for k, v in row.items() if k.endswith("_us")})
            if row["lost"]:
                refuse("flood %s %s" % (load, name), "%d sessions were lost" % row["lost"])
            if kind and name != "bare" and not as_meant(kind, flood):
                refuse("flood %s %s" % (load, name), "of %d: %s"
                       % (flood["arrived"], flood["dropped"]))


def measure(opts, tool, build, work, say, refuse):
    if os.cpu_count() < 2:
        raise BenchError("the flooder needs a processor of its own")
    rows, costs = {load: {} for load in LOADS}, {}
    with processors(opts.realtime) as last:
        sides = {name: Side(name, opts, tool, build, work) for name in ("mpgate", "bare")}
        try:
            for side in sides.values():
                side.up()
            for kind in FLOODS:  # first: what busy daemons keep for later would hide it
                costs[kind] = alone(sides["mpgate"], kind, last)
                say("  alone        %-11s %s", kind, costs[kind])
            for load in LOADS:  # warms caches and code, not counted
                for side in sides.values():
                    traffic(side, load, None, last)
            for _ in range(opts.rounds):
                one_round(sides, LOADS, opts, last, rows, say, refuse)
        finally:
            for side in sides.values():
                side.down()
    return {"mbit_s_offered": MBIT_S, "connections_per_s_offered": PER_S, "by": opts.flood_by,
            "realtime": opts.realtime, **summary(rows), "alone": costs}
