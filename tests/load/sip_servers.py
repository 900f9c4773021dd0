"""The servers that are compared: how each is configured, started on core 0, and how much of the machine it uses."""

import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

from sip_clients import ADDRESS, DOMAIN, PASSWORD, start_on

ROOT = Path(__file__).resolve().parent.parent.parent
CORE = "0"
PORT, TLS_PORT = 25060, 25061
TICKS = os.sysconf("SC_CLK_TCK")


class Running:
    """A started server: where it is reached, and what its process tree has used."""

    port, tls_port = PORT, TLS_PORT

    def __init__(self, process, ca, config):
        self.process, self.ca, self.config = process, ca, config

    def tree(self):
        """Ids of the process and all its descendants."""
        ids, found = [self.process.pid], []
        while ids:
            found.append(ids.pop())
            for task in Path(f"/proc/{found[-1]}/task").glob("*/children"):
                ids += [int(word) for word in task.read_text().split()]
        return found

    def cpu_seconds(self):
        return sum(ticks(f"/proc/{pid}/stat") for pid in self.tree()) / TICKS

    def pss_at_rest(self):
        """Memory once it stays the same for a second: who listens may still be reading its users."""
        before = None
        while (now := self.pss_bytes()) != before:
            before = now
            time.sleep(1.0)
        return now

    def pss_bytes(self):
        """Memory, with shared pages counted once."""
        rollups = (Path(f"/proc/{pid}/smaps_rollup").read_text() for pid in self.tree())
        return sum(int(line.split()[1]) for rollup in rollups for line in rollup.split("\n") if line.startswith("Pss:")) * 1024


def ticks(stat):
    """User and system time, with that of children that have ended."""
    fields = Path(stat).read_text().rpartition(")")[2].split()
    return sum(int(field) for field in fields[11:15])


class Kamailio:
    """Kamailio with one worker: locations in memory, stateful, Record-Route, requests return on the connection of the registration."""

    name = "kamailio"

    def prepare(self):
        return None if shutil.which("kamailio") else "not installed (apt-get install kamailio kamailio-tls-modules)"

    def version(self):
        return subprocess.run(["kamailio", "-v"], capture_output=True, text=True).stdout.split("\n")[0].removeprefix("version: ")

    @contextmanager
    def started(self, _users):
        with tempfile.TemporaryDirectory() as directory:
            key, certificate = make_certificate(directory)
            config = Path(directory, "kamailio.cfg")
            words = {"ADDRESS": ADDRESS, "PORT": PORT, "TLS_PORT": TLS_PORT, "DOMAIN": DOMAIN, "PASSWORD": PASSWORD}
            words |= {"KEY": key, "CERTIFICATE": certificate, "MODULES": module_directory()}
            config.write_text(filled("kamailio.cfg", words))
            command = ["kamailio", "-f", config, "-m", "1024", "-M", "32", "-DD", "-E"]
            with running(command, Path(directory, "log")) as process:
                yield Running(process, certificate, config)


class Carillon:
    """`carillon serve`, with users imported before it starts."""

    name = "carillon"
    store = None

    def prepare(self):
        self.program = build()
        known = subprocess.run([self.program, "serve", "--help"], capture_output=True).returncode == 0
        return None if known else "this build has no `carillon serve`"

    def version(self):
        return subprocess.run([self.program, "--version"], check=True, capture_output=True, text=True).stdout.strip()

    @contextmanager
    def started(self, users):
        with tempfile.TemporaryDirectory() as directory:
            config = Path(directory, "carillon.toml")
            words = {"ADDRESS": ADDRESS, "PORT": PORT, "TLS_PORT": TLS_PORT, "DOMAIN": DOMAIN, "DIRECTORY": directory}
            config.write_text(filled("carillon.toml", words))
            # Hashing passwords is not what is measured, so the same users serve all rounds.
            if not self.store:
                self.store = tempfile.mkdtemp()
                command = [self.program, "user", "import", "--config", config, users.accounts]
                subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
                shutil.copy(Path(directory, "carillon.db"), self.store)
            shutil.copy(Path(self.store, "carillon.db"), directory)
            command = [self.program, "serve", "--config", config]
            with running(command, Path(directory, "log")) as process:
                yield Running(process, Path(directory, "authority", "ca.pem"), config)


ALL = [Carillon(), Kamailio()]


def filled(name, words):
    """A configuration of this directory with its @WORDS@ filled in."""
    text = Path(__file__).with_name(name).read_text()
    for word, value in words.items():
        text = text.replace(f"@{word}@", str(value))
    return text


def module_directory():
    return next(Path("/usr/lib").glob("*/kamailio/modules"))


def make_certificate(directory):
    """A P-256 key and a certificate for the address, signed by itself."""
    key, certificate = Path(directory, "key.pem"), Path(directory, "certificate.pem")
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    command += ["-subj", f"/CN={DOMAIN}", "-addext", f"subjectAltName=DNS:{DOMAIN},IP:{ADDRESS}", "-keyout", key, "-out", certificate]
    subprocess.run(command, check=True, capture_output=True)
    return key, certificate


@contextmanager
def running(command, log):
    """The program on its core, from when it accepts connections until it has ended."""
    with open(log, "w") as out:
        process = start_on(CORE, command, stdout=out, stderr=out, cwd=log.parent)
    try:
        wait_until_listening(process, log)
        yield process
        if process.poll() is not None:
            raise SystemExit(f"{command[0]} ended with status {process.returncode}:\n{log.read_text()[-2000:]}")
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


def wait_until_listening(process, log):
    ports = [f":{port:04X} 00000000:0000 0A" for port in (PORT, TLS_PORT)]
    for _ in range(300):
        listening = Path("/proc/net/tcp").read_text()
        if all(port in listening for port in ports):
            return
        if process.poll() is not None:
            break
        time.sleep(0.1)
    raise SystemExit(f"the server does not listen on {PORT} and {TLS_PORT}:\n{log.read_text()[-2000:]}")


def build():
    subprocess.run(["cargo", "build", "--release", "--locked", "--quiet", "-p", "carillon"], cwd=ROOT, check=True)
    metadata = ["cargo", "metadata", "--no-deps", "--format-version", "1"]
    target = json.loads(subprocess.run(metadata, cwd=ROOT, check=True, capture_output=True).stdout)["target_directory"]
    return str(Path(target, "release", "carillon"))
