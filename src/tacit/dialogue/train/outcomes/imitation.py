"""The likelihood of what was named: the anchor of every learner here, and alone the control (SFT on the same data)."""

from __future__ import annotations

import torch
from torch import Tensor

from tacit.dialogue.train.outcomes.tables import Outcomes


def imitation_loss(logits: Tensor, outcomes: Outcomes) -> Tensor:
    """−log p of the items of this turn, mean over the turns that name some; nats. As
    ``sft_losses.slate_loss``: the items of a turn share its weight, whatever the person thought of them."""
    log_p = torch.log_softmax(logits, dim=1).gather(1, outcomes.rows)
    counts = outcomes.now.sum(1)
    per_turn = -torch.where(outcomes.now, log_p, 0.0).sum(1) / counts.clamp(min=1)
    return per_turn.sum() / (counts > 0).sum().clamp(min=1)
