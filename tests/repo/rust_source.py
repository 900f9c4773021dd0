"""Reads Rust sources as far as the checks here need it: comments and strings blanked, tests cut, functions found.

No parser: it knows tokens and brackets, and no macros are expanded.
"""

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent

NOT_SHIPPED = re.compile(r"(^|/)(tests|benches|examples|fuzz|target)/|(^|/)tests\.rs$|(^|/)build\.rs$")

OPAQUE = re.compile(
    r"""
      //[^\n]*
    | (?<!\w)[bc]?r(\#*)".*?"\1
    | (?<!\w)[bc]?"(?:\\.|[^"\\])*"
    | (?<!\w)b?'(?:\\(?:u\{[^}]*\}|x..|.)|[^'\\\n])'
    """,
    re.VERBOSE | re.DOTALL,
)


def files(suffix=""):
    """Files of the repository with that suffix, new ones included, as paths relative to its root."""
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, check=True, capture_output=True, text=True,
    ).stdout
    names = (name for name in listing.split("\0") if name.endswith(suffix))
    return sorted(name for name in set(names) if (ROOT / name).is_file())


def shipped():
    """The Rust files that are no tests, with their text: pairs of name and source."""
    sources = [(name, (ROOT / name).read_text(encoding="utf-8")) for name in files(".rs") if not NOT_SHIPPED.search(name)]
    tests = {test for name, source in sources for test in test_modules(name, blanked(source))}
    return [(name, source) for name, source in sources if name not in tests]


def test_modules(name, blank):
    """Files that this one declares as modules for tests only."""
    path = Path(name)
    folder = path.parent if path.stem in ("lib", "main", "mod") else path.parent / path.stem
    for module in re.findall(r"#\[cfg\(test\)\]\s*mod\s+(\w+)\s*;", blank):
        yield (folder / f"{module}.rs").as_posix()


def blanked(source):
    """The source with comments, strings and characters turned into spaces; lines stay where they are."""
    out, at = [], 0
    for start, end in opaque_spans(source):
        out += [source[at:start], re.sub(r"[^\n]", " ", source[start:end])]
        at = end
    return "".join(out) + source[at:]


def opaque_spans(source):
    at = 0
    while True:
        token = OPAQUE.search(source, at)
        block = source.find("/*", at)
        if block >= 0 and (not token or block < token.start()):
            at = end_of_block_comment(source, block)
            yield block, at
        elif token:
            at = token.end()
            yield token.span()
        else:
            return


def end_of_block_comment(source, start):
    depth = 0
    for mark in re.finditer(r"/\*|\*/", source[start:]):
        depth += 1 if mark.group() == "/*" else -1
        if depth == 0:
            return start + mark.end()
    return len(source)


def without_tests(blank):
    """Blanked source without the items under `#[cfg(test)]`; their lines are taken out."""
    while True:
        mark = re.search(r"#\[cfg\((all\()?test\b", blank)
        if not mark:
            return blank
        blank = blank[: mark.start()] + blank[end_of_item(blank, mark.start()) :]


def end_of_item(blank, start):
    """Where the item ends that begins there: after its closing brace, or its semicolon."""
    depth = 0
    for mark in re.finditer(r"[(\[{}\])]|;", blank[start:]):
        if mark.group() in "([":
            depth += 1
        elif mark.group() in ")]":
            depth -= 1
        elif depth == 0:
            at = start + mark.start()
            return start + mark.end() if mark.group() == ";" else end_of_braces(blank, at)
    return len(blank)


def end_of_braces(blank, start):
    depth = 0
    for mark in re.finditer(r"[{}]", blank[start:]):
        depth += 1 if mark.group() == "{" else -1
        if depth <= 0:
            return start + mark.end()
    return len(blank)


def functions(blank):
    """Every function with a body, with its number of lines from `fn` to the closing brace."""
    for mark in re.finditer(r"\bfn\s+([A-Za-z_]\w*)", blank):
        end = end_of_item(blank, mark.start())
        if blank[end - 1 : end] == "}":
            yield mark.group(1), blank.count("\n", mark.start(), end) + 1


def paths(blank):
    """The source with every `use` tree written out as full paths below it, one a line."""
    uses = re.findall(r"\buse\s+([^;]+);", blank)
    return blank + "\n" + "\n".join(path for tree in uses for path in spread("", re.sub(r"\s+", "", tree)))


def spread(prefix, tree):
    """`a::{b,c::{d}}` is `a::b`, `a::c::d`."""
    head, brace, rest = tree.partition("{")
    if not brace:
        return [prefix + tree]
    return [path for part in parts(rest.rsplit("}", 1)[0]) for path in spread(prefix + head, part)]


def parts(inside):
    depth, at, out = 0, 0, []
    for mark in re.finditer(r"[{},]", inside):
        depth += {"{": 1, "}": -1, ",": 0}[mark.group()]
        if mark.group() == "," and depth == 0:
            out.append(inside[at : mark.start()])
            at = mark.end()
    return [part for part in [*out, inside[at:]] if part]
