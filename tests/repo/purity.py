#!/usr/bin/env python3
"""core/ has no effects, and `unsafe` stands only where the operating system is met.

The compiler's lints (core/clippy.toml) see types and calls; this sees what they cannot: imports that are never called,
runtimes, default hashers with random seeds, and crates that forgot to forbid `unsafe`.
"""

import re
import sys

from rust_source import blanked, paths, shipped, without_tests

UNSAFE_ALLOWED = ("host/net/",)

# Who makes sockets elsewhere makes unmarked ones. clippy.toml bans those of the standard library.
SOCKETS = r"\bsocket2::|\bmio::net\b|\bTcpSocket\b|\b(Tcp|Udp|Unix)(Listener|Stream|Socket|Datagram)::(bind|connect|unbound|pair)\b"
SOCKETS_ALLOWED = ("host/net/",)

IMPURITIES = [
    (r"\bstd::(fs|thread|process|env|os)\b", "files, threads, processes and environment belong to host/ and cli/"),
    (r"\bstd::io::(stdin|stdout|stderr)\b", "standard streams belong to cli/"),
    (r"\b(UdpSocket|TcpListener|TcpStream|UnixStream|UnixDatagram)\b", "sockets belong to host/net"),
    (r"\b(Instant|SystemTime)\b", "the time is an argument"),
    (r"\b(tokio|async_std|smol|mio|socket2|libc|nix|rustix)::", "no runtime and no system calls"),
    (r"\basync\s+(fn|move)\b|\.await\b", "cores are driven by their caller, not by a runtime"),
    (r"\b(rand|getrandom|fastrand)::|\bRandomState\b", "randomness is an argument"),
    (r"\bstd::collections::(HashMap|HashSet|hash_map|hash_set)\b", "seeds are random: use BTreeMap, or a hasher of your own"),
    (r"\bstatic\s+mut\b|\bthread_local!|\b(OnceLock|LazyLock|Mutex|RwLock)\b", "a core shares nothing and hides no state"),
]


def main():
    sources = shipped()
    faults = [fault for name, source in sources for fault in faults_of(name, source)]
    for fault in faults:
        print(f"purity: {fault}")
    core = sum(name.startswith("core/") for name, _ in sources)
    print(f"purity: {core} files of core/ and {len(sources) - core} others read, {len(faults)} faults")
    return 1 if faults or not core else 0


def faults_of(name, source):
    cut = without_tests(blanked(source))
    if not name.startswith(UNSAFE_ALLOWED) and re.search(r"\bunsafe\b", cut):
        yield f"{name}: `unsafe` is for host/net only"
    made = not name.startswith(SOCKETS_ALLOWED) and re.search(SOCKETS, paths(cut))
    if made:
        yield f"{name}: `{made.group()}`: sockets are made in host/net, marked"
    if not name.startswith("core/"):
        return
    if name.endswith("src/lib.rs") and "#![forbid(unsafe_code)]" not in cut:
        yield f"{name}: write #![forbid(unsafe_code)]"
    for pattern, reason in IMPURITIES:
        found = re.search(pattern, paths(cut))
        if found:
            yield f"{name}: `{found.group()}`: {reason}"


if __name__ == "__main__":
    sys.exit(main())
