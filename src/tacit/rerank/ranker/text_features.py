"""What the items' texts say of a candidate: how alike it is to what its user consumed, and to the other candidates.

Nothing here is counted over users: a list's features come from the texts and from its user's history strictly before
the list, so there is nothing to cross-fit. Shapes: L lists of C candidates, n items.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer

from tacit.rerank.lists.lists import Histories, Lists
from tacit.rerank.ranker.features import Featured
from tacit.rerank.ranker.history_scores import among, nearest, over_history, over_last
from tacit.types import Floats32

Likeness = Callable[[], Floats32]  # makes weights [n, n], so that no more than one of them is in memory at a time


def by_words(texts: Sequence[str]) -> Floats32:
    """Cosines of TF-IDF vectors of words and of pairs of neighbours (such as names), [n, n], 0 on the diagonal.

    tf = 1 + log(count); words that stand in one text only, or in more than three tenths of them, are left out. Texts
    that share no other words are not alike at all.
    """
    often = max(2, int(0.3 * len(texts)))
    try:
        table = TfidfVectorizer(sublinear_tf=True, min_df=2, max_df=often, ngram_range=(1, 2)).fit_transform(texts)
    except ValueError:  # how scikit-learn says that no word is left
        return np.zeros((len(texts), len(texts)), dtype=np.float32)
    return _without_self((table @ table.T).toarray())


def by_vectors(vectors: Floats32) -> Floats32:
    """Cosines of text vectors [n, d] less their mean, which texts of one form share; [n, n], 0 on the diagonal."""
    centred = vectors - vectors.mean(0)
    unit = centred / np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-12)
    return _without_self(unit @ unit.T)


def _without_self(cosines: Floats32) -> Floats32:
    weights = cosines.astype(np.float32, copy=False)
    np.fill_diagonal(weights, 0.0)
    return weights


def text_features(
    histories: Histories, positive_above: float, parts: Sequence[Lists], likenesses: Mapping[str, Likeness]
) -> list[Featured]:
    """Features and one relation for every likeness of items, of each of ``parts``."""
    likes = (histories.ratings > positive_above).astype(np.float32)
    names: list[str] = []
    columns: list[list[Floats32]] = [[] for _ in parts]
    relations: list[list[Floats32]] = [[] for _ in parts]
    for name, likeness in likenesses.items():
        weights = likeness()
        for part, lists in enumerate(parts):
            relation = among(weights, lists.items)
            made = _of_one(weights, relation, histories, likes, lists)
            columns[part] += made.values()
            relations[part].append(relation)
        names += [f"{what}, {name}" for what in made]
    return [
        Featured(lists, tuple(names), np.stack(columns[part], -1), np.stack(relations[part], -1))
        for part, lists in enumerate(parts)
    ]


def _of_one(
    weights: Floats32, relation: Floats32, histories: Histories, likes: Floats32, lists: Lists
) -> dict[str, Floats32]:
    """{feature: [L, C]}."""
    ones = np.ones_like(likes)
    before = np.maximum(lists.start, 1)[:, None].astype(np.float32)
    close = np.maximum(weights, 0.0) ** 2  # the few that are much alike weigh more than the many that are little
    near = over_history(close, ones, histories, lists)
    return {
        "all history": over_history(weights, ones, histories, lists) / before,
        "close in all history": np.log(near + 1e-3),
        "liked share of the close": over_history(close, likes, histories, lists) / (near + 1e-3),
        "recent": over_last(weights, ones, histories, lists, 60, 0.96),
        "last": over_last(weights, ones, histories, lists, 4),
        "nearest": nearest(weights, histories, lists, last=200, count=3),
        "in the list": np.sort(relation, axis=2)[:, :, -3:].mean(2),
    }
