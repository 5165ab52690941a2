"""Several continuations of each prompt: one prefill a prompt, then one token a step for all of them at once.

Every continuation draws from its own stream of uniforms, so that a text depends on its prompt, its seed and its index,
never on what it was batched with (up to the last bits of the logits). ``text_logprobs`` is how likely texts were.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint
from transformers import PreTrainedModel

from tacit.text.decode_weights import laid_out
from tacit.text.kv_cache import kv_cache
from tacit.text.lm import head_logits, trunk

_CANDIDATES = 256  # tokens looked at first: rows whose nucleus they do not hold are sorted whole

_MOST_LOGITS = 2**27  # that scoring holds at once: 512 MB, and as much again for their softmax


@dataclass(frozen=True)
class Sampling:
    temperature: float = 1.0
    top_p: float = 0.95
    max_tokens: int = 512  # of the answer


class CutText(str):
    """A text that ended at the limit of its length, not where its writer would have ended it."""


@dataclass(frozen=True)
class NoRepeatPerLine:
    """Tokens that may stand once a line, such as pointers at titles, and those that end a line."""

    tokens: Collection[int]
    breaks: Collection[int]


def uniforms(prompt: str, index: int, seed: int, n: int) -> npt.NDArray[np.float64]:
    """The stream of the ``index``-th continuation of ``prompt``: n numbers in [0, 1)."""
    return np.random.default_rng(stream_seed(prompt, index, seed)).random(n)


def stream_seed(prompt: str, index: int, seed: int) -> int:
    """A seed of 31 bits for one continuation (what endpoints accept as ``seed``)."""
    digest = hashlib.sha256(f"{seed}\n{index}\n{prompt}".encode()).digest()
    return int.from_bytes(digest[:4], "big") >> 1


def draw_nucleus(logits: Tensor, uniform: Tensor, temperature: float, top_p: float) -> Tensor:
    """[B, V] logits and [B] uniforms → [B] tokens: the inverse CDF over each row's nucleus, likeliest token first.

    The nucleus is the smallest set of likeliest tokens whose mass reaches ``top_p``; with ``top_p`` 1 it is everything,
    and then nothing is sorted: the tokens stand in the vocabulary's order.
    Source: Holtzman et al. 2020, arXiv 1904.09751, section 3.1.
    """
    p = torch.softmax(logits.float() / temperature, dim=-1)
    if top_p >= 1.0:
        everything = p.double().cumsum(-1)
        drawn = torch.searchsorted(everything, uniform.unsqueeze(1).double() * everything[:, -1:], right=True)
        return drawn.squeeze(1).clamp(max=p.shape[-1] - 1)
    likeliest, tokens = p.topk(min(_CANDIDATES, p.shape[-1]), dim=-1)
    drawn = tokens.gather(1, _place(likeliest, uniform, top_p)).squeeze(1)
    wide = (likeliest.sum(-1) < top_p) & (likeliest.shape[-1] < p.shape[-1])
    if wide.any():
        likeliest, tokens = p[wide].sort(dim=-1, descending=True)
        drawn[wide] = tokens.gather(1, _place(likeliest, uniform[wide], top_p)).squeeze(1)
    return drawn


def _place(likeliest: Tensor, uniform: Tensor, top_p: float) -> Tensor:
    """[B, K] probabilities, falling, and [B] uniforms → [B, 1]: the place within the nucleus that is drawn."""
    before = likeliest.cumsum(-1) - likeliest
    mass = torch.where(before < top_p, likeliest, 0.0).double().cumsum(-1)
    place = torch.searchsorted(mass, uniform.unsqueeze(1).double() * mass[:, -1:], right=True)
    last = (before < top_p).sum(-1, keepdim=True) - 1
    return torch.minimum(place, last)


@torch.no_grad()
def continuations(
    lm: PreTrainedModel,
    prompts: Sequence[Sequence[int]],
    streams: npt.NDArray[np.float64] | None,
    sampling: Sampling,
    ends: Collection[int],
    once: NoRepeatPerLine | None = None,
) -> list[list[list[int]]]:
    """n continuations of each of P prompts, as tokens without the end, [P][n][≤ max_tokens].

    ``streams`` is [P, n, max_tokens] in [0, 1); None is greedy, with n = 1. ``ends`` are the tokens that end a text,
    ``once`` those that are not drawn where their line has them already.
    """
    n = 1 if streams is None else streams.shape[1]
    state = _State(lm, prompts, n, sampling.max_tokens)
    noise = None if streams is None else torch.from_numpy(streams.reshape(len(prompts) * n, -1)).to(lm.device)
    barred = None if once is None else _Barred(once, state)
    written: list[list[int]] = [[] for _ in range(len(prompts) * n)]
    with laid_out(lm, len(written), sampling.max_tokens):
        _write(state, written, noise, barred, sampling, ends)
    return [written[start : start + n] for start in range(0, len(written), n)]


def _write(
    state: _State,
    written: list[list[int]],
    noise: Tensor | None,
    barred: _Barred | None,
    sampling: Sampling,
    ends: Collection[int],
) -> None:
    """Token after token to the rows that still grow."""
    for step in range(sampling.max_tokens):
        logits = state.logits if barred is None else barred.without(state)
        if noise is None:
            token = logits.argmax(-1)
        else:
            token = draw_nucleus(logits, noise[state.rows, step], sampling.temperature, sampling.top_p)
        for place, (row, t) in enumerate(zip(state.rows.tolist(), token.tolist(), strict=True)):
            if state.open[place]:
                state.open[place] = t not in ends
                if state.open[place]:
                    written[row].append(t)
        if not any(state.open):
            break
        if barred is not None:
            barred.note(state.rows, token)
        state.feed(token)


def text_logprobs(
    lm: Any,
    prompts: Sequence[Sequence[int]],
    texts: Sequence[Sequence[int]],
    ends: Collection[int],
    temperature: float = 1.0,
    once: NoRepeatPerLine | None = None,
    most_logits: int = _MOST_LOGITS,
) -> tuple[Tensor, Tensor]:
    """log P of every token of S texts after their prompts, and the mask of what is text (0 outside), [S, T] each.

    P is the softmax of logits / ``temperature`` over what ``once`` leaves to each place, as ``continuations`` draws
    with top_p 1. Any of ``ends`` ends a text, so the probability of one is that of all. Prompts are padded on the left,
    texts on the right. The model's head sees the texts' own places only, and no more than ``most_logits`` logits are
    held at once: beyond that it goes piece by piece, and once more in the backward pass.
    """
    device = next(lm.parameters()).device
    before, after = max(map(len, prompts)), max(map(len, texts))
    pads = [(before - len(p), after - len(t)) for p, t in zip(prompts, texts, strict=True)]
    rows = [[0] * a + [*p, *t] + [0] * b for p, t, (a, b) in zip(prompts, texts, pads, strict=True)]
    ids = torch.tensor(rows, device=device)
    real = torch.tensor([[0] * a + [1] * (before + after - a - b) + [0] * b for a, b in pads], device=device)
    places = (real.cumsum(1) - 1).clamp(min=0)
    hidden = trunk(lm)(input_ids=ids, attention_mask=real, position_ids=places, use_cache=False).last_hidden_state
    mask = real[:, before:].bool()
    states, targets = hidden[:, before - 1 : -1][mask], ids[:, before:][mask]  # the state before each token
    barred = _barred_places(texts, once) if once is not None else [()] * len(targets)
    ending = torch.tensor(sorted(ends), device=device)

    def scores(start: int, stop: int) -> Tensor:
        logits = head_logits(lm, states[start:stop]) / temperature
        bars = [(row, token) for row, tokens in enumerate(barred[start:stop]) for token in tokens]
        if bars:
            logits[[row for row, _ in bars], [token for _, token in bars]] = -torch.inf
        log_p = torch.log_softmax(logits, dim=-1)
        own = log_p.gather(-1, targets[start:stop, None]).squeeze(-1)
        return torch.where(torch.isin(targets[start:stop], ending), log_p[:, ending].logsumexp(-1), own)

    size = max(1, most_logits // int(lm.config.get_text_config().vocab_size))
    pieces = [(start, min(start + size, len(targets))) for start in range(0, len(targets), size)]
    again = len(pieces) > 1 and torch.is_grad_enabled()
    found = [checkpoint(scores, *piece, use_reentrant=False) if again else scores(*piece) for piece in pieces]
    return found[0].new_zeros(mask.shape).masked_scatter(mask, torch.cat(found)), mask


def _barred_places(texts: Sequence[Sequence[int]], once: NoRepeatPerLine) -> list[tuple[int, ...]]:
    """What ``once`` forbids at each token of all texts, in order: the tokens that its line had before."""
    barred: list[tuple[int, ...]] = []
    for text in texts:
        line: set[int] = set()
        for token in text:
            barred.append(tuple(sorted(line)))
            if token in once.breaks:
                line.clear()
            if token in once.tokens:
                line.add(token)
    return barred


class _Barred:
    """What ``NoRepeatPerLine`` forbids each continuation next, [continuations, V]."""

    def __init__(self, once: NoRepeatPerLine, state: _State) -> None:
        device = state.logits.device
        self.tokens = torch.tensor(sorted(once.tokens), device=device)
        self.breaks = torch.tensor(sorted(once.breaks), device=device)
        self.table = torch.zeros(state.logits.shape, dtype=torch.bool, device=device)

    def without(self, state: _State) -> Tensor:
        return state.logits.masked_fill(self.table[state.rows], -torch.inf)

    def note(self, rows: Tensor, token: Tensor) -> None:
        self.table[rows[torch.isin(token, self.breaks)]] = False
        named = torch.isin(token, self.tokens)
        self.table[rows[named], token[named]] = True


class _State:
    """The continuations that still grow: ``rows`` says which they are, ``logits`` [len(rows), V] what the model expects
    of each next."""

    def __init__(self, lm: PreTrainedModel, prompts: Sequence[Sequence[int]], n: int, most: int) -> None:
        self.lm, self.cache = lm, kv_cache(lm, max(map(len, prompts)) + most)
        logits = head_logits(lm, self.cache.feed(prompts))
        self.cache.repeat(n)
        self.logits = logits.repeat_interleave(n, dim=0)
        self.rows = torch.arange(len(prompts) * n, device=lm.device)
        self.open = [True] * len(self.rows)

    def feed(self, token: Tensor) -> None:
        """Append one token to every row. Finished rows are dropped once they are a quarter of all."""
        if 4 * sum(self.open) <= 3 * len(self.open):
            kept = torch.tensor([k for k, grows in enumerate(self.open) if grows], device=self.rows.device)
            self.cache.keep(kept)
            self.rows, token = self.rows[kept], token[kept]
            self.open = [True] * len(kept)
        self.logits = head_logits(self.lm, self.cache.feed(token.unsqueeze(1).tolist()))
