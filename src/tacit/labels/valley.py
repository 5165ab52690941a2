"""The skip threshold: the valley between those who pass an item by and those who read it, where there is one.

No threshold is given by decree: the published ones are the marks of their own products' histograms (LinkedIn 2020).
"""

from __future__ import annotations

import numpy as np

from tacit.types import Floats64

BINS = 40
DEPTH = 0.8  # a valley is at most so high, as a share of the lower of its two hills
SIGMAS = 4.0  # and lower than that hill by so many standard deviations of counting
KERNEL = np.array([1.0, 4.0, 6.0, 4.0, 1.0]) / 16.0


def valley(times_ms: Floats64, least: int) -> tuple[float | None, str]:
    """(threshold in ms, how it was found), or (None, why there is none). ``times_ms`` [n], all observed to the end."""
    if len(times_ms) < least:
        return None, f"{len(times_ms)} times observed to the end, {least} are needed"
    logs = np.log(np.maximum(times_ms, 1.0))
    low, high = np.quantile(logs, [0.005, 0.995])
    if high - low < np.log(2.0):
        return None, "all times are alike"
    counts, edges = np.histogram(logs, BINS, (low, high))
    hill = np.convolve(np.pad(counts.astype(np.float64), 2, mode="edge"), KERNEL, mode="valid")
    left = np.maximum.accumulate(hill)  # the highest to the left, and to the right, of each bin
    right = np.maximum.accumulate(hill[::-1])[::-1]
    lower = np.minimum(left, right)
    noise = SIGMAS * np.sqrt((lower + hill) * (KERNEL**2).sum())
    deep = (hill <= DEPTH * lower) & (lower - hill > noise)
    if not deep.any():
        return None, "the histogram of log times has no valley"
    depths = np.where(deep, lower - hill, -np.inf)
    best = int(depths.argmax())
    middle = (edges[best] + edges[best + 1]) / 2
    return float(f"{np.exp(middle):.6g}"), f"the valley of the log histogram of {len(times_ms)} times"
