"""tree-sitter's grammar of PowerShell as a reader of scripts: prints as JSON whether it found errors, and every command
as the list of its words, strings without their quotes."""

import json
import sys

import tree_sitter_powershell
from tree_sitter import Language, Parser

WORDS = ("command_name", "command_parameter", "generic_token", "decimal_integer_literal")


def main():
    raw = open(sys.argv[1], "rb").read().removeprefix(b"\xef\xbb\xbf")
    tree = Parser(Language(tree_sitter_powershell.language())).parse(raw)
    commands = [list(words(node)) for node in nodes(tree.root_node, "command")]
    print(json.dumps({"errors": tree.root_node.has_error, "commands": commands}))


def nodes(node, kind):
    if node.type == kind:
        yield node
    for child in node.children:
        yield from nodes(child, kind)


def words(node):
    text = node.text.decode()
    if node.type in WORDS:
        yield text
    elif node.type == "verbatim_string_characters":
        # PowerShell takes its curly single quotes for straight ones; the grammar knows only those.
        for quote in "'\u2018\u2019\u201a\u201b":
            text = text.replace(quote * 2, quote) if quote != "'" else text[1:-1].replace("''", "'")
        yield text
    elif node.type == "script_block_expression":
        yield text
    else:
        for child in node.children:
            yield from words(child)


main()
