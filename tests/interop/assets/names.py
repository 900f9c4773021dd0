"""A name server for one site: every name has the one address given, in its family; nothing else is there.

    names.py ADDRESS
"""

import ipaddress
import socket
import struct
import sys

address = ipaddress.ip_address(sys.argv[1])
OURS = {4: 1, 6: 28}[address.version]  # A, AAAA

server = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
server.bind(("::", 53))
print("listening", flush=True)
while True:
    query, peer = server.recvfrom(4096)
    end = query.index(0, 12) + 5
    kind = struct.unpack("!H", query[end - 4 : end - 2])[0]
    record = struct.pack("!HHHIH", 0xC00C, OURS, 1, 60, len(address.packed)) + address.packed if kind == OURS else b""
    head = query[:2] + struct.pack("!HHHHH", 0x8580, 1, 1 if record else 0, 0, 0)
    server.sendto(head + query[12:end] + record, peer)
