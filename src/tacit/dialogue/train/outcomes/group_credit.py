"""A group of slates from the policy itself, each rank credited with what its own item was worth."""

from __future__ import annotations

import torch
from torch import Tensor

from tacit.dialogue.policy.plackett_luce import draw_slates, group_logprobs
from tacit.dialogue.train.outcomes.settings import OutcomesConfig
from tacit.dialogue.train.outcomes.tables import Outcomes
from tacit.losses import leave_one_out, rank_credit_loss, tells_apart


def group_credit_loss(
    logits: Tensor, first: Tensor, outcomes: Outcomes, config: OutcomesConfig, generator: torch.Generator
) -> Tensor:
    """``losses.rank_credit_loss`` of ``config.group`` slates a context; a rank's reward is discounted as in DCG."""
    contexts, group, size = len(logits), config.group, config.slate_size
    with torch.no_grad():
        slates = draw_slates(logits.repeat_interleave(group, 0), size, generator).unflatten(0, (contexts, group))
        worth = outcomes.per_item(logits.shape[1]).gather(1, slates.flatten(1)).view_as(slates)
        rewards = worth / torch.log2(torch.arange(2, size + 2, dtype=torch.float32))
    logprob = group_logprobs(logits, slates)
    return rank_credit_loss(logprob, leave_one_out(rewards), tells_apart(rewards))
