"""Few weights from what people did: the likelihood of what was named, plus a reward's loss from the table below.

    loss = NLL + weight · reward loss

``weight`` 0 is the control: supervised fine-tuning on the same dialogues, from the same policy, with the same weights
free. Every learner here differs from it by its own term alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType

import torch
from torch import Tensor

from tacit.dialogue.train.outcomes.group_credit import group_credit_loss
from tacit.dialogue.train.outcomes.imitation import imitation_loss
from tacit.dialogue.train.outcomes.importance import importance_loss
from tacit.dialogue.train.outcomes.recalibration import Read, Recalibration
from tacit.dialogue.train.outcomes.set_dpo import set_loss
from tacit.dialogue.train.outcomes.settings import OutcomesConfig
from tacit.dialogue.train.outcomes.tables import Outcomes
from tacit.run.steps import clipped_step
from tacit.types import InputError

# Logits [B, n_items] with a gradient, those of the policy it began with, the outcomes of B contexts → a scalar.
RewardLoss = Callable[[Tensor, Tensor, Outcomes, OutcomesConfig, torch.Generator], Tensor]
LEARNERS: Mapping[str, RewardLoss] = MappingProxyType(
    {
        "group_credit": group_credit_loss,
        "set_dpo": set_loss,
        "importance": importance_loss,
    }
)
CONTROL = "imitation"  # no reward's loss


def learn(
    weights: Recalibration,
    read: Read,
    outcomes: Outcomes,
    learner: str,
    weight: float,
    config: OutcomesConfig,
    seed: int,
    at: Tensor | None = None,
) -> dict[str, float]:
    """Train ``weights`` in place; the last epoch's mean losses. The same seed shuffles alike for every learner.

    ``at`` [N] is the row of ``read`` of each of the N outcomes, where those are not its rows in order.
    """
    at = torch.arange(len(outcomes)) if at is None else at
    loss = None if learner == CONTROL else LEARNERS[learner]
    optimizer = torch.optim.Adam(weights.parameters(), lr=config.lr)
    shuffles, draws = (torch.Generator().manual_seed(seed * 1000 + offset) for offset in (71, 72))
    steps, total = 0, config.epochs * math.ceil(len(outcomes) / config.batch)
    told = {}
    start = Recalibration.like(weights)
    for epoch in range(config.epochs):
        sums = torch.zeros(2)
        for rows in torch.randperm(len(outcomes), generator=shuffles).split(config.batch):
            part, logits = outcomes.take(rows), weights.logits(read, at[rows])
            nll = imitation_loss(logits, part)
            reward = torch.zeros(())
            if loss is not None:
                with torch.no_grad():
                    first = start.logits(read, at[rows])
                reward = loss(logits, first, part, config, draws)
            optimizer.zero_grad()
            torch.autograd.backward(nll + weight * reward)
            for group in optimizer.param_groups:
                group["lr"] = config.lr * (1.0 - steps / total)  # linear to 0: the last steps average
            norm = clipped_step(optimizer, list(weights.parameters()), config.grad_clip)
            if not math.isfinite(norm):
                raise InputError(f"outcomes: the gradient in epoch {epoch + 1} of {learner} is not finite: lower lr.")
            steps += 1
            sums += torch.stack([nll.detach(), reward.detach()]) * len(rows)
        told = {"nll": float(sums[0]) / len(outcomes), "reward_loss": float(sums[1]) / len(outcomes)}
    return told | weights.values()
