"""Scores of candidates from the history strictly before their list, many lists at a time.

Shapes: L lists of C candidates, n items. ``weights`` is an item-to-item model [n, n] (``collaborative``), ``values``
[n interactions] what each interaction of the histories counts.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from tacit.rerank.lists.lists import Histories, Lists
from tacit.rerank.ranker.collaborative import OWN_MEAN
from tacit.types import Floats32, Floats64, Ints32


def over_history(weights: Floats32, values: Floats32, histories: Histories, lists: Lists) -> Floats32:
    """[L, C]: Σ_h value_h weights[h, c] over the whole history before the list.

    The sums run along a user's history once, and every list reads them where it starts.
    """
    scores = np.empty(lists.items.shape, dtype=np.float32)
    for user, rows in _by_user(lists):
        first, starts = int(histories.offsets[user]), lists.start[rows]
        span = slice(first, first + int(starts.max()))
        columns, at = np.unique(lists.items[rows], return_inverse=True)
        counted = weights[np.ix_(histories.items[span], columns)]
        counted *= values[span, None]
        sums = _prefix(counted)
        scores[rows] = sums[starts[:, None], at.reshape(len(rows), -1)]
    return scores


def over_last(
    weights: Floats32, values: Floats32, histories: Histories, lists: Lists, last: int, decay: float = 1.0
) -> Floats32:
    """[L, C]: Σ_k decay^(k-1) value_h weights[h, c], h the k-th last item before the list, k = 1 … ``last``.

    Without a decay it is the mean over the items there are.
    """
    scores = np.empty(lists.items.shape, dtype=np.float32)
    for begin in range(0, len(lists), 4096):  # a block's ties are [4096, C, last]
        rows = slice(begin, begin + 4096)
        place = lists.start[rows, None] - np.arange(1, last + 1)
        entries = histories.offsets[lists.users[rows]][:, None] + place.clip(min=0)
        counts = np.where(place >= 0, values[entries] * decay ** np.arange(last), 0.0).astype(np.float32)
        if decay == 1.0:
            counts /= np.maximum((place >= 0).sum(-1, keepdims=True), 1)
        ties = weights[histories.items[entries][:, None], lists.items[rows, :, None]]
        scores[rows] = np.einsum("lk,lck->lc", counts, ties)
    return scores


def nearest(weights: Floats32, histories: Histories, lists: Lists, last: int, count: int) -> Floats32:
    """[L, C]: the mean of the ``count`` largest weights[h, c] over the last ``last`` items before the list.

    Where there are fewer items, or fewer positive weights, the rest count as 0.
    """
    scores = np.empty(lists.items.shape, dtype=np.float32)
    for begin in range(0, len(lists), 1024):  # a block's weights are [1024, C, last]
        rows = slice(begin, begin + 1024)
        place = lists.start[rows, None] - np.arange(1, last + 1)
        items = histories.items[histories.offsets[lists.users[rows]][:, None] + place.clip(min=0)]
        ties = np.where((place >= 0)[:, None], weights[items[:, None], lists.items[rows, :, None]], 0.0).clip(min=0.0)
        scores[rows] = np.partition(ties, -count, axis=-1)[..., -count:].mean(-1)
    return scores


def from_factors(factors: Floats32, l2: float, stars: Floats32, histories: Histories, lists: Lists) -> Floats32:
    """[L, C]: p · V_c, p the ridge regression of what the user gave before the list on the factors V of those items.

    ``stars`` are less the item's mean; here they are less the user's own mean so far too.
    """
    scores = np.empty(lists.items.shape, dtype=np.float32)
    penalty = l2 * np.eye(factors.shape[1])
    for user, rows in _by_user(lists):
        first, starts = int(histories.offsets[user]), lists.start[rows]
        span = slice(first, first + int(starts.max()))
        rated, given = factors[histories.items[span]].astype(np.float64), stars[span].astype(np.float64)
        squares = _prefix(rated[:, :, None] * rated[:, None, :])[starts]
        user_mean = _prefix(given)[starts] / (starts + OWN_MEAN)
        target = _prefix(rated * given[:, None])[starts] - user_mean[:, None] * _prefix(rated)[starts]
        taste = np.linalg.solve(squares + penalty, target[..., None])[..., 0]
        scores[rows] = np.einsum("ld,lcd->lc", taste, factors[lists.items[rows]])
    return scores


def among(weights: Floats32, items: Ints32) -> Floats32:
    """[L, C, C]: weights[c', c] of every other candidate c' of the list, at [l, c, c']; 0 for an item and itself."""
    return weights[items[:, None, :], items[:, :, None]]


def sums_before(histories: Histories, values: Floats32, lists: Lists) -> Floats64:
    """[L]: the sum of ``values`` over the history before each list."""
    sums = _prefix(values.astype(np.float64))
    first = histories.offsets[lists.users]
    total: Floats64 = sums[first + lists.start] - sums[first]
    return total


def _by_user(lists: Lists) -> Iterator[tuple[int, npt.NDArray[np.int64]]]:
    """Each user with the rows of their lists."""
    order = np.argsort(lists.users, kind="stable")
    users, begins = np.unique(lists.users[order], return_index=True)
    if len(users):
        for user, rows in zip(users, np.split(order, begins[1:]), strict=True):
            yield int(user), rows


def _prefix(values: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
    """[m, ...] → [m + 1, ...]: the sum of the first 0, 1, … m rows."""
    sums = np.zeros_like(values, shape=(len(values) + 1, *values.shape[1:]))
    np.cumsum(values, axis=0, out=sums[1:])
    return sums
