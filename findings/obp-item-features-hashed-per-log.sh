#!/usr/bin/env bash
# obp 0.4.1, the Open Bandit sample inside it: the two logs of one campaign (played by Bernoulli Thompson sampling, "bts", and
# at random) describe the same items, but three of four item features are hashed anew for each log. Item for item no value is
# the same, and no value of one log occurs in the other at all, though users' features are hashed alike. What is learnt about
# a feature in one log says nothing in the other; and where values are numbered in sorted order, log by log, the numbers look
# alike (same range, same shape) and mean other things. The names are one-to-one: join on item_id and take either table.
#
#     all   item_feature_1: same for 0 of 80 items, 0 of 12 values in both logs, one-to-one; numbered by log: same for 0 of 80
#     all   users' features: 3 of 3, 5 of 5, 8 of 9, 8 of 9 values in both logs
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" download --quiet --disable-pip-version-check --no-deps --only-binary :all: --dest "$folder" obp==0.4.1
"$folder/venv/bin/python" - "$folder" <<'PYTHON'
import csv
import io
import sys
import zipfile
from pathlib import Path

(wheel,) = Path(sys.argv[1]).glob("obp-0.4.1-*.whl")
archive = zipfile.ZipFile(wheel)


def table(policy, campaign, name):
    text = archive.read(f"obp/dataset/obd/{policy}/{campaign}/{name}.csv").decode()
    return list(csv.DictReader(io.StringIO(text)))


def numbered(column):
    values = sorted(set(column))
    return [values.index(value) for value in column]


print(wheel.name)
for campaign in ("all", "men", "women"):
    played, drawn = (table(policy, campaign, "item_context") for policy in ("bts", "random"))
    assert [row["item_id"] for row in played] == [row["item_id"] for row in drawn]
    assert all(a["item_feature_0"] == b["item_feature_0"] for a, b in zip(played, drawn)), "the one number is the same"
    for feature in ("item_feature_1", "item_feature_2", "item_feature_3"):
        a, b = [row[feature] for row in played], [row[feature] for row in drawn]
        same = sum(x == y for x, y in zip(a, b))
        one_to_one = len(set(zip(a, b))) == len(set(a)) == len(set(b))
        by_number = sum(x == y for x, y in zip(numbered(a), numbered(b)))
        print(f"{campaign:5} {feature}: same for {same} of {len(a)} items, {len(set(a) & set(b))} of {len(set(a))} values in both logs, "
              f"{'one-to-one' if one_to_one else 'not one-to-one'}; numbered by log: same for {by_number} of {len(a)}")
        assert same == 0 and not set(a) & set(b) and one_to_one and by_number < len(a)
    played, drawn = (table(policy, campaign, campaign) for policy in ("bts", "random"))
    shared = []
    for feature in (f"user_feature_{i}" for i in range(4)):
        a, b = {row[feature] for row in played}, {row[feature] for row in drawn}
        shared.append(f"{len(a & b)} of {len(a)}")
        assert len(a & b) >= len(a) - 1
    print(f"{campaign:5} users' features: {', '.join(shared)} values in both logs")
PYTHON
