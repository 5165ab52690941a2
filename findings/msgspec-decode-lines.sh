#!/usr/bin/env bash
# msgspec 0.22.0: `decode_lines` does not read lines. It reads JSON values one after another and takes a line break for
# any other white space, so that a file which is not JSON Lines is decoded without an error: two values on one line, one
# value over several lines. Whoever counts records or names the line of a fault by the place
# in the list is wrong from there on; json.loads a line refuses all three.
#
#     two values on a line: 2 values of 1 lines; json.loads refuses 1 of the lines
#     a value over three lines: 1 values of 3 lines; json.loads refuses 3 of the lines
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check msgspec==0.22.0
"$folder/venv/bin/python" - <<'PYTHON'
import json
from importlib.metadata import version

import msgspec

print("msgspec", version("msgspec"))
decoder = msgspec.json.Decoder(dict)
inputs = {
    "two values on a line": b'{"a": 1} {"a": 2}\n',
    "two values that touch": b'{"a": 1}{"a": 2}\n',
    "a value over three lines": b'{\n"a": 1\n}\n',
}
for name, data in inputs.items():
    values, lines = decoder.decode_lines(data), data.splitlines()
    refused = 0
    for line in lines:
        try:
            json.loads(line)
        except json.JSONDecodeError:
            refused += 1
    print(f"{name}: {len(values)} values of {len(lines)} lines; json.loads refuses {refused} of the lines")
    assert len(values) != len(lines) and refused > 0, "decode_lines now keeps to lines"
PYTHON
