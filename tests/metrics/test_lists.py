"""List metrics: every placement counted out, worked examples, and torchmetrics and ir_measures beside them."""

from __future__ import annotations

import math
from itertools import combinations

import ir_measures
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from ir_measures import AP, nDCG
from torchmetrics.retrieval import RetrievalMAP, RetrievalNormalizedDCG

from tacit.metrics.lists import (
    METRICS,
    by_user_means,
    clustered_interval,
    consumed_first,
    estimates,
    in_order,
    kar_map,
    log_likelihood,
    measure,
    ndcg,
    standard_map,
)
from tacit.rerank.lists.lists import Lists


def placements(positives: int, among: int) -> np.ndarray:
    """Every way to place the positives on the first ``among`` of ten places, one a row."""
    rows = [[int(place in chosen) for place in range(10)] for chosen in combinations(range(among), positives)]
    return np.array(rows, dtype=np.int8)


@pytest.mark.parametrize(
    ("positives", "k", "wanted"),
    [
        (0, 5, (0, 0)), (1, 5, (0.2283, 0.2948)), (2, 5, (0.3854, 0.3616)), (3, 5, (0.4978, 0.4151)),
        (4, 5, (0.5849, 0.4604)),
        (1, 3, (0.1833, 0.2131)), (2, 3, (0.3389, 0.2613)), (3, 3, (0.4701, 0.3000)), (4, 3, (0.5806, 0.4000)),
        (1, 1, (0.1, 0.1)), (2, 1, (0.2, 0.2)), (3, 1, (0.3, 0.3)), (4, 1, (0.4, 0.4)),
    ],
)  # fmt: skip
def test_an_uninformed_order_has_its_exact_expectation(positives: int, k: int, wanted: tuple[float, float]) -> None:
    labels = placements(positives, among=10)
    assert (kar_map(labels, k).mean(), ndcg(labels, k).mean()) == pytest.approx(wanted, abs=5e-5)


@pytest.mark.parametrize(
    ("positives", "wanted"),
    [(0, (0, 0)), (1, (0.5208, 0.6404)), (2, (0.6806, 0.7853)), (3, (0.8403, 0.9016)), (4, (1, 1))],
)
def test_perfect_exposure_has_its_exact_expectation(positives: int, wanted: tuple[float, float]) -> None:
    labels = placements(positives, among=4)
    assert (kar_map(labels, 5).mean(), ndcg(labels, 5).mean()) == pytest.approx(wanted, abs=5e-5)


def test_by_hand() -> None:
    labels = np.array([[0, 1, 0, 1, 0, 1], [0, 0, 0, 0, 0, 1], [1, 1, 1, 1, 1, 1], [0, 0, 0, 0, 0, 0]])
    assert kar_map(labels, 5).tolist() == pytest.approx([(1 / 2 + 2 / 4) / 2, 0, 1, 0])
    assert standard_map(labels, 5).tolist() == pytest.approx([(1 / 2 + 2 / 4) / 3, 0, 1, 0])
    assert kar_map(labels, 3).tolist() == pytest.approx([1 / 2, 0, 1, 0])
    assert standard_map(labels, 2).tolist() == pytest.approx([(1 / 2) / 2, 0, 1, 0])
    gain = (1 / math.log2(3) + 1 / math.log2(5)) / (1 + 1 / math.log2(3) + 1 / math.log2(4))
    assert ndcg(labels, 5).tolist() == pytest.approx([gain, 0, 1, 0])
    assert ndcg(np.array([[1, 3]]), 2).tolist() == pytest.approx([(1 + 7 / math.log2(3)) / (7 + 1 / math.log2(3))])


def test_likelihood_by_hand() -> None:
    """Scores log 1, log 2, log 5: the softmax is 1/8, 2/8, 5/8. A number added to all of a list changes nothing."""
    scores, labels = np.log([[1.0, 2.0, 5.0]] * 3), np.array([[0, 0, 1], [1, 1, 0], [0, 0, 0]])
    wanted = [math.log(5 / 8), (math.log(1 / 8) + math.log(2 / 8)) / 2, 0.0]
    np.testing.assert_allclose(log_likelihood(scores + 3.0, labels), wanted)


def test_equal_scores_keep_the_input_order() -> None:
    labels = np.array([[1, 2, 3, 4]])
    assert in_order(np.zeros((1, 4)), labels).tolist() == [[1, 2, 3, 4]]
    assert in_order(np.array([[0.5, 0.7, 0.5, 0.7]], dtype=np.float32), labels).tolist() == [[2, 4, 1, 3]]
    assert in_order(np.array([[False, True, False, True]]), labels).tolist() == [[2, 4, 1, 3]]
    with pytest.raises(ValueError, match="NaN"):
        in_order(np.array([[math.nan, 0, 0, 0]]), labels)


def test_consumed_items_come_first_whatever_the_scores() -> None:
    labels = np.array([[1, 2, 3, 4]])
    consumed = np.array([[False, True, False, True]])
    assert consumed_first(np.array([[9.0, 1.0, 8.0, 2.0]]), labels, consumed).tolist() == [[4, 2, 1, 3]]
    below_all = np.array([[9.0, -math.inf, 8.0, -math.inf]])
    assert consumed_first(below_all, labels, consumed).tolist() == [[2, 4, 1, 3]]


def random_lists(count: int, seed: int) -> tuple[np.ndarray, Lists]:
    generator = np.random.default_rng(seed)
    consumed = np.argsort(generator.random((count, 10)), axis=1) < 4
    labels = (consumed & (generator.random((count, 10)) < 0.5)).astype(np.int8)
    items = generator.integers(0, 99, size=(count, 10), dtype=np.int32)
    users = np.sort(generator.integers(0, count // 5, size=count, dtype=np.int32))
    return generator.random((count, 10)), Lists(users, items, labels, consumed, np.zeros(count, dtype=np.int32))


@pytest.mark.parametrize("k", [1, 3, 5, 10])
def test_agreement_with_torchmetrics(k: int) -> None:
    scores, lists = random_lists(200, seed=1)
    flat = torch.tensor(scores).ravel(), torch.tensor(lists.labels).ravel().long()
    groups = torch.arange(200).repeat_interleave(10)
    values = measure(scores, lists.labels, lists.consumed, k)
    theirs = RetrievalMAP(empty_target_action="neg", top_k=k)(*flat, indexes=groups).item()
    assert values["kar_map"].mean() == pytest.approx(theirs, abs=1e-6)
    theirs = RetrievalNormalizedDCG(empty_target_action="neg", top_k=k)(*flat, indexes=groups).item()
    assert values["ndcg"].mean() == pytest.approx(theirs, abs=1e-6)


def test_agreement_with_ir_measures() -> None:
    """Their AP@5 divides by all positives, here at most four, which is min(5, positives)."""
    scores, lists = random_lists(100, seed=2)
    qrels = [ir_measures.Qrel(str(q), str(d), int(y)) for q, row in enumerate(lists.labels) for d, y in enumerate(row)]
    run = [ir_measures.ScoredDoc(str(q), str(d), float(s)) for q, row in enumerate(scores) for d, s in enumerate(row)]
    theirs = ir_measures.calc_aggregate([AP @ 5, nDCG @ 5], qrels, run)
    values = measure(scores, lists.labels, lists.consumed, 5)
    assert values["standard_map"].mean() == pytest.approx(theirs[AP @ 5])
    assert values["ndcg"].mean() == pytest.approx(theirs[nDCG @ 5])
    assert values["kar_map"].mean() > values["standard_map"].mean()


@given(st.integers(0, 10_000), st.integers(1, 10))
@settings(max_examples=50, deadline=None)
def test_bounds_of_every_metric(seed: int, k: int) -> None:
    """Values in [0, 1]; an oracle has 1 exactly where there is a positive; KAR's MAP is never below the standard."""
    scores, lists = random_lists(20, seed)
    possible = (lists.labels.sum(axis=1) > 0).astype(float)
    values, best = (measure(by, lists.labels, lists.consumed, k) for by in (scores, lists.labels))
    assert set(values) == set(METRICS)
    for name in METRICS:
        assert ((values[name] >= 0) & (values[name] <= possible + 1e-12)).all()
        assert best[name] == pytest.approx(possible)
    assert (values["kar_map"] >= values["standard_map"] - 1e-12).all()


def test_consumed_ndcg_does_not_see_exposure() -> None:
    scores, lists = random_lists(50, seed=3)
    plain = measure(scores, lists.labels, lists.consumed)
    told = measure(scores + 10 * lists.consumed, lists.labels, lists.consumed)
    assert told["consumed_ndcg"] == pytest.approx(plain["consumed_ndcg"])
    assert told["ndcg"] == pytest.approx(plain["consumed_ndcg"])
    assert told["ndcg"].mean() > plain["ndcg"].mean() + 0.2


def test_user_means_and_intervals() -> None:
    users, means = by_user_means(np.array([1.0, 0.0, 1.0, 0.5]), np.array([7, 7, 3, 7]))
    assert (users.tolist(), means.tolist()) == ([3, 7], [1.0, 0.5])
    scores, lists = random_lists(300, seed=4)
    values = measure(scores, lists.labels, lists.consumed)
    found = estimates(values, lists.users, draws=500)
    assert set(found) == {*METRICS, "user_ndcg"}
    assert found["ndcg"].value == pytest.approx(values["ndcg"].mean())
    assert found["user_ndcg"].value == pytest.approx(by_user_means(values["ndcg"], lists.users)[1].mean())
    assert found["user_ndcg"].n == len(set(lists.users.tolist()))
    assert all(estimate.low < estimate.value < estimate.high for estimate in found.values())


def test_the_interval_resamples_users_and_pairs() -> None:
    """Ten copies of each user's list tell no more than one; differences have a narrow interval of their own."""
    generator = np.random.default_rng(5)
    values = generator.random(80)
    alone = clustered_interval(values, np.arange(80), draws=4000)
    copied = clustered_interval(np.repeat(values, 10), np.repeat(np.arange(80), 10), draws=4000)
    assert (copied.low, copied.high) == pytest.approx((alone.low, alone.high))
    error = values.std(ddof=1) / math.sqrt(80)
    assert alone.high - alone.low == pytest.approx(2 * 1.96 * error, rel=0.1)
    better = values + 0.1 + 0.01 * generator.normal(size=80)
    gain = clustered_interval(better - values, np.arange(80))
    assert 0.09 < gain.low < gain.value < gain.high < 0.11
