"""What lists are worth before any model: scorers that know nothing, too little, or what nobody can know.

Every table of reranked lists carries these rows. A model below ``rate + seen`` has learnt less than two counts tell;
one above ``exposure oracle`` ranks better than knowing which items were consumed and nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from tacit.data.ratings.table import Ratings
from tacit.metrics.intervals import Estimate
from tacit.metrics.lists import CUTOFF, estimates, measure
from tacit.rerank.lists.lists import Card, ListConfig, Lists, ListSplit, build
from tacit.rerank.lists.order import possible_rules
from tacit.rerank.lists.past import Past
from tacit.rerank.ranker.collaborative import label_rate, popularity
from tacit.types import Floats64


@dataclass(frozen=True, slots=True)
class Row:
    """One scorer's means over the lists: every metric of ``list_metrics.estimates``."""

    name: str
    values: dict[str, Estimate]


@dataclass(frozen=True, slots=True)
class Variant:
    """The bounds of KAR's lists under one sort rule."""

    rule: str
    card: Card
    rows: tuple[Row, ...]


def seen(split: ListSplit, lists: Lists) -> Floats64:
    """1 where the list's user had rated the candidate before the list began, else 0. [L, C]."""
    return Past(split.histories, split.n_items).seen(lists).astype(np.float64)


def bound_scores(split: ListSplit, lists: Lists) -> dict[str, Floats64]:
    """Scores [L, C] of every bound, learnt from the training users alone; the two oracles read the answer.

    ``random`` is the input order, which is shuffled. ``rate`` is what a ranker without user input can learn, as DLCM is
    in KAR. Rates lie in [0, 1], so a seen item falls below all unseen ones.
    """
    rate = label_rate(split.train, split.n_items).astype(np.float64)[lists.items]
    counts = popularity(split.histories, split.train_users, split.n_items).astype(np.float64)
    return {
        "random": np.zeros(lists.items.shape),
        "popularity": counts[lists.items],
        "rate": rate,
        "rate + seen": rate - 2.0 * seen(split, lists),
        "exposure oracle": lists.consumed.astype(np.float64),
        "oracle": lists.labels.astype(np.float64),
    }


def bounds(split: ListSplit, lists: Lists, k: int = CUTOFF, draws: int = 1000, seed: int = 0) -> tuple[Row, ...]:
    """The rows of ``bound_scores`` on validation or test lists, with 95 % intervals over users."""
    return tuple(
        Row(name, estimates(measure(scores, lists.labels, lists.consumed, k), lists.users, draws, seed))
        for name, scores in bound_scores(split, lists).items()
    )


def sort_variants(ratings: Ratings, config: ListConfig, draws: int = 1000, seed: int = 0) -> tuple[Variant, ...]:
    """KAR's lists under every sort rule the data allow: how much of a level comes from the order alone."""
    variants = []
    for rule in possible_rules(ratings.frame):
        split, test, card = build(ratings, replace(config, variant="kar_lists", sort=rule))
        variants.append(Variant(rule, card, bounds(split, test.lists, draws=draws, seed=seed)))
    return tuple(variants)
