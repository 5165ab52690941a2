"""What a system would show: coverage, Gini, novelty and diversity of its best k items a context, over the catalogue.

Equal scores stand in the catalogue's order here, for a list must have some order. What scores −inf is in no list.
"""

from __future__ import annotations

import numpy as np

from tacit.catalog import Catalog
from tacit.metrics import exposure
from tacit.metrics.intervals import Estimate, bootstrap_mean
from tacit.metrics.results import Row, blank, make_row
from tacit.referee.cases import Cases
from tacit.referee.protocols import Protocol
from tacit.referee.ranks import Scores
from tacit.types import Ints64

CUTOFFS = (5, 10)
_LEFT_OUT = ("year",)  # attributes that say nothing of what an item is about


def list_rows(
    system: str, cases: Cases, scores: Scores, protocol: Protocol, slice: str, draws: int, seed: int
) -> list[Row]:
    """Of the lists of every context that has gold; without the items named before where the slice masks them."""
    groups = cases.groups
    masked = protocol.masked(slice)
    shortest = len(cases.catalog) - max((len(group[0].mentioned) for group in groups), default=0) * masked
    rows: list[Row] = []
    base = blank(
        cases.dataset,
        protocol.name,
        "lists without what was named" if masked else "lists",
        system,
        seed,
        candidates=protocol.candidates(len(cases.catalog)),
        unit=cases.people.unit,
    )
    tops = best(cases, scores, masked, min(max(CUTOFFS), shortest))
    people = cases.people.groups[np.unique(cases.rows, return_index=True)[1]]
    features = attributes(cases.catalog)
    for k in (k for k in CUTOFFS if k <= shortest):
        lists = tops[:, :k]
        whole = {"coverage": exposure.coverage, "Gini": exposure.gini}
        for name, formula in whole.items():
            value = Estimate(formula(lists, len(cases.catalog)), np.nan, np.nan, len(lists))
            rows.append(make_row(base, name, value, k))
        means = {"diversity": exposure.diversity(lists, features)} if any(features) else {}
        means |= {"novelty": exposure.novelty(lists, cases.catalog.counts)} if cases.catalog.counts.any() else {}
        for name, values in means.items():
            seen = np.isfinite(values)
            if seen.any():
                generator = np.random.default_rng([seed, 18])
                rows.append(make_row(base, name, bootstrap_mean(values[seen], people[seen], generator, draws), k))
    return rows


def best(cases: Cases, scores: Scores, masked: bool, k: int) -> Ints64:
    """The k best catalogue rows of each context that has gold [n, k], the best first; −1 where nothing is left."""
    lists = np.empty((len(cases.groups), max(k, 0)), dtype=np.int64)
    for at, group in enumerate(cases.groups):
        row = np.asarray(scores[group[0].row])
        falling = -np.unique(row, return_inverse=True)[1].astype(np.float64)  # places: 64 bits of integers keep theirs
        falling[row == -np.inf] = np.inf
        if masked:
            falling[list(group[0].mentioned)] = np.nan  # sorted behind every number
        lists[at] = np.argsort(falling, kind="stable")[: lists.shape[1]]
        lists[at][falling[lists[at]] == np.inf] = -1
    return lists


def attributes(catalog: Catalog) -> list[frozenset[str]]:
    """The attribute values of each item, years apart."""
    about = ([(key, item.attributes[key]) for key in item.attributes if key not in _LEFT_OUT] for item in catalog)
    return [frozenset(f"{key}={value}" for key, values in told for value in values) for told in about]
