"""Sends RTP (PCMU) in batches that the kernel or the card cuts into datagrams (UDP_SEGMENT)."""

import math
import socket
import struct
import sys
import time

SOL_UDP, UDP_SEGMENT = 17, 103
PACKETS, BATCH, SAMPLES = 250, 5, 160


def ulaw(sample):
    """G.711 µ-law of a 14-bit sample."""
    magnitude = min(abs(sample) + 33, 8191)
    segment = magnitude.bit_length() - 6
    code = (segment << 4) | ((magnitude >> (segment + 1)) & 15)
    return ~(code | (0x80 if sample < 0 else 0)) & 255


def payload(number):
    angles = (2 * math.pi * 440 * (number * SAMPLES + n) / 8000 for n in range(SAMPLES))
    return bytes(ulaw(int(3000 * math.sin(angle))) for angle in angles)


def main():
    source, destination = sys.argv[1:]
    sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sender.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, 184)
    sender.bind((source, 50000))
    size = struct.pack("=H", 12 + SAMPLES)
    start = time.monotonic()
    for first in range(0, PACKETS, BATCH):
        time.sleep(max(0, start + first * 0.02 - time.monotonic()))
        batch = b"".join(
            struct.pack(">BBHII", 0x80, 0, number, number * SAMPLES, 0xCA121110) + payload(number)
            for number in range(first, first + BATCH))
        sender.sendmsg([batch], [(SOL_UDP, UDP_SEGMENT, size)], 0, (destination, 50010))


main()
