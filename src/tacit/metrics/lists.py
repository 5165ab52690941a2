"""Metrics of reranked lists: first a value for each list, then means with intervals over users.

Labels are what stands at each place, the best first: [L, C]. A list without a positive counts as 0 in every metric, as
in KAR (RS/utils.py, lines 202-232), so that no scorer gets above the share of lists that have one. MAP has two
denominators in use that differ by a tenth here; neither goes by the bare name.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
from scipy.special import log_softmax

from tacit.metrics.intervals import Estimate, bootstrap_means
from tacit.types import Bools, Floats64

Labels = npt.NDArray[np.integer]
Scores = npt.NDArray[np.generic]

CUTOFF = 5
METRICS = ("kar_map", "standard_map", "ndcg", "consumed_ndcg")  # over lists
BY_USER = "user_ndcg"  # over users, of their means


def in_order(scores: Scores, labels: Labels) -> Labels:
    """Labels [L, C] by falling score; equal scores keep the input order, which is shuffled."""
    return np.take_along_axis(labels, np.argsort(_falling(scores), axis=1, kind="stable"), axis=1)


def consumed_first(scores: Scores, labels: Labels, consumed: Bools) -> Labels:
    """Labels [L, C] by falling score, with all consumed items before all others: what is left is preference."""
    return np.take_along_axis(labels, np.lexsort((_falling(scores), ~consumed), axis=1), axis=1)


def _falling(scores: Scores) -> Floats64:
    values = np.asarray(scores, dtype=np.float64)
    if np.isnan(values).any():
        raise ValueError("a ranker returned NaN scores")
    return -values


def log_likelihood(scores: Scores, labels: Labels) -> Floats64:
    """Σ_i y_i log softmax(s)_i / Σ_i y_i of each list, [L, C] each → [L], nats, at most 0; 0 without a positive.

    A bound on NDCG that moves with every score (Bruch et al. 2019, "An Analysis of the Softmax Cross Entropy Loss for
    Learning-to-Rank with Binary Relevance"). A number added to all scores of a list changes nothing, so that knowing
    how many a user likes, which orders no list, earns nothing: a pointwise loss would pay for it.
    """
    logs = log_softmax(np.asarray(scores, dtype=np.float64), axis=1)
    likelihoods: Floats64 = (logs * labels).sum(axis=1) / np.maximum(labels.sum(axis=1), 1)
    return likelihoods


def kar_map(labels: Labels, k: int) -> Floats64:
    """AP@k as KAR and LibRerank have it: Σ_{i ≤ k} y_i · precision@i / number of hits in the top k. [L] in [0, 1].

    One hit at the top is 1 whatever is missed below k. torchmetrics' RetrievalMAP(top_k=k) agrees for scores above 0.
    """
    hits = (labels[:, :k] > 0).sum(axis=1)
    return _ratio(_precision_sum(labels, k), hits)


def standard_map(labels: Labels, k: int) -> Floats64:
    """AP@k over the best it could be: Σ_{i ≤ k} y_i · precision@i / min(k, positives of the list). [L] in [0, 1]."""
    positives = (labels > 0).sum(axis=1)
    return _ratio(_precision_sum(labels, k), np.minimum(positives, k))


def _precision_sum(labels: Labels, k: int) -> Floats64:
    hit = (labels[:, :k] > 0).astype(np.float64)
    sums: Floats64 = (hit * hit.cumsum(axis=1) / np.arange(1, hit.shape[1] + 1)).sum(axis=1)
    return sums


def ndcg(labels: Labels, k: int) -> Floats64:
    """NDCG@k: Σ_{i ≤ k} (2^{y_i} - 1) / log2(i + 1) over that of the list's own best order. [L] in [0, 1].

    Järvelin & Kekäläinen 2002, with the gain of Burges et al. 2005.
    """
    return _ratio(_dcg(labels, k), _dcg(-np.sort(-labels, axis=1), k))


def _dcg(labels: Labels, k: int) -> Floats64:
    gains = np.exp2(labels[:, :k].astype(np.float64)) - 1.0
    sums: Floats64 = (gains / np.log2(np.arange(2, gains.shape[1] + 2))).sum(axis=1)
    return sums


def _ratio(value: Floats64, best: npt.NDArray[np.number]) -> Floats64:
    """value / best, 0 where the list has nothing to find."""
    ratios: Floats64 = np.divide(value, best, out=np.zeros(len(value)), where=best > 0)
    return ratios


def measure(scores: Scores, labels: Labels, consumed: Bools, k: int = CUTOFF) -> dict[str, Floats64]:
    """Each of ``METRICS`` at k for each list, [L], of scores, labels and consumed flags [L, C].

    ``consumed_ndcg`` ranks a list's consumed items among themselves.
    """
    ordered = in_order(scores, labels)
    return {
        "kar_map": kar_map(ordered, k),
        "standard_map": standard_map(ordered, k),
        "ndcg": ndcg(ordered, k),
        "consumed_ndcg": ndcg(consumed_first(scores, labels, consumed), k),
    }


def by_user_means(values: Floats64, users: npt.NDArray[np.integer]) -> tuple[npt.NDArray[np.integer], Floats64]:
    """The users that have lists, in rising order [U], and the mean of each one's values [U]."""
    found, rows, counts = np.unique(users, return_inverse=True, return_counts=True)
    return found, np.bincount(rows, weights=values) / counts


def clustered_interval(values: Floats64, users: npt.NDArray[np.integer], draws: int = 1000, seed: int = 0) -> Estimate:
    """Mean of values [L] over lists with a 95 % bootstrap interval over whole users [L].

    For two scorers of the same lists give the differences: the interval is then a paired one.
    """
    return bootstrap_means(values[:, None], users, np.random.default_rng(seed), draws)[0]


def estimates(
    values: Mapping[str, Floats64], users: npt.NDArray[np.integer], draws: int = 1000, seed: int = 0
) -> dict[str, Estimate]:
    """``clustered_interval`` of every metric of ``measure``, and ``user_ndcg``: NDCG with every user counted once."""
    found, means = by_user_means(values["ndcg"], users)
    by_list = {name: clustered_interval(column, users, draws, seed) for name, column in values.items()}
    return {**by_list, BY_USER: clustered_interval(means, found, draws, seed)}
