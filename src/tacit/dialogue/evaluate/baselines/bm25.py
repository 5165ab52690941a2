"""BM25: the words of the last messages against the words of each item (Robertson & Zaragoza 2009)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import sparse

from tacit.catalog import Catalog
from tacit.metrics.texts import tokens
from tacit.run.limits import at_least, share
from tacit.types import Dialogue

Scores = npt.NDArray[np.float32]


@dataclass
class BM25Config:
    k1: float = at_least(0.0, default=1.2)  # how soon a repeated word stops counting
    b: float = share(default=0.75)  # how much long documents are held back


class BM25:
    """score_i = Σ_w q_w · idf_w · f_wi (k1 + 1) / (f_wi + k1 (1 − b + b |d_i| / mean |d|)), q from ``turns`` messages.

    idf_w = log(1 + (N − n_w + ½) / (n_w + ½)). ``documents``: the words of each item, in the catalogue's order.
    """

    def __init__(self, documents: Sequence[Mapping[str, int]], turns: int, config: BM25Config) -> None:
        self.turns = turns
        self._columns = {word: k for k, word in enumerate(sorted({word for words in documents for word in words}))}
        counts = _matrix(documents, self._columns)
        lengths = np.asarray(counts.sum(axis=1)).ravel()
        present = np.bincount(counts.indices, minlength=len(self._columns))
        idf = np.log1p((len(documents) - present + 0.5) / (present + 0.5))
        rows = np.repeat(np.arange(len(documents)), np.diff(counts.indptr))
        slow = config.k1 * (1 - config.b + config.b * lengths / max(lengths.mean(), 1e-9))
        counts.data = idf[counts.indices] * counts.data * (config.k1 + 1) / (counts.data + slow[rows])
        self._weights = counts.T.tocsr()

    def scores(self, contexts: Sequence[Dialogue]) -> Scores:
        """[len(contexts), n_items]."""
        asked = [Counter(said(context, self.turns)) for context in contexts]
        return np.asarray((_matrix(asked, self._columns) @ self._weights).todense(), dtype=np.float32)


def said(context: Dialogue, turns: int) -> list[str]:
    """The words of the last ``turns`` messages; 0 = of all."""
    return [word for turn in context.turns[-turns if turns else None :] for word in tokens(turn.text)]


def item_words(catalog: Catalog) -> list[Counter[str]]:
    """The words of each item's title and text."""
    return [Counter(tokens(f"{item.title} {item.text}")) for item in catalog]


def asking_words(catalog: Catalog, dialogues: Iterable[Dialogue], turns: int) -> list[Counter[str]]:
    """The words of the ``turns`` messages before each training message that named the item."""
    words: list[Counter[str]] = [Counter() for _ in catalog]
    for dialogue in dialogues:
        for t, turn in enumerate(dialogue.turns):
            if turn.speaker == "agent" and turn.slate is not None:
                asked = said(dialogue.before(t), turns)
                for item in dict.fromkeys(turn.slate.items):
                    words[catalog.index(item)].update(asked)
    return words


def variants(catalog: Catalog, dialogues: Sequence[Dialogue], config: BM25Config) -> dict[str, BM25]:
    """What validation chooses from: which words stand for an item, and how many messages ask."""
    texts, asking = item_words(catalog), asking_words(catalog, dialogues, turns=4)
    both = [one + other for one, other in zip(texts, asking, strict=True)]
    documents = {"texts": texts, "what was said before": asking, "both": both}
    return {
        f"{name}, {turns or 'all'} messages": BM25(words, turns, config)
        for name, words in documents.items()
        for turns in (2, 6, 0)
    }


def _matrix(bags: Sequence[Mapping[str, int]], columns: Mapping[str, int]) -> sparse.csr_matrix:
    """Word counts [len(bags), len(columns)]; words without a column are left out."""
    known = [[(columns[word], count) for word, count in bag.items() if word in columns] for bag in bags]
    ends = np.cumsum([0, *map(len, known)])
    data = np.array([count for row in known for _, count in row], dtype=np.float64)
    where = np.array([column for row in known for column, _ in row], dtype=np.int64)
    return sparse.csr_matrix((data, where, ends), shape=(len(bags), len(columns)))
