#!/usr/bin/env python3
"""Phones that each open a connection of their own to a SIP server, register over it by digest, and stay or go.

    sip_phones.py ADDRESS PORT USERS.csv COUNT [--tls CA] [--stay]

Prints one line of JSON: how many were registered, how many failed. With --stay the connections are kept until standard input ends.
"""

import argparse
import csv
import hashlib
import json
import resource
import secrets
import socket
import ssl
import sys

from sip_clients import DOMAIN


def main():
    args = arguments()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    context = ssl.create_default_context(cafile=args.tls) if args.tls else None
    with open(args.users, newline="") as lines:
        accounts = [(row["name"], row["password"]) for row in csv.DictReader(lines)][: args.count]
    kept, faults = [], []
    for name, password in accounts:
        try:
            kept.append(register((args.address, args.port), context, name, password))
        except (OSError, ValueError) as error:
            faults.append(f"{name}: {error}")
        if not args.stay and kept:
            kept.pop().close()
    registered = len(accounts) - len(faults)
    print(json.dumps({"registered": registered, "failed": args.count - registered, "first_fault": faults[:1]}), flush=True)
    if args.stay:
        sys.stdin.read()


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("address")
    parser.add_argument("port", type=int)
    parser.add_argument("users", help="CSV with the columns name and password")
    parser.add_argument("count", type=int)
    parser.add_argument("--tls", metavar="CA", help="speak TLS, and believe this authority")
    parser.add_argument("--stay", action="store_true", help="keep the connections until standard input ends")
    return parser.parse_args()


def register(server, context, name, password):
    """The connection of a phone that has registered."""
    connection = socket.create_connection(server, timeout=10)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if context:
        connection = context.wrap_socket(connection, server_hostname=DOMAIN)
    transport, call = ("TLS" if context else "TCP"), secrets.token_hex(8)
    challenged = ask(connection, request(connection, transport, name, call, 1, ""))
    if status(challenged) != "401":
        raise ValueError(f"a challenge was expected: {challenged.splitlines()[0]}")
    proof = answer(challenged, name, password)
    answered = ask(connection, request(connection, transport, name, call, 2, f"Authorization: {proof}\r\n"))
    if status(answered) != "200":
        raise ValueError(answered.splitlines()[0])
    return connection


def request(connection, transport, name, call, cseq, more):
    host, port = connection.getsockname()[:2]
    user = f"sip:{name}@{DOMAIN}"
    return (
        f"REGISTER sip:{DOMAIN} SIP/2.0\r\nVia: SIP/2.0/{transport} {host}:{port};branch=z9hG4bK{call}{cseq};rport\r\n"
        f"From: <{user}>;tag={call}\r\nTo: <{user}>\r\nCall-ID: {call}\r\nCSeq: {cseq} REGISTER\r\n"
        f"Contact: <sip:{name}@{host}:{port};transport={transport.lower()}>\r\nExpires: 3600\r\nMax-Forwards: 70\r\n"
        f"{more}Content-Length: 0\r\n\r\n"
    )


def ask(connection, text):
    """The final answer; none of them has a body."""
    connection.sendall(text.encode())
    received = b""
    while True:
        while b"\r\n\r\n" not in received:
            part = connection.recv(4096)
            if not part:
                raise ValueError("the server hung up")
            received += part
        head, _, received = received.partition(b"\r\n\r\n")
        if not status(head.decode()).startswith("1"):
            return head.decode()


def status(head):
    return head.split(" ", 2)[1]


def answer(challenged, name, password):
    """RFC 7616 with MD5, which both servers offer."""
    challenges = [line.split(":", 1)[1] for line in challenged.split("\r\n") if line.lower().startswith("www-authenticate:")]
    wanted = next(text for text in challenges if "sha-256" not in text.lower())
    parts = dict(part.strip().split("=", 1) for part in wanted.strip().removeprefix("Digest ").split(","))
    realm, nonce = parts["realm"].strip('"'), parts["nonce"].strip('"')
    uri, client, count = f"sip:{DOMAIN}", secrets.token_hex(4), "00000001"
    secret, asked = md5(f"{name}:{realm}:{password}"), md5(f"REGISTER:{uri}")
    proof = md5(f"{secret}:{nonce}:{count}:{client}:auth:{asked}")
    return (
        f'Digest username="{name}", realm="{realm}", nonce="{nonce}", uri="{uri}", qop=auth, nc={count}, '
        f'cnonce="{client}", algorithm=MD5, response="{proof}"'
    )


def md5(text):
    return hashlib.md5(text.encode()).hexdigest()


if __name__ == "__main__":
    main()
