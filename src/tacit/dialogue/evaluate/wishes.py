"""How often what is shown satisfies all of a wish, judged by the catalogue's facts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.stats import beta

from tacit.catalog import Catalog
from tacit.dialogue.evaluate.wish_lists import Case
from tacit.dialogue.policy.act import act
from tacit.dialogue.policy.policy import Policy
from tacit.dialogue.policy.wishes.features import excluded, unmet
from tacit.dialogue.policy.wishes.state import WishReader
from tacit.metrics.intervals import Estimate
from tacit.types import Floats64

Show = Callable[[Sequence[Case]], list[tuple[int, ...]]]  # the item rows shown for each case; () without a slate


@dataclass(frozen=True, slots=True)
class WishRow:
    """``list`` of wishes, ``model`` and how it decided; ``share`` is the mean over wishes with its interval by wish."""

    list: str
    model: str
    decision: str  # "forced", "free", or "" for what always recommends
    share: Estimate


def satisfied_share(shown: Sequence[int], case: Case, size: int) -> float:
    """Of the items shown, the share that satisfies the wish; where fewer exist than a slate holds, of those that do.
    0 without a slate."""
    if not shown:
        return 0.0
    hits = int(case.satisfies[list(shown)].sum())
    return hits / min(len(shown), size, int(case.satisfies.sum()))


def score_lists(
    lists: Mapping[str, Sequence[Case]],
    policies: Mapping[str, Policy],
    catalog: Catalog,
    size: int,
    seed: int,
) -> list[WishRow]:
    """Every list by every policy (told to recommend, and free to), and by popularity with and without the wish."""
    shows: list[tuple[str, str, Show]] = []
    for name, policy in policies.items():
        shows += [(name, "forced", _policy(policy, seed, True)), (name, "free", _policy(policy, seed, False))]
    reader = WishReader(catalog)
    shows.append(("popularity within the wish", "", lambda cases: [within_wish(c, reader, size) for c in cases]))
    shows.append(("popularity", "", lambda cases: [popular(c, catalog, size) for c in cases]))
    rows = []
    for list_name, cases in lists.items():
        for model, decision, show in shows:
            shares = np.array([satisfied_share(s, c, size) for s, c in zip(show(cases), cases, strict=True)])
            value = Estimate(float(shares.mean()), *share_interval(shares), len(shares), len(shares))
            rows.append(WishRow(list_name, model, decision, value))
    return rows


def share_interval(shares: Floats64) -> tuple[float, float]:
    """95 % for the mean of shares [n] in [0, 1], one a wish: Clopper & Pearson (1934, Biometrika 26(4)) with the sum of
    the shares for the number of hits. A share varies at most as a hit or miss of equal mean does, so that the interval
    is wide rather than narrow. Near 1 most resamples are without spread, and a bootstrap's interval has no ends."""
    n, hits = len(shares), float(shares.sum())
    low = float(beta.ppf(0.025, hits, n - hits + 1)) if hits > 0 else 0.0
    high = float(beta.ppf(0.975, hits + 1, n - hits)) if hits < n else 1.0
    return low, high


def _policy(policy: Policy, seed: int, forced: bool, batch: int = 32) -> Show:
    def show(cases: Sequence[Case]) -> list[tuple[int, ...]]:
        generator = torch.Generator().manual_seed(seed)
        shown: list[tuple[int, ...]] = []
        for start in range(0, len(cases), batch):
            contexts = [case.context for case in cases[start : start + batch]]
            for sample in act(policy, contexts, generator, decide="recommend" if forced else None, write=False):
                shown.append(tuple(policy.catalog.index(i) for i in sample.slate.items) if sample.slate else ())
        return shown

    return show


def popular(case: Case, catalog: Catalog, size: int) -> tuple[int, ...]:
    """The most mentioned items of training that the dialogue has not named, whatever is wished."""
    return _best(case, catalog, np.log1p(catalog.counts), size)


def within_wish(case: Case, reader: WishReader, size: int) -> tuple[int, ...]:
    """The most mentioned items that meet most of what the parser reads of the wish: the parser without a policy."""
    wishes = reader.read(case.context)
    scores = np.log1p(reader.catalog.counts) - 100.0 * unmet(wishes, reader.index)
    scores = np.where(excluded(wishes, reader.index, size), -1e6, scores)
    return _best(case, reader.catalog, scores, size)


def _best(case: Case, catalog: Catalog, scores: Floats64, size: int) -> tuple[int, ...]:
    named = [catalog.index(item) for item in case.context.mentioned()]
    scores = scores.astype(np.float64)
    scores[named] = -np.inf
    return tuple(int(row) for row in np.argsort(-scores, kind="stable")[:size])
