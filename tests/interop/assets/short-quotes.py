"""A router's errors, made by hand: answers each packet whose time to live ends here with as few bytes as RFC 792 asks
for (header and 8 bytes), or with another number behind the header.

  short-quotes.py INTERFACE BYTES     BYTES of what lies behind the IP header are quoted
"""

import socket
import struct
import sys

ETH_IP, ETH_IPV6 = 0x0800, 0x86DD


def checksum(data):
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def main():
    interface, behind = sys.argv[1], int(sys.argv[2])
    frames = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(3))
    frames.bind((interface, 3))
    v4 = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
    # The kernel fills in the checksum of ICMPv6.
    v6 = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
    print("ready", flush=True)
    while True:
        packet, (_, ethertype, kind, *_) = frames.recvfrom(65535)
        if kind == 4:  # what this host sends itself
            continue
        if ethertype == ETH_IP and packet[8] == 1 and packet[9] == 17:
            quote = packet[: (packet[0] & 15) * 4 + behind]
            head = struct.pack("!BBHI", 11, 0, checksum(struct.pack("!BBHI", 11, 0, 0, 0) + quote), 0)
            v4.sendto(head + quote, (socket.inet_ntop(socket.AF_INET, packet[12:16]), 0))
        elif ethertype == ETH_IPV6 and packet[7] == 1 and packet[6] == 17:
            head = struct.pack("!BBHI", 3, 0, 0, 0)
            v6.sendto(head + packet[: 40 + behind], (socket.inet_ntop(socket.AF_INET6, packet[8:24]), 0))


main()
