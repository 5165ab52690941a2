"""One step of an optimiser over a minibatch in pieces, and PPO's epochs of such steps."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from tacit.run.shards import clip_gradients

Stats = dict[str, float]
Rows = list[int]


def accumulate(
    optimizer: Optimizer,
    objective: Callable[[Rows], tuple[Tensor, Mapping[str, Tensor | float]]],
    pieces: Iterable[Rows],
    largest: Collection[str] = (),
) -> Stats:
    """Fill the gradients of one minibatch, given in pieces that fit memory; the sums of what ``objective`` tells.

    A piece's loss and its parts are sums divided by the *whole* minibatch's count, so the pieces add up to its exact
    mean, however it is cut. Of the parts in ``largest`` the largest is told, not the sum.
    """
    optimizer.zero_grad(set_to_none=True)
    totals: Stats = {}
    for piece in pieces:
        loss, stats = objective(piece)
        torch.autograd.backward(loss)
        for name, part in stats.items():
            value = float(part.detach()) if isinstance(part, Tensor) else part
            before = totals.get(name, 0.0)
            totals[name] = max(before, value) if name in largest else before + value
    return totals


def clipped_step(optimizer: Optimizer, parameters: Sequence[nn.Parameter], grad_clip: float) -> float:
    """Step along the gradient, shortened to ``grad_clip`` (0 = not); its norm before. One that is not finite moves
    nothing."""
    norm = clip_gradients(parameters, grad_clip or math.inf)
    if math.isfinite(norm):
        optimizer.step()
    return norm


class ClippedSettings(Protocol):
    """What both systems' PPO settings have in common."""

    epochs: int  # over one batch
    minibatch: int  # rows a step
    kl_stop: float  # nats, of any ``kl_old…`` a minibatch tells, that end the epochs
    grad_clip: float


def clipped_epochs(
    count: int,
    gradients: Callable[[Rows], Stats],
    optimizer: Optimizer,
    parameters: Sequence[nn.Parameter],
    settings: ClippedSettings,
    shuffles: torch.Generator,
    broken: Callable[[Rows], None],
    together: Tensor | None = None,
) -> Stats:
    """PPO's epochs of shuffled minibatches over ``count`` rows, cut short where the policy has moved too far.

    Rows of one value in ``together`` [count] stay side by side in the order, so that most share a minibatch.

    ``gradients`` fills those of some rows (``accumulate``) and tells of them: every ``kl_old…`` is a k3 from the policy
    that acted. ``broken`` must raise: the gradient of these rows is not finite. Means over the minibatches; ``steps``
    are those that were made, ``first_log_ratio`` is the first minibatch's ``log_ratio``, 0 but for rounding.
    Source: Schulman et al. 2017, arXiv 1707.06347, algorithm 1.
    """
    log: list[Stats] = []
    for _ in range(settings.epochs):
        for rows in _shuffled(count, shuffles, together).split(settings.minibatch):
            stats = gradients(rows.tolist())
            log.append(stats)
            if max(value for name, value in stats.items() if name.startswith("kl_old")) > settings.kl_stop:
                return _means(log)
            stats["grad_norm"] = clipped_step(optimizer, parameters, settings.grad_clip)
            if not math.isfinite(stats["grad_norm"]):
                broken(rows.tolist())
    return _means(log)


def _shuffled(count: int, shuffles: torch.Generator, together: Tensor | None) -> Tensor:
    """An order of ``count`` rows, whole groups at random."""
    if together is None:
        return torch.randperm(count, generator=shuffles)
    groups, of_row = together.cpu().unique(return_inverse=True)
    return torch.randperm(len(groups), generator=shuffles)[of_row].argsort(stable=True)


def _means(log: Sequence[Stats]) -> Stats:
    names = [name for name in log[0] if name not in ("log_ratio", "grad_norm")]
    norms = [stats["grad_norm"] for stats in log if "grad_norm" in stats]
    first = {"first_log_ratio": log[0]["log_ratio"]} if "log_ratio" in log[0] else {}
    return {
        **{name: float(np.mean([stats[name] for stats in log])) for name in names},
        **first,
        "grad_norm": float(np.mean(norms)) if norms else 0.0,
        "steps": float(len(norms)),
    }
