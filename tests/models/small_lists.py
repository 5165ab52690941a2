"""A world of 14 users and 20 items with candidate lists, small enough for slow twins."""

from __future__ import annotations

import numpy as np

from tacit.lists import Histories, Lists, ListSplit

N_USERS, N_ITEMS = 14, 20


def world() -> ListSplit:
    """Users with 12 random items each, lists of six candidates from place 4 on, two of them consumed."""
    rng = np.random.default_rng(3)
    items = np.concatenate([rng.permutation(N_ITEMS)[:12] for _ in range(N_USERS)]).astype(np.int32)
    ratings = rng.integers(1, 6, len(items)).astype(np.float32)
    offsets = 12 * np.arange(N_USERS + 1, dtype=np.int64)
    histories = Histories(offsets, items, ratings, np.full(N_USERS, 4, dtype=np.int32))

    def lists(users: range) -> Lists:
        starts = np.tile([4, 6, 8, 10], len(users)).astype(np.int32)
        owners = np.repeat(users, 4).astype(np.int32)
        at = offsets[owners][:, None] + starts[:, None] + np.arange(2)
        candidates = np.concatenate([items[at], rng.integers(0, N_ITEMS, (len(owners), 4))], axis=1).astype(np.int32)
        labels = np.zeros((len(owners), 6), dtype=np.int8)
        labels[:, :2] = ratings[at] > 3
        return Lists(owners, candidates, labels, np.tile(np.arange(6) < 2, (len(owners), 1)), starts)

    train, valid = np.arange(10, dtype=np.int32), np.arange(10, N_USERS, dtype=np.int32)
    return ListSplit(histories, N_ITEMS, 3.0, train, valid, lists(range(10)), lists(range(10, N_USERS)))
