"""Janus, which says back what it hears (its echotest), driven by requests of one JSON line each on standard input.

{"do": "accept" | "connected" | "close", ...}  ->  {"ok": result} or {"error": text}
"""

import json
import pathlib
import resource
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time

URI = re.compile(r"turn:([^:?]+):(\d+)\?transport=(udp|tcp)")
# What is not needed here may need what is not here.
PLUGINS = ["audiobridge", "duktape", "lua", "nosip", "recordplay", "sip", "streaming", "textroom", "videocall",
           "videoroom", "voicemail"]
TRANSPORTS = ["http", "mqtt", "nanomsg", "rabbitmq", "websockets"]


def libraries(names):
    return ",".join(f"libjanus_{name}.so" for name in names)


def configuration(server):
    host, port, transport = URI.fullmatch(server["urls"]).groups()
    return f"""
general: {{ debug_level = 5, debug_colors = false }}
nat: {{
  turn_server = "{host}", turn_port = {port}, turn_type = "{transport}",
  turn_user = "{server["username"]}", turn_pwd = "{server["credential"]}", allow_force_relay = true
}}
plugins: {{ disable = "{libraries(PLUGINS)}" }}
transports: {{ disable = "{libraries(TRANSPORTS)}" }}
"""


class Janus:
    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.process, self.number, self.events = None, 0, []

    def accept(self, request):
        self.start(request["configuration"]["iceServers"][0])
        self.session = self.ask("create")["data"]["id"]
        self.handle = self.ask("attach", session_id=self.session, plugin="janus.plugin.echotest")["data"]["id"]
        offer = {**request["description"], "force_relay": True}
        self.ask("message", session_id=self.session, handle_id=self.handle, body={"audio": True}, jsep=offer)
        answer = self.wait_for(lambda event: "jsep" in event)["jsep"]
        return {"type": answer["type"], "sdp": answer["sdp"]}

    def connected(self, _request):
        self.wait_for(lambda event: event["janus"] == "webrtcup")

    def close(self, _request=None):
        if self.process:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(5)
            self.process = None

    def start(self, server):
        path = self.folder / "socket"
        (self.folder / "janus.jcfg").write_text(configuration(server))
        (self.folder / "janus.transport.pfunix.jcfg").write_text(
            f'general: {{ enabled = true, json = "compact", path = "{path}", type = "SOCK_SEQPACKET" }}\n')
        # It fails at times when it is told to end; what it leaves then is of no use here.
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        self.process = subprocess.Popen(["janus", "-F", self.folder, "-C", self.folder / "janus.jcfg"],
                                        stdin=subprocess.DEVNULL, stdout=sys.stderr)
        until = time.monotonic() + 20
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        while True:
            try:
                return self.socket.connect(str(path))
            except OSError:
                if time.monotonic() > until or self.process.poll() is not None:
                    raise
                time.sleep(0.05)

    def ask(self, what, **more):
        self.number += 1
        transaction = str(self.number)
        self.socket.send(json.dumps({"janus": what, "transaction": transaction, **more}).encode())
        answer = self.wait_for(lambda event: event.get("transaction") == transaction)
        if answer["janus"] == "error":
            raise RuntimeError(f"{what}: {answer}")
        return answer

    def wait_for(self, fits):
        until = time.monotonic() + 20
        while not (found := next(filter(fits, self.events), None)):
            self.socket.settimeout(max(0.01, until - time.monotonic()))
            self.events.append(json.loads(self.socket.recv(65536)))
        self.events.remove(found)
        return found


def main():
    with tempfile.TemporaryDirectory() as folder:
        janus = Janus(folder)
        print(json.dumps({"ok": "ready"}), flush=True)
        signal.alarm(90)
        try:
            for line in sys.stdin:
                request = json.loads(line)
                try:
                    answer = {"ok": getattr(janus, request["do"])(request)}
                except Exception as error:
                    answer = {"error": repr(error)}
                print(json.dumps(answer), flush=True)
        finally:
            janus.close()


main()
