"""A group of slates from the policy itself, each rank credited with what its own item was worth."""

from __future__ import annotations

import torch
from torch import Tensor

from tacit.dialogue.policy.plackett_luce import draw_slates
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


def group_logprobs(logits: Tensor, slates: Tensor) -> Tensor:
    """log P(item_k | before) of G slates of each context: logits [B, n], slates [B, G, K] → [B, G, K], nats.

    ``plackett_luce.slate_logprobs`` with the catalogue summed once a context in place of once a slate: what is left
    after k items is 1 − Σ of their first-place probabilities, kept above 1e-6 (a slate that holds all mass).
    """
    log_p = torch.log_softmax(logits, dim=1).gather(1, slates.flatten(1)).view(slates.shape)
    taken = log_p.exp().cumsum(2)
    before = torch.cat([torch.zeros_like(taken[..., :1]), taken[..., :-1]], dim=2)
    return log_p - torch.log((1.0 - before).clamp_min(1e-6))
