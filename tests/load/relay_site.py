"""Where relays are measured: two namespaces joined by a veth pair, and the relays that are compared. Needs root."""

import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).resolve().parent

# A relay has one core, everything else the other.
RELAY_CORE, LOAD_CORE = "0", "1"
RELAY, LOAD = "10.77.0.1", "10.77.0.2"
# Bogus requests come from here.
STRANGERS = "10.78.0.1"
PORT = 3478


@contextmanager
def site():
    """Two namespaces, gone afterwards with everything that runs in them."""
    names = [f"relay-{os.getpid()}", f"load-{os.getpid()}"]
    try:
        for name in names:
            ip("netns", "add", name)
            ip("-n", name, "link", "set", "lo", "up")
        ip("-n", names[0], "link", "add", "v0", "type", "veth", "peer", "name", "v0", "netns", names[1])
        # A network card gives packets with whole checksums; what a veth leaves unfinished, no program in the kernel takes.
        subprocess.run(["ip", "netns", "exec", names[1], "ethtool", "-K", "v0", "tx", "off"], check=True, capture_output=True)
        for name, address in zip(names, (RELAY, LOAD)):
            ip("-n", name, "addr", "add", f"{address}/24", "dev", "v0")
            ip("-n", name, "link", "set", "v0", "up")
        # Every address of this network is one of the load's own.
        ip("-n", names[1], "route", "add", "local", "10.78.0.0/16", "dev", "lo")
        ip("-n", names[0], "route", "add", "10.78.0.0/16", "via", LOAD)
        yield names
    finally:
        for name in names:
            subprocess.run(["ip", "netns", "del", name], capture_output=True)


def ip(*words):
    subprocess.run(["ip", *words], check=True, capture_output=True, text=True)


class Coturn:
    """coturn of Debian with one thread for relaying."""

    name = "coturn"

    def obstacle(self):
        return None if shutil.which("turnserver") else "not installed (apt-get install coturn)"

    def version(self):
        return "coturn " + subprocess.run(["turnserver", "--version"], capture_output=True, text=True).stdout.split()[-1]

    def command(self):
        words = ["turnserver", "-n", "--no-tls", "--no-dtls", "--no-cli", "--log-file", "/dev/null", "--simple-log", "-m", "1"]
        words += ["--lt-cred-mech", "--user", "load:load", "--realm", "load", "--listening-ip", RELAY, "--relay-ip", RELAY]
        return words + ["--listening-port", str(PORT), "--min-port", "50000", "--max-port", "59999", "--no-tcp"]


class Table:
    """Carillon's forwarder with a table of rules: the data path without decisions."""

    def __init__(self, program, name="table", options=()):
        self.program, self.name, self.options = program, name, list(options)

    def obstacle(self):
        return None

    def version(self):
        return "carillon-load"

    def command(self):
        return [self.program, "relay-table", "--listen", f"{RELAY}:{PORT}", "--relay", RELAY, *self.options]


class Edge:
    """Carillon's Edge as it is installed, without limits to a user."""

    name = "edge"

    def __init__(self, program):
        self.program = program
        self.folder = tempfile.TemporaryDirectory()
        shutil.copy(HERE / "edge.toml", self.folder.name)

    def obstacle(self):
        return None

    def version(self):
        return subprocess.run([self.program, "--version"], capture_output=True, text=True).stdout.strip()

    def command(self):
        return [self.program, "serve", "--config", str(Path(self.folder.name, "edge.toml"))]

    def limit(self, per_source):
        """Requests a second that one source may make; all strangers together may make ten times as many, 10 000 at least."""
        file = Path(self.folder.name, "edge.toml")
        file.write_text(re.sub("requests-per-source = .*", f"requests-per-source = {per_source}", file.read_text()))


class Kernel(Edge):
    """The same, with its rules in the kernel."""

    name = "kernel"

    def __init__(self, program):
        super().__init__(program)
        file = Path(self.folder.name, "edge.toml")
        file.write_text(file.read_text().replace("[relay]\n", "[relay]\nfast-path = \"kernel\"\n"))


def receive_on_own_cores(places):
    """What arrives in these namespaces is worked on by these cores (RPS), as network cards with one queue each would have it."""
    for name, core in places:
        command = f"echo {1 << int(core):x} > /sys/class/net/v0/queues/rx-0/rps_cpus"
        subprocess.run(["ip", "netns", "exec", name, "sh", "-c", command], check=True)


def on_core(namespace, core, ahead, command):
    """A command inside the namespace; with `ahead` before all other work on its core."""
    first = ["chrt", "-f", "10"] if ahead else []
    return ["ip", "netns", "exec", namespace, "taskset", "-c", core, *first, *command]


@contextmanager
def running(server, namespace, ahead):
    """The relay on its core; yields its process number."""
    command = on_core(namespace, RELAY_CORE, ahead, server.command())
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_until_open(process, namespace)
        yield process.pid
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()


def wait_until_open(process, namespace):
    for _ in range(100):
        shown = subprocess.run(["ip", "netns", "exec", namespace, "ss", "-Hlun"], capture_output=True, text=True).stdout
        if f":{PORT} " in shown:
            # coturn opens its sockets one after the other.
            return time.sleep(0.3)
        if process.poll() is not None:
            break
        time.sleep(0.1)
    raise SystemExit("the relay does not listen")
