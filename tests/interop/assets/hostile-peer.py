"""A peer that means no good. Does one thing to a SIP server and prints what came back, as JSON.

    hostile-peer.py WHAT SERVER OWN-ADDRESS [ARGUMENT…]
"""

import hashlib
import json
import random
import re
import socket
import ssl
import sys
import time
from pathlib import Path

DOMAIN = "carillon.test"
SIP, SIPS = 5060, 5061


def main():
    what, server, own, *rest = sys.argv[1:]
    print(json.dumps(globals()[what.replace("-", "_")](server, own, *rest)))


def garbage(server, own):
    """Datagrams of every kind of nonsense; how many were answered."""
    rng, peer = random.Random(1), udp(own)
    for number in range(2000):
        data = rng.randbytes(rng.randrange(1, 1400))
        # Some begin like a message.
        peer.sendto((b"INVITE sip:a SIP/2.0\r\n" if number % 3 == 0 else b"") + data, (server, SIP))
        if number % 100 == 0:
            time.sleep(0.02)
    return {"answers": [data.decode(errors="replace")[:200] for data in received(peer, 0.5)]}


def megabyte_headers(server, own):
    """A header field of a megabyte, over TCP: what was said before the connection ended."""
    peer = socket.create_connection((server, SIP), timeout=10)
    peer.settimeout(10)
    head = request("OPTIONS", own, "TCP").replace(b"Max-Forwards", b"Subject: " + b"x" * (1 << 20) + b"\r\nMax-Forwards")
    return {"answers": codes(exchange(peer, head))}


def differing_lengths(server, own):
    """Two lengths: the next message could begin at either. On a stream that is the end, in a datagram a refusal."""
    double = request("OPTIONS", own, "TCP").replace(b"Content-Length: 0", b"Content-Length: 0\r\nContent-Length: 400")
    peer = socket.create_connection((server, SIP), timeout=10)
    smuggled = request("OPTIONS", own, "TCP", "smuggled")
    answers = codes(exchange(peer, double + smuggled))
    datagram = udp(own)
    datagram.sendto(double.replace(b"TCP", b"UDP"), (server, SIP))
    return {"stream": answers, "datagram": codes(b"".join(received(datagram, 1.0)))}


def slow(server, own, count):
    """Many connections that say a byte now and then, while one other is served; and half-open handshakes of TLS."""
    peers = [socket.create_connection((server, SIP)) for _ in range(int(count))]
    half = [socket.create_connection((server, SIPS)) for _ in range(int(count))]
    for number, peer in enumerate(half):
        # Half of them begin a handshake that they never go on with.
        peer.send(b"\x16\x03\x01\x02\x00\x01" if number % 2 else b"")
    text, served = request("OPTIONS", own, "TCP"), []
    for at in range(12):
        for peer in peers:
            quietly(peer.send, text[at : at + 1])
        good = socket.create_connection((server, SIP))
        began = time.monotonic()
        good.settimeout(5)
        good.sendall(request("OPTIONS", own, "TCP"))
        served.append(codes(good.recv(4096)))
        good.close()
        time.sleep(max(0.0, 1.0 - (time.monotonic() - began)))
    ended = sum(quietly(peer.recv, 1) == b"" for peer in nonblocking(half))
    return {"served": sum(served, []), "half_open_ended": ended}


def passwords(server, own, user, password):
    """A wrong answer to the challenge, the right one, and the right one again."""
    peer = udp(own)
    challenge = register(peer, server, own, user)
    wrong = register(peer, server, own, user, challenge, "guess")
    right = register(peer, server, own, user, challenge, password)
    replayed = register(peer, server, own, user, challenge, password)
    foreign = register(peer, server, own, user, {**challenge, "nonce": "AAAAAAAAAAAAAAAAAAAAAAAA"}, password)
    next_count = register(peer, server, own, user, challenge, password, 2)
    answers = {"wrong": wrong, "right": right, "replayed": replayed, "foreign": foreign, "counted": next_count}
    return {name: answer["code"] for name, answer in answers.items()} | {"stale": replayed.get("stale", "")}


def loop(server, own, user, password):
    """A phone of `user` that sends every INVITE back to the server, for the same user, as a broken proxy would."""
    peer = udp(own)
    challenge = register(peer, server, own, user)
    assert register(peer, server, own, user, challenge, password)["code"] == 200
    print("ready", file=sys.stderr, flush=True)
    turned, refusals = 0, []
    peer.settimeout(15)
    while True:
        try:
            data, _ = peer.recvfrom(65536)
        except TimeoutError:
            return {"turned": turned, "refusals": refusals}
        if data.startswith(b"INVITE"):
            turned += 1
            first, rest = data.split(b"\r\n", 1)
            via = f"Via: SIP/2.0/UDP {own}:{peer.getsockname()[1]};branch=z9hG4bKloop{turned};rport\r\n".encode()
            peer.sendto(f"INVITE sip:{user}@{DOMAIN} SIP/2.0\r\n".encode() + via + rest, (server, SIP))
        elif data.startswith(b"SIP/2.0") and b"INVITE" in data and not data.startswith(b"SIP/2.0 1"):
            refusals += codes(data)
            # Taken off the top, it is the answer to what came first.
            head = data.split(b"\r\n")
            del head[next(n for n, line in enumerate(head) if line.lower().startswith(b"via:"))]
            peer.sendto(b"\r\n".join(head), (server, SIP))
            # What comes now, comes soon.
            peer.settimeout(2)


def torture(server, own, directory):
    """Every message of the corpus in a datagram and on a connection of its own: the codes that came back, by name."""
    answers = {}
    for file in sorted(Path(directory).glob("*.sip")):
        peer, message = udp(own), file.read_bytes()
        peer.sendto(message, (server, SIP))
        datagram = codes(b"".join(received(peer, 0.15)))
        stream = socket.create_connection((server, SIP))
        stream.settimeout(0.15)
        answers[file.stem] = {"datagram": datagram, "stream": codes(exchange(stream, message.replace(b"/UDP", b"/TCP")))}
    return answers


def over_tls(server, own, ca):
    """Whether an OPTIONS over TLS is answered, with the certificate checked."""
    context = ssl.create_default_context(cafile=ca)
    with socket.create_connection((server, SIPS)) as plain, context.wrap_socket(plain, server_hostname=DOMAIN) as peer:
        peer.sendall(request("OPTIONS", own, "TLS"))
        return {"answers": codes(peer.recv(4096))}


def request(method, own, transport, call="x"):
    number = random.getrandbits(64)
    return (
        f"{method} sip:{DOMAIN} SIP/2.0\r\nVia: SIP/2.0/{transport} {own}:5060;branch=z9hG4bK{number};rport\r\n"
        f"From: <sip:peer@{DOMAIN}>;tag=1\r\nTo: <sip:{DOMAIN}>\r\nCall-ID: {call}{number}@{own}\r\nCSeq: 1 {method}\r\n"
        f"Max-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
    ).encode()


def register(peer, server, own, user, challenge=None, password="", count=1):
    """One REGISTER; with a challenge, an answer to it. Returns the code and the challenge that came."""
    lines = request("REGISTER", own, "UDP").decode().replace("peer@", f"{user}@").replace(f"To: <sip:{DOMAIN}", f"To: <sip:{user}@{DOMAIN}")
    more = f"Contact: <sip:{user}@{own}:{peer.getsockname()[1]}>\r\n"
    if challenge:
        md5 = lambda text: hashlib.md5(text.encode()).hexdigest()
        realm, nonce, nc = challenge["realm"], challenge["nonce"], f"{count:08x}"
        secret, call = md5(f"{user}:{realm}:{password}"), md5(f"REGISTER:sip:{DOMAIN}")
        answer = md5(f"{secret}:{nonce}:{nc}:mine:auth:{call}")
        more += (
            f'Authorization: Digest username="{user}",realm="{realm}",nonce="{nonce}",uri="sip:{DOMAIN}",response="{answer}",'
            f'algorithm=MD5,qop=auth,nc={nc},cnonce="mine"\r\n'
        )
    peer.sendto(lines.replace("Max-Forwards", more + "Max-Forwards").encode(), (server, SIP))
    peer.settimeout(5)
    data = peer.recv(65536)
    found = dict(re.findall(r'(\w+)="?([^",]+)', next((l for l in data.decode().split("\r\n") if l.startswith("WWW-Auth")), "")))
    return {"code": codes(data)[0]} | found


def udp(own):
    peer = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    peer.bind((own, 0))
    return peer


def received(peer, seconds):
    peer.settimeout(seconds)
    try:
        while True:
            yield peer.recv(65536)
    except TimeoutError:
        return


def exchange(peer, data):
    """All that comes back until the connection ends or falls silent."""
    said = b""
    try:
        peer.sendall(data)
        while part := peer.recv(65536):
            said += part
    except (TimeoutError, ConnectionError):
        pass
    return said


def nonblocking(peers):
    for peer in peers:
        peer.setblocking(False)
        yield peer


def quietly(call, argument):
    try:
        return call(argument)
    except OSError as error:
        return b"" if isinstance(error, ConnectionError) else None


def codes(data):
    return [int(code) for code in re.findall(rb"^SIP/2.0 (\d{3})", data, re.MULTILINE)]


main()
