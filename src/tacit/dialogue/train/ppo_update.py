"""The policy's step: clipped losses of one batch of turns, over epochs of minibatches, in pieces that fit memory."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from tacit import losses
from tacit.dialogue.policy.scoring import Evaluation
from tacit.dialogue.train.ppo_batch import Batch, Targets, alike_together
from tacit.dialogue.train.ppo_learner import Learner, PPOConfig
from tacit.dialogue.train.ppo_monitor import Monitor
from tacit.dialogue.train.sft_divergence import SFTDivergence
from tacit.dialogue.train.slate_groups import SlateGroups, group_loss
from tacit.run.distributed import dealt, sum_gradients, summed
from tacit.run.steps import accumulate, clipped_epochs, clipped_step
from tacit.text.sharding import pass_along
from tacit.types import Episode


def update(
    learner: Learner,
    batch: Batch,
    aims: Targets,
    config: PPOConfig,
    shuffles: torch.Generator,
    ramp: float,
    divergence: SFTDivergence | None,
    monitor: Monitor,
    episodes: Sequence[Episode],
    groups: SlateGroups | None = None,
) -> dict[str, float]:
    """Epochs of minibatches over one batch, whole conversations shuffled, cut short when the policy has moved
    ``kl_stop`` away from itself. ``ramp`` scales the learning rates of policy and slate head.
    """
    for group in learner.optimizer.param_groups:
        group["lr"] = getattr(config, group["kind"]) * (1.0 if group["kind"] == "value_lr" else ramp)

    def broken(rows: Sequence[int]) -> None:
        tensors = {"advantages": aims.token_advantages[rows], "logprobs": batch.old.token_logprobs[rows]}
        monitor.stop(episodes, tensors, "the gradient is not finite", "lower ppo.lr and ppo.slate_lr")

    stats = clipped_epochs(
        len(batch),
        lambda rows: gradients(learner, batch, aims, rows, config, divergence, groups),
        learner.optimizer,
        learner.policy_parameters(),
        config,
        shuffles,
        broken,
        batch.conversation,
    )
    return stats | {str(group["kind"]): float(group["lr"]) for group in learner.optimizer.param_groups}


def gradients(
    learner: Learner,
    batch: Batch,
    aims: Targets,
    rows: Sequence[int],
    config: PPOConfig,
    divergence: SFTDivergence | None = None,
    groups: SlateGroups | None = None,
) -> dict[str, float]:
    """Fill the gradients of one minibatch, piece by piece; every mean is over the whole minibatch's count.

    Several processes deal out the pieces, and all are told the whole minibatch's numbers.
    """
    slates = batch.old.slate_mask[rows]
    counts = {
        "turns": float(len(rows)),
        "text": float(reply_mask(batch, rows).sum()),
        "tokens": float(batch.old.token_mask[rows].sum()),
        "places": float(slates.sum()),
        "slates": float(slates[:, 0].sum()),
        "group_places": float(groups.told[rows].sum()) * groups.items[0].numel() if groups else 0.0,
    }
    ordered = alike_together(learner.policy, batch.samples, rows)
    totals = accumulate(
        learner.optimizer,
        lambda piece: objective(learner, batch, aims, piece, counts, config, groups),
        (list(piece) for _, piece in dealt(ordered, config.microbatch)),
        largest=("log_ratio",),
    )

    def loss(piece: Sequence[int]) -> Tensor:
        return objective(learner, batch, aims, piece, counts, config, groups)[0]

    pass_along(learner.policy.lm, loss, ordered, config.microbatch)
    if divergence is not None:
        totals["kl_sft"] = divergence.backward(config.sft_kl_weight)
    sum_gradients(learner.optimizer)
    return summed(totals, largest=("log_ratio",))


def objective(
    learner: Learner,
    batch: Batch,
    aims: Targets,
    rows: Sequence[int],
    counts: dict[str, float],
    config: PPOConfig,
    groups: SlateGroups | None = None,
) -> tuple[Tensor, dict[str, Tensor]]:
    """The loss of some turns and its parts. Parts are sums over these turns divided by the minibatch's counts."""
    index = list(rows)
    new = learner.policy.evaluate([batch.contexts[i] for i in index], [batch.samples[i] for i in index])
    t, k = new.token_mask.shape[1], new.slate_mask.shape[1]
    old_tokens, old_places = batch.old.token_logprobs[index, :t], batch.old.slate_logprobs[index, :k]
    advantages = aims.token_advantages[index, :t]
    of_slates = aims.slate_advantages[index].unsqueeze(1).expand(-1, k)
    said, clip = reply_mask(batch, index)[:, :t], config.clip

    first = (new.token_logprobs[:, 0], old_tokens[:, 0], advantages[:, 0], new.token_mask[:, 0])
    decision = losses.clipped_policy_loss(*first, clip, counts["turns"])
    text = losses.clipped_policy_loss(new.token_logprobs, old_tokens, advantages, said, clip, counts["text"])
    if groups is None:
        slate = losses.clipped_policy_loss(
            new.slate_logprobs, old_places, of_slates, new.slate_mask, clip, counts["places"]
        )
    else:
        slate = group_loss(new.slate_log_softmax, groups, index, clip, counts["group_places"])
    # The KL in the reward tells earlier decisions what a state costs; only this term pulls at its own distribution.
    drift = losses.categorical_kl(new.slate_log_softmax, batch.reference.slate_log_softmax[index])
    slate_kl = _share(drift, new.slate_mask[:, 0], counts["slates"])
    loss = config.decision_weight * decision + config.text_weight * text + config.slate_weight * slate
    loss = loss + learner.kl_slate_coef * slate_kl
    stats = {"loss_decision": decision, "loss_text": text, "loss_slate": slate}
    return loss, stats | movement(new, old_tokens, old_places, counts, clip)


@torch.no_grad()
def movement(
    new: Evaluation, old_tokens: Tensor, old_places: Tensor, counts: dict[str, float], clip: float
) -> dict[str, Tensor]:
    """How far the policy has gone from the one that acted."""
    tokens, places = new.token_mask, new.slate_mask
    moved = torch.where(tokens, new.token_logprobs - old_tokens, 0.0).abs().max()
    moved_slate = torch.where(places, new.slate_logprobs - old_places, 0.0).abs().max()
    return {
        "kl_old_text": _share(losses.k3(old_tokens, new.token_logprobs), tokens, counts["tokens"]),
        "kl_old_slate": _share(losses.k3(old_places, new.slate_logprobs), places, counts["places"]),
        "clip_text": _share(losses.outside_clip(new.token_logprobs, old_tokens, clip), tokens, counts["tokens"]),
        "clip_slate": _share(losses.outside_clip(new.slate_logprobs, old_places, clip), places, counts["places"]),
        "log_ratio": torch.maximum(moved, moved_slate),
    }


def _share(x: Tensor, mask: Tensor, count: float) -> Tensor:
    """These turns' part of the minibatch's mean."""
    return torch.where(mask, x, 0.0).sum() / max(count, 1.0)


def reply_mask(batch: Batch, rows: Sequence[int]) -> Tensor:
    """[len(rows), T] bool: the tokens of replies (the decision apart) whose probability the policy loss may change."""
    mask = batch.old.token_mask[rows].clone()
    mask[:, 0] = False
    return mask


def fit_critic(
    learner: Learner, batch: Batch, aims: Targets, config: PPOConfig, shuffles: torch.Generator
) -> dict[str, float]:
    """Regress V on the returns of one batch; the mean loss of the last pass, NaN where a gradient was not finite.

    Nothing but the value heads moves.
    """
    policy, old, slates = learner.policy, batch.old, batch.old.slate_mask[:, 0]
    last: list[float] = []
    for _ in range(config.value_epochs):
        last = []
        for drawn in torch.randperm(len(batch), generator=shuffles).split(config.minibatch):
            steps = float(old.token_mask[drawn].sum() + slates[drawn].sum())
            learner.optimizer.zero_grad(set_to_none=True)  # AdamW leaves parameters without a gradient alone
            found = {"loss": 0.0}
            for _, piece in dealt(drawn.tolist(), len(drawn)):
                rows = torch.tensor(piece, device=slates.device)
                values = policy.text_value(old.states[rows]).squeeze(-1)
                slate_values = policy.slate_value(old.slate_states[rows]).squeeze(-1)
                loss = losses.value_loss(values, aims.token_returns[rows], old.token_mask[rows], steps)
                loss = loss + losses.value_loss(slate_values, aims.slate_returns[rows], slates[rows], steps)
                torch.autograd.backward(loss)
                found["loss"] += float(loss.detach())
            sum_gradients(learner.optimizer)
            if not math.isfinite(clipped_step(learner.optimizer, learner.value_parameters(), config.grad_clip)):
                return {"loss_value": math.nan}
            last.append(summed(found)["loss"])
    return {"loss_value": float(np.mean(last)) if last else 0.0}
