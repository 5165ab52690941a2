"""KTO: whole slates that were liked, or were not, without a pair (Ethayarajh et al. 2024, arXiv 2402.01306)."""

from __future__ import annotations

import torch
from torch import Tensor


def kto_loss(
    logprob: Tensor, ref_logprob: Tensor, desirable: Tensor, reference_point: Tensor, beta: float, undesirable: float
) -> Tensor:
    """1 − σ(β (Δ − z)) of what was liked, u · (1 − σ(β (z − Δ))) of what was not: [N], Δ = log π − log π_ref.

    ``desirable`` [N] bool; ``undesirable`` is u, the weight of the second kind (λ_U / λ_D). ``reference_point`` z ≥ 0
    is KL(π ‖ π_ref), without a gradient: what Δ is on average when nothing was learnt from this very slate. Eq. 8.
    """
    gap = beta * (logprob - ref_logprob - reference_point.detach().clamp_min(0.0))
    return torch.where(desirable, 1.0 - torch.sigmoid(gap), undesirable * (1.0 - torch.sigmoid(-gap)))
