"""Samba as a reader of Registry.pol: prints its records as JSON, [key, value, type, data], after it has packed them again
into the same bytes. For the system's python3, which Samba's modules belong to."""

import json
import sys

from samba.dcerpc import preg
from samba.ndr import ndr_pack, ndr_unpack

raw = open(sys.argv[1], "rb").read()
file = ndr_unpack(preg.file, raw)
if ndr_pack(file) != raw:
    sys.exit("Samba writes it otherwise")
print(json.dumps([[entry.keyname, entry.valuename, entry.type, entry.data] for entry in file.entries]))
