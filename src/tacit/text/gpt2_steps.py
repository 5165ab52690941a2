"""GPT-2's layers as plain products, for tokens that are only read: a step of a small model is mostly the modules'
bookkeeping, which costs more than its arithmetic until a batch is large."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from transformers import GPT2Model
from transformers.pytorch_utils import Conv1D

Attend = Callable[[int, Tensor, Tensor, Tensor], Tensor]  # (layer, query, key, value), [T, heads, d] each → [T, width]


def is_plain(body: Any) -> bool:
    """Whether it is GPT-2 as published, nothing wrapped around its layers, and not training."""
    if type(body) is not GPT2Model or body.training or torch.is_autocast_enabled(body.device.type):
        return False
    config, first = body.config, body.get_submodule("h.0.attn.c_attn")
    usual = config.scale_attn_weights and not config.scale_attn_by_inverse_layer_idx
    return bool(usual) and not config.add_cross_attention and type(first) is Conv1D


@torch.no_grad()
def states(body: Any, ids: Tensor, places: Tensor, attend: Attend) -> Tensor:
    """Last hidden states [T, width] of tokens [T] at positions [T]; every sum as in the model's own forward."""
    x = nn.functional.embedding(ids, body.wte.weight) + nn.functional.embedding(places, body.wpe.weight)
    heads = body.config.n_head
    for layer, block in enumerate(body.h):
        three = _times(block.attn.c_attn, _normed(block.ln_1, x)).view(len(x), 3, heads, -1)
        x = x + _times(block.attn.c_proj, attend(layer, three[:, 0], three[:, 1], three[:, 2]))
        inner = block.mlp.act(_times(block.mlp.c_fc, _normed(block.ln_2, x)))
        x = x + _times(block.mlp.c_proj, inner)
    return _normed(body.ln_f, x)


def _normed(norm: nn.LayerNorm, x: Tensor) -> Tensor:
    return nn.functional.layer_norm(x, norm.normalized_shape, norm.weight, norm.bias, norm.eps)


def _times(layer: Conv1D, x: Tensor) -> Tensor:
    return torch.addmm(layer.bias, x, layer.weight)
