"""Features of candidate lists at the size of Amazon Books' (60, 40)-core: seconds and peak memory on generated ratings.

    OMP_NUM_THREADS=1 python benchmarks/amazon_features.py --items 17332

Users, ratings and lists shrink with the items. What is measured is one pass over all lists with what the training
users teach; a run makes ``features.folds`` such passes, each over a part of the training lists, and one more.
"""

from __future__ import annotations

import argparse
import resource
import time

import numpy as np
import numpy.typing as npt
import polars as pl

from tacit.data.ratings.table import COLUMNS, Ratings
from tacit.rerank.lists.lists import ListConfig, build
from tacit.rerank.ranker.features import FeatureConfig, features
from tacit.types import Item

USERS, ITEMS, RATINGS = 11_906, 17_332, 1_406_582  # of the core
USER_CORE, ITEM_CORE = 60, 40
CATEGORIES, BRANDS = 30, 5_000


def generate(n_items: int, seed: int = 0) -> Ratings:
    """Ratings of ``n_items`` items and as many users and ratings as belong to them, each user's in time order."""
    rng = np.random.default_rng(seed)
    n_users, n = USERS * n_items // ITEMS, RATINGS * n_items // ITEMS
    user = np.sort(core_and_tail(rng, n, n_users, USER_CORE))
    item = rng.permutation(core_and_tail(rng, n, n_items, ITEM_CORE))
    stars = rng.choice([1.0, 2.0, 3.0, 4.0, 5.0], n, p=[0.05, 0.05, 0.1, 0.2, 0.6])
    frame = pl.DataFrame({"user": user, "item": item, "rating": stars, "time": np.arange(n), "rank": None})
    return Ratings(
        name="generated",
        frame=frame.select(pl.col(column).cast(kind) for column, kind in COLUMNS.items()),
        users=tuple(map(str, range(n_users))),
        items=tuple(book(row) for row in range(n_items)),
        profiles=("",) * n_users,
        positive_above=4.0,
        domain="books",
    )


def core_and_tail(rng: np.random.Generator, n: int, kinds: int, core: int) -> npt.NDArray[np.int64]:
    """[n]: every kind ``core`` times, and the rest drawn with a long tail: number i with probability about i^(-1/2)."""
    tail = (rng.random(n - core * kinds) ** 2 * kinds).astype(np.int64)
    return np.concatenate([np.repeat(np.arange(kinds), core), tail])


def book(row: int) -> Item:
    facts = {
        "brand": (f"writer {row % BRANDS}",),
        "category": (f"category {int((row % 97) ** 2 / 97**2 * CATEGORIES)}",),
    }
    return Item(str(row), f"Book {row}", f"Book {row}.", facts)


def peak() -> float:
    """GB so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9  # kilobytes on Linux


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--items", type=int, default=2_000)
    ratings = generate(parser.parse_args().items)
    split, test, _ = build(ratings, ListConfig(text_history=15))
    parts = [split.train, split.valid, test.lists]
    size = f"{len(ratings.users):,} users, {len(ratings.items):,} items, {ratings.frame.height:,} ratings"
    print(f"{size}, {sum(map(len, parts)):,} lists; memory so far {peak():.2f} GB", flush=True)
    start, used = time.perf_counter(), time.process_time()
    features(split, ratings.items, split.train_users, parts, FeatureConfig())
    minutes, processor = (time.perf_counter() - start) / 60, (time.process_time() - used) / 60
    print(f"features in {minutes:.2f} min ({processor:.2f} min of processor time), peak memory {peak():.2f} GB")


if __name__ == "__main__":
    main()
