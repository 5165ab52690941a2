"""Seconds of an epoch of KAR's rerankers over as many lists, users and items as MovieLens-1M has.

    OMP_NUM_THREADS=1 python benchmarks/reranker_epoch.py

Lists, texts and labels are drawn: time does not depend on what they say. Printed are the seconds of a whole epoch,
taken from the given share of it.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import torch

from tacit.rerank.lists.lists import Lists
from tacit.rerank.ranker.tokens import Knowledge
from tacit.rerank.ranker.train_reranker import RerankerConfig, new_reranker, train_ranker
from tacit.types import Item

USERS, ITEMS, LISTS, CANDIDATES = 5_436, 3_706, 190_000, 10
GENRES = 18


def drawn_lists(n: int, seed: int) -> Lists:
    draw = np.random.default_rng(seed)
    items = draw.integers(0, ITEMS, (n, CANDIDATES)).astype(np.int32)
    labels = (draw.random(items.shape) < 0.22).astype(np.int8)
    users = draw.integers(0, USERS, n).astype(np.int32)
    return Lists(users, items, labels, labels > 0, np.full(n, 30, np.int32))


def seconds(name: str, text_dim: int | None, dtype: str, share: float) -> float:
    """Of one epoch over ``LISTS`` lists, without scoring the selection lists."""
    items = [Item(str(k), f"Film {k}", "", {"first_genre": (f"genre {k % GENRES}",)}) for k in range(ITEMS)]
    config = RerankerConfig(name=name, batch=512, epochs=1)
    generator = torch.Generator().manual_seed(0)
    texts = text_dim and Knowledge(
        torch.randn(USERS, text_dim, generator=generator), torch.randn(ITEMS, text_dim, generator=generator)
    )
    model = new_reranker(config, items, text_dim, seed=0)
    lists, few = drawn_lists(round(share * LISTS), seed=0), drawn_lists(2, seed=1)
    began = time.perf_counter()
    train_ranker(model, lists, few, texts or None, config, 0, dtype=dtype)
    return (time.perf_counter() - began) / share


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--share", type=float, default=0.1, help="of the epoch that is really run")
    share = parser.parse_args().share
    print(f"{LISTS:,} lists of {CANDIDATES}, {USERS:,} users, {ITEMS:,} items, {torch.get_num_threads()} threads")
    for name in ("dlcm", "prm"):
        for dim in (None, 16, 768):
            for dtype in ("float32", "bfloat16"):
                texts = "no texts" if dim is None else f"texts of {dim}"
                print(f"{name:5} {texts:14} {dtype:9} {seconds(name, dim, dtype, share):6.0f} s an epoch", flush=True)


if __name__ == "__main__":
    main()
