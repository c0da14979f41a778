# SPDX-License-Identifier: BSD-2-Clause
"""What being on the path costs: time to the first byte, beside a network that only routes, and
connections per second and throughput, beside HAProxy as a transparent proxy.

Each side has its own network of the same shape, all of them up the whole time, and they take turns.
"""
import json
import statistics

from net import FIRST_SERVER, SERVER, BenchError, Net, Watch, cpu_seconds, machine_seconds, settle
from proxies import CAPABLE, CONVERTER, PLAIN, PROXY, SINK, SOURCE, Mpgated, OnPath

INTERCEPT = ("intercept:\n  mode: hybrid\n  ports: any\n  held_per_subscriber: 4096\n"
             "  learn_ttl_s: 3600\n")
# Servers, where one alone would use up the client's ports
SPREAD = "64"
# arm: what `added` is measured against, side, server's port, more words for the client
FIRST_BYTE = (
    ("routed", None, "routed", PLAIN, ()),
    ("unknown plain server", "routed", "mpgated", PLAIN, ()),
    ("known plain server", "routed", "mpgated", PLAIN, ()),
    ("haproxy", "routed", "haproxy", PLAIN, ()),
    ("routed, MPTCP server", None, "routed", CAPABLE, ()),
    ("unknown MPTCP server", "routed, MPTCP server", "mpgated", CAPABLE, ()),
    ("known MPTCP server", "routed, MPTCP server", "mpgated", CAPABLE, ()),
    ("routed, TCP client", None, "routed", PLAIN, ("--tcp",)),
    ("TCP client, passing", "routed, TCP client", "mpgated", PLAIN, ("--tcp",)),
)


class Sides:
    """The networks and what runs in them; down() takes them away."""

    def __init__(self, opts, tool, build, work, xdp, delay_ms, wanted):
        self.tool, self.opts, self.delay_ms = tool, opts, delay_ms
        self.nets, self.proxies, self.unsettled = {}, {}, 0
        self.starters = {
            "routed": lambda net: None,
            "mpgated": lambda net: Mpgated(net, build, work, xdp, more=INTERCEPT),
            "haproxy": lambda net: OnPath(net, work),
            "after-connect": lambda net: Mpgated(net, build, work, xdp,
                                                 "  reply: after-connect\n"),
            "at-once": lambda net: Mpgated(net, build, work, opts.xdp, "  reply: at-once\n"),
        }
        self.wanted = wanted

    def up(self):
        for i, name in enumerate(self.wanted):
            net = self.nets[name] = Net(self.opts.congestion, "p%d" % i, self.delay_ms)
            net.up()
            self.serve(net)
            self.proxies[name] = self.starters[name](net)

    def serve(self, net):
        for words in (["connect", "serve", "0.0.0.0:%d" % PLAIN],
                      ["connect", "serve", "--mptcp", "0.0.0.0:%d" % CAPABLE],
                      ["flow", "serve", "sink", "0.0.0.0:%d" % SINK],
                      ["flow", "serve", "source", "0.0.0.0:%d" % SOURCE, str(self.opts.bytes)]):
            net.spawn_server("sv", self.tool(words[0]), *words[1:])

    def down(self):
        for net in self.nets.values():
            net.down()

    def facts(self):
        return {name: p.facts() for name, p in self.proxies.items() if p}

    def settle(self):
        self.unsettled += not settle(self.opts.patience)

    def load(self, side, port, count, at_once, *words):
        """A load program's run: its report and what the kernels counted."""
        net = self.nets[side]
        watch = Watch(net)
        to = "%s:%d" % ((PROXY, CONVERTER) if "--convert" in words else (FIRST_SERVER, port))
        report = json.loads(net.do("ue", self.tool("connect"), "run", *words, to, str(count),
                                   str(at_once), timeout=300))
        report["counters"] = watch.told()
        return report


def percentile(values, share):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def told(value):
    return {"median": round(statistics.median(value), 1), "runs": [round(v, 1) for v in value]}


def summary(rows, against):
    """Medians over the rounds, of each round's median and p99, and of what they add."""
    out = {"counters": [r["counters"] for r in rows]}
    for key, share in (("median_us", 0.5), ("p99_us", 0.99)):
        mine = [percentile(r["first_byte_us"], share) for r in rows]
        out[key] = told(mine)
        if against:
            base = [percentile(r["first_byte_us"], share) for r in against]
            out["added_" + key] = told([a - b for a, b in zip(mine, base)])
    if "hold" in rows[0]:
        out["hold"] = [r["hold"] for r in rows]
    return out


def ask_counters(proxy):
    counters = proxy.ask("counters")
    return {**counters.get("hold", {}), **counters.get("servers", {})}


def difference(before, after):
    return {k: v - before[k] for k, v in after.items() if v != before[k] and k != "known"}


def one_arm(sides, arm, count, at_once, say, refuse):
    name, _, side, port, words = arm
    proxy = sides.proxies[side]
    before = ask_counters(proxy) if side == "mpgated" else None
    row = sides.load(side, port, count, at_once, "--times", "--spread", str(count), *words)
    if before:
        row["hold"] = difference(before, ask_counters(proxy))
    say("  %-22s %4d at once  median %6.0f us  p99 %6.0f us  %s %s", name, at_once,
        percentile(row["first_byte_us"], 0.5), percentile(row["first_byte_us"], 0.99),
        row["counters"], row.get("hold", ""))
    why = not_meant(name, row, count, "--tcp" in words)
    if why:
        refuse("%s, %d at once" % (name, at_once), why)
    return None if why else row


def not_meant(name, row, count, tcp):
    """Why a run's figures would be of something else than the arm's name says; None if not."""
    spoken = 0 if tcp or name == "routed" else count
    if not tcp and count - row["fell_back"] != spoken:
        return "%d of %d spoke MPTCP" % (count - row["fell_back"], count)
    hold = row.get("hold", {})
    if "unknown" in name and hold.get("probes", 0) < count:
        return "%d of %d servers were asked" % (hold.get("probes", 0), count)
    if name.startswith("known") and hold.get("probes", 0):
        return "%d known servers were asked again" % hold["probes"]
    if "plain" in name and hold.get("held", 0) < count:
        return "%d of %d were held" % (hold.get("held", 0), count)
    if name in ("known MPTCP server", "TCP client, passing") and hold.get("held", 0):
        return "%d were held" % hold["held"]
    return None


def rounds_of(sides, arms, at_once, run_arm):
    rows = {a[0]: [] for a in arms}
    for nth in range(sides.opts.rounds + 1):  # the first warms caches, code and listeners
        if "mpgated" in sides.proxies:
            sides.proxies["mpgated"].ask("servers", "forget", "all")
        for arm in arms:
            sides.settle()
            row = run_arm(arm, at_once)
            if nth:
                rows[arm[0]].append(row)
    out = {}
    for arm in arms:
        mine, base = rows[arm[0]], rows.get(arm[1])
        whole = [(m, b) for m, b in zip(mine, base or mine) if m and b]
        out[arm[0]] = summary([m for m, _ in whole], [b for _, b in whole] if base else None) \
            if whole else None
    return out


def first_byte(sides, say, refuse):
    """(a) and (b): time to the first byte, on the path, by what is known of the server."""
    out = {"connections": sides.opts.firsts}
    for at_once in (1, 8):
        out["%d_at_once" % at_once] = rounds_of(
            sides, FIRST_BYTE, at_once,
            lambda arm, n: one_arm(sides, arm, out["connections"], n, say, refuse))
    return out


def distant(sides, say, refuse):
    """The same, where the way from the proxy to the server takes time: what costs round trips?"""
    out = {"connections": 100, "server_rtt_ms": 2 * sides.delay_ms}
    out["8_at_once"] = rounds_of(
        sides, [a for a in FIRST_BYTE if "--tcp" not in a[4]], 8,
        lambda arm, n: one_arm(sides, arm, out["connections"], n, say, refuse))
    return out


def converter(sides, say, refuse):
    """When the converter answers a SYN: at once, or when the server has."""
    arms = (("at-once", None), ("after-connect", "at-once"))

    def run_arm(arm, at_once):
        row = sides.load(arm[0], PLAIN, sides.opts.firsts, at_once, "--times", "--convert",
                         "%s:%d" % (FIRST_SERVER, PLAIN))
        say("  %-22s %4d at once  median %6.0f us  p99 %6.0f us  %s", arm[0], at_once,
            percentile(row["first_byte_us"], 0.5), percentile(row["first_byte_us"], 0.99),
            row["counters"])
        if row["fell_back"]:
            refuse("converter " + arm[0], "%d sessions fell back" % row["fell_back"])
            return None
        return row

    out = {"connections": sides.opts.firsts}
    for at_once in (1, 8):
        out["%d_at_once" % at_once] = rounds_of(sides, arms, at_once, run_arm)
    return out


def rate_round(sides, side, say, refuse):
    opts, proxy = sides.opts, sides.proxies[side]
    machine, own = machine_seconds(), cpu_seconds(proxy.pid) if proxy else 0
    report = sides.load(side, PLAIN, opts.connections, opts.at_once, "--spread", SPREAD)
    own = cpu_seconds(proxy.pid) - own if proxy else 0
    busy, softirq = (b - a for a, b in zip(machine, machine_seconds()))
    each = 1e3 / report["count"]
    row = {"per_s": report["count"] / report["seconds"], "cpu_ms_each": own * each,
           "machine_ms_each": busy * each, "softirq_ms_each": softirq * each,
           "counters": report["counters"]}
    say("  %-8s %7.0f /s  CPU-ms each: proxy %.3f, machine %.3f, softirq %.3f  %s", side,
        row["per_s"], row["cpu_ms_each"], row["machine_ms_each"], row["softirq_ms_each"],
        row["counters"])
    if proxy and report["fell_back"]:
        refuse("transparent " + side, "%d of %d sessions fell back to TCP"
               % (report["fell_back"], report["count"]))
        return None
    return row


def medians(rows, keys):
    """By side: the medians of the runs that count; and mpgated's over HAProxy's."""
    out = {}
    for side, got in rows.items():
        good = [r for r in got if r]
        out[side] = {k: {"median": round(statistics.median([r[k] for r in good]), 4),
                         "runs": [round(r[k], 4) for r in good]} for k in keys} if good else None
        if good:
            out[side]["counters"] = [r["counters"] for r in good]
    if out["mpgated"] and out["haproxy"]:
        for k in keys:
            out["ratio_" + k] = round(out["mpgated"][k]["median"]
                                      / max(out["haproxy"][k]["median"], 1e-9), 3)
    return out


def in_turns(sides, names, run_side):
    rows = {s: [] for s in names}
    for nth in range(sides.opts.rounds + 1):  # the first is not counted
        for side, got in rows.items():
            sides.settle()
            row = run_side(side)
            if nth:
                got.append(row)
    return rows


def transparent(sides, say, refuse):
    """(c): connections per second to one plain server, which mpgated knows as such."""
    rows = in_turns(sides, ("routed", "mpgated", "haproxy"),
                    lambda side: rate_round(sides, side, say, refuse))
    return {"connections": sides.opts.connections, "at_once": sides.opts.at_once,
            **medians(rows, ("per_s", "cpu_ms_each", "machine_ms_each", "softirq_ms_each"))}


def bulk_round(sides, arm, direction, say, refuse):
    """`first`: mpgated's first connection to a server, which goes on with a probe that found TCP."""
    side, size = "mpgated" if arm == "first" else arm, sides.opts.bytes
    net, proxy = sides.nets[side], sides.proxies[side]
    if arm == "first":
        proxy.ask("servers", "forget", "all")
    verb, port = ("get", SOURCE) if direction == "down" else ("put", SINK)
    watch, cpu = Watch(net), cpu_seconds(proxy.pid)
    report = json.loads(net.do("ue", sides.tool("flow"), verb, "%s:%d" % (SERVER, port),
                               str(size), timeout=300))
    row = {"gbit_s": size * 8 / 1e9 / report["seconds"], "counters": watch.told(),
           "cpu_s_per_gb": (cpu_seconds(proxy.pid) - cpu) * 1e9 / size}
    say("  %-4s %-8s %6.2f Gbit/s  %6.3f CPU-s/GB  %d subflows  %s", direction, arm,
        row["gbit_s"], row["cpu_s_per_gb"], report["subflows"], row["counters"])
    if not report["mptcp"] or report["subflows"] < 2:
        refuse("bulk %s %s" % (direction, arm), "no MPTCP with two subflows")
        return None
    return row


def bulk(sides, say, refuse):
    out = {"bytes": sides.opts.bytes}
    for direction in ("down", "up"):
        rows = in_turns(sides, ("first", "mpgated", "haproxy"),
                        lambda arm, d=direction: bulk_round(sides, arm, d, say, refuse))
        out[direction] = medians(rows, ("gbit_s", "cpu_s_per_gb"))
    return out


# part: function, sides, XDP if it is not for the caller to say, delay to the server. HAProxy's network
# has no XDP, and on veth XDP costs bulk transfers their segmentation offload: without it the two
# compare.
PARTS = {"firstbyte": (first_byte, ("routed", "mpgated", "haproxy"), None, 0),
         "reply": (converter, ("after-connect", "at-once"), None, 0),
         "onpath": (transparent, ("routed", "mpgated", "haproxy"), None, 0),
         "distant": (distant, ("routed", "mpgated", "haproxy"), None, 10),
         "bulk": (bulk, ("mpgated", "haproxy"), "off", 0)}


def measure(opts, tool, build, work, wanted, say, refuse):
    """The wanted parts, by name; each refuses what it could not measure."""
    out = {}
    for xdp, delay_ms in ((None, 0), (None, 10), ("off", 0)):
        parts = [p for p in PARTS if p in wanted and PARTS[p][2:] == (xdp, delay_ms)]
        sides = Sides(opts, tool, build, work, xdp or opts.xdp, delay_ms,
                      list(dict.fromkeys(s for p in parts for s in PARTS[p][1])))
        try:
            sides.up()
            out.setdefault("on_path_proxies", {}).update(sides.facts())
            for name in parts:
                say("%s (xdp %s)", name, xdp or opts.xdp)
                sides.unsettled = 0
                out[name] = PARTS[name][0](sides, say, refuse)
                out[name]["runs_on_a_busy_machine"] = sides.unsettled
        except BenchError as e:
            refuse("on the path", str(e))
        finally:
            sides.down()
    return out
