"""A client of TURN that does what it should not, or holds what a test needs. Prints one line of JSON for each thing done.

    turn-client.py WHAT SERVER PORT USER PASSWORD [ARGUMENT…]
"""

import hashlib
import hmac
import ipaddress
import json
import os
import random
import socket
import struct
import sys
import threading

COOKIE = 0x2112A442
ALLOCATE, REFRESH, SEND, DATA, PERMIT, BIND = 0x003, 0x004, 0x006, 0x007, 0x008, 0x009
CONNECT, BIND_CONNECTION, CONNECTION = 0x00A, 0x00B, 0x02A
USERNAME, INTEGRITY, ERROR, CHANNEL, LIFETIME, PEER, PAYLOAD = 0x006, 0x008, 0x009, 0x00C, 0x00D, 0x012, 0x013
REALM, NONCE, RELAYED, TRANSPORT, FAMILY, WHOLE, ICMP = 0x014, 0x015, 0x016, 0x019, 0x017, 0x01A, 0x8004
UDP, TCP = 17, 6


def main():
    what, server, port, user, password, *rest = sys.argv[1:]
    globals()[what.replace("-", "_")](Client(server, int(port), user, password), *rest)


def quota(client, count):
    """As many allocations as asked for, each from a port of its own: what each was answered, and then the first again after all
    were given back."""
    clients = [client] + [client.another() for _ in range(int(count) - 1)]
    codes = [other.allocate() for other in clients]
    for other, code in zip(clients, codes):
        if code == 0:
            other.ask(REFRESH, [(LIFETIME, bytes(4))])
    say({"codes": codes, "afterwards": client.another().allocate()})


def keep(client, count):
    """As many allocations as asked for, which nobody gives back: what each was answered."""
    say({"codes": [client.another().allocate() for _ in range(int(count))]})


def transport(client, number):
    """An allocation for another transport than UDP, asked for over UDP: what is answered."""
    say({"code": client.allocate(int(number))})


def connect(client, port, peer, peer_port):
    """An allocation for TCP over TCP at this port of the relay (RFC 6062), and a connection from it to a peer that sends everything
    back. For each line as many bytes there and back; after "end", whether the peer has ended it."""
    control = client.over_tcp(int(port))
    codes = [control.allocate(TCP), control.ask(CONNECT, [(PEER, control.xor(peer, int(peer_port)))])]
    if any(codes):
        return say({"codes": codes})
    data = control.over_tcp(int(port))
    codes.append(data.ask(BIND_CONNECTION, [(CONNECTION, control.answer[CONNECTION])]))
    say({"codes": codes, "relayed": control.relayed})
    for line in sys.stdin:
        if line.strip() == "end":
            data.socket.settimeout(30)
            say({"ended": data.socket.recv(1) == b""})
        else:
            say({"same": there_and_back(data.socket, random.Random(1).randbytes(int(line)))})


def there_and_back(peer, sent):
    """Whether all of it comes back as it was."""
    peer.settimeout(60)
    sender = threading.Thread(target=peer.sendall, args=(sent,))
    sender.start()
    heard = b""
    while len(heard) < len(sent) and (piece := peer.recv(65536)):
        heard += piece
    sender.join()
    return heard == sent


def forbidden(client, *peers):
    """Peers that nobody may reach: what permission and channel are answered, and a packet for each all the same."""
    client.allocate()
    six = client.another()
    six.allocate(family=2)
    codes = {}
    for number, peer in enumerate(peers):
        address = ipaddress.ip_address(peer)
        asker = client if address.version == 4 else six
        attribute = (PEER, asker.xor(peer, 5000))
        channel = (CHANNEL, struct.pack("!HH", 0x4000 + number, 0))
        codes[peer] = [asker.ask(PERMIT, [attribute]), asker.ask(BIND, [channel, attribute])]
        asker.indicate([attribute, (PAYLOAD, b"let me in")])
        asker.socket.send(struct.pack("!HH", 0x4000 + number, 9) + b"let me in" + bytes(3))
    say(codes)


def ask_for(client):
    """An allocation; for each line of input, the addresses of peers, what permissions and channels are answered for them, each of which
    is sent a packet by its channel."""
    say({"code": client.allocate()})
    channels = {}
    for line in sys.stdin:
        codes = {}
        for peer in line.split():
            number = channels.setdefault(peer, 0x4000 + len(channels))
            attribute, channel = (PEER, client.xor(peer, 5000)), (CHANNEL, struct.pack("!HH", number, 0))
            # First by what is bound already.
            client.socket.send(struct.pack("!HH", number, 5) + b"hello" + bytes(3))
            codes[peer] = [client.ask(PERMIT, [attribute]), client.ask(BIND, [channel, attribute])]
        say(codes)


def hold(client, peer, port):
    """An allocation that this peer may reach, held until the input ends; each line of input is answered by what was heard."""
    code = client.allocate()
    code = code or client.ask(PERMIT, [(PEER, client.xor(peer, int(port)))])
    say({"code": code, "relayed": client.relayed})
    for line in sys.stdin:
        say({"heard": len(client.heard(float(line)))})


def hold_stream(client, port, peer, peer_port):
    """The same over TCP at this port of the relay (RFC 6062): who connects to the relayed port would be told of."""
    control = client.over_tcp(int(port))
    code = control.allocate(TCP)
    code = code or control.ask(PERMIT, [(PEER, control.xor(peer, int(peer_port)))])
    say({"code": code, "relayed": control.relayed})
    for line in sys.stdin:
        say({"heard": sum(1 for _ in messages(control.socket, float(line)))})


def whole(client, peer, port, length):
    """A packet that must stay whole, and the same one that need not: what the relay says of each."""
    client.allocate()
    to = (PEER, client.xor(peer, int(port)))
    client.ask(PERMIT, [to])
    said = []
    for more, wait in (([(WHOLE, b"")], 5), ([], 1)):
        client.indicate([to, (PAYLOAD, bytes(int(length)))] + more)
        said.append([list(data[ICMP]) for data in client.heard(wait, 1) if ICMP in data])
    say({"whole": said[0], "cut": said[1]})


def shared(client, user, password):
    """Two users from one address and port, as if a router had given it away twice: what the second one is answered."""
    other = client.as_user(user, password)
    say({"codes": [client.allocate(), other.allocate(), other.ask(REFRESH, [])]})


def malformed(client):
    """A good request cut short at every length and spoilt at every place, and noise: what was granted, and refused."""
    client.allocate()
    other, rng = client.another(), random.Random(1)
    (other.realm, other.nonce) = (client.realm, client.nonce)
    good = other.message(ALLOCATE, [(TRANSPORT, struct.pack("!BBH", UDP, 0, 0))])
    bad = [good[:length] for length in range(len(good))]
    # Cut, and the header says so: what is left may even be a message.
    bad += [good[:2] + struct.pack("!H", length - 20) + good[4:length] for length in range(20, len(good), 4)]
    for place in range(len(good)):
        bad.append(good[:place] + bytes([good[place] ^ rng.randrange(1, 256)]) + good[place + 1 :])
    # Headers of messages and of channels in front of anything at all.
    for first in (b"", b"\x00\x01", b"\x00\x03", b"\x00\x16", b"\x40\x00", b"\x7f\xff", b"\x80\x00"):
        bad += [first + rng.randbytes(rng.randrange(0, 1400)) for _ in range(100)]
        bodies = [rng.randbytes(4 * rng.randrange(0, 50)) for _ in range(20)]
        bad += [first + struct.pack("!HI", len(body), COOKIE) + bytes(12) + body for body in bodies]
    # Whoever knows where he is has been granted nothing.
    granted, refused = 0, 0
    for number, data in enumerate(bad, 1):
        other.socket.send(data)
        for answer in received(other.socket, 1 if number == len(bad) else 0.001):
            kind = struct.unpack("!H", answer[:2])[0]
            granted += kind & 0x0110 == 0x0100 and kind & 0xF != 1
            refused += kind & 0x0110 == 0x0110
    ended = [on_stream(client, data) for data in streams(rng)]
    say({"sent": len(bad), "granted": granted, "refused": refused, "streams": ended})


def flood(client, count, *sources):
    """Requests that prove nothing, from each of these addresses in turn; asked for a number of them at a time by a line of input."""
    sockets = []
    for source in sources:
        one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        one.bind((source, 0))
        one.connect(client.place)
        one.setblocking(False)
        sockets.append(one)
    sent, ids = 0, random.Random(2)
    for _ in sys.stdin:
        for number in range(int(count)):
            header = struct.pack("!HHI", ALLOCATE, 8, COOKIE) + ids.randbytes(12)
            request = header + struct.pack("!HHBBH", TRANSPORT, 4, UDP, 0, 0)
            try:
                sockets[number % len(sockets)].send(request)
                sent += 1
            except (BlockingIOError, ConnectionError):
                pass
        say({"sent": sent})


def scan(client, target, *ports):
    """Everything that a stranger may try at these ports: how much came back, and what became of connections."""
    noise = random.Random(3).randbytes
    header = struct.pack("!HHI", 0x0001, 0, COOKIE) + bytes(12)
    tries = [b"", b"\0", noise(64), header, client.message(ALLOCATE, []), b"\x40\x00\x00\x04abcd", b"\x80\x00" + noise(170)]
    came, connections = 0, {"open": 0, "ended": 0, "refused": 0}
    for port in map(int, ports):
        one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        one.connect((target, port))
        for data in tries:
            try:
                one.send(data)
            except ConnectionError:
                pass
        came += sum(map(len, received(one, 0.05)))
        what, heard = connected(target, port, tries[-1])
        connections[what] += 1
        came += heard
    say({"bytes": came, "tries": len(tries), "connections": connections})


def connected(target, port, data):
    """What becomes of a connection on which somebody speaks, and how much comes back."""
    try:
        peer = socket.create_connection((target, port), timeout=5)
    except ConnectionError:
        return "refused", 0
    except TimeoutError:
        return "open", 0
    with peer:
        try:
            peer.sendall(data)
            heard = len(peer.recv(65536))
            return ("open", heard) if heard else ("ended", 0)
        except ConnectionError:
            return "ended", 0
        except TimeoutError:
            return "open", 0


def streams(rng):
    """What no stream of TURN begins with."""
    return [b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x02\x00\x01" + bytes(512), b"\xff" * 64, rng.randbytes(4096)]


def on_stream(client, data):
    """Whether a connection that begins like this is ended without a word."""
    with socket.create_connection(client.place[:1] + (443,), timeout=20) as peer:
        try:
            peer.sendall(data)
            return peer.recv(100) == b""
        except ConnectionError:
            return True


class Client:
    """One client at a port of its own."""

    def __init__(self, server, port, user, password, own=None):
        self.place, self.user, self.password = (server, port), user, password
        self.socket = own or socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        if own is None:
            self.socket.connect(self.place)
        self.realm, self.nonce, self.relayed = b"", b"", None
        self.data, self.answer = [], {}

    def another(self):
        """The same user at another port."""
        return Client(*self.place, self.user, self.password)

    def over_tcp(self, port):
        """The same user over a connection of his own."""
        other = Client(*self.place, self.user, self.password, socket.create_connection((self.place[0], port)))
        other.realm, other.nonce = self.realm, self.nonce
        return other

    def as_user(self, user, password):
        """Another user at the same port."""
        return Client(*self.place, user, password, self.socket)

    def allocate(self, transport=UDP, family=None):
        """Asks for an allocation; 0, the code of the error, or None."""
        attributes = [(TRANSPORT, struct.pack("!BBH", transport, 0, 0))]
        if family is not None:
            attributes.append((FAMILY, bytes([family, 0, 0, 0])))
        return self.ask(ALLOCATE, attributes)

    def ask(self, method, attributes):
        """Sends a request until it is answered, with proof as soon as it is known what to prove."""
        code, answer = None, {}
        for _ in range(3):
            code, answer = self.exchange(self.message(method, attributes))
            if code not in (401, 438) or NONCE not in answer or answer[NONCE] == self.nonce:
                break
            self.realm, self.nonce = answer[REALM], answer[NONCE]
        self.answer = answer
        if method == ALLOCATE and code == 0:
            port, *address = struct.unpack("!2xH4s", answer[RELAYED][:8])
            plain = int.from_bytes(address[0], "big") ^ COOKIE
            self.relayed = [str(ipaddress.ip_address(plain)), port ^ (COOKIE >> 16)]
        return code

    def exchange(self, request):
        """The code of the answer, 0 for success, None for nothing, and its attributes."""
        for wait in (0.5, 1, 2, 4, 8):
            self.socket.send(request)
            for kind, transaction, attributes in messages(self.socket, wait):
                if transaction == request[8:20]:
                    error = attributes.get(ERROR)
                    return (error[2] * 100 + error[3] if error else 0), attributes
                self.keep(kind, attributes)
        return None, {}

    def indicate(self, attributes):
        """Sends a Send indication."""
        self.socket.send(encode(SEND | 0x010, os.urandom(12), attributes))

    def heard(self, seconds, most=None):
        """What peers have sent meanwhile, and what was said of peers."""
        for kind, _, attributes in messages(self.socket, seconds):
            self.keep(kind, attributes)
            if most is not None and len(self.data) >= most:
                break
        heard, self.data = self.data, []
        return heard

    def keep(self, kind, attributes):
        if kind == DATA | 0x010:
            self.data.append(attributes)

    def message(self, method, attributes):
        """A request, proven if it is known how."""
        transaction = os.urandom(12)
        if not self.nonce:
            return encode(method, transaction, attributes)
        named = attributes + [(USERNAME, self.user.encode()), (REALM, self.realm), (NONCE, self.nonce)]
        secret = b":".join([self.user.encode(), self.realm, self.password.encode()])
        bare = encode(method, transaction, named)
        sealed = bare[:2] + struct.pack("!H", len(bare) - 20 + 24) + bare[4:]
        mac = hmac.new(hashlib.md5(secret).digest(), sealed, hashlib.sha1).digest()
        return encode(method, transaction, named + [(INTEGRITY, mac)])

    def xor(self, address, port):
        """XOR-PEER-ADDRESS; that of IPv6 is made when the transaction of its message is known."""
        address = ipaddress.ip_address(address)
        port ^= COOKIE >> 16
        if address.version == 4:
            return struct.pack("!BBHI", 0, 1, port, int(address) ^ COOKIE)
        return Six(address, port)


class Six:
    """XOR-PEER-ADDRESS of IPv6, which depends on the transaction of its message."""

    def __init__(self, address, port):
        self.address, self.port = address, port

    def bytes(self, transaction):
        mask = int.from_bytes(struct.pack("!I", COOKIE) + transaction, "big")
        return struct.pack("!BBH", 0, 2, self.port) + (int(self.address) ^ mask).to_bytes(16, "big")


def encode(kind, transaction, attributes):
    body = b""
    for name, value in attributes:
        value = value.bytes(transaction) if isinstance(value, Six) else value
        body += struct.pack("!HH", name, len(value)) + value + bytes(-len(value) % 4)
    return struct.pack("!HHI", kind, len(body), COOKIE) + transaction + body


def messages(peer, seconds):
    """What comes within so much silence: kind, transaction, attributes."""
    for data in received(peer, seconds):
        if len(data) < 20 or data[4:8] != struct.pack("!I", COOKIE):
            continue
        attributes, rest = {}, data[20:]
        while len(rest) >= 4:
            name, length = struct.unpack("!HH", rest[:4])
            attributes.setdefault(name, rest[4 : 4 + length])
            rest = rest[4 + length + -length % 4 :]
        yield struct.unpack("!H", data[:2])[0], data[8:20], attributes


def received(peer, seconds):
    """Datagrams, until none has come for so long."""
    while True:
        peer.settimeout(seconds)
        try:
            yield peer.recv(65535)
        except ConnectionError:
            continue
        except (TimeoutError, BlockingIOError):
            return


def say(words):
    print(json.dumps(words), flush=True)


main()
