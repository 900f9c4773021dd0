"""libsrtp as a judge of packets, one request per line on standard input, one answer per line on standard output.

A request is `OPERATION SUITE KEY PACKET`, the last two in hexadecimal; the operations are those of a session: protect,
unprotect, protect_rtcp, unprotect_rtcp. A session lives per suite, key and direction. The answer is a packet, or `refused`.
"""

import sys

from pylibsrtp import Error, Policy, Session

PROFILES = {
    "AES_CM_128_HMAC_SHA1_80": Policy.SRTP_PROFILE_AES128_CM_SHA1_80,
    "AES_CM_128_HMAC_SHA1_32": Policy.SRTP_PROFILE_AES128_CM_SHA1_32,
    "AEAD_AES_128_GCM": Policy.SRTP_PROFILE_AEAD_AES_128_GCM,
    "AEAD_AES_256_GCM": Policy.SRTP_PROFILE_AEAD_AES_256_GCM,
}

sessions = {}


def session(operation, suite, key):
    inbound = operation.startswith("un")
    name = (suite, key, inbound)
    if name not in sessions:
        direction = Policy.SSRC_ANY_INBOUND if inbound else Policy.SSRC_ANY_OUTBOUND
        policy = Policy(key=bytes.fromhex(key), ssrc_type=direction, srtp_profile=PROFILES[suite])
        sessions[name] = Session(policy=policy)
    return sessions[name]


for line in sys.stdin:
    operation, suite, key, packet = line.split()
    try:
        answer = getattr(session(operation, suite, key), operation)(bytes.fromhex(packet)).hex()
    except Error:
        answer = "refused"
    print(answer, flush=True)
