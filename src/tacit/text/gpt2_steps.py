"""GPT-2's layers as plain products, for tokens that are only read: a step of a small model is mostly the modules'
bookkeeping, which costs more than its arithmetic until a batch is large."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from transformers import GPT2Model
from transformers.pytorch_utils import Conv1D

from tacit.text.products import linear, worth_it

_FUSED_FROM = 256  # tokens from which oneDNN's product, with GELU inside it, is the faster one on a CPU
_TANH_GELU = ("gelu_new", "gelu_pytorch_tanh")

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
    heads, fused = body.config.n_head, _fuses(body, x)
    for layer, block in enumerate(body.h):
        three = _times(block.attn.c_attn, _normed(block.ln_1, x)).view(len(x), 3, heads, -1)
        x = x + _times(block.attn.c_proj, attend(layer, three[:, 0], three[:, 1], three[:, 2]))
        read, wide = _normed(block.ln_2, x), block.mlp.c_fc
        inner = _gelu_of_product(wide, read) if fused else block.mlp.act(_times(wide, read))
        x = x + _times(block.mlp.c_proj, inner)
    return _normed(body.ln_f, x)


def _normed(norm: nn.LayerNorm, x: Tensor) -> Tensor:
    return nn.functional.layer_norm(x, norm.normalized_shape, norm.weight, norm.bias, norm.eps)


def _times(layer: Conv1D, x: Tensor) -> Tensor:
    if worth_it(x, layer.weight, layer.bias):
        return linear(x, layer.weight.t(), layer.bias)
    return (x @ layer.weight).add_(layer.bias)  # ``addmm`` writes the bias first, and reads it again


def _fuses(body: Any, x: Tensor) -> bool:
    """By itself GELU takes half as long as the product before it: torch 2.13 reads 2.7 ns a number, its ``tanh`` .5."""
    on_cpu = x.device.type == "cpu" and x.dtype == torch.float32 and torch.backends.mkldnn.is_available()
    return on_cpu and len(x) >= _FUSED_FROM and body.config.activation_function in _TANH_GELU


def _gelu_of_product(layer: Conv1D, x: Tensor) -> Tensor:
    product: Tensor = torch.ops.mkldnn._linear_pointwise(x, layer.weight.t(), layer.bias, "gelu", [], "tanh")
    return product
