"""After fine-tuning: how much each part of the slate's logits counts, learnt from people who were not trained on.

Parts that can memorise (residuals, the trained encoder) look better in sample than they are, so that what was counted
beside them is learnt too small and popularity too large; and a summed association is no log-probability: its logarithm
ranks better, which shows once its weight is fitted out of sample. Six numbers, fitted afterwards by cross-entropy on
the validation persons, put that right; the policy stays one exact softmax. Stacking of what was learnt in sample by
what is seen out of it: Wolpert 1992; of one number, temperature scaling: Guo et al. 2017 (arXiv 1706.04599).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from tacit.dialogue.policy.policy import Policy
from tacit.dialogue.policy.slate import damped, named
from tacit.dialogue.train.segments import Pick
from tacit.types import Dialogue

PRIOR = 10.0  # how much a weight is held where it was, in the curvature that as many certain contexts would give
_CELLS = 2**21  # numbers of a part that are in memory at once
_BATCH = 64  # contexts that are read at once
_STEPS, _CLOSE = 30, 1e-9

Piece = tuple[Tensor, Tensor, Tensor]


@dataclass(frozen=True)
class Weights:
    """Of the parts of a slate's logits. ``scale`` and ``bias`` multiply what was learnt, ``bias_named`` is what is
    added to ``bias`` where an item was named; the others are nats."""

    scale: float
    bias: float
    bias_named: float
    near_log: float
    repeat: float
    directed: float


@dataclass(frozen=True)
class Calibration:
    """``before`` and ``after``: mean cross-entropy of the contexts it was fitted on, nats; before has the logarithm
    already, with the weight that the plain association had."""

    weights: Weights
    contexts: int
    before: float
    after: float


@torch.no_grad()
def calibrate(policy: Policy, picks: Sequence[Pick]) -> Calibration | None:
    """Fit the weights of ``policy``'s slate head to ``picks``, in place; None where no pick holds a wanted item."""
    picks = [pick for pick in picks if pick.rows]
    if not picks:
        return None
    policy.eval()
    head, contexts = policy.head, [pick.context for pick in picks]
    mentioned, batches = policy.mentioned(contexts), range(0, len(picks), _BATCH)
    read = [policy.read(contexts[start : start + _BATCH]) for start in batches]
    window, state = (torch.cat(pieces).float() for pieces in zip(*read, strict=True))
    query = head.query(window, policy.head_state(state), mentioned)

    def pieces() -> Iterator[Piece]:
        size = max(1, _CELLS // len(policy.catalog))
        for start in range(0, len(picks), size):
            part = slice(start, start + size)
            asked = torch.zeros(len(picks[part]), len(policy.catalog), device=policy.device)
            asked = policy.wish.add_features(asked, policy.wishes(contexts[part]))
            yield parts(policy, query[part], mentioned[part], contexts[part]), asked, _wanted(picks[part], asked)

    near = head.near_scale + head.near_log  # an uncalibrated head has the first alone, a calibrated one the second
    at = [1.0, 1.0, head.bias_named, near, head.repeat_bias, policy.directed.weight]
    found, before, after = minimise(pieces, torch.tensor(at, dtype=torch.float64))
    weights = Weights(*found.tolist())
    apply(policy, weights)
    return Calibration(weights, len(picks), before, after)


def parts(policy: Policy, query: Tensor, mentioned: Tensor, contexts: Sequence[Dialogue]) -> Tensor:
    """[6, B, n_items]: what ``Weights`` weigh, in their order."""
    head = policy.head
    near, directed = head.neighbours(mentioned), policy.directed.scores(contexts)
    repeated = torch.zeros_like(near)
    row, at = (mentioned >= 0).nonzero(as_tuple=True)
    repeated[row, mentioned[row, at]] = 1.0
    scores, bias = head.item_scores(query) - head.item_bias, head.item_bias.expand_as(near)
    return torch.stack([scores, bias, bias * named(mentioned), damped(near), repeated, directed])


def apply(policy: Policy, weights: Weights) -> None:
    """Write fitted weights into the policy."""
    head = policy.head
    with torch.no_grad():
        head.scale.mul_(weights.scale)
        head.item_bias.mul_(weights.bias)
        head.bias_named.fill_(weights.bias_named / weights.bias)
        head.near_scale.zero_()
        head.near_log.fill_(weights.near_log)
        head.repeat_bias.fill_(weights.repeat)
        policy.directed.weight.fill_(weights.directed)


def minimise(pieces: Callable[[], Iterable[Piece]], start: Tensor, prior: float = PRIOR) -> tuple[Tensor, float, float]:
    """The weights w [K] float64 that minimise Σ_b −Σ_i q_bi log p_bi + prior / 2 · |w − start|², and the mean
    cross-entropy before and after, where p_b = softmax(Σ_k w_k F_kb + c_b).

    ``pieces`` gives F [K, B, n], c [B, n] and q [B, n] piece by piece, anew at each call. Newton's method, with steps
    halved until they gain: the sum is convex, its gradient Σ_b E_p F − E_q F and its Hessian Σ_b Cov_p F.
    """
    at, step = start.clone(), torch.zeros_like(start)
    value, gradient, hessian, n = _sums(pieces(), at, start, prior)
    before = (value / n).item()
    for _ in range(_STEPS):
        step = torch.linalg.solve(hessian, gradient)
        if float(step @ gradient) <= _CLOSE * n:
            break
        size = 1.0
        while True:
            found = _sums(pieces(), at - size * step, start, prior)
            if found[0] <= value or size < _CLOSE:
                break
            size /= 2
        at, (value, gradient, hessian, n) = at - size * step, found
    held = 0.5 * prior * float(((at - start) ** 2).sum())
    return at, before, (value.item() - held) / n


def _sums(pieces: Iterable[Piece], at: Tensor, start: Tensor, prior: float) -> tuple[Tensor, Tensor, Tensor, int]:
    """The objective, its gradient [K] and Hessian [K, K], and how many contexts there are."""
    value = 0.5 * prior * ((at - start) ** 2).sum()
    gradient, hessian = prior * (at - start), prior * torch.eye(len(at), dtype=at.dtype)
    n = 0
    for features, fixed, wanted in pieces:
        log_p = torch.log_softmax(torch.einsum("k,kbn->bn", at.to(features), features) + fixed, dim=-1)
        p = log_p.exp()
        mean = torch.einsum("kbn,bn->kb", features, p).double().cpu()
        real = torch.einsum("kbn,bn->k", features, wanted).double().cpu()
        value = value - (wanted * log_p).sum().double().cpu()
        gradient = gradient + mean.sum(1) - real
        hessian = hessian + torch.einsum("jbn,kbn->jk", features * p, features).double().cpu() - mean @ mean.T
        n += features.shape[1]
    return value, gradient, hessian, n


def _wanted(picks: Sequence[Pick], like: Tensor) -> Tensor:
    """[B, n_items]: the items of a turn share the weight."""
    wanted = torch.zeros_like(like)
    for row, pick in enumerate(picks):
        wanted[row, list(pick.rows)] = 1.0 / len(set(pick.rows))
    return wanted
