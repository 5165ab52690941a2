"""Intervals of estimates and of what lies between them, all from the same resamples of persons."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from tacit.metrics.intervals import Estimate, bootstrap_statistics
from tacit.offpolicy.estimators import Terms
from tacit.types import Floats64, Ints64

# Beyond so many groups they are put together at random, whole, into so many bundles: the interval is as wide, and a
# resample of a million persons need not be counted out.
MOST_GROUPS = 2_000
_ROUNDING = 1e-12


def intervals(
    terms: Mapping[str, Terms],
    contrasts: Mapping[str, Mapping[str, float]],
    clusters: Ints64,
    generator: np.random.Generator,
    draws: int = 1000,
) -> dict[str, Estimate]:
    """95 % intervals of sums of estimates, by the names of ``contrasts``: {"gain": {"SNIPS": 1.0, "logged": -1.0}}.

    ``clusters`` [n] are the groups that are resampled (``Log.clusters``). See ``tacit.metrics.intervals`` for the
    method, and for what it says of few groups. A difference that rounding alone makes is exactly 0.
    """
    names = list(terms)
    widths = [terms[name].numerators.shape[1] for name in names]
    starts = np.concatenate([[0], np.cumsum(widths)[:-1]])
    numerators = np.hstack([terms[name].numerators for name in names])
    denominators = np.hstack([terms[name].denominators for name in names])
    weights = np.array([[contrast.get(name, 0.0) for name in names] for contrast in contrasts.values()])

    def statistic(sums: Floats64) -> Floats64:
        half = sums.shape[1] // 2
        with np.errstate(invalid="ignore", divide="ignore"):
            ratios = sums[:, :half] / sums[:, half:]
        by_name = np.add.reduceat(ratios, starts, axis=1)
        return np.stack([by_name[:, row != 0.0] @ row[row != 0.0] for row in weights], axis=1)

    groups = _bundles(clusters, generator)
    found = bootstrap_statistics(np.hstack([numerators, denominators]), groups, statistic, generator, draws)
    scale = {name: abs(terms[name].value) for name in names}
    n_groups = int(clusters.max()) + 1
    return {
        key: _exact(replace(estimate, groups=n_groups), sum(scale[name] for name in contrast))
        for (key, contrast), estimate in zip(contrasts.items(), found, strict=True)
    }


def covers(estimate: Estimate, value: float, wider: float = 1.0) -> bool:
    """Does the interval, made ``wider`` times as wide, hold ``value``? One without ends, or of nothing, holds all."""
    if not np.isfinite([estimate.value, estimate.low, estimate.high]).all():
        return True
    half = wider * (estimate.high - estimate.low) / 2.0
    return abs(estimate.value - value) <= half


def _bundles(clusters: Ints64, generator: np.random.Generator) -> Ints64:
    n_groups = int(clusters.max()) + 1
    if n_groups <= MOST_GROUPS:
        return clusters
    shuffled: Ints64 = generator.permutation(n_groups)[clusters] % MOST_GROUPS
    return shuffled


def _exact(estimate: Estimate, scale: float) -> Estimate:
    ends = (estimate.value, estimate.low, estimate.high)
    if max(map(abs, ends)) <= _ROUNDING * scale:
        return replace(estimate, value=0.0, low=0.0, high=0.0)
    return estimate
