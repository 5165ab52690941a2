"""Every number an evaluation prints, from ranks and texts alone: one formula, one pure function.

Ranks are 1-based. A case has exactly one relevant item, so HR@k equals Recall@k and the ideal DCG is 1. Per-case values
come first, means and intervals last: cases of one dialogue are not independent, so dialogues are what is resampled.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from tacit.types import Floats64

Ranks = npt.NDArray[np.int64]


def hit(ranks: Ranks, k: int) -> Floats64:
    """HR@k of each case: 1 where rank ≤ k. [n] in {0, 1}."""
    return (ranks <= k).astype(np.float64)


def ndcg(ranks: Ranks, k: int) -> Floats64:
    """NDCG@k of each case with one relevant item: 1 / log2(rank + 1) where rank ≤ k (Järvelin & Kekäläinen 2002)."""
    return np.where(ranks <= k, 1.0 / np.log2(ranks + 1.0), 0.0)


def mrr(ranks: Ranks, k: int) -> Floats64:
    """Reciprocal rank cut at k: 1 / rank where rank ≤ k. [n] in [0, 1]."""
    return np.where(ranks <= k, 1.0 / ranks, 0.0)


RANKING: dict[str, Callable[[Ranks, int], Floats64]] = {"HR": hit, "NDCG": ndcg, "MRR": mrr}


def auc(scores: Floats64, positive: npt.NDArray[np.bool_]) -> float:
    """P(a positive scores above a negative), ties count half (Mann & Whitney 1947); NaN without both classes."""
    scores, positive = np.asarray(scores, dtype=np.float64), np.asarray(positive, dtype=bool)
    n_positive, n_negative = int(positive.sum()), int((~positive).sum())
    if not n_positive or not n_negative:
        return math.nan
    _, places, counts = np.unique(scores, return_inverse=True, return_counts=True)
    mean_rank = np.cumsum(counts) - (counts - 1) / 2.0
    wins = float(mean_rank[places][positive].sum()) - n_positive * (n_positive + 1) / 2.0
    return wins / (n_positive * n_negative)
