"""The head of a writer on a CPU: what TRL asks of it, in a few large operations.

TRL 1.16 scores an answer's tokens without ever holding all logits: blocks of the vocabulary, a Triton kernel a block.
Off the GPU it scores the prompt's tokens too, and each block is many small operations, which take a good part of a
small writer's step (`LOG.md`). A small writer's logits fit into memory.
"""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

_ROOM = 2**28  # logits that are held at once: 1 GB; more are left to TRL's blocks


def token_scores(
    hidden: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    targets: Tensor,
    temperature: float,
    softcap: float | None,
    scale: float,
    outputs: tuple[str, ...],
) -> tuple[Tensor | None, ...]:
    """(log P of the target, entropy, log Σ p², mean logit, is it the likeliest), [N] each; None where not asked for.

    ``hidden`` [N, H], ``weight`` [V, H], ``targets`` [N]. ``outputs`` are TRL's names of what is asked for. P is the
    softmax of s · hidden weightᵀ (softly capped at ``softcap``) over ``temperature``. Only log P has a gradient.
    Source: what TRL's ``kernels/chunked_logprob.py`` promises.
    """
    logits = torch.nn.functional.linear(hidden, weight, bias).float()
    if scale != 1.0:
        logits = logits * scale
    if softcap is not None:
        logits = softcap * torch.tanh(logits / softcap)
    logits = logits / temperature if temperature != 1.0 else logits
    log_p = torch.log_softmax(logits, dim=-1)
    said = log_p.gather(-1, targets[:, None]).squeeze(-1)
    with torch.no_grad():
        entropy = -(log_p.exp() * log_p).sum(-1) if "entropy" in outputs else None
        log_sum_squares = (2 * log_p).logsumexp(-1) if "log_sum_sq_probs" in outputs else None
        mean_logits = logits.mean(-1) if "mean_logits" in outputs else None
        is_top1 = log_p.argmax(-1) == targets if "is_top1" in outputs else None
    return said, entropy, log_sum_squares, mean_logits, is_top1


@contextlib.contextmanager
def scoring_answers_alone() -> Iterator[None]:
    """TRL's trainers score the answers' tokens alone, on a CPU by ``token_scores``."""
    utils: Any = importlib.import_module("trl.trainer.utils")
    blocks, wants_triton = utils._ChunkedLogProbFunction, utils._use_triton

    class Head:
        @staticmethod
        def apply(
            hidden: Tensor,
            weight: Tensor,
            bias: Tensor | None,
            targets: Tensor,
            temperature: float,
            block: int,
            *rest: Any,
        ) -> Any:
            if hidden.device.type == "cpu" and len(targets) * len(weight) <= _ROOM:
                return token_scores(hidden, weight, bias, targets, temperature, *rest)
            return blocks.apply(hidden, weight, bias, targets, temperature, block, *rest)

    utils._ChunkedLogProbFunction, utils._use_triton = Head, lambda device: True
    try:
        yield
    finally:
        utils._ChunkedLogProbFunction, utils._use_triton = blocks, wants_triton
