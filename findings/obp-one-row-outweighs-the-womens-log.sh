#!/usr/bin/env bash
# obp 0.4.1, the Open Bandit sample inside it: the women's log of Bernoulli Thompson sampling has one row whose propensity is
# printed as 0.000001, a hundred and fifty times below the next. Estimating the random policy from the log by inverse propensity, that
# row is 69 % of all the weight: 10,000 rows are worth 2.1, where the logs of the other two campaigns are worth 340 and 656. Without the
# row they are worth 537. All others of that log are multiples of 0.000005 but for three of 1/46 (the random policy's),
# so that this one looks like a floor and no probability.
#
#     women 10000 rows, smallest propensities 0.000001 0.000155, effective 2.1, without the first 536.8
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


def effective(propensities):
    """Kish's size of a sample weighted by a constant over the propensity."""
    weights = [1 / p for p in propensities]
    return sum(weights) ** 2 / sum(w * w for w in weights)


print(wheel.name)
for campaign in ("all", "men", "women"):
    text = archive.read(f"obp/dataset/obd/bts/{campaign}/{campaign}.csv").decode()
    p = sorted(float(row["propensity_score"]) for row in csv.DictReader(io.StringIO(text)))
    print(f"{campaign:5} {len(p)} rows, smallest propensities {p[0]:.6f} {p[1]:.6f}, effective {effective(p):.1f}, "
          f"without the first {effective(p[1:]):.1f}; first row's share {1 / p[0] / sum(1 / x for x in p):.0%}")
    if campaign == "women":
        assert p[0] == 1e-6 and p[1] > 1e-4 and effective(p) < 3 < 300 < effective(p[1:])
    else:
        assert effective(p) > 300
PYTHON
