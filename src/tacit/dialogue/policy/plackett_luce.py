"""Ordered slates by sequential softmax (Plackett 1975; Luce 1959): drawing them, and how likely they were."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

NEG = -1e9  # finite, so that an entropy or a KL over masked items stays finite
_BLOCK = 256  # items whose probabilities are summed together, so that a place looks at n / 256 + 256 numbers
_FILES = 512  # in which the best items are looked for
_RENEW = 1e-20  # what is left of a row's mass when its probabilities are computed again, before float32 runs out


def draw_slates(logits: Tensor, size: int, generator: torch.Generator | None) -> Tensor:
    """Ordered slates without replacement, [B, n] → item rows [B, size]; greedy when there is no generator.

    Place by place, by inverting the distribution function of what is left: exactly the sequential softmax, for one
    softmax over the catalogue and ``size`` uniforms a row. (Gumbel noise on every logit draws the same, Kool et al.
    2019, arXiv 1903.06059, for a uniform and two logarithms an item.)
    """
    if generator is None:
        return _best(logits, size)
    uniform = torch.rand(len(logits), size, generator=generator, dtype=torch.float64).to(logits.device)
    drawn: list[Tensor] = []
    p = torch.softmax(logits.float(), dim=-1)
    sums, columns = _block_sums(p), torch.arange(_BLOCK, device=logits.device)
    for k in range(size):
        spent = sums.sum(1) < _RENEW
        if k and bool(spent.any()):
            out = torch.stack(drawn, dim=1)[spent]
            p[spent] = torch.softmax(logits[spent].float().scatter(1, out, -torch.inf), dim=-1)
            sums[spent] = _block_sums(p[spent])
        block, within = _invert(sums, uniform[:, k : k + 1])
        own = block * _BLOCK + columns
        inside = p.gather(1, own.clamp(max=p.shape[1] - 1)).double() * (own < p.shape[1])
        place, _ = _invert(inside, within)
        item = block * _BLOCK + place
        p.scatter_(1, item, 0.0)
        sums.scatter_(1, block, inside.scatter_(1, place, 0.0).sum(1, keepdim=True))
        drawn.append(item.squeeze(1))
    return torch.stack(drawn, dim=1)


def _best(logits: Tensor, size: int) -> Tensor:
    """[B, size], the best first. Items are filed by their number modulo _FILES: none of the best can stand outside of
    the ``size`` files with the highest maxima, and those of all files are found as fast as memory is read."""
    n = logits.shape[1]
    if n < 8 * _FILES or size > _FILES:
        return logits.topk(size, dim=-1).indices
    whole = n // _FILES * _FILES
    tops = logits[:, :whole].unflatten(1, (-1, _FILES)).amax(1)
    rest = torch.arange(whole, n, device=logits.device).expand(len(logits), -1)
    files = tops.topk(size, dim=-1).indices.unsqueeze(1)
    own = (torch.arange(0, whole, _FILES, device=logits.device).view(1, -1, 1) + files).flatten(1)
    own = torch.cat([own, rest], dim=1)
    return own.gather(1, logits.gather(1, own).topk(size, dim=-1).indices)


def _block_sums(p: Tensor) -> Tensor:
    """[B, n] → [B, ⌈n / _BLOCK⌉] float64."""
    whole = p.shape[1] // _BLOCK * _BLOCK
    sums = p[:, :whole].unflatten(1, (-1, _BLOCK)).sum(-1) if whole else p[:, :0]
    return torch.cat([sums, p[:, whole:].sum(1, keepdim=True)], dim=1).double()


def _invert(weights: Tensor, uniform: Tensor) -> tuple[Tensor, Tensor]:
    """[B, n] weights and [B, 1] uniforms → the place that each uniform falls on, in proportion to the weights, and
    where within it the uniform lies, which is a uniform again; [B, 1] each."""
    upto = weights.cumsum(1)
    total = upto[:, -1:]
    aim = torch.minimum(uniform * total, torch.nextafter(total, torch.zeros_like(total)))  # a product may round up
    place = torch.searchsorted(upto, aim, right=True)
    own = weights.gather(1, place)
    return place, ((aim - upto.gather(1, place) + own) / own).clamp(0.0, 1.0)


def slate_logprobs(logits: Tensor, slates: Tensor, mask: Tensor | None = None) -> Tensor:
    """log P(item_k | state, items_<k) for every position: logits [B, n], item rows [B, K] → [B, K], nats.

    l_k − log Σ_{i not in items_<k} exp(l_i). The catalogue is summed once, without the slate; the sums of the positions
    follow from the last to the first. ``mask`` [B, K] is True where a position is real; the others repeat an item of
    their row (their values mean nothing).
    """
    logits = logits.float().contiguous()
    chosen = logits.gather(1, slates)
    if mask is not None:
        chosen = chosen.masked_fill(~mask, NEG)
    remaining: Tensor = _LogSumOfOthers.apply(logits, slates)  # type: ignore[no-untyped-call]
    columns: list[Tensor] = []
    for k in reversed(range(slates.shape[1])):
        remaining = torch.logaddexp(remaining, chosen[:, k])
        columns.insert(0, chosen[:, k] - remaining)
    return torch.stack(columns, dim=1)


def group_logprobs(logits: Tensor, slates: Tensor) -> Tensor:
    """log P(item_k | before) of G slates of each context: logits [B, n], slates [B, G, K] → [B, G, K], nats.

    ``slate_logprobs`` with the catalogue summed once a context in place of once a slate: what is left
    after k items is 1 − Σ of their first-place probabilities, kept above 1e-6 (a slate that holds all mass).
    """
    log_p = torch.log_softmax(logits, dim=1).gather(1, slates.flatten(1)).view(slates.shape)
    taken = log_p.exp().cumsum(2)
    before = torch.cat([torch.zeros_like(taken[..., :1]), taken[..., :-1]], dim=2)
    return log_p - torch.log((1.0 - before).clamp_min(1e-6))


class _LogSumOfOthers(torch.autograd.Function):
    """log Σ exp of a row's items that are not in its slate, [B]. The slate's logits are taken out in place and put
    back, since a copy of [B, n] costs more than the sum; and softmax is several times faster than ``logsumexp``."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, slates: Tensor) -> Tensor:
        values = logits.data  # without a version of its own: it is as it was when this returns
        held = values.gather(1, slates)
        values.scatter_(1, slates, NEG)
        p = torch.softmax(values, dim=-1)
        largest = values.amax(1)
        values.scatter_(1, slates, held)
        ctx.save_for_backward(p)
        return largest - p.amax(1).log()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (p,) = ctx.saved_tensors
        return p * gradient.unsqueeze(1), None
