"""The sections of an ini file, as Python's own configparser reads them."""

import configparser
import json
import sys

parser = configparser.ConfigParser(interpolation=None, strict=True, delimiters=("=",), comment_prefixes=(";", "#"))
parser.optionxform = str
parser.read_string(open(sys.argv[1], encoding="utf-8").read().replace("](!)", "]"))
print(json.dumps({name: dict(parser[name]) for name in parser.sections()}))
