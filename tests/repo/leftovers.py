#!/usr/bin/env python3
"""What must not be committed: paths of somebody's machine, other registries, unfinished marks, tests switched off."""

import re
import sys

from rust_source import ROOT, files

# Written so that this file does not find itself.
EVERYWHERE = [
    (r"(?<![\w.])/(work|farm|root|home/[a-z]\w*|Users/\w+)/", "a path of one machine"),
    (r"arti[f]actory|nexus\.[a-z]+\.(net|com)/repository", "a private registry"),
    (r"^[<]{7} |^[>]{7} ", "a conflict that was not merged"),
]
IN_SOURCES = [
    (r"\b(FIX[M]E|XX[X]|HAC[K])\b|\b(todo|unimplemented)!\s*[(\[{]", "a mark of something unfinished"),
    (r"#\[ignor[e]", "a test that does not run"),
]
SOURCES = (".rs", ".py", ".sh", ".js", ".ts", ".toml")
REGISTRY = 'source = "registry+https://github.com/rust-lang/crates.io-index"'


def main():
    texts = [(name, text) for name in files() for text in [text_of(ROOT / name)] if text is not None]
    faults = [fault for name, text in texts for fault in faults_of(name, text)]
    for fault in faults:
        print(f"leftovers: {fault}")
    print(f"leftovers: {len(texts)} texts read, {len(faults)} faults")
    return 1 if faults or not texts else 0


def text_of(path):
    """The text of a file, or None for captures, messages and whatever else is bytes."""
    if path.is_symlink():
        return None
    data = path.read_bytes()
    if b"\0" in data:
        return None
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return None


def faults_of(name, text):
    patterns = EVERYWHERE + (IN_SOURCES if name.endswith(SOURCES) else [])
    for number, line in enumerate(text.split("\n"), 1):
        for pattern, what in patterns:
            if re.search(pattern, line):
                yield f"{name}:{number}: {what}: {line.strip()[:100]}"
        if name.endswith("Cargo.lock") and line.startswith("source = ") and line != REGISTRY:
            yield f"{name}:{number}: another registry: {line}"


if __name__ == "__main__":
    sys.exit(main())
