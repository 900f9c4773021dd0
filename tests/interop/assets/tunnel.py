"""One end of a VPN: what goes to its interface `vpn0` comes out of that of the other end, over UDP.

tunnel.py ADDRESS/PREFIX OWN_ADDRESS PEER_ADDRESS PORT
"""

import fcntl
import os
import select
import socket
import struct
import subprocess
import sys

TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 0x0001, 0x1000

address, own, peer, port = sys.argv[1:]
tunnel = os.open("/dev/net/tun", os.O_RDWR)
fcntl.ioctl(tunnel, TUNSETIFF, struct.pack("16sH22x", b"vpn0", IFF_TUN | IFF_NO_PI))
subprocess.run(["ip", "addr", "add", address, "dev", "vpn0"], check=True)
subprocess.run(["ip", "link", "set", "vpn0", "mtu", "1400", "up"], check=True)
outer = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
outer.bind((own, int(port)))
outer.connect((peer, int(port)))
print("ready", flush=True)
while True:
    for ready in select.select([tunnel, outer], [], [])[0]:
        try:
            if ready is outer:
                os.write(tunnel, outer.recv(2048))
            else:
                outer.send(os.read(tunnel, 2048))
        except ConnectionError:
            # The other end is not there yet, or no more.
            pass
