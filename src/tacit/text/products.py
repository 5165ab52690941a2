"""Products of a model's linear layers by oneDNN, where torch's own leave a processor's widest instructions unused.

torch's own products in single precision are MKL's, and MKL keeps to AVX2 on what is not Intel's: on an AMD EPYC with
AVX-512 they reach 105 GFLOP/s where oneDNN reaches 230. On a Xeon with AVX-512 they reach 150, and oneDNN 140. The sums
are the same but for their order, and nothing is rounded to fewer bits.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.overrides import TorchFunctionMode

from tacit.run.processor import vendor

_ROWS, _LEAST = 4, 2**20  # rows, and multiplications, below which a call costs more than it spares
_STEP = 32  # rows
# oneDNN keeps the last 1,024 shapes that it compiled, .2 GB in fine-tuning; it reads this when it multiplies first.
os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "16")


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """``torch.nn.functional.linear``, differentiable once: x [..., in], weight [out, in], bias [out] → [..., out]."""
    if not worth_it(x, weight, bias):
        return nn.functional.linear(x, weight, bias)
    parts = (x, weight) if bias is None else (x, weight, bias)
    if torch.is_grad_enabled() and any(part.requires_grad for part in parts):
        learnt: Tensor = _Linear.apply(x, weight, bias)  # type: ignore[no-untyped-call]
        return learnt
    return _times(x, weight, bias)


@functools.cache
def torch_is_narrow() -> bool:
    """Whether torch's own products leave AVX-512 unused here."""
    return torch.backends.cpu.get_cpu_capability().startswith("AVX512") and vendor() != "GenuineIntel"


def spare_rows(rows: int, device: torch.device) -> int:
    """How many rows to add to a batch, so that its products have one of few shapes: oneDNN compiles each shape it meets
    (some .6 ms, and .3 MB that it keeps)."""
    return -rows % _STEP if device.type == "cpu" and torch_is_narrow() else 0


class OwnProducts(TorchFunctionMode):
    """A context in which the linear layers of any module, and GPT-2's transposed ones, multiply by ``linear``."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        if func is nn.functional.linear:
            return linear(*args, **(kwargs or {}))
        if func is torch.addmm and len(args) == 3 and not kwargs and args[0].dim() == 1:
            bias, x, weight = args
            return linear(x, weight.t(), bias)
        return func(*args, **(kwargs or {}))


def worth_it(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> bool:
    """Whether ``linear`` goes its own way: torch's is narrow here, and enough plain numbers in single precision."""
    if not torch_is_narrow():
        return False
    rows = x.numel() // max(x.shape[-1], 1)
    if rows < _ROWS or rows * weight.numel() < _LEAST or weight.dim() != 2:
        return False
    plain = x.dtype == weight.dtype == torch.float32 and x.device.type == weight.device.type == "cpu"
    kinds = {type(part) for part in (x, weight, bias) if part is not None}
    usual = torch.backends.mkldnn.is_available() and not torch.is_autocast_enabled("cpu")
    return plain and usual and kinds <= {Tensor, nn.Parameter}


def _times(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    product: Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")
    return product


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, weight)
        return _times(x, weight, bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        x, weight = ctx.saved_tensors
        needs = ctx.needs_input_grad
        rows = gradient.reshape(-1, gradient.shape[-1])
        to_x = _times(gradient, _turned(weight)) if needs[0] else None
        to_weight = _sum_of_outer_products(rows, x.reshape(-1, x.shape[-1])) if needs[1] else None
        return to_x, to_weight, rows.sum(0) if needs[2] else None


# Of two ways to the same sum each is the faster one, and the one whose compiled shapes hold no 5 MB of memory each.


def _turned(weight: Tensor) -> Tensor:
    out, into = weight.shape
    return weight.t().contiguous() if into > out else weight.t()


def _sum_of_outer_products(left: Tensor, right: Tensor) -> Tensor:
    """leftᵀ · right: [rows, a], [rows, b] → [a, b]."""
    if left.shape[1] > right.shape[1]:
        return _times(right.t(), left.t()).t()
    return _times(left.t(), right.t())
