"""Scores from the history before a list, each beside the plain loop."""

from __future__ import annotations

import numpy as np
import pytest
from small_lists import N_ITEMS, world

from tacit.rerank.ranker.history_scores import among, from_factors, nearest, over_history, over_last, sums_before

SPLIT = world()
KNOWN, VALID = SPLIT.histories, SPLIT.valid
WEIGHTS, OTHER = np.random.default_rng(1).standard_normal((2, N_ITEMS, N_ITEMS)).astype(np.float32)
FACTORS = OTHER[:, :3]


def test_over_history_is_a_sum_over_what_came_before() -> None:
    stars = over_history(WEIGHTS, KNOWN.ratings, KNOWN, VALID)
    plain = over_history(OTHER, np.ones_like(KNOWN.ratings), KNOWN, VALID)
    for row in range(len(VALID)):
        items, ratings = KNOWN.of(int(VALID.users[row]), int(VALID.start[row]))
        for column, candidate in enumerate(VALID.items[row]):
            assert stars[row, column] == pytest.approx((ratings * WEIGHTS[items, candidate]).sum(), abs=1e-4)
            assert plain[row, column] == pytest.approx(OTHER[items, candidate].sum(), abs=1e-5)


@pytest.mark.parametrize("decay", [1.0, 0.5])
def test_over_last_reaches_back_no_farther_than_told(decay: float) -> None:
    """Seven items back: the lists at places 4 and 6 have fewer."""
    found = over_last(WEIGHTS, KNOWN.ratings, KNOWN, VALID, 7, decay)
    for row in range(len(VALID)):
        items, ratings = KNOWN.of(int(VALID.users[row]), int(VALID.start[row]))
        items, ratings = items[::-1][:7], ratings[::-1][:7]
        share = decay ** np.arange(len(items)) if decay < 1.0 else np.full(len(items), 1 / len(items))
        for column, candidate in enumerate(VALID.items[row]):
            slow = (share * ratings * WEIGHTS[items, candidate]).sum()
            assert found[row, column] == pytest.approx(slow, abs=1e-4)


def test_nearest_counts_what_there_is_not_as_nothing() -> None:
    """The two largest of the last five; in the second call eight of the last nine, where early lists have four."""
    for last, count in ((5, 2), (9, 8)):
        found = nearest(WEIGHTS, KNOWN, VALID, last, count)
        for row in range(len(VALID)):
            items, _ = KNOWN.of(int(VALID.users[row]), int(VALID.start[row]))
            for column, candidate in enumerate(VALID.items[row]):
                largest = np.sort(np.maximum(WEIGHTS[items[-last:], candidate], 0.0))[::-1][:count]
                assert found[row, column] == pytest.approx(largest.sum() / count, abs=1e-5)


def test_from_factors_is_a_ridge_regression_on_what_came_before() -> None:
    stars = KNOWN.ratings - 3.0
    found = from_factors(FACTORS, 2.0, stars, KNOWN, VALID)
    for row in range(len(VALID)):
        items, ratings = KNOWN.of(int(VALID.users[row]), int(VALID.start[row]))
        given = ratings - 3.0
        given = given - given.sum() / (len(given) + 5)
        known = FACTORS[items]
        taste = np.linalg.solve(known.T @ known + 2.0 * np.eye(3), known.T @ given)
        assert np.allclose(found[row], FACTORS[VALID.items[row]] @ taste, atol=1e-4)


def test_ties_point_from_the_other_candidate() -> None:
    items = np.array([[4, 7, 9]], dtype=np.int32)
    found = among(WEIGHTS, items)
    assert found[0, 1, 2] == WEIGHTS[9, 7] and found[0, 0, 1] == WEIGHTS[7, 4]


def test_sums_before() -> None:
    slow = [KNOWN.of(int(u), int(s))[1].sum() for u, s in zip(VALID.users, VALID.start, strict=True)]
    assert sums_before(KNOWN, KNOWN.ratings, VALID).tolist() == slow


def test_no_lists_no_scores() -> None:
    nothing = VALID.take(np.array([], dtype=np.int64))
    scores = over_history(WEIGHTS, KNOWN.ratings, KNOWN, nothing)
    assert scores.shape == over_last(WEIGHTS, KNOWN.ratings, KNOWN, nothing, 3).shape == (0, 6)
