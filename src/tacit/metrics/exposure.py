"""What the lists of all contexts together show: how much of the catalogue, how unequally, how known, how alike.

A list that is shorter than others is filled up with −1, which stands for no item.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from tacit.types import Floats64, Ints64


def coverage(lists: Ints64, n_items: int) -> float:
    """Share of the catalogue that stands in any of the lists [n, k]; NaN without lists."""
    return len(np.unique(lists[lists >= 0])) / n_items if lists.size else math.nan


def gini(lists: Ints64, n_items: int) -> float:
    """Gini coefficient of how often each item of the catalogue is shown: 0 all equally, near 1 few alone.

    G = Σ_i (2i − n − 1) x_i / (n Σ x), x rising (Shani & Gunawardana 2011, "Evaluating Recommendation Systems").
    """
    items = lists[lists >= 0]
    if not items.size:
        return math.nan
    shown = np.sort(np.bincount(items, minlength=n_items)).astype(np.float64)
    ranks = 2.0 * np.arange(1, n_items + 1) - n_items - 1.0
    return float((ranks * shown).sum() / (n_items * shown.sum()))


def self_information(counts: Ints64) -> Floats64:
    """−log2 p_i of each item [n_items] in bits, p_i = (c_i + 1) / Σ_j (c_j + 1): what nobody named has finite news."""
    more = counts.astype(np.float64) + 1.0
    return np.asarray(-np.log2(more / more.sum()))


def novelty(lists: Ints64, counts: Ints64) -> Floats64:
    """Mean self-information in bits of each list's items [n] (Zhou et al. 2010), NaN of an empty list; ``counts`` are
    training mentions."""
    there = lists >= 0
    bits = np.where(there, self_information(counts)[lists], 0.0).sum(axis=1)
    sizes = there.sum(axis=1)
    means: Floats64 = np.divide(bits, sizes, out=np.full(len(lists), np.nan), where=sizes > 0)
    return means


def diversity(lists: Ints64, features: Sequence[frozenset[str]]) -> Floats64:
    """1 − mean Jaccard similarity over the pairs of each list [n] (Ziegler et al. 2005, as a distance).

    ``features`` of each item, such as its attribute values. Pairs of which either has none are left out; NaN where
    there are none left.
    """
    values = np.full(len(lists), np.nan)
    for row, items in enumerate(lists.tolist()):
        known = [features[item] for item in items if item >= 0 and features[item]]
        pairs = [1.0 - len(a & b) / len(a | b) for i, a in enumerate(known) for b in known[:i]]
        if pairs:
            values[row] = sum(pairs) / len(pairs)
    return values
