# SPDX-License-Identifier: BSD-2-Clause
"""The benchmark's network: a UE with two unshaped links to the proxy, a server behind it.

      uea 10.1.0.2 ---- 10.1.0.1 pxa
  ue                                   px   pxs 10.4.0.1 ---- 10.4.0.2 svs   sv
      ueb 10.2.0.2 ---- 10.2.0.1 pxb

The converters listen on 10.1.0.1; the UE's second link reaches it through pxb. px also forwards, and
the server is all of 10.8.0.0/16 as well, so that there are thousands of servers to get to know.
"""
import os
import signal
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))

SPACES = ("ue", "px", "sv")
PROXY = "10.1.0.1"
SERVER = "10.4.0.2"
SERVERS, FIRST_SERVER = "10.8.0.0/16", "10.8.0.1"


class BenchError(Exception):
    pass


def run(*words, **more):
    got = subprocess.run(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                         stderr=subprocess.PIPE, text=True, **more)
    if got.returncode:
        raise BenchError("%s: %s" % (" ".join(words), got.stderr.strip() or got.returncode))
    return got.stdout


def wait_for(what, seconds, ready):
    end = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > end:
            raise BenchError("%s: not within %d s" % (what, seconds))
        time.sleep(0.02)


class Net:
    def __init__(self, congestion, tag="", delay_ms=0):
        """`delay_ms`: what every frame takes between proxy and server, each way."""
        self.delay_ms = delay_ms
        self.name = "mgb%d%s" % (os.getpid(), tag)
        self.congestion = congestion
        self.children = []

    def space(self, s):
        return "%s-%s" % (self.name, s)

    def inside(self, s, *words):
        """The same command, in a namespace (and with this /sys: bpffs is there)."""
        return ("nsenter", "--net=/run/netns/" + self.space(s), "--") + words

    def do(self, s, *words, **more):
        return run(*self.inside(s, *words), **more)

    def ip(self, s, *words):
        return run("ip", "-n", self.space(s), *words)

    def spawn(self, s, *words, **more):
        p = subprocess.Popen(self.inside(s, *words), start_new_session=True, text=True, **more)
        self.children.append(p)
        return p

    def spawn_server(self, s, *words):
        p = self.spawn(s, *words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        if "listening" not in p.stdout.readline():
            raise BenchError("no server: " + " ".join(words))

    def stop(self, p):
        if p.poll() is None:
            p.send_signal(signal.SIGTERM)
            try:
                p.wait(20)
            except subprocess.TimeoutExpired:
                p.kill()
                p.wait()
        if p in self.children:
            self.children.remove(p)

    def up(self):
        for s in SPACES:
            run("ip", "netns", "add", self.space(s))
            self.do(s, "sysctl", "-q", "-w", "net.ipv4.conf.all.rp_filter=0",
                    "net.ipv4.conf.default.rp_filter=0", "net.mptcp.enabled=1",
                    "net.ipv4.tcp_congestion_control=" + self.congestion,
                    "net.ipv4.ip_local_port_range=1024 65535", "net.ipv4.tcp_fastopen=0x207",
                    "net.core.somaxconn=8192", "net.ipv4.tcp_max_syn_backlog=8192")
            self.ip(s, "link", "set", "lo", "up")
        for a, dev_a, ip_a, b, dev_b, ip_b in (
                ("ue", "uea", "10.1.0.2", "px", "pxa", "10.1.0.1"),
                ("ue", "ueb", "10.2.0.2", "px", "pxb", "10.2.0.1"),
                ("px", "pxs", "10.4.0.1", "sv", "svs", "10.4.0.2")):
            if b == "sv" and self.delay_ms:
                self.spawn_server("px", sys.executable, os.path.join(HERE, "delay.py"),
                                  str(self.delay_ms), dev_a, "/run/netns/" + self.space(a), dev_b,
                                  "/run/netns/" + self.space(b))
            else:
                run("ip", "link", "add", dev_a, "netns", self.space(a), "type", "veth",
                    "peer", "name", dev_b, "netns", self.space(b))
            for s, dev, ip in ((a, dev_a, ip_a), (b, dev_b, ip_b)):
                self.ip(s, "link", "set", dev, "up")
                self.ip(s, "addr", "add", ip + "/24", "dev", dev)
        self.ip("ue", "rule", "add", "from", "10.2.0.2", "lookup", "102")
        self.ip("ue", "route", "add", "default", "via", "10.2.0.1", "dev", "ueb", "table", "102")
        self.ip("ue", "route", "add", "default", "via", "10.1.0.1", "dev", "uea")
        self.ip("sv", "route", "add", "default", "via", "10.4.0.1")
        self.ip("sv", "route", "add", "local", SERVERS, "dev", "lo")
        self.ip("px", "route", "add", SERVERS, "via", SERVER)
        self.do("px", "sysctl", "-q", "-w", "net.ipv4.ip_forward=1")
        self.ip("ue", "mptcp", "limits", "set", "subflows", "2", "add_addr_accepted", "2")
        self.ip("ue", "mptcp", "endpoint", "add", "10.2.0.2", "dev", "ueb", "subflow")
        self.ip("px", "mptcp", "limits", "set", "subflows", "2", "add_addr_accepted", "2")

    def down(self):
        for p in list(self.children):
            self.stop(p)
        for s in SPACES:
            subprocess.run(("ip", "netns", "del", self.space(s)), stderr=subprocess.DEVNULL)

    def counters(self, s):
        """TCP and MPTCP counters of a namespace, by name."""
        found = {}
        lines = self.do(s, "cat", "/proc/net/snmp", "/proc/net/netstat").splitlines()
        for names, values in zip(lines[::2], lines[1::2]):
            if names.split(":")[0] in ("Tcp", "TcpExt", "MPTcpExt"):
                found.update(zip(names.split()[1:], map(int, values.split()[1:])))
        return found


class Watch:
    """What the namespaces counted between two moments, told with every figure."""
    KEYS = ("RetransSegs", "TCPTimeouts", "MPTCPRetrans", "MPCapableFallbackACK",
            "MPCapableFallbackSYNACK", "MPFallbackTokenInit", "MPFailTx", "MPFailRx",
            "DSSNoMatchTCP", "DSSCorruptionFallback", "MPTCPDataFallback", "InfiniteMapTx",
            "InfiniteMapRx", "MPJoinSynRx", "TCPFastOpenPassive", "TCPFastOpenListenOverflow",
            "TCPBacklogDrop", "TCPRcvQDrop", "TCPOFODrop", "PruneCalled", "RcvPruned",
            "TCPZeroWindowDrop", "NoDSSInWindow")

    def __init__(self, net):
        self.net = net
        self.before = {s: net.counters(s) for s in SPACES}

    def told(self):
        told = {}
        for s in SPACES:
            now = self.net.counters(s)
            told[s] = {k: now[k] - self.before[s].get(k, 0) for k in self.KEYS
                       if now.get(k, 0) != self.before[s].get(k, 0)}
        return told


def machine_seconds():
    """What all processors did since the start: seconds busy, and those of them in softirqs."""
    with open("/proc/stat") as f:
        user, nice, system, _, _, irq, softirq = map(int, f.readline().split()[1:8])
    tick = os.sysconf("SC_CLK_TCK")
    return (user + nice + system + irq + softirq) / tick, softirq / tick


def settle(patience_s):
    """Waits until nobody else needs the processors; False if they did for all that time."""
    end = time.monotonic() + patience_s
    while time.monotonic() < end:
        before = machine_seconds()[0]
        time.sleep(0.2)
        if machine_seconds()[0] - before < 0.2 * 0.1 * os.cpu_count():
            return True
    return not patience_s


def cpu_seconds(pid):
    """User and system time of a process, all its threads, dead ones too."""
    with open("/proc/%d/stat" % pid) as f:
        fields = f.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory_kb(pid):
    with open("/proc/%d/smaps_rollup" % pid) as f:
        rows = dict(line.split(":", 1) for line in f if ":" in line)
    return {k.lower() + "_kb": int(rows[k].split()[0]) for k in ("Rss", "Pss")}
