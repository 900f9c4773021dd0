#!/usr/bin/env python3
"""Proportions of the shipped Rust: short functions, files that fit into a head. Prints the numbers, fails beyond the limits."""

import sys
from collections import namedtuple

from rust_source import blanked, functions, shipped, without_tests

# Files that are a table of facts: their length is the number of facts.
TABLES = {
    "core/qos/src/plan/management/kinds.rs": "the documented objects with their properties",
    "core/qos/src/verify/cause.rs": "the causes with their words",
    "core/qos/src/reference/service.rs": "the listeners of an estate",
}

Limit = namedtuple("Limit", "what most measure")

LIMITS = [
    Limit("90th percentile of function lines", 25, lambda f, _: percentile(f, 90)),
    Limit("longest function", 150, lambda f, _: max(f, default=0)),
    Limit("percent of function lines in functions over 100", 3, lambda f, _: share_of_long(f)),
    Limit("median of file lines", 180, lambda _, f: percentile(f, 50)),
    Limit("90th percentile of file lines", 450, lambda _, f: percentile(f, 90)),
    Limit("longest file", 700, lambda _, f: max(f, default=0)),
]


def main():
    sources = shipped()
    function_rows, file_rows = measure(sources)
    print(f"{len(function_rows)} functions, {len(file_rows)} files (without tests and {len(TABLES)} tables)")
    for limit, value in values(function_rows, file_rows):
        print(f"  {limit.what:<50}{value:>7.4g}  at most {limit.most}")
    faults = [f"{name} is listed as a table, but is not there" for name in TABLES if name not in dict(sources)]
    faults += faults_of(function_rows, file_rows)
    for lines, where in (function_rows[:8] + file_rows[:8]) if faults else []:
        print(f"  {lines:>5} lines: {where}")
    for fault in faults:
        print(f"proportions: {fault}")
    return 1 if faults or not file_rows else 0


def measure(sources):
    """Rows of lines and place, the longest first: of every function, and of every file that is no table. Tests do not count."""
    function_rows, file_rows = [], []
    for name, source in sources:
        blank = blanked(source)
        cut = without_tests(blank)
        function_rows += [(lines, f"{name} {function}") for function, lines in functions(cut)]
        if name not in TABLES:
            file_rows.append((source.count("\n") - blank.count("\n") + cut.count("\n"), name))
    return sorted(function_rows, reverse=True), sorted(file_rows, reverse=True)


def values(function_rows, file_rows):
    function_lines, file_lines = [row[0] for row in function_rows], [row[0] for row in file_rows]
    return [(limit, limit.measure(function_lines, file_lines)) for limit in LIMITS]


def faults_of(function_rows, file_rows):
    return [
        f"{limit.what}: {value:.4g}, at most {limit.most}"
        for limit, value in values(function_rows, file_rows)
        if value > limit.most
    ]


def percentile(values, percent):
    """The nearest-rank percentile."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)] if ordered else 0


def share_of_long(function_lines):
    return 100 * sum(n for n in function_lines if n > 100) / max(1, sum(function_lines))


if __name__ == "__main__":
    sys.exit(main())
