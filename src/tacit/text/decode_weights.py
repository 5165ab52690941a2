"""Weights laid out for steps of a few rows: a step of one token reads all weights of a model and does little with each,
and the usual product on a CPU is at its slowest from 5 to 15 rows (8 take as long as 32)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

ROWS = range(4, 17)  # below and above the usual product is as fast
STEPS = 16  # laying out takes as long as about six steps
MOST_BYTES = 2**30  # of the copies
_LEAST = 2**16  # numbers in a weight worth it


@contextmanager
def laid_out(lm: Any, rows: int, steps: int) -> Iterator[None]:
    """Inside, linear layers multiply by copies of their weights in oneDNN's own layout, where that pays: on a CPU, in
    single precision, for ``rows`` rows and ``steps`` steps to come. Equal up to the last bits. The weights must not
    change inside; a forward pass with gradients goes its usual way."""
    layers = _layers(lm) if rows in ROWS and steps >= STEPS and torch.backends.mkldnn.is_available() else []
    if sum(layer.weight.numel() * 4 for layer in layers) > MOST_BYTES:
        layers = []
    try:
        for layer in layers:
            layer.__dict__["forward"] = _times(layer, rows)
        yield
    finally:
        for layer in layers:
            layer.__dict__.pop("forward", None)


def _layers(lm: Any) -> list[nn.Linear]:
    found = [module for module in lm.modules() if type(module) is nn.Linear and module.weight.numel() >= _LEAST]
    plain = all(layer.weight.device.type == "cpu" and layer.weight.dtype == torch.float32 for layer in found)
    return found if plain else []


def _times(layer: nn.Linear, rows: int) -> Callable[[Tensor], Tensor]:
    usual = layer.forward
    with torch.no_grad():
        weight = torch.ops.mkldnn._reorder_linear_weight(layer.weight.detach(), rows)

    def forward(x: Tensor) -> Tensor:
        if torch.is_grad_enabled() or x.dtype != torch.float32 or torch.is_autocast_enabled(x.device.type):
            return usual(x)
        product: Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, layer.bias, "none", [], "")
        return product

    return forward
