"""What items' texts say of candidates: likeness by hand, features beside a plain loop, what must not be read."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from small_lists import N_ITEMS, world

from tacit.rerank.lists.lists import Histories
from tacit.rerank.ranker.features import Featured
from tacit.rerank.ranker.text_features import by_vectors, by_words, text_features

SPLIT = world()
KNOWN, VALID = SPLIT.histories, SPLIT.valid
ALIKE = by_vectors(np.random.default_rng(2).standard_normal((N_ITEMS, 3)).astype(np.float32))
UNLIKE = by_vectors(np.random.default_rng(3).standard_normal((N_ITEMS, 3)).astype(np.float32))


def read(histories: Histories) -> Featured:
    (found,) = text_features(histories, 3.0, [VALID], {"a": lambda: ALIKE, "b": lambda: UNLIKE})
    return found


FOUND = read(KNOWN)


def test_words_that_everybody_or_nobody_else_uses_do_not_count() -> None:
    """Of four texts, "film" stands in all and "noir" in one; what is left are "by Ann Lee" and "of war"."""
    alike = by_words(["film noir by Ann Lee", "film by Ann Lee", "film of war", "film of war"])
    assert alike[0, 1] == pytest.approx(1.0) and alike[2, 3] == pytest.approx(1.0)
    assert alike[0, 2] == 0.0 and (np.diag(alike) == 0.0).all() and (alike == alike.T).all()
    assert not by_words(["film one", "film two", "film three"]).any()


def test_vectors_are_compared_less_their_mean() -> None:
    """(1, 1), (1, 3), (1, 5) lie at −2, 0, 2 about their mean: opposite, and one that is the mean itself."""
    alike = by_vectors(np.array([[1, 1], [1, 3], [1, 5]], dtype=np.float32))
    assert alike.tolist() == [[0, 0, -1], [0, 0, 0], [-1, 0, 0]]


def test_every_feature_beside_a_plain_loop() -> None:
    assert FOUND.features.shape == (len(VALID), 6, 14) and FOUND.relations.shape == (len(VALID), 6, 6, 2)
    for row in range(len(VALID)):
        items, ratings = KNOWN.of(int(VALID.users[row]), int(VALID.start[row]))
        for place, candidate in enumerate(VALID.items[row]):
            for name, weights in (("a", ALIKE), ("b", UNLIKE)):
                found = weights[items, candidate]
                close = np.maximum(found, 0.0) ** 2
                among = np.sort(weights[VALID.items[row], candidate])
                slow = {
                    "all history": found.mean(),
                    "close in all history": np.log(close.sum() + 1e-3),
                    "liked share of the close": close[ratings > 3].sum() / (close.sum() + 1e-3),
                    "recent": (found[::-1] * 0.96 ** np.arange(len(found))).sum(),
                    "last": found[-4:].mean(),
                    "nearest": np.sort(np.maximum(found, 0.0))[-3:].mean(),
                    "in the list": among[-3:].mean(),
                }
                for what, value in slow.items():
                    assert FOUND.column(f"{what}, {name}")[row, place] == pytest.approx(value, abs=1e-4), what


def test_nothing_at_or_after_the_list_is_read() -> None:
    """Items and ratings from place 8 on are replaced: lists that start there or before do not change."""
    late = np.arange(len(KNOWN.items)) % 12 >= 8
    other = replace(KNOWN, items=np.where(late, 0, KNOWN.items), ratings=np.where(late, 1.0, KNOWN.ratings))
    early = VALID.start <= 8
    assert (read(other).features[early] == FOUND.features[early]).all()
    assert (read(other).features[~early] != FOUND.features[~early]).any()


def test_they_stand_beside_other_features_of_the_same_lists() -> None:
    both = FOUND.beside(FOUND)
    assert both.names == FOUND.names * 2 and both.relations.shape == (len(VALID), 6, 6, 4)
    assert (both.features[..., 14:] == FOUND.features).all() and (both.relations[..., :2] == FOUND.relations).all()
