"""Which number format a run trains in, where its settings leave that to the machine (``dtype: auto``).

bfloat16 is several times faster than float32 where the processor multiplies it (a GPU, AMX, AVX-512 BF16), and 6 to 16
times slower where it does not. A model of little width gains nothing either way. So a step of one layer is timed.
"""

from __future__ import annotations

import time

import torch
from torch import nn

ROWS = 256  # tokens of a step
STEPS = 5
GAIN = 0.8  # bfloat16 must take less than this share of float32's time


def choose_dtype(device: str, width: int) -> tuple[str, str]:
    """(float32 or bfloat16, why), for models of about ``width`` on ``device``."""
    kind = torch.device(device).type
    if kind == "cuda":
        if torch.cuda.is_bf16_supported(including_emulation=False):
            return "bfloat16", "this GPU multiplies it"
        return "float32", "this GPU does not multiply bfloat16"
    if kind != "cpu":
        return "float32", f"bfloat16 is not tried on {kind}"
    seconds = step_seconds(width)
    why = ", ".join(f"{1000 * value:.1f} ms in {dtype}" for dtype, value in seconds.items())
    return faster(**seconds), f"a step of width {width} takes {why}"


def faster(float32: float, bfloat16: float) -> str:
    """By the seconds of a step; float32 where bfloat16 gains less than a fifth."""
    return "bfloat16" if bfloat16 < GAIN * float32 else "float32"


def step_seconds(width: int) -> dict[str, float]:
    """Processor seconds of a pass there and back through one feed-forward layer, [ROWS, width], in each format.

    The quickest of ``STEPS`` after a first one, in turns, on one thread and by that thread's own clock: whatever else
    the machine does should not decide.
    """
    with torch.random.fork_rng(devices=[]):  # no later draw may depend on whether a measurement was made
        layer = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width), nn.LayerNorm(width))
    x = torch.ones(ROWS, width)
    taken: dict[str, list[float]] = {"float32": [], "bfloat16": []}
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        for _ in range(1 + STEPS):
            for dtype, seconds in taken.items():
                start = time.thread_time()
                with torch.autocast("cpu", torch.bfloat16, enabled=dtype == "bfloat16"):
                    loss = layer(x).square().mean()
                loss.backward()
                seconds.append(time.thread_time() - start)
    finally:
        torch.set_num_threads(threads)
    return {dtype: min(seconds[1:]) for dtype, seconds in taken.items()}
