"""Dense retrieval: a sentence encoder, not trained, reads the last messages and each item's text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from tacit.catalog import Catalog
from tacit.text.encoder import PINNED, TextEncoder
from tacit.types import Dialogue

Scores = npt.NDArray[np.float32]


@dataclass
class DenseConfig:
    encoder: str = PINNED  # a folder in the hub's format, or a hub name


class Dense:
    """score_i = cos(window, item) + ``named`` · mean over items named so far of cos(named item, item).

    Where nothing was named the second part is 0. Vectors have length 1.
    """

    def __init__(self, catalog: Catalog, encoder: TextEncoder, items: Tensor, turns: int, named: float) -> None:
        self._catalog, self._encoder, self._items = catalog, encoder, items
        self._turns, self._named = turns, named

    @torch.no_grad()
    def scores(self, contexts: Sequence[Dialogue]) -> Scores:
        """[len(contexts), n_items]."""
        query = self._encoder.encode([window(context, self._turns) for context in contexts])
        for row, context in enumerate(contexts):
            rows = [self._catalog.index(item) for item in context.mentioned()]
            if rows and self._named:
                query[row] = query[row] + self._named * self._items[rows].mean(dim=0)
        return np.asarray((query @ self._items.T).cpu().numpy(), dtype=np.float32)


def window(context: Dialogue, turns: int) -> str:
    return "\n".join(f"{turn.speaker}: {turn.text}" for turn in context.turns[-turns:])


def variants(catalog: Catalog, config: DenseConfig) -> dict[str, Dense]:
    """What validation chooses from: how many messages are read, and what the items named so far weigh."""
    encoder = TextEncoder.load(config.encoder)
    items = encoder.encode([item.text for item in catalog], what="item texts")
    return {
        f"{turns} messages, named items weigh {named:g}": Dense(catalog, encoder, items, turns, named)
        for turns in (2, 6)
        for named in (0.0, 1.0, 3.0)
    }
