"""Each legacy formula by hand and against numbers that nltk 3.10.4's sentence_bleu gives."""

from __future__ import annotations

import math

import pytest

from tacit.metrics import legacy_texts as legacy

EXACT = ("i liked it", "i liked it")
SHORT = ("have you seen the movie up", "have you seen up")
WATCH = ("you should watch heat it is great", "i think you should watch heat it is a great film")
LONGER = ("i think you should watch heat , it is great", "you should watch heat , it is great")
# bleu@1 … bleu@4 with all weight on one n, then cumulative: not smoothed, method 1, method 7.
NLTK = {
    EXACT: (1.0, 1.0, 1.0, 0.0, 0.0, 0.562341, 0.746668),
    SHORT: (0.666667, 0.4, 0.25, 0.0, 0.0, 0.217119, 0.348268),
    ("hello", "goodbye"): (0.0,) * 7,
    ("yes", "yes"): (1.0, 0.0, 0.0, 0.0, 0.0, 0.177828, 0.19245),
    WATCH: (0.564718, 0.470598, 0.451774, 0.423539, 0.474869, 0.474869, 0.531322),
    LONGER: (0.8, 0.777778, 0.75, 0.714286, 0.759836, 0.759836, 0.86601),
}


@pytest.mark.parametrize("pair", NLTK)
def test_formulas_agree_with_nltk(pair: tuple[str, str]) -> None:
    said, wanted = (text.split() for text in pair)
    values = [legacy.ngram_bleu(said, wanted, n) for n in (1, 2, 3, 4)]
    values += [formula(said, wanted) for formula in (legacy.cumulative_bleu, legacy.method1_bleu, legacy.method7_bleu)]
    assert values == pytest.approx(NLTK[pair], abs=1e-6)


def test_an_exact_short_reply_scores_nothing_on_four_grams() -> None:
    said = EXACT[0].split()
    assert legacy.ngram_bleu(said, said, 3) == 1.0
    assert legacy.ngram_bleu(said, said, 4) == pytest.approx(0.0, abs=1e-300)


def test_method_1_by_hand() -> None:
    """p = 4/6, 2/5, 1/4, 0.1/3; no brevity penalty, as the reply is longer."""
    said, wanted = (text.split() for text in SHORT)
    assert legacy.method1_bleu(said, wanted) == pytest.approx((4 / 6 * 2 / 5 * 1 / 4 * 0.1 / 3) ** 0.25)


def test_method_7_by_hand() -> None:
    """p_4 ← log 6 / (2 · 5) / 3; then means of the one before (changed), itself and the one after; p_5 = 0 of 2."""
    said, wanted = (text.split() for text in SHORT)
    p = [4 / 6, 2 / 5, 1 / 4, math.log(6) / 10 / 3]
    first = (p[0] + 1 + p[0] + p[1]) / 3
    second = (first + p[1] + p[2]) / 3
    third = (second + p[2] + p[3]) / 3
    fourth = (third + p[3] + 0) / 3
    assert legacy.method7_bleu(said, wanted) == pytest.approx((first * second * third * fourth) ** 0.25)


def test_the_brevity_penalty() -> None:
    assert legacy.ngram_bleu(["a"], ["a", "b"], 1) == pytest.approx(math.exp(1 - 2))


def test_nothing_said_is_nothing() -> None:
    for formula in (legacy.cumulative_bleu, legacy.method1_bleu, legacy.method7_bleu):
        assert formula([], ["a"]) == formula(["a"], []) == formula([], []) == 0.0
    assert legacy.ngram_bleu([], [], 4) == 0.0


def test_distinct_has_three_denominators() -> None:
    """Two replies "a b", "a b": one bigram over 2 replies; of characters "a ", " b" over 2 replies."""
    assert legacy.distinct_per_sentence([["a", "b"], ["a", "b"]], 2) == 1 / 2
    assert legacy.distinct_characters(["a b", "a b"], 2) == 2 / 2
    assert math.isnan(legacy.distinct_per_sentence([], 1)) and math.isnan(legacy.distinct_characters([""], 1))


def test_distinct_of_characters_is_crslab_s_dist() -> None:
    """Its evaluator (crslab/evaluator/standard.py) on "i liked it", "so did i" and nothing: its set of bigrams is
    "i ", " l", li, ik, ke, ed, "d ", " i", it, so, "o ", " d", di, id; two replies count, an empty one does not."""
    bigrams = {"i ", " l", "li", "ik", "ke", "ed", "d ", " i", "it", "so", "o ", " d", "di", "id"}
    assert legacy.distinct_characters(["i liked it", "so did i", ""], 2) == len(bigrams) / 2 == 7.0
