"""Trivial rankers that every table prints: a model that does not beat them has learnt nothing worth its size.

Each gives float32 scores [len(contexts), n_items]; higher is better, and ties are left to the protocol.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
from scipy import sparse

from tacit.catalog import Catalog, normalise_title
from tacit.types import Dialogue, Turn

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

    The features f of a context are the items it mentions and the attribute values of the catalogue (people, genres)
    its text names: OpenDialKG's users mostly ask by person, and a table over items alone halves its score there.
    c_fi counts the training agent turns that showed i after f had been named, c_f = Σ_i c_fi: a directed table "asked
    with f, answered with i". The division keeps a frequent f from drowning a rare one that says more.
    """

    def __init__(self, catalog: Catalog, dialogues: Sequence[Dialogue]) -> None:
        self._names = AttributeNames(catalog)
        self._columns: dict[str, int] = {}
        self._n_items = len(catalog)
        features: list[int] = []
        items: list[int] = []
        for dialogue in dialogues:
            seen: dict[str, None] = {}
            for turn in dialogue.turns:
                if turn.speaker == "agent" and turn.slate is not None:
                    known = [self._columns.setdefault(feature, len(self._columns)) for feature in seen]
                    for item in dict.fromkeys(turn.slate.items):
                        features += known
                        items += [catalog.index(item)] * len(known)
                seen.update(dict.fromkeys(self._features(turn)))
        counts = _table(features, items, (len(self._columns), self._n_items))
        weight = 1.0 / np.log(2.0 + np.asarray(counts.sum(axis=1)).ravel())
        counts.data = np.log1p(counts.data)
        self._counts = sparse.csr_matrix(sparse.diags(weight) @ counts).astype(np.float32)
        # Far below the smallest association, so that it only orders what is otherwise equal.
        self._tie = (1e-6 * np.log1p(catalog.counts)).astype(np.float32)

    def scores(self, contexts: Sequence[Dialogue]) -> Scores:
        rows: list[int] = []
        columns: list[int] = []
        for row, context in enumerate(contexts):
            named = {feature for turn in context.turns for feature in self._features(turn)}
            known = sorted(self._columns[feature] for feature in named if feature in self._columns)
            rows += [row] * len(known)
            columns += known
        asked = _table(rows, columns, (len(contexts), len(self._columns)))
        scores: Scores = np.asarray((asked @ self._counts).todense(), dtype=np.float32) + self._tie
        return scores

    def _features(self, turn: Turn) -> list[str]:
        items = turn.mentions + (turn.slate.items if turn.slate else ())
        return [f"item {item}" for item in items] + [f"name {name}" for name in self._names.find(turn.text)]


class AttributeNames:
    """Finds the catalogue's attribute values (years apart) in text: whole words, longest match, case ignored."""

    def __init__(self, catalog: Catalog, longest: int = 4) -> None:
        values = (value for item in catalog for key, vs in item.attributes.items() if key != "year" for value in vs)
        self._values = {normalise_title(value) for value in values}
        self._longest = longest
        self._found: dict[str, tuple[str, ...]] = {}

    def find(self, text: str) -> tuple[str, ...]:
        if text not in self._found:  # a test context repeats its predecessor's turns
            self._found[text] = tuple(self._scan(normalise_title(text).split()))
        return self._found[text]

    def _scan(self, words: list[str]) -> Iterator[str]:
        at = 0
        while at < len(words):
            spans = (" ".join(words[at : at + n]) for n in range(min(self._longest, len(words) - at), 0, -1))
            name = next((span for span in spans if span in self._values), None)
            if name is not None:
                yield name
            at += len(name.split()) if name else 1


def _table(rows: list[int], columns: list[int], shape: tuple[int, int]) -> sparse.csr_matrix:
    """How often each (row, column) was given, as a sparse matrix."""
    counts = sparse.csr_matrix((np.ones(len(rows), dtype=np.float32), (rows, columns)), shape=shape)
    counts.sum_duplicates()
    return counts


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
