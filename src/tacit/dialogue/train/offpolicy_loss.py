"""The gradient of a policy's value from slates that another policy drew: importance weights, capped."""

from __future__ import annotations

import torch
from torch import Tensor


def capped_ratio(logprob: Tensor, logged_logprob: Tensor, cap: float) -> Tensor:
    """min(π/π_logged, cap) of whole slates: [N], without a gradient. Capping trades variance for bias towards the
    logger, and never the other way round."""
    return (logprob.detach() - logged_logprob).exp().clamp(max=cap)


def off_policy_loss(
    logprob: Tensor, logged_logprob: Tensor, advantage: Tensor, weight: Tensor, cap: float, count: float
) -> Tensor:
    """-1/count Σ w · min(π/π_logged, cap) · A · log π, of N slates: a scalar.

    Its gradient is that of -E[π/π_logged · A] where no ratio is capped. ``logprob`` [N] is the slate's under π with a
    gradient, ``logged_logprob`` what the log says it was drawn with, ``weight`` [N] how much an exposure counts and
    ``count`` the sum of the weights of the whole minibatch. Source: Chen et al. 2019, arXiv 1812.02353, eq. 3 and
    section 4.4 (weight capping).
    """
    ratio = capped_ratio(logprob, logged_logprob, cap)
    return -(weight * ratio * advantage * logprob).sum() / max(count, 1e-12)


def weighted_mean(x: Tensor, weight: Tensor) -> Tensor:
    return (weight * x).sum() / weight.sum().clamp_min(torch.finfo(x.dtype).tiny)
