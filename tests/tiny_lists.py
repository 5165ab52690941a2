"""Small random histories, candidate lists and text vectors for the tests of rerankers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from tacit.lists import Histories, Lists
from tacit.models.rerankers import Knowledge, Reranker, build_reranker

N_USERS, N_ITEMS, DIM = 6, 20, 5


def histories(of_users: Sequence[Sequence[int]]) -> Histories:
    """Every interaction has 4 stars."""
    lengths = [len(items) for items in of_users]
    items = np.array([item for items in of_users for item in items], dtype=np.int32)
    cut = np.array([(n + 1) // 2 for n in lengths], dtype=np.int32)
    return Histories(np.concatenate([[0], np.cumsum(lengths)]), items, np.full(len(items), 4, np.float32), cut)


def random_histories(seed: int = 0) -> Histories:
    """Users 0 to 5 with 25 interactions each but user 0, who has 4. Items repeat."""
    draw = np.random.default_rng(seed)
    return histories([draw.integers(0, N_ITEMS, 25 if user else 4).tolist() for user in range(N_USERS)])


def random_lists(n: int, seed: int = 0, candidates: int = 10) -> Lists:
    """Different candidates in each. Liked are, nearly always, the items of a row below 5, and the others seldom."""
    draw = np.random.default_rng(seed)
    items = draw.permuted(np.tile(np.arange(N_ITEMS, dtype=np.int32), (n, 1)), axis=1)[:, :candidates]
    labels = (draw.random(items.shape) < np.where(items < 5, 0.9, 0.05)).astype(np.int8)
    users = draw.integers(0, N_USERS, n).astype(np.int32)
    return Lists(users, items, labels, labels > 0, draw.integers(1, 4, n).astype(np.int32))


def knowledge(seed: int = 0) -> Knowledge:
    draw = torch.Generator().manual_seed(seed)
    user, item, places = (torch.randn(n, DIM, generator=draw) for n in (N_USERS, N_ITEMS, N_ITEMS))
    return Knowledge(user, item, places=places)


def reranker(name: str, texts: bool, dropout: float = 0.0, seed: int = 0) -> Reranker:
    """Two attributes an item, of three values in all; some items lack the second."""
    attributes = torch.stack([torch.arange(N_ITEMS) % 2 + 1, 3 * (torch.arange(N_ITEMS) % 3 == 0)], dim=1)
    return build_reranker(name, N_ITEMS, attributes, 3, DIM if texts else None, dropout=dropout, seed=seed)
