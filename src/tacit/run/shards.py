"""Tensors of which each process of a run holds a part (``DTensor``, as FSDP2 leaves them) and whole ones, by the same
calls. Where a part is made whole, all processes must take part."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor, distribute_tensor

from tacit.run.distributed import added_up


def held(tensor: Tensor) -> Tensor:
    """What this process holds of it, in the same memory; no gradient flows."""
    tensor = tensor.detach()
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor


def whole(tensor: Tensor) -> Tensor:
    """All of it; no gradient flows."""
    tensor = tensor.detach()
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def all_whole(tensors: Mapping[str, Tensor], keep: bool) -> dict[str, Tensor]:
    """The same tensors; those held in parts are made whole one by one, and left in main memory where they are to be
    kept. Two names of one tensor stay two names of one."""
    found: dict[str, Tensor] = {}
    made: dict[tuple[int, torch.Size], Tensor] = {}
    for name, tensor in tensors.items():
        if not isinstance(tensor, DTensor):
            found[name] = tensor
            continue
        key = held(tensor).data_ptr(), tensor.shape
        if key not in made or held(tensor).numel() == 0:
            full = whole(tensor)
            made[key] = full.to("cpu", copy=True) if keep else full.new_empty(0)
        found[name] = made[key]
    return found


class Whole(nn.Module):
    """Weights that are held in parts, whole under their names: what ``safetensors.torch.save_model`` asks for."""

    def __init__(self, tensors: Mapping[str, Tensor], keep: bool) -> None:
        super().__init__()
        self.tensors = all_whole(tensors, keep)

    def state_dict(self, *args: Any, **kwargs: Any) -> dict[str, Any]:  # type: ignore[override]
        return dict(self.tensors)


def as_held(value: Tensor, like: Tensor) -> Tensor:
    """Of a whole ``value``, which all processes have, the part that this one holds of ``like``; a number stays one."""
    if not isinstance(like, DTensor) or value.shape != like.shape:
        return value
    return distribute_tensor(value.to(like.device), like.device_mesh, like.placements, src_data_rank=None)


def clip_gradients(parameters: Sequence[nn.Parameter], most: float) -> float:
    """Shorten the gradient to the norm ``most``; its norm before. ``nn.utils.clip_grad_norm_`` takes no parts beside
    whole tensors."""
    gradients = [p.grad for p in parameters if p.grad is not None]
    parts = [held(gradient) for gradient in gradients if isinstance(gradient, DTensor)]
    if not parts:
        return float(nn.utils.clip_grad_norm_(parameters, most))
    squares = added_up(_squares(parts)) + _squares([g for g in gradients if not isinstance(g, DTensor)], parts[0])
    norm = squares.sqrt()
    scale = (most / (norm + 1e-6)).clamp(max=1.0)
    for gradient in gradients:
        held(gradient).mul_(scale)
    return float(norm)


def _squares(tensors: Sequence[Tensor], like: Tensor | None = None) -> Tensor:
    """Their sum."""
    return nn.utils.get_total_norm(tensors).square() if tensors or like is None else like.new_zeros(())
