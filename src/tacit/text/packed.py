"""A causal language model over ragged rows without padding: its linear layers see real tokens only, and each once.

All rows stand side by side in one line of tokens; only inside attention are they laid out as a rectangle. Rows that
begin alike, as the turns of one conversation do, are one tree (``prefix_trees``): what they share is computed once, and
a token sees the tokens before it in its own row. The model's own modules do the work: transformers hands the attention
to a function of ours, and with it what it needs to know of the rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from transformers import AttentionInterface

from tacit.text import gpt2_steps
from tacit.text.lm import read, trunk
from tacit.text.prefix_trees import prefix_trees
from tacit.text.products import OwnProducts, spare_rows

Seen = npt.NDArray[np.bool_]
_NAME = "tacit_packed"
_CALL = 2048  # pairs of tokens that take about as long as one more call of the kernel


class Packing:
    """Where T tokens, side by side, belong: token t is number ``places[t]`` of row ``rows[t]``."""

    def __init__(self, lengths: Sequence[int], device: torch.device, seen: Sequence[Seen | None] = ()) -> None:
        """``seen`` [length, length] of a row is True where a token sees another; None is the order they stand in."""
        count = torch.tensor(lengths, device=device)
        self.size, self.width, self.lengths, self.counts = len(lengths), max(lengths), list(lengths), count
        self.rows = torch.repeat_interleave(torch.arange(len(lengths), device=device), count)
        self.ends = count.cumsum(0)
        self.places = torch.arange(len(self.rows), device=device) - (self.ends - count)[self.rows]
        self.flat = None if len(self.rows) == self.size * self.width else self.rows * self.width + self.places
        cells = sum(n * n + _CALL for n in lengths)
        self.one_by_one = device.type == "cpu" and cells < self.size * self.width**2
        self._seen = list(seen) or [None] * len(lengths)

    @cached_property
    def masks(self) -> list[Tensor | None]:
        """What is added to each row's scores, [length, length]; None where it is read in its order."""
        return [None if seen is None else self._added(seen, len(seen)) for seen in self._seen]

    @cached_property
    def mask(self) -> Tensor | None:
        """The same for the rectangle, [B, 1, width, width]; None where all rows are read in their order."""
        if all(seen is None for seen in self._seen):
            return None
        rows = zip(self._seen, self.lengths, strict=True)
        whole = [np.tri(n, dtype=np.bool_) if seen is None else seen for seen, n in rows]
        return torch.stack([self._added(seen, self.width) for seen in whole]).unsqueeze(1)

    def _added(self, seen: Seen, width: int) -> Tensor:
        whole = np.eye(width, dtype=np.bool_)  # a place behind a row's end sees itself
        whole[: len(seen), : len(seen)] = seen
        hidden = torch.from_numpy(~whole).to(self.places.device)
        return torch.zeros(width, width, device=hidden.device).masked_fill_(hidden, -torch.inf)

    def padded(self, x: Tensor) -> Tensor:
        """[T, ...] → [B, width, ...], zeros behind each row's end."""
        if self.flat is not None:
            x = x.new_zeros(self.size * self.width, *x.shape[1:]).index_copy(0, self.flat, x)
        return x.view(self.size, self.width, *x.shape[1:])

    def packed(self, x: Tensor) -> Tensor:
        """The reverse."""
        x = x.flatten(0, 1)
        return x if self.flat is None else x.index_select(0, self.flat)


class Past(Protocol):
    """Keys and values of earlier tokens (``kv_cache``)."""

    def write(self, layer: int, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor] | None:
        """Append [T, heads, d] each; all of each row, [B, heads, S, d], or None where there were none before."""

    def visible(self, dtype: torch.dtype) -> Tensor | None:
        """What is added to the scores of [B, 1, width, S]; None where everything may be seen."""


def packs(lm: Any) -> bool:
    """Whether this way is exact for the model: full causal attention by torch's kernel, nothing added to its scores."""
    config = trunk(lm).config
    kinds = set(getattr(config, "layer_types", None) or ["full_attention"])
    return (
        config._attn_implementation == "sdpa"
        and bool(getattr(trunk(lm), "_supports_attention_backend", False))
        and bool(getattr(config, "is_causal", True))
        and not config.is_encoder_decoder
        and kinds == {"full_attention"}
        and getattr(config, "sliding_window", None) is None
        and getattr(config, "attn_logit_softcapping", None) is None
    )


def packed_states(lm: Any, ids: Tensor, places: Tensor, packing: Packing, past: Past | None = None) -> Tensor:
    """Last hidden states [T, width] of the tokens [T] at positions [T]; differentiable, but for a ``past``."""
    if (past is not None or not torch.is_grad_enabled()) and gpt2_steps.is_plain(trunk(lm)):

        def attend(layer: int, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
            return _rows_attend(layer, query, key, value, packing, past, 0.0, None).flatten(1)

        return gpt2_steps.states(trunk(lm), ids, places, attend)
    with _own_attention(trunk(lm).config), OwnProducts():
        out = read(
            lm,
            input_ids=ids.unsqueeze(0),
            position_ids=places.unsqueeze(0),
            attention_mask=places.new_zeros(1, 1, 1, 1),  # of four dimensions: transformers makes none of its own
            use_cache=False,
            packing=packing,
            past=past,
        )
    states: Tensor = out.last_hidden_state
    return states.squeeze(0)


def packed_rows(lm: Any, sequences: Sequence[Sequence[int]]) -> Tensor:
    """Last hidden states of whole rows, [B, longest, width], zeros behind each row's end; differentiable."""
    device, width = next(lm.parameters()).device, trunk(lm).config.hidden_size
    trees = prefix_trees(sequences, width)
    sizes, seen, spare = [*trees.sizes], trees.seen(), spare_rows(len(trees.tokens), device)
    if spare:  # a row that nobody reads
        sizes.append(spare)
        seen.append(None)
    packing = Packing(sizes, device, seen)
    ids = torch.tensor(trees.tokens + trees.tokens[:1] * spare, device=device)
    places = torch.tensor(trees.depths + [0] * spare, device=device)
    states = packed_states(lm, ids, places, packing)
    longest = max(map(len, sequences))
    own = torch.tensor([[*nodes, *[len(ids)] * (longest - len(nodes))] for nodes in trees.nodes], device=device)
    return torch.cat([states, states.new_zeros(1, states.shape[1])])[own]


@contextmanager
def _own_attention(config: Any) -> Iterator[None]:
    usual = config._attn_implementation
    config._attn_implementation = _NAME
    try:
        yield
    finally:
        config._attn_implementation = usual


def _attend(
    module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    packing: Packing,
    past: Past | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    **_: Any,
) -> tuple[Tensor, None]:
    """transformers' form of attention: [1, heads, T, d] → [1, T, heads, d]."""
    q, k, v = (x.squeeze(0).transpose(0, 1) for x in (query, key, value))
    return _rows_attend(module.layer_idx, q, k, v, packing, past, dropout, scaling).unsqueeze(0), None


def _rows_attend(
    layer: int,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    packing: Packing,
    past: Past | None,
    dropout: float,
    scaling: float | None,
) -> Tensor:
    """[T, heads, d] each, key and value perhaps with fewer heads → [T, heads, d]."""
    whole = past.write(layer, key, value) if past is not None else None
    if whole is None and packing.one_by_one:
        parts = zip(*(x.split(packing.lengths) for x in (query, key, value)), packing.masks, strict=True)
        found = [_row(q, k, v, seen, dropout, scaling) for q, k, v, seen in parts]
        return torch.cat(found)
    q = packing.padded(query).transpose(1, 2)
    if past is None or whole is None:
        k, v = packing.padded(key).transpose(1, 2), packing.padded(value).transpose(1, 2)
        return packing.packed(_kernel(q, k, v, packing.mask, dropout, scaling).transpose(1, 2))
    k, v = whole
    heads, groups = q.shape[1], q.shape[1] // k.shape[1]
    if groups > 1 and packing.width == 1:  # heads that share their keys become rows of one product
        q = q.reshape(len(q), k.shape[1], groups, q.shape[-1])
    seen = past.visible(q.dtype)
    out = _kernel(q, k, v, seen, dropout, scaling, causal=False)
    return packing.packed(out.reshape(len(q), heads, packing.width, -1).transpose(1, 2))


def _row(
    query: Tensor, key: Tensor, value: Tensor, seen: Tensor | None, dropout: float, scaling: float | None
) -> Tensor:
    """[length, heads, d] of one row."""
    q, k, v = (x.transpose(0, 1).unsqueeze(0) for x in (query, key, value))
    return _kernel(q, k, v, seen, dropout, scaling).squeeze(0).transpose(0, 1)


def _kernel(
    q: Tensor, k: Tensor, v: Tensor, seen: Tensor | None, dropout: float, scaling: float | None, causal: bool = True
) -> Tensor:
    """[B, heads, width, d] each → the same; without ``seen`` a ``causal`` row is read in its order."""
    causal = causal and seen is None and q.shape[2] > 1
    seen = None if seen is None else seen.to(q.dtype)
    return torch.nn.functional.scaled_dot_product_attention(
        q, k, v, seen, dropout, causal, scale=scaling, enable_gqa=q.shape[1] != k.shape[1]
    )


AttentionInterface.register(_NAME, _attend)
