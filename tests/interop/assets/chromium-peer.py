"""One browser, driven over its debugging pipe by requests of one JSON line each on standard input.

{"do": "offer" | "accept" | "connected" | "heard" | "close", ...}  ->  {"ok": result} or {"error": text}

With a folder as argument, its index.html is opened as http://localhost:8000, and requests are {"do": "run", "expression": text}.
A file as second argument is what its microphone hears, and a third one the address that may be spoken to.
The certificate of SSL_CERT_FILE, and no other that is not known to everybody, is believed.
"""

import functools
import http.server

import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import threading

# No name leads anywhere, but addresses of scenarios do: relays over TCP and TLS are looked up like names.
FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-dev-shm-usage", "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream",
    "--disable-features=WebRtcHideLocalIpsWithMdns", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 10.20.*",
    "--remote-debugging-pipe",
]



def believed():
    """For the one certificate that the scenario has made, by the hash of its key."""
    if not (certificate := os.environ.get("SSL_CERT_FILE")):
        return []
    script = 'openssl x509 -in "$0" -pubkey -noout | openssl pkey -pubin -outform der | openssl dgst -sha256 -binary | base64'
    key = subprocess.run(["sh", "-c", script, certificate], check=True, capture_output=True, text=True).stdout
    return [f"--ignore-certificate-errors-spki-list={key.strip()}"]


# Where a folder is served: browsers take localhost for a safe place, in which pages may use a microphone.
PLACE = ("127.0.0.1", 8000)


class Browser:
    def __init__(self, profile, flags):
        read_command, self.commands = os.pipe()
        self.replies, write_reply = os.pipe()

        def place_pipes():
            # The browser expects its pipe on 3 and 4; go through high numbers, for they may be taken.
            os.dup2(read_command, 33)
            os.dup2(write_reply, 34)
            os.dup2(33, 3)
            os.dup2(34, 4)

        self.process = subprocess.Popen(
            ["chromium", *flags, f"--user-data-dir={profile}", "about:blank"],
            stdin=subprocess.DEVNULL, stdout=sys.stderr, close_fds=False, preexec_fn=place_pipes)
        os.close(read_command)
        os.close(write_reply)
        self.buffer = b""
        self.number = 0

    def command(self, method, session=None, **parameters):
        self.number += 1
        message = {"id": self.number, "method": method, "params": parameters}
        if session:
            message["sessionId"] = session
        os.write(self.commands, json.dumps(message).encode() + b"\0")
        while True:
            reply = self.receive()
            if reply.get("id") == self.number:
                if "error" in reply:
                    raise RuntimeError(f"{method}: {reply['error']}")
                return reply["result"]

    def receive(self):
        while b"\0" not in self.buffer:
            piece = os.read(self.replies, 65536)
            if not piece:
                raise RuntimeError("the browser has ended")
            self.buffer += piece
        message, self.buffer = self.buffer.split(b"\0", 1)
        return json.loads(message)

    def open(self, page):
        target = self.command("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.command("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self.command("Page.enable", self.session)
        self.command("Page.navigate", self.session, url=page)
        while self.receive().get("method") != "Page.loadEventFired":
            pass

    def evaluate(self, expression):
        result = self.command("Runtime.evaluate", self.session, expression=expression,
                              awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in result:
            raise RuntimeError(result["exceptionDetails"]["exception"].get("description"))
        return result["result"].get("value")


def expression(request):
    if request["do"] == "run":
        return request["expression"]
    configuration = json.dumps(request.get("configuration", {}))
    description = json.dumps(request.get("description"))
    return {
        "offer": f"offer({configuration})",
        "accept": f"accept({description}, {configuration})",
        "connected": "connected()",
        "heard": "heard()",
        "close": "close()",
    }[request["do"]]


class Files(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


def serve(folder):
    server = http.server.ThreadingHTTPServer(PLACE, functools.partial(Files, directory=folder))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://localhost:{PLACE[1]}/index.html"


def main():
    page, flags = pathlib.Path(__file__).with_name("chromium-peer.html").as_uri(), FLAGS + believed()
    if len(sys.argv) > 1:
        folder, sound, address = sys.argv[1:]
        page = serve(folder)
        flags = [flag for flag in flags if not flag.startswith("--host-resolver-rules")] + [
            f"--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE {address}",
            f"--use-file-for-fake-audio-capture={sound}", "--autoplay-policy=no-user-gesture-required",
            "--ignore-certificate-errors",
        ]
    signal.alarm(90)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        browser = Browser(profile, flags)
        try:
            browser.open(page)
            print(json.dumps({"ok": "ready"}), flush=True)
            for line in sys.stdin:
                try:
                    answer = {"ok": browser.evaluate(expression(json.loads(line)))}
                except RuntimeError as error:
                    answer = {"error": str(error)}
                print(json.dumps(answer), flush=True)
        finally:
            browser.process.terminate()
            browser.process.wait(10)


main()
