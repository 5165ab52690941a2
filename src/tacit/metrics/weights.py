"""What unequal weights leave of a sample."""

from __future__ import annotations

import numpy as np

from tacit.types import Floats64


def effective_sample_size(weights: Floats64) -> float:
    """(Σ w)² / Σ w² of weights [n] (Kish 1965): so many equally weighted rounds tell as much. 0 without weights."""
    largest = float(np.abs(weights).max(initial=0.0))
    if largest == 0.0:
        return 0.0
    scaled = weights / largest  # squares of very small or large numbers leave the range
    return float(scaled.sum() ** 2 / (scaled**2).sum())
