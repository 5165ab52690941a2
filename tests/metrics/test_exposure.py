"""Coverage, Gini, novelty and diversity of small lists by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tacit.metrics import exposure

LISTS = np.array([[0, 1], [0, 2]])


def test_coverage_is_the_share_of_items_shown() -> None:
    assert exposure.coverage(LISTS, 4) == 3 / 4
    assert math.isnan(exposure.coverage(np.empty((0, 2), dtype=int), 4))


def test_gini_by_hand() -> None:
    """Shown 0, 1, 1, 2 times: Σ (2i − 5) x_i = −3·0 − 1·1 + 1·1 + 3·2 = 6, over 4 · 4."""
    assert exposure.gini(LISTS, 4) == pytest.approx(6 / 16)
    assert exposure.gini(np.arange(4)[:, None], 4) == pytest.approx(0.0)  # all equally
    assert exposure.gini(np.zeros((9, 1), dtype=int), 4) == pytest.approx(3 / 4)  # one alone: 1 − 1/n
    assert math.isnan(exposure.gini(np.empty((0, 2), dtype=int), 4))


def test_novelty_is_mean_self_information() -> None:
    """Counts 2, 0, 0 with one more each: p = 3/5, 1/5, 1/5."""
    bits = -np.log2([3 / 5, 1 / 5, 1 / 5])
    assert exposure.novelty(LISTS, np.array([2, 0, 0])) == pytest.approx([bits[[0, 1]].mean(), bits[[0, 2]].mean()])


def test_diversity_is_one_minus_jaccard() -> None:
    features = [frozenset("ab"), frozenset("bc"), frozenset("ab"), frozenset()]
    lists = np.array([[0, 1, 3], [0, 2, 3], [3, 3, 0]])
    one, two, none = exposure.diversity(lists, features)
    assert one == pytest.approx(1 - 1 / 3) and two == 0.0 and math.isnan(none)


def test_a_short_list_is_filled_up_with_nothing() -> None:
    lists = np.array([[2, -1], [-1, -1]])
    assert exposure.coverage(lists, 4) == 1 / 4
    assert exposure.gini(lists, 4) == pytest.approx(3 / 4)
    assert math.isnan(exposure.gini(lists[1:], 4)) and exposure.coverage(lists[1:], 4) == 0
    bits = -np.log2([3 / 5, 1 / 5, 1 / 5])
    novelty = exposure.novelty(lists, np.array([2, 0, 0]))
    assert novelty[0] == pytest.approx(bits[2]) and math.isnan(novelty[1])
    assert np.isnan(exposure.diversity(lists, [frozenset("a")] * 4)).all()
