"""Memory of a process that learns a language model with another one: held whole by both, or in parts (FSDP2).

    torchrun --standalone --nproc-per-node 2 benchmarks/sharding_memory.py never [layers, 12] [width, 512]
    torchrun --standalone --nproc-per-node 2 benchmarks/sharding_memory.py always [layers, 12] [width, 512]

A GPT-2 shape with fresh weights takes three steps of AdamW on four short rows each, as SFT takes them: pieces of one
row a process, gradients added up. Megabytes of process 0 beyond what it holds before it has a model: while it learns
(its largest resident size after the model was cut, since a model is loaded whole before), and over all; and those of
the tensors that it holds afterwards, by kind.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor
from transformers import GPT2Config, GPT2LMHeadModel

from tacit.run import distributed
from tacit.run.distributed import dealt, sum_gradients
from tacit.run.shards import held
from tacit.run.steps import clipped_step
from tacit.text.lm import head_logits
from tacit.text.packed import packed_rows
from tacit.text.sharding import Sharding, pass_along, shard

WORDS, LENGTH, ROWS, STEPS = 8_000, 64, 4, 3


def resident(line: str) -> float:
    """Megabytes: ``VmRSS`` is what this process holds now, ``VmHWM`` its largest since the mark was set back."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(one.split()[1]) for one in lines if one.startswith(line)) / 1024


def set_back() -> None:
    """The largest resident size begins anew (proc(5), clear_refs)."""
    Path("/proc/self/clear_refs").write_text("5")


def learn(sharding: Sharding, layers: int, width: int) -> dict[str, float]:
    torch.manual_seed(0)
    before = resident("VmRSS")
    config = GPT2Config(vocab_size=WORDS, n_positions=LENGTH, n_embd=width, n_layer=layers, n_head=8,
                        resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0)  # fmt: skip
    lm = cast(Any, GPT2LMHeadModel(config))
    weights = lm.num_parameters()
    shard(lm, sharding)
    loading = resident("VmHWM")
    set_back()
    parameters = list(lm.parameters())
    optimizer = torch.optim.AdamW(parameters, lr=1e-4, fused=True)
    generator = torch.Generator().manual_seed(0)
    for _ in range(STEPS):
        batch = torch.randint(1, WORDS, (ROWS, LENGTH), generator=generator).tolist()

        def loss(rows: Sequence[list[int]]) -> Tensor:
            states = packed_rows(lm, rows)
            logits = torch.cat([head_logits(lm, state[:-1]) for state in states])
            told = torch.tensor([token for row in rows for token in row[1:]])
            return torch.nn.functional.cross_entropy(logits, told, reduction="sum") / (ROWS * (LENGTH - 1))

        optimizer.zero_grad(set_to_none=True)
        for _, piece in dealt(batch, 1):
            torch.autograd.backward(loss(piece))
        pass_along(lm, loss, batch, 1)
        sum_gradients(optimizer)
        clipped_step(optimizer, parameters, 1.0)
    moments = [held(state[name]) for state in optimizer.state.values() for name in ("exp_avg", "exp_avg_sq")]
    learning = resident("VmHWM")
    return {
        "million_weights": round(weights / 1e6, 1),
        "peak_learning": round(learning - before),
        "peak_of_all": round(max(loading, learning) - before),
        "weights": megabytes([held(p) for p in parameters]),
        "gradients": megabytes([held(p.grad) for p in parameters if p.grad is not None]),
        "moments": megabytes(moments),
    }


def megabytes(tensors: Sequence[Tensor]) -> int:
    return round(sum(tensor.numel() * tensor.element_size() for tensor in tensors) / 2**20)


def main() -> None:
    sharding, *sizes = sys.argv[1:]
    layers, width = (int(size) for size in [*sizes, *("12", "512")[len(sizes) :]])
    with distributed.joined():
        told = learn(cast(Sharding, sharding), layers, width)
        if distributed.is_writer():
            print(json.dumps({"sharding": sharding, **told}), flush=True)


if __name__ == "__main__":
    main()
