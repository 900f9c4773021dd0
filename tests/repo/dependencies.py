#!/usr/bin/env python3
"""Dependencies point one way, the cores stay free of effects, and every licence lets users do as they please.

Reads `cargo metadata`: what is really linked, not what a manifest seems to say.
"""

import json
import re
import subprocess
import sys
from pathlib import Path

from rust_source import ROOT

CORE = {"core/wire", "core/qos", "core/signaling", "core/relay", "core/media", "core/conference", "core/mediation", "core/shell"}
HOST = {"host/net", "host/store", "host/server"}

# What each of our crates may use of our crates. Only the server knows everyone; the program knows the server.
MAY_USE = {
    "core/wire": set(),
    "core/qos": {"core/wire"},
    "core/signaling": {"core/wire", "core/qos"},
    "core/relay": {"core/wire", "core/qos"},
    "core/media": {"core/wire", "core/qos"},
    "core/conference": {"core/wire", "core/qos", "core/signaling", "core/media"},
    "core/mediation": {"core/wire", "core/qos", "core/signaling", "core/media"},
    "core/shell": {"core/wire", "core/qos"},
    "host/net": {"core/wire", "core/qos"},
    "host/store": CORE,
    "host/server": CORE | {"host/net", "host/store"},
    "cli": CORE | HOST,
    "sim": CORE,
    "fuzz": CORE | {"sim"},
}

# Crates with effects; a core may not even link them.
EFFECTS = {"tokio", "async-std", "smol", "async-io", "mio", "socket2", "nix", "rustix", "rand", "getrandom", "fastrand", "quinn"}

FREE = set(
    "MIT MIT-0 Apache-2.0 BSD-2-Clause BSD-3-Clause ISC Zlib 0BSD BSL-1.0 Unlicense CC0-1.0 Unicode-3.0 Unicode-DFS-2016"
    " MPL-2.0 OpenSSL CDLA-Permissive-2.0".split()
)
OUR_LICENCE = "MIT OR Apache-2.0"
REGISTRY = "registry+https://github.com/rust-lang/crates.io-index"


def main():
    command = ["cargo", "metadata", "--format-version", "1", "--locked"]
    metadata = json.loads(subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout)
    faults = list(check(metadata, ROOT))
    for fault in faults:
        print(f"dependencies: {fault}")
    ours = len(metadata["workspace_members"])
    print(f"dependencies: {ours} crates of ours, {len(metadata['packages']) - ours} of others, {len(faults)} faults")
    return 1 if faults else 0


def check(metadata, root):
    packages = {package["id"]: package for package in metadata["packages"]}
    uses = {node["id"]: used(node) for node in metadata["resolve"]["nodes"]}
    folders = {id: folder(packages[id], root) for id in metadata["workspace_members"]}
    for id, name in folders.items():
        yield from direction_faults(name, {folders[other] for other in uses[id] if other in folders})
        if name in CORE:
            linked = {packages[other]["name"] for other in closure(id, uses)}
            yield from (f"{name} links {effect}, a crate with effects" for effect in sorted(linked & EFFECTS))
    for id, package in packages.items():
        yield from licence_faults(package, ours=id in folders)


def used(node):
    """What a crate links itself: neither what its tests use nor what its build uses."""
    return {dep["pkg"] for dep in node["deps"] if any(kind["kind"] is None for kind in dep["dep_kinds"])}


def closure(id, uses):
    seen, todo = set(), [id]
    while todo:
        new = uses[todo.pop()] - seen
        seen |= new
        todo += new
    return seen


def folder(package, root):
    return Path(package["manifest_path"]).parent.relative_to(root).as_posix()


def direction_faults(name, used_folders):
    if name.startswith("tests/") or name == "tests":
        return
    if name not in MAY_USE:
        yield f"{name} is no crate of the layout; say in docs/decisions/ why it exists, then add it to MAY_USE"
        return
    yield from (f"{name} may not depend on {other}" for other in sorted(used_folders - MAY_USE[name]))


def licence_faults(package, ours):
    name, licence = f"{package['name']} {package['version']}", package["license"] or ""
    if ours and licence != OUR_LICENCE:
        yield f"{name} is ours and needs the licence {OUR_LICENCE}"
    if not is_free(licence):
        yield f"{name}: the licence '{licence}' is not on the list of free ones"
    if not ours and package["source"] != REGISTRY:
        yield f"{name} comes from {package['source']}, not from crates.io"


def is_free(expression):
    """Whether an SPDX expression leaves a choice made of free licences only."""
    tokens = re.findall(r"\(|\)|[\w.+-]+", expression.replace("/", " OR "))
    python = {"OR": "or", "AND": "and", "(": "(", ")": ")"}
    words = []
    for token in tokens:
        if words and words[-1] == "WITH":
            words.pop()  # an exception only ever gives more rights
        else:
            words.append(python.get(token) or ("WITH" if token == "WITH" else str(token in FREE)))
    try:
        return bool(words) and eval(" ".join(words), {"__builtins__": {}})  # nothing but True, False, and, or, brackets
    except SyntaxError:
        return False


if __name__ == "__main__":
    sys.exit(main())
