"""One end of a connection by aioice, driven by requests of one JSON line each on standard input. Who was given a relay uses
nothing else; who was given none says everything back.

{"do": "gather" | "connect" | "talk" | "close", ...}  ->  {"ok": result} or {"error": text}
"""

import asyncio
import json
import re
import sys

import aioice

LENGTH = 172
PACE = 0.005
URI = re.compile(r"(turns?):([^:?]+):(\d+)\?transport=(udp|tcp)")


class Peer:
    async def gather(self, request):
        relay = request.get("relay")
        options = {"transport_policy": aioice.TransportPolicy.RELAY, **settings(relay)} if relay else {}
        self.connection = aioice.Connection(ice_controlling=bool(relay), **options)
        self.echo = None if relay else asyncio.ensure_future(self.say_back())
        await self.connection.gather_candidates()
        candidates = self.connection.local_candidates
        return {
            "user": self.connection.local_username,
            "password": self.connection.local_password,
            "candidates": [candidate.to_sdp() for candidate in candidates],
            "kinds": sorted({candidate.type for candidate in candidates}),
        }

    async def connect(self, request):
        remote = request["remote"]
        self.connection.remote_username, self.connection.remote_password = remote["user"], remote["password"]
        for candidate in remote["candidates"]:
            await self.connection.add_remote_candidate(aioice.Candidate.from_sdp(candidate))
        await self.connection.add_remote_candidate(None)
        self.connecting = asyncio.ensure_future(self.connection.connect())

    async def say_back(self):
        while True:
            try:
                await self.connection.send(await self.connection.recv())
            except ConnectionError:
                await asyncio.sleep(PACE)

    async def talk(self, request):
        """How many of so many packets come back as they were."""
        async with asyncio.timeout(20):
            await self.connecting
        said = [number.to_bytes(2, "big") * (LENGTH // 2) for number in range(request["packets"])]
        heard = asyncio.ensure_future(self.hear(len(said)))
        for packet in said:
            await self.connection.send(packet)
            await asyncio.sleep(PACE)
        try:
            return len(set(said) & set(await asyncio.wait_for(heard, 5)))
        except asyncio.TimeoutError:
            return len(set(said) & set(self.heard))

    async def hear(self, count):
        self.heard = []
        while len(self.heard) < count:
            self.heard.append(await self.connection.recv())
        return self.heard

    async def close(self, _request):
        if self.echo:
            self.echo.cancel()
        await self.connection.close()


def settings(relay):
    scheme, host, port, transport = URI.fullmatch(relay["uri"]).groups()
    return {
        "turn_server": (host, int(port)),
        "turn_username": relay["username"],
        "turn_password": relay["password"],
        "turn_transport": transport,
        "turn_ssl": scheme == "turns",
        "use_ipv6": False,
    }


async def main():
    peer = Peer()
    print(json.dumps({"ok": "ready"}), flush=True)
    async with asyncio.timeout(90):
        while line := await asyncio.to_thread(sys.stdin.readline):
            request = json.loads(line)
            try:
                answer = {"ok": await getattr(peer, request["do"])(request)}
            except Exception as error:
                answer = {"error": repr(error)}
            print(json.dumps(answer), flush=True)


asyncio.run(main())
