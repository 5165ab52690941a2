"""Replayed contexts as tensors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from tacit.dialogue.users.replay import Replayed


@dataclass(frozen=True)
class Outcomes:
    """N contexts, K items of the one with most; what lies under a False ``mask`` repeats an item and means nothing."""

    rows: Tensor  # [N, K] catalogue rows
    gain: Tensor  # [N, K], 0 under False
    mask: Tensor  # [N, K]
    now: Tensor  # [N, K], named in this turn
    baseline: float  # the mean gain of all real items

    def __len__(self) -> int:
        return len(self.rows)

    @classmethod
    def of(cls, users: Sequence[Replayed]) -> Outcomes:
        width = max(len(user.rows) for user in users)

        def padded(values: Sequence[Sequence[float]], fill: Sequence[float], dtype: torch.dtype) -> Tensor:
            rows = [[*v, *[f] * (width - len(v))] for v, f in zip(values, fill, strict=True)]
            return torch.tensor(rows, dtype=dtype)

        none = [0.0] * len(users)
        rows = padded([user.rows for user in users], [user.rows[0] for user in users], torch.long)
        gain = padded([user.gains for user in users], none, torch.float32)
        mask = padded([[True] * len(user.rows) for user in users], none, torch.bool)
        now = padded([user.now for user in users], none, torch.bool)
        return cls(rows, gain, mask, now, float(gain.sum() / mask.sum()))

    def take(self, rows: Tensor) -> Outcomes:
        return Outcomes(self.rows[rows], self.gain[rows], self.mask[rows], self.now[rows], self.baseline)

    def per_item(self, n_items: int) -> Tensor:
        """[N, n_items]: what each item is worth there, 0 where nobody knows."""
        worth = torch.zeros(len(self), n_items)
        return worth.scatter_add_(1, self.rows, torch.where(self.mask, self.gain, 0.0))
