"""Item-to-item models, factors, vectors and counts, beside hand counts and slow twins."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import sparse
from scipy.sparse.linalg import svds

from tacit.rerank.lists.lists import Histories, Lists
from tacit.rerank.ranker import collaborative
from tacit.rerank.ranker.collaborative import (
    ease,
    interactions,
    label_rate,
    lift,
    mean_vectors,
    overlap,
    places,
    popularity,
    smoothed_mean,
    star_factors,
    successors,
    svd_vectors,
    tfidf_vectors,
)
from tacit.types import InputError

RNG = np.random.default_rng(0)


def histories(*users: list[int], cut: int = 1) -> Histories:
    """One history a list of items; the ratings count 1, 2, 3, 4, 5, 1, …"""
    items = np.array([item for user in users for item in user], dtype=np.int32)
    offsets = np.cumsum([0, *(len(user) for user in users)]).astype(np.int64)
    ratings = (np.arange(len(items)) % 5 + 1).astype(np.float32)
    return Histories(offsets, items, ratings, np.full(len(users), cut, dtype=np.int32))


SOME = histories([0, 1, 2], [3], [2, 0])
USERS = np.array([2, 0], dtype=np.int32)


def test_interactions_are_a_row_a_user_in_the_order_asked_for() -> None:
    assert places(SOME, USERS).tolist() == [4, 5, 0, 1, 2]
    assert interactions(SOME, USERS, 4).toarray().tolist() == [[1, 0, 1, 0], [1, 1, 1, 0]]
    assert interactions(SOME, USERS, 4, SOME.ratings).toarray().tolist() == [[1, 0, 5, 0], [1, 2, 3, 0]]
    assert popularity(SOME, USERS, 4).tolist() == [2, 1, 2, 0]


def test_an_item_consumed_twice_counts_twice() -> None:
    assert interactions(histories([1, 1]), np.array([0], dtype=np.int32), 2).toarray().tolist() == [[0, 2]]


def test_ease_by_hand() -> None:
    """XᵀX + I = [[3, 1], [1, 3]], its inverse [[3, -1], [-1, 3]] / 8: the weights are 1/3 off the diagonal."""
    x = sparse.csr_matrix(np.array([[1, 1], [1, 0], [0, 1]], dtype=np.float32))
    assert np.allclose(ease(x, 1.0), [[0, 1 / 3], [1 / 3, 0]])


def test_ease_is_the_textbook_formula_whatever_the_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    x = (RNG.random((40, 10)) < 0.4).astype(np.float32)
    inverse = np.linalg.inv(x.T @ x + 3.0 * np.eye(10))
    slow = np.eye(10) - inverse / np.diag(inverse)
    for rows in (3, 5, 10, 1024):
        monkeypatch.setattr(collaborative, "BLOCK", rows)
        assert np.allclose(ease(sparse.csr_matrix(x), 3.0), slow, atol=1e-5)


def test_without_a_penalty_an_item_that_nobody_rated_is_named_as_a_setting() -> None:
    with pytest.raises(InputError, match=r"set features\.l2"):
        ease(sparse.csr_matrix(np.array([[1, 0]], dtype=np.float32)), 0.0)


def test_ease_is_a_ridge_regression_of_each_item_on_the_others() -> None:
    x = (RNG.random((40, 6)) < 0.4).astype(np.float32)
    weights = ease(sparse.csr_matrix(x), 3.0)
    for item in range(6):
        others = [i for i in range(6) if i != item]
        own = x[:, others]
        slow = np.linalg.solve(own.T @ own + 3.0 * np.eye(5), own.T @ x[:, item])
        assert np.allclose(weights[others, item], slow, atol=1e-4)


def test_the_next_item_by_hand() -> None:
    """One anchor, after item 0, with item 1 ahead: B = 1 / (1 + l2) from 0 to 1."""
    users = np.array([0], dtype=np.int32)
    ones = np.ones(2, dtype=np.float32)
    (weights,) = successors(histories([0, 1]), users, 2, [ones], ahead=1, l2=1.0)
    assert np.allclose(weights, [[0, 0.5], [0, 0]])


def test_successors_equal_a_slow_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collaborative, "LAST", 3)
    known = histories(*(RNG.permutation(7)[: RNG.integers(1, 8)].tolist() for _ in range(9)))
    users = np.array([8, 1, 2, 5, 7], dtype=np.int32)
    targets = [np.ones(len(known.items), dtype=np.float32), known.ratings]
    past, futures = [], ([], [])
    for user in users:
        items, ratings = known.of(int(user))
        for anchor in range(2, len(items), 2):
            row = np.zeros(7)
            for back in range(1, min(anchor, 3) + 1):
                row[items[anchor - back]] += collaborative.DECAY ** (back - 1)
            past.append(row)
            for future, values in zip(futures, (np.ones_like(ratings), ratings), strict=True):
                row = np.zeros(7)
                row[items[anchor : anchor + 2]] = values[anchor : anchor + 2]
                future.append(row)
    s = np.array(past)
    for weights, future in zip(successors(known, users, 7, targets, ahead=2, l2=2.0), futures, strict=True):
        assert np.allclose(weights, np.linalg.solve(s.T @ s + 2.0 * np.eye(7), s.T @ np.array(future)), atol=1e-5)


def test_lift_by_hand() -> None:
    """0-1 and 1-2 stand side by side, once each: margins 1, 2, 1 of 4. Expected of 0-1: 1·2/4; of 0-2: 1·1/4."""
    weights = lift(histories([0, 1, 2], [2, 3]), np.array([0], dtype=np.int32), 4, within=1, smoothing=1.0)
    assert np.allclose(weights[0], [0, np.log(2 / 1.5), np.log(1 / 1.25), 0])
    assert (weights == weights.T).all() and not weights[3].any()
    wider = lift(histories([0, 1, 2]), np.array([0], dtype=np.int32), 3, within=2, smoothing=1.0)
    assert np.allclose(wider + np.eye(3), np.log(2 / (4 / 6 + 1)) * (1 - np.eye(3)) + np.eye(3))


def test_overlap_is_a_share_of_the_candidates_values() -> None:
    weights = overlap([("drama",), ("drama", "war"), (), ("war", "war")])
    assert weights[:2, :2].tolist() == [[0, 0.5], [1, 0]]  # all of 0 is in 1, half of 1 is in 0
    assert weights[3, 1] == 0.5 and not weights[:, 2].any() and not weights[2].any()


def test_means_are_drawn_to_the_mean_of_all() -> None:
    """Item 0 has 1 and 0, item 1 has 1: the mean is 2/3, and an item without values has it."""
    found = smoothed_mean(np.array([0, 0, 1]), np.array([1, 0, 1]), 3, prior=3.0)
    assert np.allclose(found, [3 / 5, 3 / 4, 2 / 3])
    assert smoothed_mean(np.array([], dtype=int), np.array([]), 2, prior=1.0).tolist() == [0, 0]


def test_label_rate_counts_candidates() -> None:
    lists = Lists(
        np.zeros(2, dtype=np.int32),
        np.array([[0, 1], [0, 2]], dtype=np.int32),
        np.array([[1, 0], [0, 0]], dtype=np.int8),
        np.zeros((2, 2), dtype=bool),
        np.ones(2, dtype=np.int32),
    )
    assert np.allclose(label_rate(lists, 3, smoothing=4.0), [(1 + 1) / 6, 1 / 5, 1 / 5])


def test_star_factors_find_the_taste_behind_the_entries() -> None:
    """A matrix of rank one of which a third is missing: the missing entries come back."""
    users, items = RNG.standard_normal(60), RNG.standard_normal(20)
    full = np.outer(users, items).astype(np.float32)
    shown = RNG.random(full.shape) < 0.67
    rows, columns = np.nonzero(shown)
    matrix = sparse.csr_matrix((full[shown], (rows, columns)), shape=full.shape)
    factors = star_factors(matrix, d=1, l2=1e-3, sweeps=20, seed=0)
    for user in range(60):
        known = factors[shown[user]]
        taste = np.linalg.solve(known.T @ known + 1e-3 * np.eye(1), known.T @ full[user, shown[user]])
        assert np.allclose(factors @ taste, full[user], atol=0.05)


def test_svd_vectors_are_the_directions_of_the_items() -> None:
    x = (RNG.random((30, 8)) < 0.5).astype(np.float32)
    x[:, 7] = 0.0
    vectors = svd_vectors(sparse.csr_matrix(x), 3)
    _, strengths, directions = np.linalg.svd(x, full_matrices=False)
    slow = (directions[:3].T * strengths[:3])[:7]
    slow /= np.linalg.norm(slow, axis=1, keepdims=True)
    assert np.allclose(vectors[:7] @ vectors[:7].T, slow @ slow.T, atol=1e-5)
    assert np.allclose(vectors[7], 0.0, atol=1e-6) and vectors.dtype == np.float32
    assert (vectors == svd_vectors(sparse.csr_matrix(x), 3)).all()
    assert svd_vectors(sparse.csr_matrix(x), 99).shape == (8, 7)


def test_texts_with_the_same_words_lie_side_by_side() -> None:
    texts = ["a war in space", "Space war!", "a quiet love story", "a love story", "a war story"]
    vectors = tfidf_vectors(texts, 3)
    near = vectors @ vectors.T
    assert set(near[0].argsort()[-2:]) == {0, 1} and set(near[2].argsort()[-2:]) == {2, 3}
    assert np.allclose(np.diag(near), 1.0, atol=1e-5)
    with pytest.raises(InputError, match="TF-IDF"):
        tfidf_vectors(["one", "two"], 2)


def test_kinds_of_texts_that_are_equally_many_have_vectors_that_no_rounding_turns(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Four genres twelve times each: three singular values are equal but for the texts' weights."""
    texts = [f"Film {k}, a {('comedy', 'horror', 'western', 'musical')[k % 4]}" for k in range(48)]
    vectors = tfidf_vectors(texts, 4)
    noise = np.random.default_rng(0)

    def other_bits(matrix: sparse.csr_matrix, **options: Any) -> Any:
        changed = matrix.copy()
        changed.data *= 1.0 + 1e-15 * noise.standard_normal(len(changed.data))
        return svds(changed, **options)

    monkeypatch.setattr(collaborative, "svds", other_bits)
    assert all((tfidf_vectors(texts, 4) == vectors).all() for _ in range(5))
    alike = vectors @ vectors.T
    assert (alike[::4, ::4] > 0.999).all() and (alike[::4, 1::4] < 0.9).all()


def test_mean_vectors_end_at_the_cut() -> None:
    vectors = np.eye(4, dtype=np.float32)
    means = mean_vectors(histories([0, 1, 2], [], [3], cut=2), vectors)
    assert means.tolist() == [[0.5, 0.5, 0, 0], [0, 0, 0, 0], [0, 0, 0, 1]]
