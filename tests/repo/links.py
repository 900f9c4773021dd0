#!/usr/bin/env python3
"""Links between the Markdown pages: every file and every heading they point to exists. The web is not asked."""

import re
import sys
from pathlib import Path

from rust_source import ROOT, files

LINK = re.compile(r"!?\[[^\]]*\]\(<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\)")
ELSEWHERE = re.compile(r"[a-z][a-z0-9+.-]*:", re.IGNORECASE)


def main():
    pages = [name for name in files(".md")]
    faults = [fault for name in pages for fault in faults_of(name, (ROOT / name).read_text(encoding="utf-8"), ROOT)]
    for fault in faults:
        print(f"links: {fault}")
    print(f"links: {len(pages)} pages read, {len(faults)} faults")
    return 1 if faults or not pages else 0


def faults_of(name, text, root):
    for target in LINK.findall(without_code(text)):
        if ELSEWHERE.match(target):
            continue
        file, _, heading = target.partition("#")
        path = root / Path(name).parent / file if file else root / name
        if not path.exists() or root not in [path.resolve(), *path.resolve().parents]:
            yield f"{name}: {target} is not there"
        elif heading and path.suffix == ".md" and heading not in anchors(path.read_text(encoding="utf-8")):
            yield f"{name}: {target} has no such heading"


def without_code(text):
    text = re.sub(r"^(```|~~~).*?^\1", "", text, flags=re.MULTILINE | re.DOTALL)
    return re.sub(r"`[^`\n]*`", "", text)


def anchors(text):
    """Headings as GitHub names them; a repeated one gets a number, which nothing here links to."""
    headings = re.findall(r"^#+ +(.+?) *#*$", re.sub(r"^(```|~~~).*?^\1", "", text, flags=re.M | re.S), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


if __name__ == "__main__":
    sys.exit(main())
