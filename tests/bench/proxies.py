# SPDX-License-Identifier: BSD-2-Clause
"""The proxies: mpgated, and Debian's HAProxy under mptcpize, addressed or on the path."""
import json
import os
import subprocess

from net import PROXY, SERVER, BenchError, run, wait_for

SINK, SOURCE, ECHO = 9001, 9002, 9003
PLAIN, CAPABLE = 9011, 9012  # at all servers: plain TCP, MPTCP
CONVERTER = 5124
HAPROXY_PORTS = {SINK: 8001, SOURCE: 8002, ECHO: 8003}


def to_server(port):
    return "%s:%d" % (SERVER, port)


class Daemon:
    """An mpgated in px; `sections` are lines of its configuration behind its interfaces."""

    def __init__(self, net, build, work, xdp, sections):
        self.net, self.work = net, work
        self.ctl = os.path.join(build, "mpgatectl")
        runtime = os.path.join(work, net.name)
        self.socket = os.path.join(runtime, "control.sock")
        self.bpffs = "/sys/fs/bpf/%s" % net.name
        self.config = os.path.join(work, net.name + ".yaml")
        with open(self.config, "w") as f:
            f.write("node: bench\nruntime_dir: %s\nbpffs: %s\ninterfaces:\n"
                    "  - { name: pxa, role: access, xdp: %s }\n"
                    "  - { name: pxb, role: access, xdp: %s }\n"
                    "  - { name: pxs, role: core, xdp: %s }\n%s"
                    % (runtime, self.bpffs, xdp, xdp, xdp, sections))
        self.log = open(os.path.join(work, net.name + ".log"), "w")
        self.process = net.spawn("px", os.path.join(build, "mpgated"), "-c", self.config,
                                 stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        self.pid = self.process.pid
        wait_for("mpgated", 20, self.ready)

    def ask(self, *what):
        return json.loads(run(self.ctl, "--socket", self.socket, "--json", *what))

    def ready(self):
        if self.process.poll() is not None:
            raise BenchError("mpgated ended: " + open(self.log.name).read()[-2000:])
        try:
            return self.ask("status")["state"] == "running"
        except (BenchError, ValueError, KeyError):
            return False

    def facts(self):
        status = self.ask("status")
        return {"version": status["version"],
                "xdp": {i["name"]: i["xdp_mode"] for i in status["interfaces"]}}


class Mpgated(Daemon):
    name = "mpgated"

    def __init__(self, net, build, work, xdp, converter="", more=""):
        """`converter` and `more` are lines of the configuration: of that section, and at its end."""
        # Nothing mends the window of a SYN with data then, see bpf/window.bpf.h.
        self.flow_words = ["--late"] if xdp == "off" else []
        super().__init__(net, build, work, xdp,
                         "converter:\n  listen: [ \"%s:%d\" ]\n  pending_per_client: 65535\n%s%s"
                         % (PROXY, CONVERTER, converter, more))

    def client_words(self, port):
        return ["--convert", to_server(port), "%s:%d" % (PROXY, CONVERTER)]


class Gateway(Daemon):
    """Steers what goes to a virtual address to the one proxy there is: the server's host."""

    def __init__(self, net, build, work, xdp, virtual, deliver):
        super().__init__(
            net, build, work, xdp,
            "proxies:\n  - { name: px1, address: %s, deliver: %s }\n"
            "groups:\n  - { name: all, members: [ px1 ], "
            "check: { by: tcp, port: %d, interval_ms: 200, rise: 1, fall: 3 } }\n"
            "virtual:\n  - { address: \"%s\", group: all }\nstore: memory\n"
            % (SERVER, deliver, ECHO, virtual))
        try:
            wait_for("the proxy, up", 20, lambda: self.ask("proxies")[0]["state"] == "up")
        except BenchError:
            self.down()
            raise

    def down(self):
        """A gateway's daemon leaves its programs and maps; this takes them away."""
        self.net.stop(self.process)
        self.net.do("px", os.path.join(os.path.dirname(self.ctl), "mpgated"), "--detach", "-c",
                    self.config)


class Haproxy:
    name = "haproxy"
    flow_words = []

    def __init__(self, net, work):
        self.net = net
        config = os.path.join(work, "haproxy.cfg")
        with open(config, "w") as f:
            f.write("global\n  maxconn 8000\n  nbthread %d\n"
                    "defaults\n  mode tcp\n  timeout connect 5s\n  timeout client 1h\n"
                    "  timeout server 1h\n  maxconn 8000\n" % os.cpu_count())
            for port, front in HAPROXY_PORTS.items():
                f.write("listen p%d\n  bind %s:%d backlog 8192\n  server s %s\n"
                        % (port, PROXY, front, to_server(port)))
        self.log = open(os.path.join(work, "haproxy.log"), "w")
        self.process = net.spawn("px", "mptcpize", "run", "haproxy", "-db", "-f", config,
                                 stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        self.pid = self.process.pid
        wait_for("haproxy, listening with MPTCP", 20, self.ready)

    def ready(self):
        if self.process.poll() is not None:
            raise BenchError("haproxy ended: " + open(self.log.name).read()[-2000:])
        listening = self.net.do("px", "ss", "-M", "-l", "-n", "-H")
        return all(":%d " % p in listening for p in HAPROXY_PORTS.values())

    def client_words(self, port):
        return ["%s:%d" % (PROXY, HAPROXY_PORTS[port])]

    def facts(self):
        return {"version": run("haproxy", "-v").split()[2]}


class OnPath:
    """HAProxy as a transparent proxy of some ports: any server, the client's address towards it."""
    name = "haproxy"
    PORTS = (PLAIN, SINK, SOURCE)
    RULES = (("-N", "DIVERT"), ("-A", "DIVERT", "-j", "MARK", "--set-mark", "1"),
             ("-A", "DIVERT", "-j", "ACCEPT"),
             ("-A", "PREROUTING", "-p", "tcp", "-m", "socket", "-j", "DIVERT")) + tuple(
                 ("-A", "PREROUTING", "!", "-i", "pxs", "-p", "tcp", "--dport", str(p),
                  "-j", "TPROXY", "--tproxy-mark", "1", "--on-port", str(p)) for p in PORTS)

    def __init__(self, net, work):
        self.net = net
        self.divert()
        config = os.path.join(work, "onpath.cfg")
        with open(config, "w") as f:
            f.write("global\n  maxconn 8000\n  nbthread %d\n"
                    "defaults\n  mode tcp\n  timeout connect 5s\n  timeout client 1h\n"
                    "  timeout server 1h\n  maxconn 8000\n"
                    "listen p\n  source 0.0.0.0 usesrc clientip\n  server s 0.0.0.0\n"
                    % os.cpu_count())
            for port in self.PORTS:
                f.write("  bind 0.0.0.0:%d transparent backlog 8192\n" % port)
        self.log = open(os.path.join(work, "onpath.log"), "w")
        self.process = net.spawn("px", "mptcpize", "run", "haproxy", "-db", "-f", config,
                                 stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        self.pid = self.process.pid
        wait_for("haproxy, listening with MPTCP", 20, self.ready)

    def divert(self):
        self.rules = next((t for t in ("iptables-legacy", "iptables") if self.takes(t)), None)
        if not self.rules:
            raise BenchError("no iptables here knows TPROXY and socket matches")
        self.net.ip("px", "rule", "add", "fwmark", "1", "lookup", "100")
        self.net.ip("px", "route", "add", "local", "default", "dev", "lo", "table", "100")

    def takes(self, tool):
        try:
            for rule in self.RULES:
                self.net.do("px", tool, "-t", "mangle", *rule)
        except (BenchError, OSError):
            return False
        return True

    def ready(self):
        if self.process.poll() is not None:
            raise BenchError("haproxy ended: " + open(self.log.name).read()[-2000:])
        listening = self.net.do("px", "ss", "-M", "-l", "-n", "-H")
        return all(":%d " % p in listening for p in self.PORTS)

    def facts(self):
        return {"version": run("haproxy", "-v").split()[2],
                "diverted_by": self.rules + " TPROXY, usesrc clientip"}
