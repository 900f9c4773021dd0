"""Users that publish and watch each other over one UDP socket; every NOTIFY is answered, and timed by the kernel's clock."""

import hashlib
import re
import socket
import struct
import time

from sip_clients import ADDRESS, DOMAIN, PASSWORD

PORT = 25095
# Requests on their way while all of this is set up: fewer than the counts that a nonce remembers.
WINDOW = 32
SO_TIMESTAMPNS, SO_RCVBUFFORCE = 35, 33
PIDF = (
    '<?xml version="1.0"?><presence xmlns="urn:ietf:params:xml:ns:pidf" xmlns:dm="urn:ietf:params:xml:ns:pidf:data-model"'
    ' xmlns:rpid="urn:ietf:params:xml:ns:pidf:rpid" entity="sip:{user}@{domain}"><tuple id="t"><status><basic>open</basic></status>'
    '</tuple><dm:person id="p"><rpid:activities><rpid:{activity}/></rpid:activities><dm:note>{note}</dm:note></dm:person></presence>'
)


class Watchers:
    """`users` users, each watched by `each` of the others."""

    def __init__(self, server_port, users, each):
        self.users, self.each = users, each
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 64 << 20)
        self.socket.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self.socket.bind((ADDRESS, PORT))
        self.socket.connect((ADDRESS, server_port))
        self.nonce, self.realm, self.count = None, DOMAIN, 0
        self.secrets, self.etags, self.waiting = {}, {}, {}
        # Of the last change: when each was published, which NOTIFYs of it came, and after how long.
        self.published, self.seen, self.delays = {}, bytearray(users * each), []
        self.marker, self.repeated, self.refused, self.sent = None, 0, {}, 0

    def register(self):
        self.ask_all((f"r{n}", "REGISTER", n, f"sip:{DOMAIN}", "Expires: 3600\r\n", "") for n in range(self.users))

    def publish(self, note, activity="away"):
        """Everybody says so, as fast as the server answers."""
        self.ask_all(self.publication(n, note, activity) for n in range(self.users))

    def subscribe(self):
        self.ask_all(
            (f"s{of}-{k}", "SUBSCRIBE", self.watcher(of, k), uri(of), "Event: presence\r\nExpires: 3600\r\nAccept: application/pidf+xml\r\n", "")
            for of in range(self.users)
            for k in range(self.each)
        )

    def change(self, note, seconds):
        """Everybody changes its state within so many seconds, evenly; then nobody for three more. Delays are kept in milliseconds."""
        self.marker = note.encode()
        self.seen, self.delays, self.published, self.repeated = bytearray(len(self.seen)), [], {}, 0
        start = time.monotonic()
        for n in range(self.users):
            due = start + n * seconds / self.users
            while (left := due - time.monotonic()) > 0:
                self.hear(left)
            self.published[n] = time.time()
            self.send(self.publication(n, note, "busy"))
            self.hear(0)
        end = time.monotonic() + 3
        while (left := end - time.monotonic()) > 0:
            self.hear(left)

    def settle(self, quiet=1.5):
        """Until nothing has come for a while."""
        while self.hear(quiet):
            pass

    def ask_all(self, requests):
        for request in requests:
            self.send(request)
            while len(self.waiting) >= WINDOW:
                self.hear_or_repeat()
        while self.waiting:
            self.hear_or_repeat()
        if self.refused:
            raise SystemExit(f"the server refuses: {self.refused}")

    def hear_or_repeat(self):
        if not self.hear(2):
            if not self.waiting:
                return
            for request in list(self.waiting.values()):
                self.send(request)

    def watcher(self, of, k):
        return (of + 1 + k * 7) % self.users

    def publication(self, n, note, activity):
        body = PIDF.format(user=name(n), domain=DOMAIN, activity=activity, note=note)
        match = f"SIP-If-Match: {self.etags[n]}\r\n" if n in self.etags else ""
        return (f"p{n}", "PUBLISH", n, uri(n), f"Event: presence\r\nExpires: 3600\r\nContent-Type: application/pidf+xml\r\n{match}", body)

    def send(self, request):
        call, method, n, to, head, body = request
        self.waiting[call.encode()] = request
        self.sent += 1
        user, own = name(n), f"sip:{name(n)}@{DOMAIN}"
        text = (
            f"{method} {to} SIP/2.0\r\nVia: SIP/2.0/UDP {ADDRESS}:{PORT};branch=z9hG4bK{self.sent:x};rport\r\nMax-Forwards: 70\r\n"
            f"From: <{own}>;tag={call}\r\nTo: <{own if method == 'REGISTER' else to}>\r\nCall-ID: {call}\r\nCSeq: {self.sent} {method}\r\n"
            f"Contact: <sip:{user}@{ADDRESS}:{PORT}>\r\n{head}{self.credentials(user, method, to)}Content-Length: {len(body)}\r\n\r\n{body}"
        )
        self.socket.send(text.encode())

    def credentials(self, user, method, to):
        """Digest by MD5 with the nonce that all share (RFC 2617), ahead of a challenge."""
        if not self.nonce:
            return ""
        if user not in self.secrets:
            self.secrets[user] = md5(f"{user}:{self.realm}:{PASSWORD}")
        self.count += 1
        digest = md5(f"{self.secrets[user]}:{self.nonce}:{self.count:08x}:c:auth:{md5(f'{method}:{to}')}")
        return (
            f'Authorization: Digest username="{user}", realm="{self.realm}", nonce="{self.nonce}", uri="{to}", response="{digest}",'
            f' algorithm=MD5, cnonce="c", qop=auth, nc={self.count:08x}\r\n'
        )

    def hear(self, patience):
        """One datagram, if one comes in time."""
        self.socket.settimeout(max(patience, 0.000001))
        try:
            data, ancillary, _, _ = self.socket.recvmsg(65536, 64)
        except (TimeoutError, BlockingIOError):
            return False
        seconds, nanoseconds = struct.unpack("qq", ancillary[0][2])
        head, _, body = data.partition(b"\r\n\r\n")
        lines = head.split(b"\r\n")
        if lines[0].startswith(b"NOTIFY"):
            self.notified(lines, body, seconds + nanoseconds / 1e9)
        else:
            self.answered(lines)
        return True

    def notified(self, lines, body, arrived):
        kept = [line for line in lines if line.startswith((b"Via:", b"From:", b"To:", b"Call-ID:", b"CSeq:"))]
        self.socket.send(b"\r\n".join([b"SIP/2.0 200 OK", *kept, b"Content-Length: 0", b"", b""]))
        if self.marker is None or self.marker not in body:
            return
        call = next(line for line in kept if line.startswith(b"Call-ID:"))[10:]
        of, k = (int(part) for part in call.split(b"-"))
        place = of * self.each + k
        self.repeated += self.seen[place]
        if not self.seen[place]:
            self.seen[place] = 1
            self.delays.append((arrived - self.published[of]) * 1000)

    def answered(self, lines):
        field = lambda title: next(line[len(title) :] for line in lines if line.startswith(title))
        code, call = int(lines[0].split(b" ")[1]), field(b"Call-ID: ")
        request = self.waiting.get(call)
        if request is None or code < 200 or not field(b"CSeq: ").endswith(request[1].encode()):
            return
        del self.waiting[call]
        if code == 401:
            challenge = next(line.decode() for line in lines if line.startswith(b"WWW-Authenticate") and b"SHA" not in line)
            nonce = re.search(r'nonce="([^"]+)"', challenge)[1]
            # Others that were on their way have brought a new one already.
            if self.nonce is None or "stale" in challenge.lower():
                self.nonce, self.count = nonce, 0
                self.realm = re.search(r'realm="([^"]+)"', challenge)[1]
            return self.send(request)
        if code >= 300:
            self.refused[code] = self.refused.get(code, 0) + 1
        elif request[1] == "PUBLISH":
            self.etags[request[2]] = field(b"SIP-ETag: ").decode()


def dropped(port):
    """Datagrams for which the socket at this port had no room, since it was opened."""
    rows = (line.split() for line in open("/proc/net/udp", encoding="ascii"))
    return sum(int(row[-1]) for row in rows if row[1].endswith(f":{port:04X}"))


def name(n):
    return f"u{n:06}"


def uri(n):
    return f"sip:{name(n)}@{DOMAIN}"


def md5(text):
    return hashlib.md5(text.encode()).hexdigest()
