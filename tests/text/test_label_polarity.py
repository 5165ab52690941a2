"""Labels of classifiers: sides and their strength, stars in any order, or a setting; else one sentence."""

from __future__ import annotations

import itertools

import pytest

from tacit.text.label_polarity import label_polarity
from tacit.types import InputError

FIVE = {"very negative": -1.0, "negative": -0.5, "neutral": 0.0, "positive": 0.5, "very positive": 1.0}


@pytest.mark.parametrize(
    ("labels", "polarity"),
    [
        (["negative", "neutral", "positive"], [-1, 0, 1]),
        (["POSITIVE", "NEGATIVE"], [1, -1]),
        (["NEG", "NEU", "POS"], [-1, 0, 1]),
        (list(FIVE), list(FIVE.values())),
        (list(FIVE)[::-1], list(FIVE.values())[::-1]),
        (["Strongly_Negative", "negative", "mixed", "positive", "strongly-positive"], [-1, -0.5, 0, 0.5, 1]),
        (["slightly positive", "positive", "negative", "slightly negative"], [0.5, 1, -1, -0.5]),
        (["very negative", "slightly negative", "negative", "positive"], [-1, -1 / 3, -2 / 3, 2 / 3]),
        (["positive sentiment", "negative sentiment"], [1, -1]),
        ([f"{k} star{'s' * (k > 1)}" for k in range(1, 6)], [-1, -0.5, 0, 0.5, 1]),
        ([f"{k} stars" for k in range(5, 0, -1)], [1, 0.5, 0, -0.5, -1]),
        (["one star", "five stars", "three stars"], [-1, 1, 0]),
        (["star 0", "star 4", "star 1"], [-1, 1, -0.5]),
        (["1_STAR", "2_STARS"], [-1, 1]),
        (["★☆☆", "★★★", "★★☆"], [-1, 1, 0]),
        (["LABEL_0", "LABEL_1", "LABEL_2"], [-1, 0, 1]),
        (["LABEL_1", "LABEL_0"], [1, -1]),
    ],
)
def test_names_say_it(labels: list[str], polarity: list[float]) -> None:
    assert label_polarity(labels, "m") == pytest.approx(polarity)


@pytest.mark.parametrize("order", list(itertools.permutations(FIVE, 5))[::13])
def test_any_order_is_monotone(order: tuple[str, ...]) -> None:
    assert label_polarity(order, "m") == [FIVE[label] for label in order]


@pytest.mark.parametrize(
    "labels",
    [
        ["joy", "fear"],
        ["positive", "negative", "joy"],
        ["non-negative", "negative"],
        ["possible", "negligible"],
        ["positive", "POSITIVE", "negative"],
        ["neutral", "positive"],
        [f"LABEL_{k}" for k in range(5)],
        ["LABEL_1", "LABEL_2"],
        ["1", "2", "3"],
        ["1 star", "2 stars", "good"],
        ["1 star", "one star"],
        ["positive"],
        [],
    ],
)
def test_unknown_labels_are_refused_with_the_remedy(labels: list[str]) -> None:
    with pytest.raises(InputError, match=r"no known polarity; say it by signals\.sentiment_labels"):
        label_polarity(labels, "m")


def test_a_setting_says_it() -> None:
    assert label_polarity(["joy", "fear", "calm"], "m", {"fear": -1, "joy": 1, "calm": 0.25}) == [1, -1, 0.25]
    for told, reason in (
        ({"joy": 1}, "'fear'"),
        ({"joy": 1, "fear": -1, "rage": -1}, "'rage'"),
        ({"joy": 2, "fear": -1}, "joy=2: give a number from -1 to 1"),
        ({"joy": float("nan"), "fear": -1}, "give a number"),
    ):
        with pytest.raises(InputError, match=reason):
            label_polarity(["joy", "fear"], "m", told)
