"""What an examination computes: correlation and AUC with intervals, AUC within strata, values less their group's mean.

Turns of one person are not independent, so every interval resamples whole groups of them (``metrics.intervals``).
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from tacit.metrics.intervals import Estimate, Groups, bootstrap_pairs, bootstrap_sums
from tacit.types import Floats64

_ROWS = 2048  # positives that are held against all negatives at a time


def pearson(a: Floats64, b: Floats64, groups: Groups, generator: np.random.Generator) -> dict[str, float | None]:
    """Pearson's r over the rows where both are finite, with a 95 % interval over groups [n]; None without spread.

    The interval is made of Fisher's z = artanh r, which is nearer to normal, and brought back.
    """
    both = np.isfinite(a) & np.isfinite(b)
    n = float(both.sum())
    if n < 4 or a[both].std() < 1e-12 or b[both].std() < 1e-12:
        return {"r": None, "ci_low": None, "ci_high": None, "n": n, "clusters": 0.0}
    x, y = ((values[both] - values[both].mean()) / values[both].std() for values in (a, b))
    parts = np.stack([np.ones_like(x), x, y, x * x, y * y, x * y], axis=1)
    z = bootstrap_sums(parts, np.asarray(groups)[both], _fisher_z, generator)
    low, high = (None, None) if z.ends is None else (math.tanh(z.low), math.tanh(z.high))
    r = float(np.corrcoef(a[both], b[both])[0, 1])
    return {"r": r, "ci_low": low, "ci_high": high, "n": n, "clusters": float(z.groups)}


def partial_pearson(
    a: Floats64, b: Floats64, held: Floats64, groups: Groups, generator: np.random.Generator
) -> dict[str, float | None]:
    """``pearson`` of a and b [n] with the columns of ``held`` [n, k] fixed: of what least squares on them leaves."""
    design = np.column_stack([np.ones(len(a)), held])
    if len(a) <= design.shape[1]:
        return pearson(a[:0], b[:0], np.asarray(groups)[:0], generator)
    left = [values - design @ np.linalg.lstsq(design, values, rcond=None)[0] for values in (a, b)]
    left = [values.round(9) for values in left]  # the last digits are the linear algebra's, and differ from run to run
    return pearson(left[0], left[1], groups, generator)


def _fisher_z(sums: Floats64) -> Floats64:
    """artanh r of summed n, x, y, x², y² and xy, [b, 6] → [b]; NaN where x or y does not vary."""
    n, x, y, xx, yy, xy = sums.T
    with np.errstate(divide="ignore", invalid="ignore"):
        r = (n * xy - x * y) / np.sqrt(np.maximum(n * xx - x * x, 0.0) * np.maximum(n * yy - y * y, 0.0))
    return np.asarray(np.arctanh(np.clip(r, -1 + 1e-12, 1 - 1e-12)))


def ends(estimate: Estimate, prefix: str = "ci_") -> dict[str, float | None]:
    """``ci_low`` and ``ci_high``; None where so few groups do not tell."""
    low, high = estimate.ends or (None, None)
    return {f"{prefix}low": low, f"{prefix}high": high}


def auc_over(
    scores: Floats64,
    positive: npt.NDArray[np.bool_],
    groups: Groups,
    generator: np.random.Generator,
    strata: npt.NDArray[np.int64] | None = None,
) -> Estimate:
    """AUC with its 95 % interval over groups [n]; with ``strata`` [n] only pairs that share one count."""
    _, group = np.unique(np.asarray(groups), return_inverse=True)
    n_groups = int(group.max()) + 1
    wins, pairs = np.zeros((n_groups, n_groups)), np.zeros((n_groups, n_groups))
    of_negative = np.eye(n_groups)[group[~positive]]
    rows = np.flatnonzero(positive)
    for start in range(0, len(rows), _ROWS):
        part = rows[start : start + _ROWS]
        margin = scores[part][:, None] - scores[~positive]
        alike = np.ones_like(margin) if strata is None else (strata[part][:, None] == strata[~positive]).astype(float)
        np.add.at(wins, group[part], (alike * (np.sign(margin) + 1.0) / 2.0) @ of_negative)
        np.add.at(pairs, group[part], alike @ of_negative)
    return bootstrap_pairs(wins, pairs, generator)


def centred(values: Floats64, group: npt.NDArray[np.bool_]) -> Floats64:
    """Values less the mean of their group."""
    means = [values[group == g].mean() if (group == g).any() else 0.0 for g in (False, True)]
    return np.asarray(values - np.where(group, means[1], means[0]))


def fifths(values: Floats64) -> npt.NDArray[np.int64]:
    """0 to 4 by quantile; equal values always share one."""
    return np.searchsorted(np.quantile(values, [0.2, 0.4, 0.6, 0.8]), values, side="right").astype(np.int64)
