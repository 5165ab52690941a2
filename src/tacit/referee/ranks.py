"""The rank of a gold item among its candidates, and the candidates that are drawn.

Ties are broken against the model: an item's rank is the number of candidates that score at least as much as it does,
so a constant score never helps.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from tacit.catalog import Catalog
from tacit.referee.protocols import Drawn
from tacit.types import Ints64

Scores = npt.NDArray[np.number]
_NEVER = 1e-9  # weight of what nobody named: drawn only when nothing else is left


class Wanted(Protocol):
    """A case: one gold item of one context. ``gold`` and ``mentioned``: catalogue rows; ``place``: the context's id."""

    @property
    def gold(self) -> int: ...
    @property
    def mentioned(self) -> tuple[int, ...]: ...
    @property
    def place(self) -> str: ...


@dataclass(frozen=True, slots=True)
class CaseRanks:
    """1-based ranks of the gold item [n]: over everything, and with the items mentioned so far masked."""

    full: Ints64
    masked: Ints64


def rank_full(scores: Scores, groups: Sequence[Sequence[Wanted]]) -> CaseRanks:
    """Ranks over the catalogue of each group's cases: scores [len(groups), n_items], one row a context.

    rank = #{i : s_i ≥ s_gold}, the gold item included; masked rank leaves out the mentioned i ≠ gold.
    """
    full: list[int] = []
    masked: list[int] = []
    for row, group in zip(scores, groups, strict=True):
        golds = np.array([case.gold for case in group])
        ranks = (row[None, :] >= row[golds, None]).sum(axis=1)
        for case, rank in zip(group, ranks.tolist(), strict=True):
            others = list({*case.mentioned} - {case.gold})
            full.append(rank)
            masked.append(rank - int((row[others] >= row[case.gold]).sum()))
    return CaseRanks(np.array(full, dtype=np.int64), np.array(masked, dtype=np.int64))


def rank_sampled(scores: Scores, groups: Sequence[Sequence[Wanted]], negatives: Ints64) -> CaseRanks:
    """The same among sampled candidates: negatives [n_cases of these groups, m]."""
    full: list[int] = []
    masked: list[int] = []
    drawn = iter(negatives)
    for row, group in zip(scores, groups, strict=True):
        for case in group:
            others = next(drawn)
            ahead = row[others] >= row[case.gold]
            full.append(1 + int(ahead.sum()))
            masked.append(1 + int((ahead & ~np.isin(others, case.mentioned)).sum()))
    return CaseRanks(np.array(full, dtype=np.int64), np.array(masked, dtype=np.int64))


def draw_negatives(
    found: Sequence[Wanted], catalog: Catalog, count: int, seed: int, drawn: Drawn = "uniform"
) -> Ints64:
    """[n_cases, min(count, n_items − 1)] distinct catalogue rows beside the gold one.

    A case's draw depends on the seed, the context's id, the gold item's id and the set of items alone: every system is
    ranked against the same candidates, in whatever order its file has contexts and items. By popularity, items are
    drawn one after the other with P(i) ∝ training mentions (Gumbel's top-k).
    """
    ids = [item.id for item in catalog]
    order = np.array(sorted(range(len(ids)), key=ids.__getitem__), dtype=np.int64)
    place = np.argsort(order)  # where a row stands among the sorted ids
    logs = np.log(np.maximum(catalog.counts[order].astype(np.float64), _NEVER))
    size = min(count, len(ids) - 1)
    negatives = np.empty((len(found), size), dtype=np.int64)
    for row, case in enumerate(found):
        generator = np.random.default_rng([seed, count, *_key(case.place, ids[case.gold])])
        gold = int(place[case.gold])
        if drawn == "uniform":
            others = generator.choice(len(ids) - 1, size=size, replace=False, shuffle=False)
            others = others + (others >= gold)  # skip the gold row
        else:
            keys = logs + generator.gumbel(size=len(ids))
            keys[gold] = -np.inf
            others = np.argsort(-keys, kind="stable")[:size]
        negatives[row] = order[others]
    return negatives


def _key(place: str, item: str) -> tuple[int, int]:
    digest = hashlib.sha256(f"{place}\x1f{item}".encode()).digest()
    return int.from_bytes(digest[:4], "big"), int.from_bytes(digest[4:8], "big")


def concatenate(parts: Sequence[CaseRanks]) -> CaseRanks:
    empty = np.empty(0, dtype=np.int64)
    return CaseRanks(
        np.concatenate([empty, *(part.full for part in parts)]),
        np.concatenate([empty, *(part.masked for part in parts)]),
    )
