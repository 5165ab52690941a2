"""Small hand-made and random ``Ratings`` for tests."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from tacit.data.ratings import COLUMNS, Ratings
from tacit.types import Item

Row = tuple[int, int, float, int | None, int | None]  # user, item, stars, seconds, rank


def ratings(rows: Sequence[Row], n_items: int, positive_above: float = 3.0) -> Ratings:
    """Users and items are rows; an item that nobody rated is allowed here, to keep hand examples short."""
    frame = pl.DataFrame(list(rows), schema=COLUMNS, orient="row")
    n_users = max(row[0] for row in rows) + 1
    items = tuple(Item(f"i{k}", f"Film {k} ({1980 + k})", f"Film {k}") for k in range(n_items))
    return Ratings("tiny", frame, tuple(f"u{k}" for k in range(n_users)), items, ("",) * n_users, positive_above)


def random_ratings(n_users: int = 30, n_items: int = 60, most: int = 40, seed: int = 0) -> Ratings:
    """Each user rates 2 to ``most`` different items, a popular one sooner; rows in random order; ranks and seconds."""
    generator = np.random.default_rng(seed)
    liking = generator.random(n_items)
    rows: list[Row] = []
    for user in range(n_users):
        count = int(generator.integers(2, most + 1))
        items = np.argsort(-generator.random(n_items) * liking)[:count].tolist()
        seconds = np.sort(generator.integers(0, 10**6, size=count)).tolist()
        stars = np.clip(np.round(2 + 2 * liking[items] + generator.normal(size=count)), 1, 5).tolist()
        rows += zip([user] * count, items, stars, seconds, range(1, count + 1), strict=True)
    return ratings([rows[row] for row in generator.permutation(len(rows))], n_items)
