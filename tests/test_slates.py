"""The mixture slates are drawn from: numbers by hand, every slate of a small catalogue, and a slow twin."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from tacit.slates import Mixture, draw, logprobs, probabilities

LOGITS = [math.log(6.0), math.log(3.0), math.log(1.0)]  # softmax 0.6, 0.3, 0.1


def slow(logits: list[float], slate: tuple[int, ...], mixture: Mixture, forbidden: tuple[int, ...] = ()) -> list[float]:
    """The formula of the module, spelt out with lists."""
    left, factors = [i for i in range(len(logits)) if i not in forbidden], []
    for item in slate:
        order = sorted(left, key=lambda i: (-logits[i], i))
        kept = order if mixture.top_k is None else order[: mixture.top_k]
        weight = {i: math.exp((logits[i] - max(logits)) / mixture.temperature) for i in kept}
        if mixture.top_p is not None:
            part, reached = [], 0.0
            for i in kept:
                part.append(i)
                reached += weight[i]
                if reached >= mixture.top_p * sum(weight.values()):
                    break
            weight = {i: weight[i] for i in part}
        softmax = weight.get(item, 0.0) / sum(weight.values())
        factors.append((1 - mixture.epsilon) * softmax + mixture.epsilon / len(left))
        left.remove(item)
    return factors


def test_the_mixture_by_hand() -> None:
    """ε = 0.1. First place: 0.9 · 0.3 + 0.1 / 3. Second, of items 0 and 2: 0.9 · 0.6/0.7 + 0.1 / 2."""
    found = probabilities(LOGITS, [1, 0], Mixture(epsilon=0.1))
    assert found == pytest.approx([0.27 + 0.1 / 3, 0.9 * 6 / 7 + 0.05], abs=1e-15)
    assert logprobs(LOGITS, [1, 0], Mixture(epsilon=0.1)) == pytest.approx(np.log(found))


def test_it_is_not_plackett_luce() -> None:
    """Plackett-Luce with the mixed weights of the first place would give another second factor."""
    first = [0.9 * p + 0.1 / 3 for p in (0.6, 0.3, 0.1)]
    found = probabilities(LOGITS, [1, 0], Mixture(epsilon=0.1))
    assert found[0] == pytest.approx(first[1])
    assert abs(found[1] - first[0] / (first[0] + first[2])) > 1e-3


def test_truncation_at_each_place_of_what_is_left() -> None:
    """top_k=2 keeps 0 and 1 first (6 : 3), then, with 0 taken, 1 and 2 (3 : 1)."""
    assert probabilities(LOGITS, [0, 2], Mixture(top_k=2)) == pytest.approx([6 / 9, 1 / 4])
    assert probabilities(LOGITS, [2, 0], Mixture(top_k=2)) == pytest.approx([0.0, 6 / 9])
    assert probabilities(LOGITS, [2, 0], Mixture(top_k=2, epsilon=0.3)) == pytest.approx([0.1, 0.7 * 6 / 9 + 0.15])


MIXTURES = [
    Mixture(),
    Mixture(epsilon=0.2),
    Mixture(epsilon=1.0),
    Mixture(temperature=0.3, epsilon=0.05),
    Mixture(top_k=3, epsilon=0.1),
    Mixture(top_p=0.7),
    Mixture(top_p=0.7, top_k=4, epsilon=0.02, temperature=2.0),
    Mixture(top_k=1),
]


@pytest.mark.parametrize("mixture", MIXTURES)
def test_every_slate_of_a_small_catalogue(mixture: Mixture) -> None:
    """With a row that may never be shown: all slates add up to 1, and each is what the slow twin says."""
    logits = [0.3, -1.2, 2.0, 2.0, 0.7, 9.0]
    allowed = np.array([True] * 5 + [False])
    total = 0.0
    for slate in itertools.permutations(range(6), 3):
        found = probabilities(logits, slate, mixture, allowed)
        if 5 in slate:
            assert found[slate.index(5) :].tolist() == [0.0] * (3 - slate.index(5))
            continue
        twin = slow(logits, slate, mixture, forbidden=(5,))
        assert np.prod(found) == pytest.approx(np.prod(twin), rel=1e-12, abs=1e-300)
        total += np.prod(found)
    assert total == pytest.approx(1.0, abs=1e-12)


@pytest.mark.parametrize("mixture", MIXTURES)
def test_what_is_drawn_is_what_is_logged(mixture: Mixture) -> None:
    logits = np.array([0.3, -1.2, 2.0, 2.0, 0.7, -1e9])
    counts: dict[tuple[int, ...], int] = {}
    generator = np.random.default_rng(7)
    for _ in range(600):
        drawn = draw(logits, 2, generator, mixture)
        assert 5 not in drawn.rows
        assert drawn.probabilities == pytest.approx(probabilities(logits, drawn.rows, mixture), rel=1e-12)
        counts[drawn.rows] = counts.get(drawn.rows, 0) + 1
    for slate in itertools.permutations(range(5), 2):
        p = float(np.prod(probabilities(logits, slate, mixture)))
        bound = 6 * math.sqrt(p * (1 - p) / 600) + 1e-9  # six deviations, of a fixed seed
        assert abs(counts.get(slate, 0) / 600 - p) <= bound


def test_greedy_is_deterministic_and_the_first_of_equals() -> None:
    drawn = draw([1.0, 5.0, 5.0, 2.0], 3, np.random.default_rng(0), Mixture(top_k=1))
    assert (drawn.rows, drawn.probabilities) == ((1, 2, 3), (1.0, 1.0, 1.0))
    assert Mixture(top_k=1).deterministic
    assert not Mixture(top_k=1, epsilon=0.01).deterministic and not Mixture().deterministic


def test_a_peak_that_is_taken_leaves_exact_probabilities() -> None:
    """Beside a logit of 2000 the others weigh nothing in float64; once it is taken they are 2 : 1 again."""
    logits = [2000.0, math.log(2.0), 0.0]
    assert probabilities(logits, [0, 1, 2]) == pytest.approx([1.0, 2 / 3, 1.0], abs=1e-15)
    rows = {draw(logits, 3, np.random.default_rng(seed)).rows for seed in range(20)}
    assert rows == {(0, 1, 2), (0, 2, 1)}


def test_more_rows_than_a_block() -> None:
    logits = np.random.default_rng(1).normal(size=1200)
    for mixture in (Mixture(epsilon=0.1), Mixture(epsilon=0.1, top_k=50)):
        drawn = draw(logits, 5, np.random.default_rng(2), mixture)
        assert drawn.probabilities == pytest.approx(slow(logits.tolist(), drawn.rows, mixture), rel=1e-11)


@pytest.mark.parametrize(
    "bad",
    [
        lambda: draw([0.0, -1e9], 2, np.random.default_rng(0)),
        lambda: draw([0.0, math.nan], 1, np.random.default_rng(0)),
        lambda: probabilities([0.0, 1.0], [1, 1]),
        lambda: Mixture(epsilon=1.5),
        lambda: Mixture(temperature=0.0),
        lambda: Mixture(top_k=0),
        lambda: Mixture(top_p=0.0),
    ],
)
def test_what_cannot_be_drawn_is_refused(bad: object) -> None:
    with pytest.raises(ValueError):
        bad()  # type: ignore[operator]
