"""Intervals over groups: what is resampled, edges, and pairing."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tacit.metrics import intervals


def test_bootstrap_resamples_groups_not_cases() -> None:
    """Ten copies of each group tell no more than one: the interval must not shrink."""
    generator = np.random.default_rng(1)
    values = generator.random(50)
    alone = intervals.bootstrap_mean(values, np.arange(50), np.random.default_rng(2), draws=4000)
    copied = intervals.bootstrap_mean(
        np.repeat(values, 10), np.repeat(np.arange(50), 10), np.random.default_rng(2), 4000
    )
    assert alone.value == pytest.approx(values.mean())
    assert (copied.low, copied.high) == pytest.approx((alone.low, alone.high))
    assert copied.n == 500
    error = values.std(ddof=1) / math.sqrt(50)
    assert alone.high - alone.low == pytest.approx(2 * 1.96 * error, rel=0.12)


def test_bootstrap_of_nothing_and_of_a_constant() -> None:
    nothing = intervals.bootstrap_mean(np.empty(0), [], np.random.default_rng(0))
    assert nothing.n == 0 and math.isnan(nothing.value)
    constant = intervals.bootstrap_mean(np.ones(4), ["a", "a", "b", "c"], np.random.default_rng(0))
    assert (constant.value, constant.low, constant.high) == (1, 1, 1)


def test_paired_difference_is_tighter_than_its_parts() -> None:
    generator = np.random.default_rng(3)
    hard = generator.normal(size=200)
    before, after = hard, hard + 0.1 + 0.01 * generator.normal(size=200)
    gain = intervals.bootstrap_mean(after - before, np.arange(200), np.random.default_rng(0))
    assert 0.09 < gain.low < gain.value < gain.high < 0.11
    alone = intervals.bootstrap_mean(after, np.arange(200), np.random.default_rng(0))
    assert alone.high - alone.low > 10 * (gain.high - gain.low)
