"""One aiortc endpoint that sends a tone, driven by requests of one JSON line each on standard input.

{"do": "offer" | "accept" | "connected" | "heard" | "close", ...}  ->  {"ok": result} or {"error": text}
"""

import array
import asyncio
import fractions
import json
import math
import sys
import time

import aiortc
import av

RATE = 8000
SAMPLES = 160


class Tone(aiortc.MediaStreamTrack):
    """440 Hz in frames of 20 ms."""

    kind = "audio"

    def __init__(self):
        super().__init__()
        self.sent = 0
        self.started = None

    async def recv(self):
        self.started = self.started or time.monotonic()
        await asyncio.sleep(max(0, self.started + self.sent / RATE - time.monotonic()))
        angles = (2 * math.pi * 440 * (self.sent + n) / RATE for n in range(SAMPLES))
        samples = array.array("h", (int(8000 * math.sin(angle)) for angle in angles))
        frame = av.AudioFrame(format="s16", layout="mono", samples=SAMPLES)
        frame.planes[0].update(samples.tobytes())
        frame.sample_rate, frame.pts, frame.time_base = RATE, self.sent, fractions.Fraction(1, RATE)
        self.sent += SAMPLES
        return frame


class Ear:
    """Counts what it hears, and in how much of that there is the tone and nothing else."""

    track, frames, with_tone = None, 0, 0

    async def listen(self):
        try:
            while self.track:
                frame = await self.track.recv()
                self.frames += 1
                self.with_tone += is_tone(array.array("h", bytes(frame.planes[0])), frame.sample_rate)
        except aiortc.mediastreams.MediaStreamError:
            pass


def is_tone(samples, rate):
    """Whether the tone has nine tenths of the energy (Goertzel)."""
    energy = sum(sample * sample for sample in samples)
    turn = 2 * math.pi * 440 / rate
    real = sum(sample * math.cos(turn * n) for n, sample in enumerate(samples))
    imaginary = sum(sample * math.sin(turn * n) for n, sample in enumerate(samples))
    return energy > 0 and 2 * (real**2 + imaginary**2) / len(samples) > 0.9 * energy


class Peer:
    async def open(self, configuration):
        servers = [aiortc.RTCIceServer(**server) for server in configuration.get("iceServers", [])]
        self.connection = aiortc.RTCPeerConnection(aiortc.RTCConfiguration(iceServers=servers))
        self.ear = Ear()
        self.connection.on("track", lambda track: setattr(self.ear, "track", track))

    def send_tone(self):
        self.connection.addTrack(Tone())
        codecs = aiortc.RTCRtpSender.getCapabilities("audio").codecs
        for transceiver in self.connection.getTransceivers():
            transceiver.setCodecPreferences([codec for codec in codecs if codec.mimeType == "audio/PCMU"])

    def local(self):
        return {"type": self.connection.localDescription.type, "sdp": self.connection.localDescription.sdp}

    async def offer(self, request):
        await self.open(request.get("configuration", {}))
        self.send_tone()
        await self.connection.setLocalDescription(await self.connection.createOffer())
        return self.local()

    async def accept(self, request):
        description = aiortc.RTCSessionDescription(**request["description"])
        if description.type == "answer":
            return await self.connection.setRemoteDescription(description)
        await self.open(request.get("configuration", {}))
        await self.connection.setRemoteDescription(description)
        self.send_tone()
        await self.connection.setLocalDescription(await self.connection.createAnswer())
        return self.local()

    async def connected(self, _request):
        async with asyncio.timeout(20):
            while self.connection.connectionState != "connected":
                await asyncio.sleep(0.05)
        self.listening = asyncio.ensure_future(self.ear.listen())

    async def heard(self, _request):
        return {"frames": self.ear.frames, "with_tone": self.ear.with_tone}

    async def close(self, _request):
        self.listening.cancel()
        await self.connection.close()


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
