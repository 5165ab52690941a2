"""A causal language model over ragged rows without padding: its linear layers see real tokens only, and each once.

All rows stand side by side in one line of tokens; only inside attention are they laid out as a rectangle. Rows that
begin alike, as the turns of one conversation do, are one tree (``prefix_trees``): what they share is computed once, and
a token sees the tokens before it in its own row. The model's own modules do the work: transformers hands the attention
to a function of ours, and with it what it needs to know of the rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

import torch
from torch import Tensor
from transformers import AttentionInterface

from tacit.text import gpt2_steps
from tacit.text.lm import trunk
from tacit.text.prefix_trees import prefix_trees

_NAME = "tacit_packed"


class Packing:
    """Where T tokens, side by side, belong: token t is number ``places[t]`` of row ``rows[t]``."""

    def __init__(self, lengths: Sequence[int], device: torch.device, seen: Tensor | None = None) -> None:
        """``seen`` [B, width, width] is True where a token sees another; None is the order they stand in."""
        self.seen = None if seen is None else torch.zeros(seen.shape, device=device).masked_fill_(~seen, -torch.inf)
        count = torch.tensor(lengths, device=device)
        self.size, self.width, self.counts = len(lengths), max(lengths), count
        self.rows = torch.repeat_interleave(torch.arange(len(lengths), device=device), count)
        self.ends = count.cumsum(0)
        self.places = torch.arange(len(self.rows), device=device) - (self.ends - count)[self.rows]
        self.flat = None if len(self.rows) == self.size * self.width else self.rows * self.width + self.places

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
    """Last hidden states [T, width] of the tokens [T] at positions [T]; differentiable without a ``past``."""
    if past is not None and gpt2_steps.is_plain(trunk(lm)):

        def attend(layer: int, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
            return _rows_attend(layer, query, key, value, packing, past, 0.0, None).flatten(1)

        return gpt2_steps.states(trunk(lm), ids, places, attend)
    with _own_attention(trunk(lm).config):
        out = trunk(lm)(
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
    seen = trees.seen()
    packing = Packing(trees.sizes, device, None if seen is None else torch.from_numpy(seen).to(device))
    ids, places = torch.tensor(trees.tokens, device=device), torch.tensor(trees.depths, device=device)
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
    q = packing.padded(query).transpose(1, 2)
    whole = past.write(layer, key, value) if past is not None else None
    if past is None or whole is None:
        k, v = packing.padded(key).transpose(1, 2), packing.padded(value).transpose(1, 2)
        seen = None if packing.seen is None else packing.seen.to(q.dtype).unsqueeze(1)
        causal = seen is None and packing.width > 1
    else:
        (k, v), seen, causal = whole, past.visible(q.dtype), False
    heads, groups = q.shape[1], q.shape[1] // k.shape[1]
    if groups > 1 and packing.width == 1:  # heads that share their keys become rows of one product
        q = q.reshape(len(q), k.shape[1], groups, q.shape[-1])
    out = torch.nn.functional.scaled_dot_product_attention(
        q, k, v, seen, dropout, causal, scale=scaling, enable_gqa=q.shape[1] != k.shape[1]
    )
    return packing.packed(out.reshape(len(q), heads, packing.width, -1).transpose(1, 2))


AttentionInterface.register(_NAME, _attend)
