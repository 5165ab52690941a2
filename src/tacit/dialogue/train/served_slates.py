"""Exact log-probabilities of slates under the mixture that serves them, differentiable: ``tacit.slates`` in torch.

    P(i | items before) = (1 − ε) · w_i [i in T] / Σ_{j in T} w_j + ε / |R|,   w = exp(logit / temperature)

Which items truncation keeps is taken as given: no gradient flows through a threshold.
"""

from __future__ import annotations

import torch
from torch import Tensor

from tacit.dialogue.policy.plackett_luce import NEG
from tacit.slates import OUT_OF_REACH, Mixture


def served_logprobs(logits: Tensor, slates: Tensor, mask: Tensor, mixture: Mixture) -> Tensor:
    """log P(slate[k] | slate[:k]): logits [B, n], item rows [B, K], real places [B, K] → [B, K], nats, 0 under False.

    Logits at or below ``OUT_OF_REACH`` are masks. A place that could not have been drawn is -inf.
    """
    return torch.where(mask, chosen(place_logprobs(logits, slates, mask, mixture), slates), 0.0)


def place_logprobs(logits: Tensor, slates: Tensor, mask: Tensor, mixture: Mixture) -> list[Tensor]:
    """Of each place the distribution over all items, given those before it: K of [B, n], nats."""
    left = torch.where(logits > OUT_OF_REACH, logits, torch.full_like(logits, NEG))
    places = []
    for k in range(slates.shape[1]):
        places.append(_mixed(left, mixture))
        taken = torch.where(mask[:, k : k + 1], torch.full_like(left[:, :1], NEG), left.gather(1, slates[:, k : k + 1]))
        left = left.scatter(1, slates[:, k : k + 1], taken)
    return places


def slate_kl(places: list[Tensor], others: list[Tensor], mask: Tensor) -> Tensor:
    """Σ_k KL(p_k ‖ q_k) of two policies' places, along slates that were shown: [B], nats.

    Exact at each place. Over slates of the second policy its mean is an estimate of the sum of conditional divergences.
    """
    total = mask.new_zeros(len(mask), dtype=places[0].dtype)
    for k, (log_p, log_q) in enumerate(zip(places, others, strict=True)):
        p = log_p.exp()
        gap = torch.where(p > 0.0, log_p - torch.where(p > 0.0, log_q, 0.0), 0.0)
        total = total + torch.where(mask[:, k], (p * gap).sum(1), 0.0)
    return total


def chosen(places: list[Tensor], slates: Tensor) -> Tensor:
    """What each place's distribution says of the item there: K of [B, n], [B, K] → [B, K]."""
    return torch.stack([log_p.gather(1, slates[:, k : k + 1]).squeeze(1) for k, log_p in enumerate(places)], dim=1)


def _mixed(left: Tensor, mixture: Mixture) -> Tensor:
    """One place: [B, n] → [B, n]. What is out of reach has -inf."""
    there = left > OUT_OF_REACH
    scaled = left / mixture.temperature
    kept = _kept(scaled.detach(), there, mixture)
    chosen = torch.log_softmax(torch.where(kept, scaled, torch.full_like(scaled, -torch.inf)), dim=1)
    if mixture.epsilon == 0.0:
        return chosen
    p = (1.0 - mixture.epsilon) * chosen.exp() + mixture.epsilon / there.sum(1, keepdim=True).to(left.dtype)
    return torch.where(there, p.clamp_min(1e-300 if p.dtype == torch.float64 else 1e-37).log(), -torch.inf)


def _kept(scaled: Tensor, there: Tensor, mixture: Mixture) -> Tensor:
    """What truncation keeps: the ``top_k`` best, of equal ones the first, and of these the smallest best part whose
    share reaches ``top_p``."""
    if mixture.top_k is None and mixture.top_p is None:
        return there
    most = min(mixture.top_k or scaled.shape[1], scaled.shape[1])
    order = scaled.sort(dim=1, descending=True, stable=True).indices[:, :most]
    best = there.gather(1, order)
    if mixture.top_p is not None:
        weights = torch.where(best, (scaled.gather(1, order) - scaled.amax(1, keepdim=True)).exp(), 0.0)
        sums = weights.cumsum(1)
        best = best & (sums - weights < mixture.top_p * sums[:, -1:])
    return torch.zeros_like(there).scatter(1, order, best)
