"""Real logs of two policies on one page: each is judged from the other's log, and what it really earned is known.

The sample of the Open Bandit data (Saito et al. 2021, arXiv 2008.07146) lies in the package obp 0.4.1 and 0.5.7: 10,000
rounds each of a uniform policy and of Thompson sampling ("bts"), for three campaigns. It is taken from the wheel, which
pip downloads, or from the folder that TACIT_OBP names. Rows cannot be joined into slates: each is a slate of one.
"""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import polars as pl
import pytest

from tacit.offpolicy import Evaluation, Settings, evaluate, read_table

pytestmark = pytest.mark.integration
CAMPAIGNS = {"all": 80, "men": 34, "women": 46}  # how many items each has; ids begin at 0 in each
MAP = {"logged": "propensity_score", "reward": "click", "item": "item_id", "context": "position"}


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder obd of the package."""
    if given := os.environ.get("TACIT_OBP"):
        found = [path.parent.parent for path in Path(given).rglob("bts/all/all.csv")]
        assert found, f"TACIT_OBP={given} holds no obd/bts/all/all.csv"
        return found[0].parent
    folder = tmp_path_factory.mktemp("obp")
    ask = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:", "obp==0.4.1"]
    done = subprocess.run([*ask, "--dest", str(folder)], capture_output=True, text=True, check=False)
    wheels = list(folder.glob("obp-*.whl"))
    if done.returncode or not wheels:
        pytest.skip(f"obp 0.4.1 cannot be had from the package index: {done.stderr.strip()[-200:]}")
    with zipfile.ZipFile(wheels[0]) as wheel:
        wheel.extractall(folder, [name for name in wheel.namelist() if "/obd/" in name])
    return folder / "obp" / "dataset" / "obd"


def log_of(sample: Path, policy: str, campaign: str) -> Path:
    return sample / policy / campaign / f"{campaign}.csv"


def earned(sample: Path, policy: str, campaign: str) -> float:
    return float(pl.read_csv(log_of(sample, policy, campaign))["click"].mean())  # type: ignore[arg-type]


def random_from_bts(sample: Path, campaign: str, folder: Path) -> Evaluation:
    """What drawing evenly would have earned, from the log of Thompson sampling."""
    n = CAMPAIGNS[campaign]
    policy = pl.DataFrame({"item_id": range(n), "target": [1.0 / n] * n})
    policy.write_csv(folder / "even.csv")
    log = read_table(log_of(sample, "bts", campaign), MAP, folder / "even.csv")
    return evaluate(log, Settings(draws=500), "random", "click")


def bts_from_random(sample: Path, campaign: str, folder: Path) -> Evaluation:
    """What Thompson sampling would have earned, by how often it showed each item at each place in its own log."""
    shown = pl.read_csv(log_of(sample, "bts", campaign)).group_by("position", "item_id").len()
    shares = shown.with_columns(target=pl.col("len") / pl.col("len").sum().over("position")).drop("len")
    shares.write_csv(folder / "bts.csv")
    log = read_table(log_of(sample, "random", campaign), MAP, folder / "bts.csv")
    return evaluate(log, Settings(draws=500), "bts", "click")


@pytest.mark.parametrize("campaign", CAMPAIGNS)
def test_what_thompson_sampling_earned_lies_inside(campaign: str, sample: Path, tmp_path: Path) -> None:
    found, truth = bts_from_random(sample, campaign, tmp_path), earned(sample, "bts", campaign)
    for name in ("SNIPS", "snRIPS", "cascade-DR", "IPS"):
        assert found.estimates[name].low < truth < found.estimates[name].high, name
    assert abs(found.estimates["DM"].value - truth) < 0.0015 and found.estimates["DM"].ends is None
    assert found.diagnostics.ess > 2_000
    assert found.verdict == "not told apart", found.because
    assert found.checks["recount"].passed is True, found.checks["recount"].said  # 1 / items, three places
    assert all(check.passed is not False for check in found.checks.values())


@pytest.mark.parametrize(("campaign", "ess"), [("all", 340), ("men", 656)])
def test_what_drawing_evenly_earned_lies_inside(campaign: str, ess: int, sample: Path, tmp_path: Path) -> None:
    found, truth = random_from_bts(sample, campaign, tmp_path), earned(sample, "random", campaign)
    assert found.diagnostics.ess == pytest.approx(ess, abs=1)
    for name in ("SNIPS", "snRIPS", "cascade-DR", "IPS"):
        assert found.estimates[name].low < truth < found.estimates[name].high, name
    assert found.verdict != "better"


def test_one_round_of_a_millionth_is_no_evidence(sample: Path, tmp_path: Path) -> None:
    """The women's log of Thompson sampling: one probability of 1e-6 leaves two effective rounds."""
    found = random_from_bts(sample, "women", tmp_path)
    assert found.diagnostics.ess == pytest.approx(2.08, abs=0.01)
    assert found.diagnostics.max_weight_share > 0.69
    assert found.verdict == "insufficient evidence"
