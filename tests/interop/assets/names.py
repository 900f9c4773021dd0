"""A name server for one site. Every name has the addresses given, but for those that have records of their own; nothing else is
there.

    names.py [ADDRESS...] [NAME=ADDRESS...] [NAME=PRIORITY:WEIGHT:PORT:TARGET...]
"""

import ipaddress
import socket
import struct
import sys

A, AAAA, SRV = 1, 28, 33


def encoded(name):
    return b"".join(bytes([len(label)]) + label.encode() for label in name.split(".")) + b"\0"


def record(text):
    try:
        address = ipaddress.ip_address(text)
        return (A if address.version == 4 else AAAA, address.packed)
    except ValueError:
        priority, weight, port, target = text.split(":")
        return (SRV, struct.pack("!HHH", int(priority), int(weight), int(port)) + encoded(target))


everybody, own = [], {}
for word in sys.argv[1:]:
    name, _, text = word.rpartition("=")
    (own.setdefault(name.lower(), []) if name else everybody).append(record(text))

server = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
server.bind(("::", 53))
print("listening", flush=True)
while True:
    query, peer = server.recvfrom(4096)
    end = query.index(0, 12) + 5
    kind = struct.unpack("!H", query[end - 4 : end - 2])[0]
    labels, at = [], 12
    while query[at]:
        labels.append(query[at + 1 : at + 1 + query[at]].decode("ascii", "replace"))
        at += 1 + query[at]
    found = own.get(".".join(labels).lower(), everybody)
    records = [struct.pack("!HHHIH", 0xC00C, kind, 1, 60, len(data)) + data for of, data in found if of == kind]
    head = query[:2] + struct.pack("!HHHHH", 0x8580, 1, len(records), 0, 0)
    server.sendto(head + query[12:end] + b"".join(records), peer)
