"""The constants: what is taken out of dwell, what is seen where, where skipping ends."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from tacit.labels import dwell, visibility
from tacit.labels.valley import valley


def looks(n: int, seed: int = 0) -> pl.DataFrame:
    """log(1 + ms) = 5 + log(1 + words) + 0.5 on a phone, and noise of 0.3: interest."""
    chance = np.random.default_rng(seed)
    words, phone = chance.integers(5, 100, n), chance.random(n) < 0.5
    interest = 0.3 * chance.standard_normal(n)
    times = np.expm1(5 + np.log1p(words) + 0.5 * phone + interest)
    return pl.DataFrame({
        "words": words, "device": np.where(phone, "phone", "desktop"), "turn": chance.integers(0, 4, n),
        "position": chance.integers(1, 6, n), "visible_ms": times.astype(np.int64), "interest": interest,
    })  # fmt: skip


def test_length_and_device_are_taken_out_of_dwell() -> None:
    rows = looks(4000)
    model = dwell.fit(rows, "position", 1.0)
    assert model is not None and model.devices == ["desktop", "phone"]
    assert model.coefficients == pytest.approx([5, 1, 0, 0, 0.5], abs=0.15)
    found = dwell.quantile(dwell.coded(rows, model), "position", model)
    assert np.corrcoef(found, rows["interest"])[0, 1] > 0.95
    assert abs(np.corrcoef(found, np.log(rows["words"]))[0, 1]) < 0.05
    assert np.histogram(found, 4, (0, 1))[0] == pytest.approx(np.full(4, 1000), abs=20)  # quantiles: evenly spread


def test_a_few_times_are_fitted_to_nothing_and_a_new_device_is_read_as_the_first() -> None:
    rows = looks(200)
    assert dwell.fit(rows.head(dwell.LEAST - 1), "position", 1.0) is None
    model = dwell.fit(rows, "position", 1.0)
    assert model is not None
    one, other = (rows.head(5).with_columns(device=pl.lit(name)) for name in ("desktop", "watch"))
    found = [dwell.quantile(dwell.coded(table, model), "position", model) for table in (one, other)]
    assert found[0].tolist() == found[1].tolist()


def test_longer_than_ever_is_one_and_a_time_not_observed_is_none() -> None:
    model = dwell.fit(looks(200), "position", 1.0)
    assert model is not None
    rows = looks(3).with_columns(visible_ms=pl.Series([10**9, 0, None]))
    found = dwell.quantile(dwell.coded(rows, model), "position", model)
    assert found[1] == 0.0 and found[0] > 0.9 and np.isnan(found[2])


def test_visibility_by_hand() -> None:
    """40 items at place 1, all seen; 40 at place 2, 10 seen: 50 of 80 in all, drawn in by 20 rows of that share."""
    rows = pl.DataFrame({"turn": [0] * 80, "position": [1] * 40 + [2] * 40, "seen": [True] * 50 + [False] * 30})
    table = visibility.fit(rows)
    assert table.overall == 50 / 80
    assert table.seen[0][:3] == pytest.approx([(40 + 12.5) / 60, (10 + 12.5) / 60, 50 / 80])
    given = {"turn": np.array([0.0, 9.0]), "position": np.array([2.0, 99.0])}
    assert visibility.stands_for(given, table, 10.0) == pytest.approx([60 / 22.5, 80 / 50])
    assert visibility.stands_for(given, table, 2.0)[0] == 2.0


def test_the_valley_lies_between_two_hills() -> None:
    chance = np.random.default_rng(0)
    times = np.exp(np.concatenate([chance.normal(7.0, 0.3, 800), chance.normal(9.0, 0.3, 800)]))
    found, remark = valley(times, 500)
    assert found is not None and np.exp(7.5) < found < np.exp(8.5) and "1600" in remark


@pytest.mark.parametrize("seed", range(20))
def test_no_valley_where_there_is_one_hill_or_too_few(seed: int) -> None:
    times = np.exp(np.random.default_rng(seed).normal(8.0, 0.7, 1000))
    assert valley(times, 500) == (None, "the histogram of log times has no valley")
    assert valley(times[:499], 500) == (None, "499 times observed to the end, 500 are needed")
    assert valley(np.full(1000, 1500.0), 500) == (None, "all times are alike")
