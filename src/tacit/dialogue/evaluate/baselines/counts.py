"""Trivial rankers that every table prints: a model that does not beat them has learnt nothing worth its size.

Each gives float32 scores [len(contexts), n_items]; higher is better, and ties are left to the protocol.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from tacit.catalog import Catalog
from tacit.dialogue.policy.directed import DirectedCounts
from tacit.types import Dialogue

Scores = npt.NDArray[np.float32]
# Copying outweighs any association: log(1 + count) stays far below it.
_COPY = 1e3


class Popularity:
    """score_i = mentions of i in the training dialogues, whatever was said."""

    def __init__(self, catalog: Catalog) -> None:
        self._row = catalog.counts.astype(np.float32)

    def scores(self, contexts: Sequence[Dialogue]) -> Scores:
        return np.tile(self._row, (len(contexts), 1))


class CopyContext:
    """The items of the context, latest mention first; everything else ties at 0 (the shortcut of He et al. 2023)."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    def scores(self, contexts: Sequence[Dialogue]) -> Scores:
        scores = np.zeros((len(contexts), len(self._catalog)), dtype=np.float32)
        for row, context in enumerate(contexts):
            for place, item in enumerate(mentions_in_order(context), start=1):
                scores[row, self._catalog.index(item)] = place  # a later mention overwrites an earlier one
        return scores


class CoOccurrence:
    """score_i = Σ_{f in context} log(1 + c_fi) / log(2 + c_f), popularity deciding among equals.

    The table "asked with f, answered with i" of ``policy.directed``, over items and attribute values (people, genres)
    that a text names: OpenDialKG's users mostly ask by person, and a table over items alone halves its score there.
    """

    def __init__(self, catalog: Catalog, dialogues: Sequence[Dialogue]) -> None:
        self._counts = DirectedCounts.count(catalog, dialogues, keep=len(catalog))
        # Far below the smallest association, so that it only orders what is otherwise equal.
        self._tie = (1e-6 * np.log1p(catalog.counts)).astype(np.float32)

    def scores(self, contexts: Sequence[Dialogue]) -> Scores:
        scores: Scores = np.asarray(self._counts.scores(contexts).todense(), dtype=np.float32) + self._tie
        return scores


class CoOccurrenceCopy:
    """The context's items first, latest first, then co-occurrence: the two lookups joined."""

    def __init__(self, catalog: Catalog, dialogues: Sequence[Dialogue]) -> None:
        self._copy = CopyContext(catalog)
        self._counts = CoOccurrence(catalog, dialogues)

    def scores(self, contexts: Sequence[Dialogue]) -> Scores:
        return (_COPY * self._copy.scores(contexts) + self._counts.scores(contexts)).astype(np.float32)


Baseline = Popularity | CopyContext | CoOccurrence | CoOccurrenceCopy


def mentions_in_order(context: Dialogue) -> list[str]:
    """Items as mentioned or shown, repeats kept."""
    items: list[str] = []
    for turn in context.turns:
        items += turn.mentions or (turn.slate.items if turn.slate else ())
    return items


NAMES = ("popularity", "copy", "co-occurrence", "co-occurrence+copy")


def baselines(catalog: Catalog, dialogues: Sequence[Dialogue]) -> dict[str, Baseline]:
    """The rows of every table, by the names they are printed under. ``dialogues``: training only."""
    return {
        "popularity": Popularity(catalog),
        "copy": CopyContext(catalog),
        "co-occurrence": CoOccurrence(catalog, dialogues),
        "co-occurrence+copy": CoOccurrenceCopy(catalog, dialogues),
    }
