"""Importance-weighted policy gradient on what was named: as ``tacit learn``'s, each item an action of its own."""

from __future__ import annotations

import torch
from torch import Tensor

from tacit.dialogue.train.offpolicy_loss import off_policy_loss
from tacit.dialogue.train.outcomes.settings import OutcomesConfig
from tacit.dialogue.train.outcomes.tables import Outcomes


def importance_loss(
    logits: Tensor, first: Tensor, outcomes: Outcomes, config: OutcomesConfig, generator: torch.Generator
) -> Tensor:
    """``offpolicy_loss.off_policy_loss`` with the mean gain as baseline, so that where all is worth the same nothing
    moves. People log no propensities: the policy that was fitted to other people's dialogues stands for them."""
    now, then = (torch.log_softmax(part, dim=1).gather(1, outcomes.rows) for part in (logits, first))
    weight = outcomes.mask.float()
    advantage = outcomes.gain - outcomes.baseline
    flat = now[outcomes.mask], then[outcomes.mask], advantage[outcomes.mask], weight[outcomes.mask]
    return off_policy_loss(*flat, config.cap, float(weight.sum()))
