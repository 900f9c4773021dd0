"""The load: sipp with the scenarios of tests/interop/sipp, for TLS behind stunnel4; phones with connections of their own; and what is
measured meanwhile."""

import csv
import json
import os
import subprocess
import tempfile
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

SCENARIOS = Path(__file__).resolve().parent.parent / "interop" / "sipp"
CORE = "1"
ADDRESS = "127.0.0.1"
DOMAIN = "load.test"
PASSWORD = "as-everybody-here"
CALLER_PORT, CALLEE_PORT, TUNNEL_PORT = 25090, 25080, 25070

# Who takes what is sent to the callee.
TAKES = {"call": "answers", "message": "takes-messages"}


@dataclass(frozen=True)
class Users:
    """Files in sipp's form: everybody, those who call, the one who is called; and everybody as CSV for `carillon user import`."""

    everybody: Path
    callers: Path
    callee: Path
    accounts: Path


def write_users(directory, count):
    names = [f"u{number:06}" for number in range(count)]
    rows = [f"{name};[authentication username={name} password={PASSWORD}];callee" for name in ("callee", *names)]
    users = Users(*(directory / name for name in ("everybody.csv", "callers.csv", "callee.csv", "accounts.csv")))
    for path, some in ((users.everybody, rows[1:]), (users.callers, rows[1:1001]), (users.callee, rows[:1])):
        path.write_text("\n".join(["SEQUENTIAL", *some]) + "\n")
    users.accounts.write_text("name,password\n" + "".join(f"{name},{PASSWORD}\n" for name in ("callee", *names)))
    return users


def version():
    said = subprocess.run(["sipp", "-v"], capture_output=True, text=True).stdout
    return next(line.strip() for line in said.split("\n") if line.strip())


@dataclass(frozen=True)
class Load:
    """One kind of operation over one transport, at one rate."""

    what: str
    transport: str
    rate: int
    full: int
    quick: int

    def __str__(self):
        return f"{self.what} {self.transport} {self.rate}/s"

    def count(self, quick):
        return self.quick if quick else self.full

    def measure(self, server, users, quick):
        """Runs the load once; cost is in CPU seconds per 1000, for contacts and idle connections in bytes each."""
        count = self.count(quick)
        if self.what in ("handshake", "idle"):
            return phones(self, server, users, count)
        with tempfile.TemporaryDirectory() as directory, ExitStack() as stack:
            port = server.port
            if self.transport == "tls":
                port = stack.enter_context(tunnel(Path(directory), server))
            if self.what in TAKES:
                stack.enter_context(callee(Path(directory), TAKES[self.what], self.transport, port, users))
            pss = server.pss_at_rest() if self.what == "contacts" else 0
            before = server.cpu_seconds()
            command = self.caller(port, users, count)
            cpu, status = run_watched(command, Path(directory), server)
            run = counts(Path(directory), status) | {"cpu_seconds": cpu - before}
            run["cost"] = (server.pss_bytes() - pss) / count if self.what == "contacts" else run["cpu_seconds"] * 1000 / count
            if self.what == "call":
                run |= call_setup(Path(directory, "messages"))
                run |= cleanliness(Path(directory), run, self.rate, count)
            return run

    @property
    def unit(self):
        return {"contacts": "bytes", "idle": "bytes", "rate": "/s"}.get(self.what, "s")

    @property
    def settled(self):
        """Memory hardly varies, and a search for a rate tries often by itself: once is enough."""
        return self.unit != "s"

    def caller(self, port, users, count):
        scenario = "register" if self.what == "contacts" else self.what
        who = users.everybody if scenario == "register" else users.callers
        command = sipp(scenario, self.transport, port, CALLER_PORT, who)
        command += ["-m", str(count), "-r", str(self.rate), "-l", "20000", "-trace_stat", "-stf", "stat.csv", "-fd", "1"]
        if self.what == "call":
            command += ["-trace_shortmsg", "-shortmessage_file", "messages"]
        return command


def phones(load, server, users, count):
    """Each phone has a connection of its own: `handshake` counts what coming and going costs, `idle` what staying takes."""
    port = server.tls_port if load.transport == "tls" else server.port
    command = ["python3", str(Path(__file__).with_name("sip_phones.py")), ADDRESS, str(port), str(users.accounts), str(count)]
    command += ["--tls", str(server.ca)] if load.transport == "tls" else []
    command += ["--stay"] if load.what == "idle" else []
    memory, cpu = server.pss_at_rest(), server.cpu_seconds()
    process = start_on(CORE, command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    told = json.loads(process.stdout.readline())
    if told["first_fault"]:
        print("a phone failed:", *told["first_fault"])
    cpu = server.cpu_seconds() - cpu
    # What is written behind has been written, and what handshakes took is given back.
    time.sleep(2.0)
    memory = server.pss_bytes() - memory
    process.communicate()
    cost = memory / count if load.what == "idle" else cpu * 1000 / count
    return {"failed": told["failed"], "retransmitted": 0, "reordered": 0, "cpu_seconds": cpu, "cost": cost}


def sipp(scenario, transport, port, from_port, users):
    command = ["sipp", f"{ADDRESS}:{port}", "-sf", str(SCENARIOS / f"{scenario}.xml"), "-inf", str(users)]
    command += ["-key", "domain", DOMAIN, "-i", ADDRESS, "-p", str(from_port), "-nostdin", "-buff_size", str(8 << 20)]
    return [*command, "-t", "u1" if transport == "udp" else "t1"]


def run_watched(command, directory, server):
    """What the server has used when the load ends: later come closed connections, which are not part of the operation."""
    with open(directory / "caller.out", "w") as out:
        caller = start_on(CORE, command, cwd=directory, stdout=out, stderr=out)
        cpu = server.cpu_seconds()
        while caller.poll() is None:
            cpu = server.cpu_seconds()
            time.sleep(0.02)
    return cpu, caller.returncode


@contextmanager
def callee(directory, scenario, transport, port, users):
    """Signed in, and waiting for requests on the same socket."""
    command = sipp("signed-in", transport, port, CALLEE_PORT, users.callee)
    command += ["-oocsf", str(SCENARIOS / f"{scenario}.xml"), "-aa", "-m", "1", "-trace_stat", "-stf", "callee.csv", "-fd", "1"]
    with running(command, directory, "callee.out"):
        time.sleep(1.0)
        yield


@contextmanager
def tunnel(directory, server):
    """TLS on behalf of sipp; yields the port that takes TCP."""
    settings = {"client": "yes", "accept": f"{ADDRESS}:{TUNNEL_PORT}", "connect": f"{ADDRESS}:{server.tls_port}"}
    settings |= {"CAfile": server.ca, "verifyChain": "yes"}
    lines = ["foreground = yes", "pid =", "socket = l:TCP_NODELAY=1", "socket = r:TCP_NODELAY=1", "[sip]"]
    lines += [f"{key} = {value}" for key, value in settings.items()]
    config = directory / "stunnel.conf"
    config.write_text("\n".join(lines) + "\n")
    with running(["stunnel4", str(config)], directory, "stunnel.out"):
        time.sleep(0.5)
        yield TUNNEL_PORT


def start_on(core, command, **options):
    """One core for oneself, and before other work where that is allowed: an overslept datagram is lost."""
    first = ["nice", "-n", "-15"] if os.geteuid() == 0 else []
    process = subprocess.Popen([*first, "taskset", "-c", core, *command], start_new_session=True, **options)
    # Linux weighs sessions against each other first, then the processes in one.
    autogroup = Path(f"/proc/{process.pid}/autogroup")
    if first and autogroup.exists():
        autogroup.write_text("-15")
    return process


@contextmanager
def running(command, directory, log):
    with open(directory / log, "w") as out:
        process = start_on(CORE, command, cwd=directory, stdout=out, stderr=out)
    try:
        yield process
        if process.poll() is not None:
            raise SystemExit(f"{' '.join(command)} ended with status {process.returncode}:\n{(directory / log).read_text()[-2000:]}")
    finally:
        process.terminate()
        process.wait()


def counts(directory, status):
    """From sipp's own statistics; `Retransmissions` counts both ends."""
    last = rows(directory / "stat.csv")[-1]
    if status not in (0, 1):
        raise SystemExit(f"sipp ended with status {status}:\n{(directory / 'caller.out').read_text()[-2000:]}")
    ends = [last] + (rows(directory / "callee.csv")[-1:] if (directory / "callee.csv").exists() else [])
    retransmitted = sum(int(end["Retransmissions(C)"]) for end in ends)
    return {"failed": int(last["FailedCall(C)"]), "retransmitted": retransmitted, "reordered": 0}


def cleanliness(directory, run, rate, count):
    """Clean: less than 0.1 % failed, 2 % sent again, 15 % slower than asked for."""
    reached = float(rows(directory / "stat.csv")[-1]["CallRate(C)"] or 0)
    lost = run["failed"] < count * 0.001 and run["retransmitted"] < count * 0.02
    return {"rate": reached, "clean": lost and reached > 0.85 * rate and not run["reordered"]}


def rows(path):
    with open(path, newline="") as lines:
        return [row for row in csv.DictReader(lines, delimiter=";") if row.get("FailedCall(C)")]


def call_setup(log):
    """Milliseconds from the INVITE with credentials to its 200, and how often the 200 came before the 180.

    sipp's own response times are multiples of 4 ms, so they are taken from its log of messages."""
    sent, taken, answered = {}, [], {}
    reordered = 0
    with open(log) as lines:
        for line in lines:
            _, _, at, way, call, cseq, first = line.rstrip("\n").split("\t")[:7]
            if cseq != "CSeq:2 INVITE":
                continue
            if way == "S":
                sent.setdefault(call, float(at))
            elif first.startswith("SIP/2.0 180"):
                answered.setdefault(call, False)
            elif first.startswith("SIP/2.0 200") and not answered.get(call):
                reordered += call not in answered
                answered[call] = True
                taken.append((float(at) - sent[call]) * 1000)
    taken.sort()
    return {"setup_ms": {"p50": percentile(taken, 50), "p99": percentile(taken, 99)}, "reordered": reordered}


def percentile(values, percent):
    """The nearest-rank percentile; 0 of nothing."""
    return values[max(0, -(-len(values) * percent // 100) - 1)] if values else 0.0
