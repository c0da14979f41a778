# SPDX-License-Identifier: BSD-2-Clause
"""The two proxies side by side: mpgated, and Debian's HAProxy under mptcpize."""
import json
import os
import subprocess

from net import PROXY, SERVER, BenchError, run, wait_for

SINK, SOURCE, ECHO = 9001, 9002, 9003
CONVERTER = 5124
HAPROXY_PORTS = {SINK: 8001, SOURCE: 8002, ECHO: 8003}


def to_server(port):
    return "%s:%d" % (SERVER, port)


class Mpgated:
    name = "mpgated"

    def __init__(self, net, build, work, xdp):
        self.net, self.work = net, work
        # Nothing mends the window of a SYN with data then, see bpf/window.bpf.h.
        self.flow_words = ["--late"] if xdp == "off" else []
        self.ctl = os.path.join(build, "mpgatectl")
        self.socket = os.path.join(work, "run", "control.sock")
        self.bpffs = "/sys/fs/bpf/%s" % net.name
        config = os.path.join(work, "mpgate.yaml")
        with open(config, "w") as f:
            f.write("node: bench\nruntime_dir: %s/run\nbpffs: %s\ninterfaces:\n"
                    "  - { name: pxa, role: access, xdp: %s }\n"
                    "  - { name: pxb, role: access, xdp: %s }\n"
                    "  - { name: pxs, role: core, xdp: %s }\n"
                    "converter:\n  listen: [ \"%s:%d\" ]\n  pending_per_client: 65535\n"
                    % (work, self.bpffs, xdp, xdp, xdp, PROXY, CONVERTER))
        self.log = open(os.path.join(work, "mpgated.log"), "w")
        self.process = net.spawn("px", os.path.join(build, "mpgated"), "-c", config,
                                 stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        self.pid = self.process.pid
        wait_for("mpgated", 20, self.ready)

    def ask(self, what):
        return json.loads(run(self.ctl, "--socket", self.socket, "--json", what))

    def ready(self):
        if self.process.poll() is not None:
            raise BenchError("mpgated ended: " + open(self.log.name).read()[-2000:])
        try:
            return self.ask("status")["state"] == "running"
        except (BenchError, ValueError, KeyError):
            return False

    def client_words(self, port):
        return ["--convert", to_server(port), "%s:%d" % (PROXY, CONVERTER)]

    def facts(self):
        status = self.ask("status")
        return {"version": status["version"],
                "xdp": {i["name"]: i["xdp_mode"] for i in status["interfaces"]}}


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
