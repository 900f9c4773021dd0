"""One phone of pjsip, driven by requests of one JSON line each on standard input. It speaks from one file, and records what it
hears in another one.

{"do": "sign_in" | "call" | "hang_up" | "mix", ...}  ->  {"ok": result} or {"error": text}

With "mix" it is a conference: who calls hears all the others.
"""

import json
import os
import select
import sys
import time

import pjsua2

WAYS = {"udp": pjsua2.PJ_TURN_TP_UDP, "tcp": pjsua2.PJ_TURN_TP_TCP, "tls": pjsua2.PJ_TURN_TP_TLS}


class Account(pjsua2.Account):
    answer = None

    def __init__(self):
        super().__init__()
        self.callers = []

    def onRegState(self, parameters):
        self.answer = parameters.code

    def onIncomingCall(self, parameters):
        self.callers.append(Call(self, parameters.callId))


class Call(pjsua2.Call):
    state = None

    def onCallState(self, _parameters):
        self.state = self.getInfo().state

    def audio(self):
        """The line of it that is agreed on."""
        # Kept, for its parts live no longer than it does.
        info = self.getInfo()
        for line in info.media:
            if line.type == pjsua2.PJMEDIA_TYPE_AUDIO and line.status == pjsua2.PJSUA_CALL_MEDIA_ACTIVE:
                return self.getAudioMedia(line.index)
        return None


class Phone:
    def __init__(self):
        self.endpoint = pjsua2.Endpoint()
        self.endpoint.libCreate()
        settings = pjsua2.EpConfig()
        # Python is called by its own thread only.
        settings.uaConfig.threadCnt, settings.uaConfig.mainThreadOnly = 0, True
        settings.medConfig.noVad, settings.medConfig.ecTailLen = True, 0
        settings.medConfig.clockRate = settings.medConfig.sndClockRate = 8000
        settings.logConfig.level = settings.logConfig.consoleLevel = 4
        self.endpoint.libInit(settings)
        self.endpoint.audDevManager().setNullDev()
        for codec in self.endpoint.codecEnum2():
            self.endpoint.codecSetPriority(codec.codecId, 255 if codec.codecId.startswith("PCMU/") else 0)

    def sign_in(self, request):
        transport = pjsua2.TransportConfig()
        transport.boundAddress = request["address"]
        mark(transport, request.get("signaling", 0))
        self.endpoint.transportCreate(pjsua2.PJSIP_TRANSPORT_UDP, transport)
        self.endpoint.libStart()
        self.account = Account()
        self.account.create(account(request))
        self.wait_for(lambda: self.account.answer, "an answer to REGISTER")
        if self.account.answer != 200:
            raise RuntimeError(f"REGISTER: {self.account.answer}")

    def call(self, request):
        """Until the other side has been heard for so many seconds."""
        self.current = Call(self.account)
        self.current.player, self.current.recorder = pjsua2.AudioMediaPlayer(), pjsua2.AudioMediaRecorder()
        self.current.player.createPlayer(request["voice"])
        self.heard = request["heard"]
        self.current.recorder.createRecorder(self.heard)
        parameters = pjsua2.CallOpParam(True)
        parameters.opt.audioCount, parameters.opt.videoCount = 1, 0
        self.current.makeCall(request["to"], parameters)
        self.wait_for(lambda: self.current.audio() or self.is_over(), "media")
        audio = self.current.audio()
        self.current.player.startTransmit(audio)
        audio.startTransmit(self.current.recorder)
        enough = time.monotonic() + request["seconds"]
        self.wait_for(lambda: time.monotonic() > enough or self.is_over(), "the end of the talk")
        if self.is_over():
            raise RuntimeError(f"the call ended: {self.current.getInfo().lastReason}")

    def hang_up(self, _request):
        self.current.hangup(pjsua2.CallOpParam())
        self.wait_for(self.is_over, "the end of the call")
        # What was recorded is written when the recorder goes, its length last.
        self.current.recorder = self.current.player = None
        self.wait_for(self.is_written, "recording")

    def mix(self, request):
        """Answers once so many have called; each then hears the others."""
        callers = self.account.callers
        self.wait_for(lambda: len(callers) == request["parties"], "callers")
        for caller in callers:
            parameters = pjsua2.CallOpParam(True)
            parameters.statusCode = 200
            caller.answer(parameters)
        self.wait_for(lambda: all(caller.audio() for caller in callers), "media of all")
        lines = [caller.audio() for caller in callers]
        for line in lines:
            for other in lines:
                if line is not other:
                    line.startTransmit(other)

    def is_written(self):
        with open(self.heard, "rb") as file:
            return int.from_bytes(file.read(8)[4:], "little") > 0

    def is_over(self):
        return self.current.state == pjsua2.PJSIP_INV_STATE_DISCONNECTED

    def wait_for(self, condition, what):
        until = time.monotonic() + 20
        while not condition():
            if time.monotonic() > until:
                raise RuntimeError(f"no {what} within 20 s")
            self.endpoint.libHandleEvents(10)


def mark(transport, dscp):
    transport.qosParams.flags, transport.qosParams.dscp_val = pjsua2.PJ_QOS_PARAM_HAS_DSCP, dscp


def account(request):
    settings, user, server = pjsua2.AccountConfig(), request["user"], request["server"]
    settings.idUri = f"sip:{user}@{request['domain']}"
    settings.regConfig.registrarUri = f"sip:{request['domain']}"
    settings.sipConfig.proxies.append(f"sip:{server};lr")
    settings.sipConfig.authCreds.append(pjsua2.AuthCredInfo("digest", "*", user, 0, request["password"]))
    settings.mediaConfig.transportConfig.boundAddress = request["address"]
    nat = settings.natConfig
    nat.iceEnabled = True
    relay = request.get("relay")
    if relay is None:
        media = settings.mediaConfig.transportConfig
        media.port, media.portRange = request["ports"], 100
        mark(media, request["media"])
        return settings
    nat.turnEnabled = True
    # Nothing but the relay.
    nat.iceMaxHostCands = 0
    nat.turnServer, nat.turnConnType = relay["server"], WAYS[relay["transport"]]
    nat.turnUserName, nat.turnPassword = relay["username"], relay["password"]
    return settings


def main():
    # pjsip prints what it likes to standard output.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    phone = Phone()
    print(json.dumps({"ok": "ready"}), file=answers, flush=True)
    until, pending = time.monotonic() + 90, b""
    while time.monotonic() < until:
        phone.endpoint.libHandleEvents(10)
        if not select.select([sys.stdin], [], [], 0)[0]:
            continue
        piece = os.read(sys.stdin.fileno(), 65536)
        if not piece:
            break
        *lines, pending = (pending + piece).split(b"\n")
        for line in lines:
            request = json.loads(line)
            try:
                answer = {"ok": getattr(phone, request["do"])(request)}
            except pjsua2.Error as error:
                answer = {"error": error.info()}
            except Exception as error:
                answer = {"error": repr(error)}
            print(json.dumps(answer), file=answers, flush=True)
    os._exit(0)


main()
