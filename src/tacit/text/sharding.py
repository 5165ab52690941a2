"""A language model that several processes hold in parts: FSDP2, for models too large to be learnt whole.

While it learns, a layer's weights come together when the layer is computed, forward and backward, and the sums of its
gradients go to those who hold them; moments are in parts, too. Who plays or judges has it whole for as long as that
takes (``whole_inside``): generation needs all weights at every token, and replies differ in length, so that processes
could not meet layer by layer.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator, Sequence
from types import MethodType
from typing import Any, Literal, TypeVar

import torch
from torch import Tensor
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard, register_fsdp_forward_method

from tacit.run.distributed import idle_turns, size
from tacit.run.processes import return_large_blocks
from tacit.text.lm import READS, decoder_layers, trunk
from tacit.types import InputError

log = logging.getLogger("tacit")

T = TypeVar("T")
Sharding = Literal["auto", "always", "never"]
SHARD_FROM = 1_000_000_000  # weights, with ``auto``


def shard(lm: Any, asked: Sharding) -> None:
    """Leave this process its part of ``lm``'s weights, in place, where several learn it and ``asked`` or its size wants
    it so. Before an optimiser is made: it must hold the parts."""
    large = lm.num_parameters() >= SHARD_FROM
    if size() == 1 or asked == "never" or (asked == "auto" and not large):
        return
    if not hasattr(FSDPModule, "set_reduce_scatter_unused_params"):
        raise InputError("holding a model in parts needs torch 2.13 or newer: update it, or set sharding=never.")
    log.info("%d processes hold %.0f million weights in parts (sharding)", size(), lm.num_parameters() / 1e6)
    if lm.device.type == "cpu":
        return_large_blocks()  # else what was freed of the other layers stays, and nothing is saved
    mesh = init_device_mesh(lm.device.type, (size(),))
    parts = [*decoder_layers(lm)[1], lm]  # embeddings, head and what else there is come together once a pass
    for part in parts:
        fully_shard(part, mesh=mesh, reshard_after_forward=part is not lm)
        part.set_gradient_divide_factor(1.0)  # losses are divided by the whole batch's counts: parts add up
        part.set_force_sum_reduction_for_comms(True)  # gloo cannot scale while it adds
        part.set_reduce_scatter_unused_params(True, recurse=False)  # what one process has not used another may have
    setattr(lm, READS, MethodType(_read, lm))
    register_fsdp_forward_method(lm, READS)


def _read(self: Any, **inputs: Any) -> Any:
    out = trunk(self)(**inputs)
    out.last_hidden_state = out.last_hidden_state.clone()  # GPT-2's is a view, of which FSDP2 warns
    return out


def in_parts(lm: Any) -> bool:
    """Whether this process holds a part of the model."""
    return isinstance(lm, FSDPModule)


@contextlib.contextmanager
def whole_inside(lm: Any) -> Iterator[None]:
    """Inside, each process holds all weights of ``lm`` and needs no other. They are to be read only."""
    parts = [module for module in lm.modules() if isinstance(module, FSDPModule)]
    for part in parts:
        part.set_reshard_after_forward(False, recurse=False)
        part.unshard()
    try:
        yield
    finally:
        for part in parts:
            part.reshard()
            part.set_reshard_after_forward(part is not lm, recurse=False)


def pass_along(lm: Any, loss: Callable[[Sequence[T]], Tensor], rows: Sequence[T], most: int) -> None:
    """Passes that add nothing, after the pieces that this process was dealt of ``rows`` (``distributed.dealt``): those
    who hold a model in parts must pass through it equally often."""
    if in_parts(lm):
        for _ in range(idle_turns(len(rows), most)):
            torch.autograd.backward(0.0 * loss(rows[:1]))
