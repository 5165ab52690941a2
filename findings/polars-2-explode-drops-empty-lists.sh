#!/usr/bin/env bash
# polars 2.1.0: explode() leaves out rows whose list is empty. Up to 1.x such a row stayed, with null in the list's place, which is
# still what happens where the list itself is null. Code that explodes slates, mentions or clicks and counts rows, or that joins
# the rest of the row afterwards, loses every row that holds none of them, and nothing is said; empty_as_null=True, a parameter that
# is new, keeps them.
#
#     lists [1], [], null       polars 1.35.2: 3 rows (1, null, null)       polars 2.1.0: 2 rows (1, null)
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat > "$folder/explode.py" <<'PYTHON'
import sys

import polars as pl

slates = pl.DataFrame({"turn": [1, 2, 3], "items": [["a"], [], None]})
found = {"eager": slates.explode("items"), "lazy": slates.lazy().explode("items").collect()}
for way, frame in found.items():
    print(f"polars {pl.__version__}, {way}: {frame.height} rows, turns {frame['turn'].to_list()}")
    expected = [1, 2, 3] if pl.__version__.startswith("1.") else [1, 3]
    assert frame["turn"].to_list() == expected, "explode() treats empty lists otherwise now"
if sys.argv[1] == "2.1.0":
    assert slates.explode("items", empty_as_null=True)["turn"].to_list() == [1, 2, 3]
PYTHON
for version in 1.35.2 2.1.0; do
  python3 -m venv --clear "$folder/venv"
  "$folder/venv/bin/pip" install --quiet --disable-pip-version-check polars==$version
  "$folder/venv/bin/python" "$folder/explode.py" $version
done
