"""Which items are named together in the training dialogues: what a query learns of the items it has seen so far."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from scipy import sparse
from torch import Tensor

from tacit.catalog import Catalog
from tacit.types import Dialogue


class Associations(NamedTuple):
    """The strongest neighbours of the h items with history; unused places have weight 0."""

    rows: Tensor  # [h] int64, rising: catalogue rows that training dialogues name
    items: Tensor  # [h, keep] int32, catalogue rows of their neighbours
    weights: Tensor  # [h, keep] float32


def associations(dialogues: Sequence[Dialogue], catalog: Catalog, keep: int = 100) -> Associations:
    """Item-to-item association from co-mention in a dialogue: the ``keep`` strongest of each item with history.

    a[m, i] = log(1 + c_mi / sqrt(1 + c_m)), c_mi = dialogues that mention both: a damped conditional count, so that a
    pair seen once with a rare item weighs more than a pair seen once with a blockbuster.
    """
    rows, columns = [], []
    for d, dialogue in enumerate(dialogues):
        for item in dialogue.mentioned():
            rows.append(d)
            columns.append(catalog.index(item))
    shape = (max(len(dialogues), 1), len(catalog))
    x = sparse.csr_matrix((np.ones(len(rows), dtype=np.float32), (rows, columns)), shape=shape)
    x.data[:] = 1.0
    pairs = (x.T @ x).tocsr()
    counts = pairs.diagonal()
    known = np.flatnonzero((counts > 0) | (catalog.counts > 0))
    items = np.zeros((len(known), keep), dtype=np.int32)
    weights = np.zeros((len(known), keep), dtype=np.float32)
    for row, m in enumerate(known):
        near = pairs.indices[pairs.indptr[m] : pairs.indptr[m + 1]]
        value = np.log1p(pairs.data[pairs.indptr[m] : pairs.indptr[m + 1]] / np.sqrt(1.0 + counts[m]))
        value = np.where(near == m, 0.0, value)
        best = np.lexsort((near, -value))[:keep]
        items[row, : len(best)], weights[row, : len(best)] = near[best], value[best]
    return Associations(torch.from_numpy(known.astype(np.int64)), torch.from_numpy(items), torch.from_numpy(weights))
