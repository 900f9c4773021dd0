"""A peer over TCP that sends everything back, to whoever connects.

    stream-echo.py ADDRESS PORT
"""

import socketserver
import sys


class Echo(socketserver.BaseRequestHandler):
    """One connection."""

    def handle(self):
        while data := self.request.recv(65536):
            self.request.sendall(data)


class Server(socketserver.ThreadingTCPServer):
    """All of them."""

    allow_reuse_address = True
    daemon_threads = True


def main():
    address, port = sys.argv[1:]
    with Server((address, int(port)), Echo) as server:
        print("listening", flush=True)
        server.serve_forever()


main()
