"""What an examination computes: correlation with its interval, AUC within strata, values less their group's mean."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from tacit.metrics.ranks import auc
from tacit.types import Floats64


def pearson(a: Floats64, b: Floats64) -> dict[str, float | None]:
    """Pearson's r over the rows where both are finite, with Fisher's 95 % interval; None without spread."""
    both = np.isfinite(a) & np.isfinite(b)
    n = int(both.sum())
    if n < 4 or a[both].std() < 1e-12 or b[both].std() < 1e-12:
        return {"r": None, "ci_low": None, "ci_high": None, "n": float(n)}
    r = float(np.corrcoef(a[both], b[both])[0, 1])
    z, half = np.arctanh(np.clip(r, -1 + 1e-12, 1 - 1e-12)), 1.96 / math.sqrt(n - 3)
    return {"r": r, "ci_low": float(np.tanh(z - half)), "ci_high": float(np.tanh(z + half)), "n": float(n)}


def mean_interval(values: Floats64) -> tuple[float, float, float]:
    """(mean, low, high): 95 %, normal; the ends are the mean itself where there is one value only."""
    half = 1.96 * float(values.std(ddof=1)) / math.sqrt(len(values)) if len(values) > 1 else 0.0
    mean = float(values.mean())
    return mean, mean - half, mean + half


def auc_interval(value: float, positives: int, negatives: int) -> tuple[float, float]:
    """95 % interval of an AUC. Source: Hanley & McNeil 1982, Radiology 143(1), eq. 1."""
    first, second = value / (2 - value), 2 * value**2 / (1 + value)
    variance = value * (1 - value) + (positives - 1) * (first - value**2) + (negatives - 1) * (second - value**2)
    half = 1.96 * math.sqrt(max(variance, 0.0) / (positives * negatives))
    return max(value - half, 0.0), min(value + half, 1.0)


def centred(values: Floats64, group: npt.NDArray[np.bool_]) -> Floats64:
    """Values less the mean of their group."""
    means = [values[group == g].mean() if (group == g).any() else 0.0 for g in (False, True)]
    return np.asarray(values - np.where(group, means[1], means[0]))


def auc_within(scores: Floats64, positive: npt.NDArray[np.bool_], strata: npt.NDArray[np.int64]) -> float | None:
    """AUC over pairs that share a stratum; None when no stratum holds both kinds."""
    won, pairs = 0.0, 0
    for stratum in np.unique(strata):
        rows = strata == stratum
        count = int(positive[rows].sum()) * int((~positive[rows]).sum())
        if count:
            won += count * auc(scores[rows], positive[rows])
            pairs += count
    return won / pairs if pairs else None


def fifths(values: Floats64) -> npt.NDArray[np.int64]:
    """0 to 4 by quantile; equal values always share one."""
    return np.searchsorted(np.quantile(values, [0.2, 0.4, 0.6, 0.8]), values, side="right").astype(np.int64)
