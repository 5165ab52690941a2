"""A word trigram model over the recommender's own turns: what its replies usually sound like, as arrays.

Interpolated absolute discounting (Ney, Essen and Kneser, Computer Speech and Language 1994), discount D:

    p(w | u v) = max(c(u v w) − D, 0) / c(u v ·) + D · N(u v ·) / c(u v ·) · p(w | v)

and likewise for p(w | v) over p(w), which has one added to every count; N counts different words that followed.
A context never seen leaves the shorter one's probability as it is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from tacit.types import Floats64, Ints64

BEGIN, END, RARE = "<s>", "</s>", "<rare>"
DISCOUNT = 0.75
ARRAYS = ("counts", "pairs", "pair_counts", "triples", "triple_counts")
RARELY = 2  # a word seen less often than this is RARE


@dataclass(frozen=True)
class NGrams:
    """``words``: the vocabulary, BEGIN, END and RARE first. ``counts`` [V]; keys of pairs and triples, sorted, with
    their counts: a key is Σ id · V^place, the last word last."""

    words: tuple[str, ...]
    counts: Ints64
    pairs: Ints64
    pair_counts: Ints64
    triples: Ints64
    triple_counts: Ints64

    @classmethod
    def count(cls, texts: Sequence[Sequence[str]]) -> NGrams:
        """``texts``: each a list of words."""
        seen = Counter(word for text in texts for word in text)
        kept = sorted(word for word, times in seen.items() if times >= RARELY)
        words = (BEGIN, END, RARE, *kept)
        ids = {word: i for i, word in enumerate(words)}
        rows = [padded([ids.get(word, 2) for word in text]) for text in texts]
        joined = np.concatenate(rows) if rows else np.zeros(0, dtype=np.int64)
        v = len(words)
        last, middle, first = joined[2:], joined[1:-1], joined[:-2]
        whole = last != 0  # a BEGIN is never foretold, so that nothing reaches across two texts
        pairs, pair_counts = np.unique((middle * v + last)[whole], return_counts=True)
        triples, triple_counts = np.unique(((first * v + middle) * v + last)[whole], return_counts=True)
        counts = np.bincount(last[whole], minlength=v)
        return cls(words, counts.astype(np.int64), pairs, pair_counts, triples, triple_counts)

    def arrays(self) -> dict[str, Ints64]:
        return {name: getattr(self, name) for name in ARRAYS}

    @classmethod
    def of(cls, words: tuple[str, ...], prefix: str, arrays: Mapping[str, Ints64]) -> NGrams:
        """From what ``arrays`` gave, under names that begin with ``prefix``."""
        return cls(words, *(arrays[prefix + name] for name in ARRAYS))

    @cached_property
    def ids(self) -> Mapping[str, int]:
        return {word: i for i, word in enumerate(self.words)}

    @cached_property
    def _after_word(self) -> tuple[Ints64, Ints64]:
        """[V] how often a word was followed, and by how many different words."""
        v = len(self.words)
        followed = np.bincount(self.pairs // v, weights=self.pair_counts, minlength=v).astype(np.int64)
        return followed, np.bincount(self.pairs // v, minlength=v).astype(np.int64)

    @cached_property
    def _after_pair(self) -> tuple[Ints64, Ints64, Ints64]:
        """Keys of the pairs that were followed, how often, and by how many different words."""
        keys, at, different = np.unique(self.triples // len(self.words), return_inverse=True, return_counts=True)
        return keys, np.bincount(at, weights=self.triple_counts).astype(np.int64), different.astype(np.int64)

    def score(self, text: Sequence[str]) -> tuple[Floats64, Floats64]:
        """(log p(w | u v), log p(w)) of each word and of the end, [len(text) + 1] each, nats."""
        row = padded([self.ids.get(word, 2) for word in text])
        first, middle, last = row[:-2], row[1:-1], row[2:]
        v = len(self.words)
        alone = (self.counts[last] + 1.0) / (self.counts.sum() + v)
        followed, different = (array[middle] for array in self._after_word)
        found = _at(self.pairs, self.pair_counts, middle * v + last)
        one = _interpolated(found, followed, different, alone)
        keys, times, kinds = self._after_pair
        context = first * v + middle
        found = _at(self.triples, self.triple_counts, context * v + last)
        two = _interpolated(found, _at(keys, times, context), _at(keys, kinds, context), one)
        return np.log(two), np.log(alone)


def padded(ids: Sequence[int]) -> Ints64:
    """Two BEGINs before, one END after."""
    return np.array([0, 0, *ids, 1], dtype=np.int64)


def _interpolated(found: Ints64, followed: Ints64, different: Ints64, shorter: Floats64) -> Floats64:
    total = np.maximum(followed, 1)
    own = np.maximum(found - DISCOUNT, 0.0) / total
    rest = DISCOUNT * different / total
    return np.asarray(np.where(followed > 0, own + rest * shorter, shorter))


def _at(keys: Ints64, values: Ints64, wanted: npt.NDArray[np.int64]) -> Ints64:
    """The value at each wanted key, 0 where it is not there."""
    if not len(keys):
        return np.zeros(len(wanted), dtype=np.int64)
    place = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[place] == wanted, values[place], 0)
