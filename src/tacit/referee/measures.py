"""Numbers of a run file under one protocol, with intervals over persons: by case, by message, and of whole lists.

By case (a message's gold items counted one by one): HR, which is Recall with one relevant item, NDCG and MRR, as
CRSLab, UniCRS, KBRD and the SIGIR 2026 standard count. By message: recall = hits over gold items, as Rank-GRPO counts,
any hit, and NDCG over the ideal order of all gold items. Two papers' "Recall@50" are rarely the same quantity.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tacit.metrics.intervals import bootstrap_means
from tacit.metrics.persons import Persons
from tacit.metrics.ranks import RANKING
from tacit.metrics.results import CUTOFFS, Row, blank, differences, make_row
from tacit.referee.cases import Cases
from tacit.referee.protocols import Protocol
from tacit.referee.ranks import CaseRanks
from tacit.types import Bools, Floats64, Ints64

BY_CASE = tuple((metric, k) for metric in RANKING for k in CUTOFFS)
BY_MESSAGE = ("recall by message", "any hit by message", "NDCG by message")


@dataclass(frozen=True)
class Ranked:
    """A system's ranks of its cases under one protocol."""

    system: str
    cases: Cases
    ranks: CaseRanks

    def of(self, protocol: Protocol, slice: str) -> Ints64:
        """The ranks that count in a slice."""
        ranks = self.ranks.masked if protocol.masked(slice) else self.ranks.full
        return ranks[self.cases.slices[slice]]

    def of_messages(self, protocol: Protocol, slice: str) -> Ints64:
        """The same in one list a message: masking leaves all of the message's gold items of the slice in, where by
        case it leaves in the case's own alone, and two items would stand in one place."""
        ranks = self.of(protocol, slice)
        if protocol.negatives or not protocol.masked(slice):
            return ranks
        mask = self.cases.slices[slice]
        mine = [case for case, inside in zip(self.cases.found, mask.tolist(), strict=True) if inside]
        named = np.array([case.gold in case.mentioned for case in mine], dtype=bool)
        return ranks + named_before(self.ranks.full[mask], self.cases.rows[mask], named)


def rows_of(ranked: Ranked, protocol: Protocol, against: Sequence[Ranked], draws: int, seed: int) -> list[Row]:
    """Every number of every slice, then the paired difference from each of ``against``, which hold the same cases in
    the same order."""
    rows: list[Row] = []
    cases = ranked.cases
    for slice, mask in cases.slices.items():
        people = cases.people.of(mask)
        candidates = protocol.candidates(len(cases.catalog))
        base = blank(cases.dataset, protocol.name, slice, ranked.system, seed, candidates=candidates, unit=people.unit)
        rows += _by_case(ranked, protocol, slice, people, base, against, draws)
        rows += _by_message(ranked, protocol, slice, mask, base, against, draws)
    return rows


def _by_case(
    ranked: Ranked, protocol: Protocol, slice: str, people: Persons, base: Row, against: Sequence[Ranked], draws: int
) -> list[Row]:
    values = case_values(ranked.of(protocol, slice))
    estimates = bootstrap_means(values, people.groups, np.random.default_rng([base.seed, 11]), draws)
    rows = [make_row(base, metric, estimate, k) for (metric, k), estimate in zip(BY_CASE, estimates, strict=True)]
    for other in against:
        theirs = case_values(other.of(protocol, slice))
        gains = differences(values, theirs, people.groups, np.random.default_rng([base.seed, 11]), draws)
        rows += [
            make_row(base, metric, gain, k, against=other.system)
            for (metric, k), gain in zip(BY_CASE, gains, strict=True)
        ]
    return rows


def _by_message(
    ranked: Ranked, protocol: Protocol, slice: str, mask: Bools, base: Row, against: Sequence[Ranked], draws: int
) -> list[Row]:
    """A message's gold items together. NDCG asks for one list, so sampled candidates, a set a case, have none."""
    contexts, first = np.unique(ranked.cases.rows[mask], return_index=True)
    groups = ranked.cases.people.of(mask).groups[first]
    columns = _message_columns(protocol)
    if not len(contexts):
        return []
    values = message_values(ranked.of_messages(protocol, slice), ranked.cases.rows[mask], bool(protocol.negatives))
    estimates = bootstrap_means(values, groups, np.random.default_rng([base.seed, 16]), draws)
    rows = [make_row(base, metric, estimate, k) for (metric, k), estimate in zip(columns, estimates, strict=True)]
    for other in against:
        theirs = message_values(other.of_messages(protocol, slice), other.cases.rows[mask], bool(protocol.negatives))
        gains = differences(values, theirs, groups, np.random.default_rng([base.seed, 16]), draws)
        rows += [
            make_row(base, metric, gain, k, against=other.system)
            for (metric, k), gain in zip(columns, gains, strict=True)
        ]
    return rows


def _message_columns(protocol: Protocol) -> list[tuple[str, int]]:
    names = BY_MESSAGE[:2] if protocol.negatives else BY_MESSAGE
    return [(name, k) for name in names for k in CUTOFFS]


def case_values(ranks: Ints64) -> Floats64:
    """Every metric of ``BY_CASE`` of each case, [n, len(BY_CASE)]."""
    return np.stack([RANKING[metric](ranks, k) for metric, k in BY_CASE], axis=1)


def named_before(full: Ints64, rows: Ints64, named: Bools) -> Ints64:
    """How many *other* gold items of its message that were named before score at least as much as each gold item [n].

    ``full``: unmasked ranks, which order the gold items of a message as their scores do; ``rows``: the message of each.
    """
    ahead = np.zeros(len(full), dtype=np.int64)
    order = np.argsort(rows, kind="stable")
    for places in np.split(order, np.flatnonzero(np.diff(rows[order])) + 1):
        higher = named[None, places] & (full[None, places] <= full[places, None])
        ahead[places] = higher.sum(axis=1) - named[places]  # itself, where it was named
    return ahead


def message_values(ranks: Ints64, rows: Ints64, sampled: bool = False) -> Floats64:
    """Recall, any hit and (not of ``sampled``) NDCG at every cutoff of each message, in rising order of ``rows``."""
    _, places, sizes = np.unique(rows, return_inverse=True, return_counts=True)
    hits = {k: np.bincount(places, RANKING["HR"](ranks, k), len(sizes)) for k in CUTOFFS}
    columns = [hits[k] / sizes for k in CUTOFFS] + [(hits[k] > 0).astype(np.float64) for k in CUTOFFS]
    if not sampled:
        for k in CUTOFFS:
            ideal = np.cumsum(1.0 / np.log2(np.arange(2, k + 2)))
            gains = np.bincount(places, RANKING["NDCG"](ranks, k), len(sizes))
            columns.append(gains / ideal[np.minimum(sizes, k) - 1])
    return np.stack(columns, axis=1)
