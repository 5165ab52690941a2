"""CPU seconds and peak memory of supervised steps on ReDial's segments: forward, backward, clipping, AdamW.

    OMP_NUM_THREADS=1 python benchmarks/sft_step.py REDIAL_FOLDER [batch] [steps] [frozen encoder layers]

The small model and the default encoder, weights as they begin; item vectors are drawn in place of read. Run it on two
commits in turns to compare them: each process prints the median of its steps after one that does not count.
"""

from __future__ import annotations

import resource
import statistics
import sys
import time

import numpy as np
import torch

from tacit.data.dialogues.sources import DataConfig, load_training
from tacit.dialogue.policy.network import PolicyConfig
from tacit.dialogue.policy.policy import Policy
from tacit.dialogue.train import sft
from tacit.dialogue.train.segments import segments
from tacit.dialogue.train.sft_config import SFTConfig
from tacit.run.steps import clipped_step
from tacit.text.encoder import TextEncoder


def drawn(encoder: TextEncoder, texts: list[str], *_: object) -> tuple[torch.Tensor, int]:
    return torch.nn.functional.normalize(torch.randn(len(texts), encoder.dim), dim=-1), 0


def main(folder: str, batch: int, steps: int, frozen: int) -> None:
    torch.manual_seed(0)
    catalog, split = load_training(DataConfig(name="redial", path=folder))
    TextEncoder.read = drawn  # type: ignore[method-assign]
    policy = Policy.fresh(catalog, split.train, PolicyConfig())
    policy.encoder.requires_grad_(True)
    if frozen:
        policy.encoder.freeze_below(frozen)
    config, dice = SFTConfig(batch=batch).settled_for(policy), np.random.default_rng(0)
    optimizer = sft._optimizer(policy, config)
    pool = segments(split.train[:1000], policy, dice)
    dice.shuffle(pool)
    policy.train()
    times = []
    for step in range(steps + 1):
        start = time.process_time()
        sft.gradients(policy, optimizer, pool[step * batch : (step + 1) * batch], config, "float32")
        clipped_step(optimizer, [p for g in optimizer.param_groups for p in g["params"]], config.grad_clip)
        times.append(time.process_time() - start)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"batch {batch}, {frozen} layers frozen: {statistics.median(times[1:]):.2f} s a step, peak {peak:.2f} GiB")


if __name__ == "__main__":
    numbers = [int(x) for x in sys.argv[2:]]
    main(sys.argv[1], *[*numbers, *(16, 6, 0)[len(numbers) :]])
