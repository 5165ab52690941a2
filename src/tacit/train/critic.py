"""The critic: two small heads on states of the language model, kept so that fitting them costs no forward pass.

Heads this small need hundreds of steps, and an iteration of PPO affords the language model a handful. The heads are
therefore fitted apart, for ``value_epochs`` passes over the iteration's states, before the policy moves.
"""

from __future__ import annotations

import numpy as np
import torch

from tacit import losses
from tacit.train.ppo_batch import Batch, Targets
from tacit.train.ppo_config import PPOConfig
from tacit.train.ppo_learner import Learner


def fit_critic(
    learner: Learner, batch: Batch, aims: Targets, config: PPOConfig, shuffles: torch.Generator
) -> dict[str, float]:
    """Regress V on the returns of one batch; the mean loss of the last pass. Nothing but the value heads moves."""
    policy, old, slates = learner.policy, batch.old, batch.old.slate_mask[:, 0]
    last: list[float] = []
    for _ in range(config.value_epochs):
        last = []
        for rows in torch.randperm(len(batch), generator=shuffles).split(config.minibatch):
            rows = rows.to(slates.device)
            mask, shown = old.token_mask[rows], slates[rows]
            steps = float(mask.sum() + shown.sum())
            values = policy.text_value(old.states[rows]).squeeze(-1)
            slate_values = policy.slate_value(old.slate_states[rows]).squeeze(-1)
            loss = losses.value_loss(values, aims.token_returns[rows], mask, steps)
            loss = loss + losses.value_loss(slate_values, aims.slate_returns[rows], shown, steps)
            learner.optimizer.zero_grad(set_to_none=True)  # AdamW leaves parameters without a gradient alone
            torch.autograd.backward(loss)
            torch.nn.utils.clip_grad_norm_(learner.value_parameters(), config.grad_clip)
            learner.optimizer.step()
            last.append(float(loss.detach()))
    return {"loss_value": float(np.mean(last)) if last else 0.0}
