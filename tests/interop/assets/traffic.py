"""Traffic of a program that knows nothing of marks.

traffic.py send DESTINATION PORT SECONDS SOURCE=KBIT[:TOS]...   UDP at these rates from these ports; prints what was sent
traffic.py count PORT SECONDS                                   prints packets by source port, both IP versions
traffic.py knock                                                standard input: udp|tcp SOURCE SOURCE-PORT DESTINATION PORT
traffic.py listen PORT...                                       accepts TCP connections until it is ended
traffic.py echo PORT                                            answers each datagram with one
"""

import collections
import select
import socket
import sys
import time

SIZE = 200  # bytes of payload, as of 20 ms of G.711 and its headers


def family(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def send(destination, port, seconds, *streams):
    """Packets leave when they are due, whatever the machine has done in between."""
    plan = []
    for stream in streams:
        source, _, rate = stream.partition("=")
        rate, _, tos = rate.partition(":")
        udp = socket.socket(family(destination), socket.SOCK_DGRAM)
        if tos:
            udp.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, int(tos))
        udp.bind(("", int(source)))
        udp.connect((destination, int(port)))
        plan.append([udp, int(source), int(rate) * 1000 / 8 / (SIZE + 28), 0])
    begin = time.monotonic()
    while (now := time.monotonic() - begin) < float(seconds):
        late = []
        for entry in plan:
            due = int(now * entry[2])
            late += [(number / entry[2], entry[0]) for number in range(entry[3], due)]
            entry[3] = due
        # In the order of their times: who is first in a burst would always find room in a full queue.
        for _, udp in sorted(late, key=lambda one: one[0]):
            try:
                udp.send(bytes(SIZE))
            except ConnectionRefusedError:
                pass
        time.sleep(0.005)
    for _, source, _, sent in plan:
        print(source, sent)


def count(port, seconds):
    udp = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    udp.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    udp.bind(("::", int(port)))
    print("bound", file=sys.stderr, flush=True)
    counts = collections.Counter()
    end = time.monotonic() + float(seconds)
    while (left := end - time.monotonic()) > 0:
        if select.select([udp], [], [], left)[0]:
            counts[udp.recvfrom(2048)[1][1]] += 1
    for source, packets in sorted(counts.items()):
        print(source, packets)


def knock():
    """One datagram or one SYN each; nobody waits for answers."""
    sockets = {}
    for number, line in enumerate(sys.stdin):
        protocol, source, source_port, destination, port = line.split()
        if protocol == "udp":
            key = (source, source_port)
            if key not in sockets:
                sockets[key] = socket.socket(family(source), socket.SOCK_DGRAM)
                sockets[key].bind((source, int(source_port)))
            try:
                sockets[key].sendto(b"knock", (destination, int(port)))
            except OSError:  # an answer to an earlier one
                sockets[key].sendto(b"knock", (destination, int(port)))
        else:
            tcp = socket.socket(family(source), socket.SOCK_STREAM)
            tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            tcp.setblocking(False)
            tcp.bind((source, int(source_port)))
            tcp.connect_ex((destination, int(port)))
            tcp.close()
        if number % 50 == 49:
            time.sleep(0.005)


def listen(*ports):
    listeners = []
    for port in ports:
        tcp = socket.socket(socket.AF_INET6, socket.SOCK_STREAM)
        tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        tcp.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        tcp.bind(("::", int(port)))
        tcp.listen()
        listeners.append(tcp)
    print("bound", file=sys.stderr, flush=True)
    while True:
        for tcp in select.select(listeners, [], [])[0]:
            tcp.accept()[0].close()


def echo(port):
    udp = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    udp.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    udp.bind(("::", int(port)))
    print("bound", file=sys.stderr, flush=True)
    while True:
        udp.sendto(*udp.recvfrom(2048))


if __name__ == "__main__":
    {"send": send, "count": count, "knock": knock, "listen": listen, "echo": echo}[sys.argv[1]](*sys.argv[2:])
