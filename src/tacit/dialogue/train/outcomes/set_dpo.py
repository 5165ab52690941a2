"""The set of items that the person thought best of against the set it thought less of, in one context."""

from __future__ import annotations

import torch
from torch import Tensor

from tacit.dialogue.train.outcomes.settings import OutcomesConfig
from tacit.dialogue.train.outcomes.tables import Outcomes
from tacit.losses import set_dpo_loss


def set_loss(
    logits: Tensor, first: Tensor, outcomes: Outcomes, config: OutcomesConfig, generator: torch.Generator
) -> Tensor:
    """``losses.set_dpo_loss``, mean over the contexts whose items differ in worth; the best of each are preferred."""
    gap = logits.gather(1, outcomes.rows) - first.gather(1, outcomes.rows)  # the two normalisers are a context's own
    best = torch.where(outcomes.mask, outcomes.gain, -torch.inf).amax(1, keepdim=True)
    preferred = outcomes.mask & (outcomes.gain >= best)
    told = (outcomes.mask & ~preferred).any(1)
    return set_dpo_loss(gap, preferred, outcomes.mask, config.beta).sum() / told.sum().clamp(min=1)
