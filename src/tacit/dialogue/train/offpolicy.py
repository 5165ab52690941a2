"""A step from the policy that logged, learnt from the log alone: few weights, exact slates, a limit on the way.

Three ways by one setting: importance-weighted policy gradient on whole slates (``offpolicy``), or preferences of slates
under the policy against the one it starts from (``dpo``, ``setdpo``, ``kto``). All keep a KL to the start, exact at
every place; an epoch that ends beyond ``kl_limit`` is shortened until it does not, and is the last.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

import torch
from torch import Tensor, nn

from tacit.dialogue.train.kto_loss import kto_loss
from tacit.dialogue.train.logged_slates import Logged, best_and_worst_orders
from tacit.dialogue.train.offpolicy_loss import off_policy_loss, weighted_mean
from tacit.dialogue.train.served_slates import slate_kl
from tacit.losses import dpo_loss, set_dpo_loss
from tacit.metrics.weights import effective_sample_size
from tacit.run.folder import Stage
from tacit.run.limits import above, at_least, learning_rate
from tacit.run.resume import Resumable
from tacit.run.steps import clipped_step
from tacit.types import InputError

Method = Literal["offpolicy", "dpo", "setdpo", "kto"]
UNLIKE = 0.1  # nats from what was logged, beyond which a slate was drawn in another context or by another policy


@dataclass
class OffPolicyConfig:
    epochs: int = at_least(1, default=10)
    batch: int = at_least(1, default=256)  # exposures a step
    lr: float = learning_rate(default=1e-3)
    cap: float = above(0.0, default=5.0)  # of the ratio of whole slates
    kl_coef: float = at_least(0.0, default=0.1)  # of the slate's KL to the logging policy, in the loss
    kl_limit: float = above(0.0, default=0.5)  # nats a slate; no step ends beyond it
    beta: float = above(0.0, default=0.1)  # of dpo, setdpo and kto
    undesirable: float = above(0.0, default=1.0)  # weight of what was not liked, kto
    grad_clip: float = at_least(0.0, default=1.0)  # of the gradient's norm; 0 = not
    least_ess: float = at_least(0.0, default=30.0)  # effective exposures below which a log is no ground for a step


class SlatePolicy(Protocol):
    """What is trained. Logits [B, n] of the exposures ``rows`` [B]; what must not be drawn is at -1e9."""

    def logits(self, rows: Tensor) -> Tensor: ...

    def first_logits(self, rows: Tensor) -> Tensor:
        """Those it began with: the logging policy's. No gradient."""
        ...

    def trained(self) -> dict[str, nn.Parameter]: ...


# A minibatch, its rows, its logits under the policy and under the first one, its KL → a scalar.
Loss = Callable[[Logged, Tensor, Tensor, Tensor, Tensor], Tensor]


def run_step(
    policy: SlatePolicy, logged: Logged, method: Method, config: OffPolicyConfig, stage: Stage, seed: int
) -> dict[str, float]:
    """Train ``policy`` in place, a checkpoint an epoch; what a gate is to know of the step."""
    loss, usable = LOSSES[method](logged, config)
    require_ground(logged.rows(usable), method, config)
    parameters = policy.trained()
    weights: dict[str, Tensor] = {f"weight.{name}": value for name, value in parameters.items()}
    optimizer = torch.optim.AdamW(list(parameters.values()), lr=config.lr, weight_decay=0.0)
    shuffles = torch.Generator().manual_seed(seed * 1000 + 61)
    resumable = Resumable(stage, weights, optimizer, [shuffles])
    done, place = resumable.restore()
    stopped = bool(place.get("stopped", False))
    for epoch in range(done, 0 if stopped else config.epochs):
        before = {name: value.detach().clone() for name, value in weights.items()}
        total = 0.0
        for rows in usable[torch.randperm(len(usable), generator=shuffles)].split(config.batch):
            value = _objective(policy, logged.rows(rows), rows, loss, config)
            optimizer.zero_grad()
            torch.autograd.backward(value)
            norm = clipped_step(optimizer, list(parameters.values()), config.grad_clip)
            if not math.isfinite(norm):
                raise InputError(f"{stage.name}: the gradient in epoch {epoch + 1} is not finite: lower step.lr.")
            total += float(value.detach()) * len(rows)
        kl = mean_kl(policy, logged, config.batch)
        stopped = not kl <= config.kl_limit
        kept = 1.0
        if stopped:
            kept, kl = _shortened(policy, logged, weights, before, config)
        stage.log.append(epoch + 1, loss=total / len(usable), kl=kl, kept=kept)
        resumable.save(epoch + 1, {"stopped": stopped})
        if stopped:
            break
    return report(policy, logged, config)


@torch.no_grad()
def _shortened(
    policy: SlatePolicy, logged: Logged, weights: dict[str, Tensor], before: dict[str, Tensor], config: OffPolicyConfig
) -> tuple[float, float]:
    """The largest of 1/2, 1/4, ... of an epoch's way that ends within the limit, else none of it; and the KL there."""
    after = {name: value.detach().clone() for name, value in weights.items()}
    for kept in (*(0.5**k for k in range(1, 9)), 0.0):
        for name, value in weights.items():
            value.copy_(before[name] + kept * (after[name] - before[name]))
        kl = mean_kl(policy, logged, config.batch)
        if kl <= config.kl_limit:
            break
    return kept, kl


@torch.no_grad()
def mean_kl(policy: SlatePolicy, logged: Logged, batch: int) -> float:
    """Nats a slate from the logging policy, over all exposures by their weights; exact at every place."""
    total = weight = 0.0
    for rows in torch.arange(len(logged)).split(batch):
        part = logged.rows(rows)
        kl = slate_kl(part.places(policy.logits(rows)), part.places(policy.first_logits(rows)), part.mask)
        total += float((kl * part.weight).sum())
        weight += float(part.weight.sum())
    return total / max(weight, 1e-12)


@torch.no_grad()
def report(policy: SlatePolicy, logged: Logged, config: OffPolicyConfig) -> dict[str, float]:
    """How far it went, how much the log has to say of it, and whether the log is the first policy's at all."""
    parts = torch.arange(len(logged)).split(config.batch)
    logprob = torch.cat([logged.rows(rows).logprobs(policy.logits(rows)) for rows in parts])
    first = torch.cat([logged.rows(rows).logprobs(policy.first_logits(rows)) for rows in parts])
    ratio, gap = (logprob - logged.logprob).exp(), (first - logged.logprob).abs()
    return {
        "exposures": float(len(logged)),
        "kl": mean_kl(policy, logged, config.batch),
        "ess": effective_sample_size((logged.weight * ratio).numpy()),
        "largest_ratio": float(ratio.max()),
        "capped": float((ratio > config.cap).double().mean()),
        # 0 but for rounding where the first policy drew these slates in these contexts; and where it did not
        "logger_gap": float(gap.median()),
        "unlike": float((gap > UNLIKE).double().mean()),
        "reward": float(weighted_mean(logged.reward, logged.weight)),
        "reward_snips": float(weighted_mean(logged.reward, logged.weight * ratio)),
    }


def _objective(policy: SlatePolicy, part: Logged, rows: Tensor, loss: Loss, config: OffPolicyConfig) -> Tensor:
    logits = policy.logits(rows)
    with torch.no_grad():
        first = policy.first_logits(rows)
    kl = slate_kl(part.places(logits), part.places(first), part.mask)
    return loss(part, rows, logits, first, kl) + config.kl_coef * weighted_mean(kl, part.weight)


def _importance(logged: Logged, config: OffPolicyConfig) -> tuple[Loss, Tensor]:
    """The mean reward is the baseline: then a log in which all is equally good moves nothing."""
    baseline = weighted_mean(logged.reward, logged.weight)

    def loss(part: Logged, rows: Tensor, logits: Tensor, first: Tensor, kl: Tensor) -> Tensor:
        logprob, count = part.logprobs(logits), float(part.weight.sum())
        return off_policy_loss(logprob, part.logprob, part.reward - baseline, part.weight, config.cap, count)

    return loss, torch.arange(len(logged))


def _kto(logged: Logged, config: OffPolicyConfig) -> tuple[Loss, Tensor]:
    """Liked: better than the mean. A lower bound below it says nothing, and is left out."""
    threshold = weighted_mean(logged.reward, logged.weight)
    known = (logged.reward > threshold) | ~logged.censored

    def loss(part: Logged, rows: Tensor, logits: Tensor, first: Tensor, kl: Tensor) -> Tensor:
        usual = weighted_mean(kl, part.weight)
        liked = part.reward > threshold
        now, then = part.logprobs(logits), part.logprobs(first)
        return weighted_mean(kto_loss(now, then, liked, usual, config.beta, config.undesirable), part.weight)

    return loss, known.nonzero().squeeze(1)


def _dpo(logged: Logged, config: OffPolicyConfig) -> tuple[Loss, Tensor]:
    """The slate with its items by falling reward against the one with them rising: a pair of one context."""
    better, worse, differ = best_and_worst_orders(logged)

    def loss(part: Logged, rows: Tensor, logits: Tensor, first: Tensor, kl: Tensor) -> Tensor:
        now = [part.logprobs(logits, slates[rows]) for slates in (better, worse)]
        then = [part.logprobs(first, slates[rows]) for slates in (better, worse)]
        return weighted_mean(dpo_loss(now[0], now[1], then[0], then[1], config.beta), part.weight)

    return loss, differ.nonzero().squeeze(1)


def _set_dpo(logged: Logged, config: OffPolicyConfig) -> tuple[Loss, Tensor]:
    """The items of a slate that were worth most against its others: whose order within the slate does not matter."""
    known = logged.mask & ~logged.item_reward.isnan() & ~logged.item_censored
    best = torch.where(known, logged.item_reward, -torch.inf).amax(1, keepdim=True)
    preferred = known & (logged.item_reward >= best)

    def loss(part: Logged, rows: Tensor, logits: Tensor, first: Tensor, kl: Tensor) -> Tensor:
        now, then = (part.places(one)[0].gather(1, part.slates) for one in (logits, first))
        return weighted_mean(set_dpo_loss(now - then, preferred[rows], known[rows], config.beta), part.weight)

    return loss, (known & ~preferred).any(1).nonzero().squeeze(1)


LOSSES: dict[Method, Callable[[Logged, OffPolicyConfig], tuple[Loss, Tensor]]] = {
    "offpolicy": _importance,
    "kto": _kto,
    "dpo": _dpo,
    "setdpo": _set_dpo,
}


def require_ground(usable: Logged, method: str, config: OffPolicyConfig) -> None:
    enough = effective_sample_size(usable.weight.numpy())
    if enough < config.least_ess:
        raise InputError(
            f"the log holds {len(usable)} exposures that method={method} can learn from, worth {enough:.0f}, and "
            f"step.least_ess={config.least_ess:g} are asked for: wait for more sessions, or lower it."
        )
