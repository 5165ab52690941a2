"""A step that a small log can carry: what people did with an item, as far as it is credible, moves its one number.

A slate head has thousands of weights, and learns the noise of a few hundred slates by heart. How good an item is by
itself is one number, read off every place where it was seen.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn

from tacit.dialogue.train.logged_slates import Logged
from tacit.dialogue.train.offpolicy import OffPolicyConfig, SlatePolicy, mean_kl, report, require_ground
from tacit.types import Floats64, InputError, Ints64

LARGEST, HALVINGS = 64.0, 12  # logits a unit of reward; steps of the search for the largest one within the limit


class WithBias(SlatePolicy, Protocol):
    """Its logits are linear in ``item_bias`` [n]."""

    @property
    def item_bias(self) -> nn.Parameter: ...


@dataclass(frozen=True)
class Credit:
    """``item`` [n]: how much better than the others, in units of reward, drawn towards 0; ``strength``: so many
    observations weigh as much as what is known of all items (infinite where items do not differ)."""

    item: Floats64
    strength: float


def credible(value: Floats64, weight: Floats64, item: Ints64, n_items: int) -> Credit:
    """Z_i (mean_i − mean), Z_i = W_i / (W_i + σ²/τ²), of M observations ``value`` with ``weight`` of ``item`` [M].

    σ² is the variance within an item, τ² that between items, both unbiased; τ² ≤ 0 is read as 0: then no item is
    told from another. Bühlmann and Straub 1970; Bühlmann and Gisler, A Course in Credibility Theory
    (2005), section 4.8.
    """
    total, count = np.bincount(item, weight, n_items), np.bincount(item, minlength=n_items)
    sums = np.bincount(item, weight * value, n_items)
    means = np.divide(sums, total, out=np.zeros(n_items), where=total > 0.0)
    freedom, whole = int(np.maximum(count - 1, 0).sum()), float(total.sum())
    if freedom == 0 or whole <= 0.0:
        return Credit(np.zeros(n_items), np.inf)
    mean, there = float(sums.sum() / whole), total > 0.0
    within = float((weight * (value - means[item]) ** 2).sum() / freedom)
    spread = whole - float((total**2).sum()) / whole
    between = (float((total * (means - mean) ** 2)[there].sum()) - (int(there.sum()) - 1) * within) / max(spread, 1e-12)
    if between <= 0.0:
        return Credit(np.zeros(n_items), np.inf)
    strength = within / between
    shrunk = np.where(there, total / (total + strength) * (means - mean), 0.0)
    return Credit(np.asarray(shrunk, dtype=np.float64), strength)


@torch.no_grad()
def run_items(policy: WithBias, logged: Logged, config: OffPolicyConfig) -> dict[str, float]:
    """Add η · credit to ``item_bias`` in place, η the largest that stays within ``kl_limit``; what a gate is to know.

    Credit is of each item's reward, less the mean of its place. Exposures of other policies count by their capped
    ratio.
    """
    require_ground(logged, "items", config)
    seen = ~logged.item_reward.isnan() & logged.mask
    if not bool(seen.any()):
        raise InputError("the log tells the reward of no single item, which method=items learns from: choose another.")
    credit = credible(*_observed(policy, logged, seen, config), n_items=len(policy.item_bias))
    before, way = policy.item_bias.detach().clone(), torch.from_numpy(credit.item).to(policy.item_bias)
    eta = _largest(policy, logged, before, way, config) if bool(way.any()) else 0.0
    policy.item_bias.copy_(before + eta * way)
    told = {"eta": eta, "strength": credit.strength if np.isfinite(credit.strength) else 0.0}
    return {**report(policy, logged, config), **told, "items_told": float(np.count_nonzero(credit.item))}


def _observed(
    policy: WithBias, logged: Logged, seen: Tensor, config: OffPolicyConfig
) -> tuple[Floats64, Floats64, Ints64]:
    """(reward less the mean of its place, weight, item row) of every item that was seen, [M] each."""
    rows = torch.arange(len(logged)).split(config.batch)
    ratio = torch.cat([(logged.rows(r).logprobs(policy.first_logits(r)) - logged.logprob[r]).exp() for r in rows])
    weight = torch.where(seen, (logged.weight * ratio.clamp(max=config.cap))[:, None], 0.0)
    reward = torch.where(seen, logged.item_reward, 0.0)
    mean = (weight * reward).sum(0) / weight.sum(0).clamp_min(1e-12)
    found = ((reward - mean)[seen].numpy(), weight[seen].numpy(), logged.slates[seen].numpy())
    return found


def _largest(policy: WithBias, logged: Logged, before: Tensor, way: Tensor, config: OffPolicyConfig) -> float:
    """By halving: the KL rises with η."""
    low, high = 0.0, LARGEST
    for _ in range(HALVINGS):
        middle = (low + high) / 2.0
        policy.item_bias.copy_(before + middle * way)
        low, high = (middle, high) if mean_kl(policy, logged, config.batch) <= config.kl_limit else (low, middle)
    return low
