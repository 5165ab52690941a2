"""What agents answered with once something had been named: directed counts of the training dialogues, our own term.

    c_fi = agent turns that showed item i after feature f was named in their dialogue,  c_f = Σ_i c_fi
    a_fi = log(1 + c_fi) / log(2 + c_f),  score_i = Σ_{f named} a_fi

The features of a dialogue are the items that it mentions or shows, and the attribute values of the catalogue (people,
kinds; years apart) that its text names: many people ask by a person and name no item at all. ``associations`` counts
items alone, and both ways. The division keeps a frequent feature from drowning a rare one that says more.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from safetensors.numpy import load_file, save_file
from scipy import sparse
from torch import Tensor, nn

from tacit.catalog import Catalog, normalise_title
from tacit.run.files import read_json
from tacit.types import Dialogue, Floats32, Ints64, ItemId, Turn

KEEP = 1_000  # items that are kept of a feature, the most frequent: a kind may be answered with a whole catalogue
KNOWN = 32_768  # texts whose names are kept
START = 1.0  # nats a unit of the score, before any training
NEW = ("directed.weight",)  # what policies of before this term had no weight for
_ITEM, _NAME = "item ", "name "
_FEATURES, _COUNTS = "directed.json", "directed.safetensors"


def directed_association(counts: Floats32, total: npt.NDArray[np.floating] | float) -> Floats32:
    """log(1 + c_fi) / log(2 + c_f), elementwise, in [0, 1)."""
    found: Floats32 = (np.log1p(counts) / np.log(2.0 + total)).astype(np.float32)
    return found


class AttributeNames:
    """Finds values in text: whole words, longest match, case ignored."""

    def __init__(self, values: Iterable[str], longest: int = 4) -> None:
        self._values = {normalise_title(value) for value in values}
        self._longest = longest
        self._found = lru_cache(maxsize=KNOWN)(lambda text: tuple(self._scan(normalise_title(text).split())))

    @classmethod
    def of(cls, catalog: Catalog) -> AttributeNames:
        """Of all attributes of the catalogue's items, years apart."""
        return cls(value for item in catalog for key, vs in item.attributes.items() if key != "year" for value in vs)

    def find(self, text: str) -> tuple[str, ...]:
        return self._found(text)

    def forget(self) -> None:
        """The texts that were read."""
        self._found.cache_clear()

    def _scan(self, words: list[str]) -> Iterator[str]:
        at = 0
        while at < len(words):
            spans = (" ".join(words[at : at + n]) for n in range(min(self._longest, len(words) - at), 0, -1))
            name = next((span for span in spans if span in self._values), None)
            if name is not None:
                yield name
            at += len(name.split()) if name else 1


def features_of(turn: Turn, names: AttributeNames) -> Iterator[str]:
    """What a turn names: "item <id>" and "name <value>"."""
    yield from (_ITEM + item for item in (*turn.mentions, *(turn.slate.items if turn.slate else ())))
    yield from (_NAME + name for name in names.find(turn.text))


def answered_pairs(dialogue: Dialogue, names: AttributeNames) -> Iterator[tuple[str, ItemId]]:
    """(feature, item) of every agent turn that showed the item after the feature was named."""
    seen: dict[str, None] = {}
    for turn in dialogue.turns:
        if turn.speaker == "agent" and turn.slate is not None:
            yield from ((feature, item) for item in dict.fromkeys(turn.slate.items) for feature in seen)
        seen.update(dict.fromkeys(features_of(turn, names)))


@dataclass(frozen=True)
class DirectedCounts:
    """F features, and c_fi as a sparse table. It learns nothing: copies of a policy share it."""

    catalog: Catalog
    features: tuple[str, ...]
    counts: sparse.csr_matrix  # [F, n_items] float32, the items of a row ascending
    totals: Floats32  # [F], c_f, of what was not kept as well

    @classmethod
    def count(cls, catalog: Catalog, dialogues: Sequence[Dialogue], keep: int = KEEP) -> DirectedCounts:
        """Of the training dialogues; the ``keep`` most frequent items of each feature."""
        names = AttributeNames.of(catalog)
        columns: dict[str, int] = {}
        rows, items = list[int](), list[int]()
        for dialogue in dialogues:
            for feature, item in answered_pairs(dialogue, names):
                rows.append(columns.setdefault(feature, len(columns)))
                items.append(catalog.index(item))
        counts = _table(rows, items, (len(columns), len(catalog)))
        totals = np.asarray(counts.sum(axis=1), dtype=np.float32).ravel()
        return cls(catalog, tuple(columns), _most(counts, keep), totals)

    @classmethod
    def none(cls, catalog: Catalog) -> DirectedCounts:
        return cls(catalog, (), _table([], [], (0, len(catalog))), np.zeros(0, dtype=np.float32))

    @classmethod
    def load(cls, folder: Path, catalog: Catalog) -> DirectedCounts:
        """What ``save`` wrote; no features where a policy of before this term was saved."""
        if not (folder / _FEATURES).is_file():
            return cls.none(catalog)
        features = read_json(folder / _FEATURES, "take it from a copy, or train the policy again.")["features"]
        parts = load_file(folder / _COUNTS)
        table, shape = (parts["counts"], parts["items"], parts["starts"]), (len(features), len(catalog))
        return cls(catalog, tuple(features), sparse.csr_matrix(table, shape=shape), parts["totals"])

    def save(self, folder: Path) -> None:
        """``directed.json`` has the features, ``directed.safetensors`` the numbers."""
        parts = {"counts": self.counts.data, "items": self.counts.indices, "starts": self.counts.indptr}
        save_file({**parts, "totals": self.totals}, folder / _COUNTS)
        (folder / _FEATURES).write_text(json.dumps({"features": self.features}, indent=0), encoding="utf-8")

    def onto(self, catalog: Catalog, rows: Ints64) -> DirectedCounts:
        """Over another catalogue; ``rows`` [n]: where each of its items stands here, −1 where it does not. What is not
        there is neither named nor shown."""
        there = np.flatnonzero(rows >= 0)
        place = np.full(len(self.catalog), -1)
        place[rows[there]] = there
        gone = {_ITEM + self.catalog.items[row].id for row in np.flatnonzero(place < 0)}
        row = np.repeat(np.arange(len(self.features)), np.diff(self.counts.indptr))
        item = place[self.counts.indices]
        kept = (item >= 0) & np.array([feature not in gone for feature in self.features], dtype=bool)[row]
        shape = (len(self.features), len(catalog))
        counts = sparse.csr_matrix((self.counts.data[kept], (row[kept], item[kept])), shape=shape)
        counts.sort_indices()
        return DirectedCounts(catalog, self.features, counts, self.totals)

    def scores(self, contexts: Sequence[Dialogue], without: Mapping[str, Dialogue] | None = None) -> sparse.csr_matrix:
        """[B, n_items] float32. A context whose id is in ``without`` is scored as if that dialogue had not been
        counted: what a training dialogue adds to the counts is no evidence for its own answers."""
        named = [self._named(context) for context in contexts]
        starts = np.cumsum([0, *map(len, named)])
        columns = np.array([column for row in named for column in row], dtype=np.int64)
        ones = np.ones(len(columns), dtype=np.float32)
        asked = sparse.csr_matrix((ones, columns, starts), shape=(len(contexts), len(self.features)))
        found = asked @ self._associations
        if not without:
            return found
        own = {row: without[context.id] for row, context in enumerate(contexts) if context.id in without}
        rows = [self._apart(named[row], own[row]) if row in own else found[row] for row in range(len(contexts))]
        return sparse.vstack(rows, format="csr") if rows else found

    def forget(self) -> None:
        """The texts that were read."""
        if "_names" in self.__dict__:
            self._names.forget()

    def __deepcopy__(self, memo: object) -> DirectedCounts:
        return self

    @cached_property
    def _names(self) -> AttributeNames:
        return AttributeNames(f.removeprefix(_NAME) for f in self.features if f.startswith(_NAME))

    @cached_property
    def _columns(self) -> dict[str, int]:
        return {feature: column for column, feature in enumerate(self.features)}

    @cached_property
    def _associations(self) -> sparse.csr_matrix:
        """[F, n_items], a_fi."""
        shares = directed_association(self.counts.data, np.repeat(self.totals, np.diff(self.counts.indptr)))
        return sparse.csr_matrix((shares, self.counts.indices, self.counts.indptr), shape=self.counts.shape)

    def _named(self, context: Dialogue) -> list[int]:
        """The columns of what the context names, ascending."""
        found = {feature for turn in context.turns for feature in features_of(turn, self._names)}
        return sorted(self._columns[feature] for feature in found if feature in self._columns)

    def _apart(self, columns: Sequence[int], dialogue: Dialogue) -> sparse.csr_matrix:
        """[1, n_items]: the score less what ``dialogue`` added to the counts."""
        own: dict[int, Counter[int]] = {}
        for feature, shown in answered_pairs(dialogue, self._names):
            own.setdefault(self._columns.get(feature, -1), Counter())[self.catalog.index(shown)] += 1
        places, values = [np.zeros(0, dtype=np.int32)], [np.zeros(0, dtype=np.float32)]
        for column in columns:
            part = slice(self.counts.indptr[column], self.counts.indptr[column + 1])
            items, counts, total = self.counts.indices[part], self.counts.data[part].copy(), self.totals[column]
            mine = own.get(column, Counter())
            for row, times in mine.items():
                at = int(np.searchsorted(items, row))
                if at < len(items) and items[at] == row:  # else it was not kept
                    counts[at] = max(counts[at] - times, 0.0)
            places.append(items)
            values.append(directed_association(counts, max(total - mine.total(), 0.0)))
        found, shares = np.concatenate(places), np.concatenate(values)
        return sparse.csr_matrix((shares, (np.zeros_like(found), found)), shape=(1, len(self.catalog)))


class DirectedTerm(nn.Module):
    """weight · score, added to the slate's logits; one weight, in nats a unit of the score."""

    def __init__(self, counts: DirectedCounts) -> None:
        super().__init__()
        self.counts = counts
        # of a policy without counts nothing could be learnt, and its runs go on with the weights that they began with
        self.weight = nn.Parameter(torch.tensor(START), requires_grad=bool(counts.features))
        self._without: Mapping[str, Dialogue] = {}

    @contextmanager
    def leaving_out(self, dialogues: Mapping[str, Dialogue]) -> Iterator[None]:
        """Within, a context with the id of one of the training ``dialogues`` is scored without that dialogue's own
        counts: a weight that is learnt where each answer has been counted already is learnt too large."""
        before, self._without = self._without, dialogues
        try:
            yield
        finally:
            self._without = before

    def add_(self, logits: Tensor, contexts: Sequence[Dialogue]) -> Tensor:
        """logits [B, n_items] + weight · score, in place; only what was named costs."""
        if not self.counts.features:
            return logits
        (rows, items), values = self._found(contexts, logits.device)
        if torch.is_grad_enabled():  # not through a flat view: the gradient of a write into a view copies all logits
            return logits.index_put_((rows, items), (self.weight * values).to(logits.dtype), accumulate=True)
        places = items.add_(rows, alpha=logits.shape[1])
        logits.view(-1).scatter_add_(0, places, values.mul_(self.weight).to(logits.dtype))
        return logits

    def scores(self, contexts: Sequence[Dialogue]) -> Tensor:
        """[B, n_items], before the weight."""
        where, values = self._found(contexts, self.weight.device)
        return torch.zeros(len(contexts), len(self.counts.catalog), device=self.weight.device).index_put_(where, values)

    def _found(self, contexts: Sequence[Dialogue], device: torch.device) -> tuple[tuple[Tensor, Tensor], Tensor]:
        """Where there is a score, (rows, items), each place once, and the scores."""
        found = self.counts.scores(contexts, self._without)
        row = np.repeat(np.arange(len(contexts)), np.diff(found.indptr))
        rows, items = (torch.from_numpy(at).to(device, torch.int64) for at in (row, found.indices))
        return (rows, items), torch.from_numpy(found.data).to(device)


def _table(rows: Sequence[int], columns: Sequence[int], shape: tuple[int, int]) -> sparse.csr_matrix:
    """How often each (row, column) was given, float32."""
    counts = sparse.csr_matrix((np.ones(len(rows), dtype=np.float32), (rows, columns)), shape=shape)
    counts.sum_duplicates()
    return counts


def _most(counts: sparse.csr_matrix, keep: int) -> sparse.csr_matrix:
    """The ``keep`` largest counts of each row, of equal ones the first."""
    row = np.repeat(np.arange(counts.shape[0]), np.diff(counts.indptr))
    order = np.lexsort((counts.indices, -counts.data, row))
    place = np.arange(len(order)) - counts.indptr[row]  # rows stand together in ``order`` as they did before
    kept = np.sort(order[place < keep])
    table = (counts.data[kept], (row[kept], counts.indices[kept]))
    return sparse.csr_matrix(table, shape=counts.shape)
