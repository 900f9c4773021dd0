"""hivex as a reader of .reg files: merges them in turn into an empty hive, the top of HKEY_LOCAL_MACHINE, and prints what
is in it then as JSON, [key, value, type, text]. For the system's python3, which hivex's modules belong to.

hivexregedit wants UTF-8 without a byte order mark and keys whose parents are there; Windows wants neither.
"""

import json
import os
import re
import struct
import subprocess
import sys
import tempfile

import hivex

TOP = "HKEY_LOCAL_MACHINE"


def main():
    with tempfile.TemporaryDirectory() as folder:
        hive = folder + "/hive"
        with open(hive, "wb") as file:
            file.write(blank())
        known = set()
        for path in sys.argv[1:]:
            merged = folder + "/merged.reg"
            with open(merged, "w", encoding="utf-8", newline="\n") as file:
                file.write(with_parents(open(path, "rb").read().decode("utf-16"), known))
            merge = ["hivexregedit", "--merge", "--prefix", TOP, hive, merged]
            # Perl takes a file for Latin-1 unless told.
            subprocess.run(merge, check=True, env={**os.environ, "PERL_UNICODE": "SD"})
        reader = hivex.Hivex(hive)
        print(json.dumps(list(values(reader, reader.root(), ""))))


def with_parents(text, known):
    """Keys that come first in Windows by themselves are named; the rest of the file is as it was."""
    head, body = text.replace("\r\n", "\n").split("\n\n", 1)
    parents = []
    for key in re.findall(r"^\[(HKEY.*)\]$", body, re.MULTILINE):
        parts = key.split("\\")
        for end in range(2, len(parts)):
            parent = "\\".join(parts[:end])
            if parent.lower() not in known:
                known.add(parent.lower())
                parents.append(f"[{parent}]\n\n")
    return f"{head}\n\n{''.join(parents)}{body}"


def values(reader, node, path):
    for value in reader.node_values(node):
        kind, raw = reader.value_value(value)
        text = raw.decode("utf-16-le").rstrip("\0") if kind == 1 else raw.hex()
        yield [path, reader.value_key(value), kind, text]
    for child in reader.node_children(node):
        name = reader.node_name(child)
        yield from values(reader, child, f"{path}\\{name}" if path else name)


def blank():
    """A hive of 8 KiB: header, one page with a security descriptor and a root key, checksum."""
    security, root, none = 32, 112, 0xFFFFFFFF
    system = bytes.fromhex("010100000000000512000000")
    descriptor = struct.pack("<HHIIII", 1, 0x8000, 20, 32, 0, 0) + system + system
    sk = struct.pack("<iHHIIII", -80, 0x6B73, 0, security, security, 1, len(descriptor)) + descriptor
    links = (none, 0, 0, none, none, 0, none, security, none)
    nk = struct.pack("<iHHqI", -96, 0x6B6E, 0x2C, 0, 0) + struct.pack("<9I", *links)
    nk += struct.pack("<5IHH", 0, 0, 0, 0, 0, 4, 0) + b"ROOT"
    free = 4096 - root - 96
    page = struct.pack("<IIIQQI", 0x6E696268, 0, 4096, 0, 0, 0).ljust(32, b"\0")
    page += sk.ljust(80, b"\0") + nk.ljust(96, b"\0") + struct.pack("<i", free).ljust(free, b"\0")
    head = struct.pack("<IIIQ", 0x66676572, 1, 1, 0) + struct.pack("<7I", 1, 3, 0, 1, root, 4096, 1)
    head = head.ljust(508, b"\0")
    checksum = 0
    for (word,) in struct.iter_unpack("<I", head):
        checksum ^= word
    return (head + struct.pack("<I", checksum)).ljust(4096, b"\0") + page


main()
