"""Scores of rerankers on test lists → rows of results: means over seeds, intervals over users, paired differences.

One seed of one reranker says little: two seeds of the same DLCM differ by as much as the papers' gains. Every row is
therefore a mean over ranker seeds, its interval is a bootstrap over whole users, and a gain is the paired difference on
the same lists.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tacit.list_bounds import bound_scores
from tacit.list_metrics import clustered_interval, estimates, measure
from tacit.lists import Lists, ListSplit
from tacit.metrics import Array, Estimate
from tacit.results import Row, make_row
from tacit.results import blank as blank_row

Scores = npt.NDArray[np.floating]
K = 5
NAMES = {
    "ndcg": "NDCG",
    "kar_map": "MAP (KAR)",
    "standard_map": "MAP",
    "consumed_ndcg": "NDCG consumed",
    "user_ndcg": "NDCG by user",
}


@dataclass(frozen=True)
class Measured:
    """One line of a table: every metric of each list, a row a seed, {metric: [S, L]}."""

    model: str  # the reranker, or "bound"
    arm: str
    values: Mapping[str, Array]

    @property
    def seeds(self) -> int:
        return len(self.values["ndcg"])

    @property
    def mean(self) -> dict[str, Array]:
        """Over seeds, [L]."""
        return {name: column.mean(axis=0) for name, column in self.values.items()}


def measured(model: str, arm: str, scores: Sequence[Scores], lists: Lists) -> Measured:
    found = [measure(one, lists, K) for one in scores]
    return Measured(model, arm, {name: np.stack([one[name] for one in found]) for name in found[0]})


def bound_lines(split: ListSplit, lists: Lists) -> list[Measured]:
    """Random, popularity, label rate, the seen bit, and the two oracles, on these lists."""
    return [measured("bound", name, [scores], lists) for name, scores in bound_scores(split, lists).items()]


def rows_of(line: Measured, lists: Lists, base: Row) -> list[Row]:
    """A row a metric; the note tells the spread over seeds."""
    found = estimates(line.mean, lists.users)
    spread = line.values["ndcg"].mean(axis=1).std(ddof=1) if line.seeds > 1 else 0.0
    note = f"{line.seeds} ranker seeds, sd {spread:.4f}" if line.seeds > 1 else ""
    name = f"{line.model} · {line.arm}"
    return [make_row(base, NAMES[metric], e, K, model=name, note=note) for metric, e in found.items()]


def difference_rows(line: Measured, against: Measured, lists: Lists, base: Row) -> list[Row]:
    """Paired on the lists, seeds averaged first; the interval is over users."""
    name = f"{line.model} · {line.arm} − {_what(line, against)}"
    rows = []
    for metric in ("ndcg", "kar_map", "consumed_ndcg"):
        gap = clustered_interval(line.mean[metric] - against.mean[metric], lists.users)
        rows.append(make_row(base, NAMES[metric], gap, K, model=name, slice="paired difference"))
    return rows


def _what(line: Measured, against: Measured) -> str:
    return against.arm if against.model == line.model else f"{against.model} · {against.arm}"


def variance(line: Measured, users: npt.NDArray[np.integer]) -> dict[str, float]:
    """Where the noise of one run's NDCG comes from, as standard errors: which users, which seed of the ranker."""
    over_users: Estimate = clustered_interval(line.mean["ndcg"], users)
    seeds = line.values["ndcg"].mean(axis=1)
    return {
        "users": (over_users.high - over_users.low) / (2 * 1.96),
        "ranker seed": float(seeds.std(ddof=1)) if len(seeds) > 1 else float("nan"),
    }


def template(dataset: str, protocol: str, lists: Lists, seed: int) -> Row:
    """What all rows of one evaluation share."""
    candidates = f"lists of {lists.items.shape[1]}"
    return blank_row(dataset, protocol, "test users", "", seed, candidates=candidates)
