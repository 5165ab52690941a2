"""Intervals over groups: numbers by hand, a slow twin, edges, what they cover, and pairing."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tacit.metrics import intervals, texts
from tacit.types import Floats64


def test_the_margin_by_hand() -> None:
    """Three of six persons hit: θ = 1/2, se² = (6 · 1/4) / (6 · 5) = 1/20.

    A resample has k hits with probability C(6, k) / 64: k = 2, 3, 4 (50/64) have |t| < 1; k = 1, 5 (12/64) have
    |1/6 − 1/2| / √(1/36) = 2; k = 0, 6 (2/64) have no spread and count as infinite. 78 % lie below 2 and 97 % at most
    there, so q = 2 and the interval is 1/2 ± 2 √(1/20).
    """
    hits = np.array([0.0, 0.0, 0.0, 1.0, 1.0, 1.0])
    found = intervals.bootstrap_mean(hits, list("abcdef"), np.random.default_rng(0), draws=4000)
    margin = 2 * math.sqrt(1 / 20)
    assert (found.value, found.low, found.high) == pytest.approx((0.5, 0.5 - margin, 0.5 + margin))
    assert (found.n, found.groups) == (6, 6)


def test_the_standard_error_by_hand() -> None:
    """Sums 1, 1, 0 over 2, 1, 3 cases: θ = 1/3, residuals 1/3, 2/3, −1, so se² = 3/2 · 14/9 / 6² = 7/108."""
    values, groups = np.array([1.0, 0.0, 1.0, 0.0, 0.0, 0.0]), list("aabccc")
    assert intervals.standard_error(values, groups) == pytest.approx(math.sqrt(7 / 108))
    assert math.isnan(intervals.standard_error(values, ["a"] * 6))


def skewed(persons: int, generator: np.random.Generator) -> tuple[Floats64, Floats64]:
    """Sums and counts of persons of unequal size whose values are skewed; the mean is 1 whatever the size."""
    counts = 1.0 + np.floor(generator.lognormal(1.5, 0.8, persons))
    return counts * generator.lognormal(-0.5, 1.0, persons), counts


def cases_of(persons: int, generator: np.random.Generator) -> tuple[Floats64, Floats64]:
    groups = np.repeat(np.arange(persons), generator.integers(1, 6, persons))
    return generator.random(len(groups)) + 0.3 * generator.standard_normal(persons)[groups], groups.astype(np.float64)


def test_a_loop_over_resamples_gives_the_same() -> None:
    values, groups = cases_of(9, np.random.default_rng(5))
    found = intervals.bootstrap_mean(values, groups, np.random.default_rng(6), draws=300)
    persons = [values[groups == name] for name in range(9)]

    def mean_and_error(chosen: list[Floats64]) -> tuple[float, float]:
        cases = np.concatenate(chosen)
        residuals = [(one - cases.mean()).sum() for one in chosen]
        return float(cases.mean()), math.sqrt(9 / 8 * sum(r**2 for r in residuals)) / len(cases)

    theta, error = mean_and_error(persons)
    ratios = []
    for times in np.random.default_rng(6).multinomial(9, np.full(9, 1 / 9), size=300):
        mean, its_error = mean_and_error([persons[i] for i in np.repeat(np.arange(9), times)])
        ratios.append(abs(mean - theta) / its_error)
    margin = sorted(ratios)[math.ceil(0.95 * 300) - 1] * error
    assert (found.low, found.high) == pytest.approx((theta - margin, theta + margin))


def test_it_covers_the_truth_more_often_than_percentiles_with_few_persons() -> None:
    generator = np.random.default_rng(7)
    ours = percentiles = 0
    for _ in range(200):
        sums, counts = skewed(20, generator)
        found = intervals.means_of_groups(sums[:, None], counts, generator, draws=299)[0]
        drawn = generator.multinomial(20, np.full(20, 1 / 20), size=299)
        low, high = np.quantile((drawn @ sums) / (drawn @ counts), [0.025, 0.975])
        ours += found.low <= 1.0 <= found.high
        percentiles += low <= 1.0 <= high
    assert percentiles < 170 and ours > percentiles + 12, (ours, percentiles)


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
    assert (copied.n, copied.groups) == (500, 50)
    error = values.std(ddof=1) / math.sqrt(50)
    assert alone.high - alone.low == pytest.approx(2 * 1.96 * error, rel=0.12)


def test_nothing_has_no_value_and_no_interval() -> None:
    nothing = intervals.bootstrap_mean(np.empty(0), [], np.random.default_rng(0))
    assert nothing.n == nothing.groups == 0 and math.isnan(nothing.value) and nothing.ends is None


@pytest.mark.parametrize("value", [0.1, 1.0, -1 / 3, 1e-9, 1e9])
def test_a_constant_is_told_by_six_persons_and_not_by_five(value: float) -> None:
    """Five that agree are one side of a coin thrown five times: 2 / 32 > 5 %."""
    for persons in (6, 5):
        groups = np.repeat(np.arange(persons), np.arange(persons) + 1)
        found = intervals.bootstrap_mean(np.full(len(groups), value), groups, np.random.default_rng(0))
        assert found.value == pytest.approx(value)
        assert found.ends == (pytest.approx((value, value)) if persons == 6 else None)


@pytest.mark.parametrize("persons", [1, 2, 40])
def test_equal_policies_differ_by_zero_exactly(persons: int) -> None:
    groups = np.arange(40) % persons
    found = intervals.bootstrap_mean(np.zeros(40), groups, np.random.default_rng(0))
    assert (found.value, found.low, found.high, found.groups) == (0.0, 0.0, 0.0, persons)


def test_gains_and_losses_of_one_person_that_cancel_are_not_equality() -> None:
    found = intervals.bootstrap_mean(np.array([1.0, -1.0]), ["a", "a"], np.random.default_rng(0))
    assert (found.value, found.low, found.high) == (0.0, -math.inf, math.inf)


@pytest.mark.parametrize("persons", [1, 2, 3])
def test_so_few_persons_tell_nothing(persons: int) -> None:
    """Of three, one in nine resamples holds one person alone, which has no spread."""
    values = np.array([0.9, 0.8, 1.0])[:persons]
    found = intervals.bootstrap_mean(np.repeat(values, 30), np.repeat(np.arange(persons), 30), np.random.default_rng(0))
    assert (found.low, found.high) == (-math.inf, math.inf) and found.n == 30 * persons
    assert str(found).endswith(f"not told ({persons} groups), n = {30 * persons}")


def test_one_hit_among_many_persons_is_not_told() -> None:
    """More than a third of the resamples miss the only person with a hit."""
    found = intervals.bootstrap_mean(np.eye(1, 40)[0], np.arange(40), np.random.default_rng(0))
    assert found.value == pytest.approx(1 / 40) and found.ends is None


def test_columns_do_not_see_each_other() -> None:
    values, groups = cases_of(12, np.random.default_rng(3))
    columns = np.stack([values, np.zeros(len(values)), np.full(len(values), 0.1), -1e6 * values], axis=1)
    found = intervals.bootstrap_means(columns, groups, np.random.default_rng(4))
    alone = intervals.bootstrap_mean(values, groups, np.random.default_rng(4))
    assert (found[0].low, found[0].high) == pytest.approx((alone.low, alone.high))
    assert (found[1].low, found[1].high) == (0.0, 0.0)
    assert (found[2].low, found[2].high) == pytest.approx((0.1, 0.1))
    assert (found[3].low, found[3].high) == pytest.approx((-1e6 * alone.high, -1e6 * alone.low))


def test_paired_difference_is_tighter_than_its_parts() -> None:
    generator = np.random.default_rng(3)
    hard = generator.normal(size=200)
    before, after = hard, hard + 0.1 + 0.01 * generator.normal(size=200)
    gain = intervals.bootstrap_mean(after - before, np.arange(200), np.random.default_rng(0))
    assert 0.09 < gain.low < gain.value < gain.high < 0.11
    alone = intervals.bootstrap_mean(after, np.arange(200), np.random.default_rng(0))
    assert alone.high - alone.low > 10 * (gain.high - gain.low)


REPLIES = (
    "i would watch the old film again",
    "you may like this one a lot",
    "the cast of that film is great",
    "have you seen the new one yet",
    "it is a good film for the night",
    "i have not seen it but people like it",
    "try the second part first",
    "what do you like to watch at night",
)


def test_corpus_bleu_beside_a_jackknife_on_the_texts() -> None:
    """Parts that are summed, or the corpus scored anew without each person in turn: the same standard errors."""
    references = [text.replace("film", "movie").replace("like", "love") for text in REPLIES]
    groups = np.array([0, 0, 1, 2, 3, 4, 5, 6])
    parts = texts.bleu_parts(REPLIES, references)
    found = intervals.bootstrap_sums(parts, groups, texts.bleu_of_sums, np.random.default_rng(8), draws=200)

    def bleu(rows: list[int]) -> float:
        return texts.corpus_bleu([REPLIES[i] for i in rows], [references[i] for i in rows])[0]

    rows_of = [np.flatnonzero(groups == person).tolist() for person in range(7)]
    whole = bleu(list(range(8)))
    gaps = [whole - bleu([i for other, rows in enumerate(rows_of) if other != left for i in rows]) for left in range(7)]

    def error(chosen: list[int]) -> float:
        influence = 6 * np.array([gaps[person] for person in chosen])
        return float(np.sqrt(influence.var() / 6))

    ratios = []
    for times in np.random.default_rng(8).multinomial(7, np.full(7, 1 / 7), size=200):
        chosen = np.repeat(np.arange(7), times).tolist()
        value = bleu([i for person in chosen for i in rows_of[person]])
        ratios.append(abs(value - whole) / error(chosen) if len(set(chosen)) > 1 else math.inf)
    margin = sorted(ratios)[math.ceil(0.95 * 200) - 1] * error(list(range(7)))
    assert found.value == pytest.approx(whole)
    assert (found.low, found.high) == pytest.approx((whole - margin, whole + margin), rel=1e-6)
    assert (found.n, found.groups) == (8, 7)


def test_a_mean_written_as_a_ratio_of_sums_has_nearly_the_same_interval() -> None:
    values, groups = cases_of(60, np.random.default_rng(9))
    parts = np.stack([values, np.ones(len(values))], axis=1)
    mean = intervals.bootstrap_mean(values, groups, np.random.default_rng(1), draws=2000)
    ratio = intervals.bootstrap_sums(parts, groups, lambda s: s[:, 0] / s[:, 1], np.random.default_rng(1), draws=2000)
    assert ratio.value == pytest.approx(mean.value)
    assert ratio.high - ratio.low == pytest.approx(mean.high - mean.low, rel=0.05)


@pytest.mark.parametrize("persons", [1, 2])
def test_a_statistic_of_one_or_two_persons_is_not_told(persons: int) -> None:
    parts = np.array([[1.0, 2.0], [3.0, 4.0]])[:persons]
    found = intervals.bootstrap_sums(parts, range(persons), lambda s: s[:, 0] / s[:, 1], np.random.default_rng(0))
    assert (found.low, found.high) == (-math.inf, math.inf)
