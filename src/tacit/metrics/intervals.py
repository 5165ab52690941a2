"""Values with 95 % intervals: cases of one person are not independent, so whole groups (persons) are resampled.

The interval is a symmetric bootstrap-t over groups, θ ± q · se: se is the standard error between groups, and q the 95 %
quantile of |θ* − θ| / se* over the resamples (Efron & Tibshirani 1993, section 12.5; Hall 1988). Percentiles, the
commoner choice, cover 85 to 91 % in place of 95 at 10 to 50 groups of unequal size; the simulated coverage of both and
of others stands in docs/measured.md, and ``benchmarks/interval_coverage.py`` makes it. Resamples without spread (few
groups, few hits) count as infinitely far away: an interval without ends says that the data do not tell.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tacit.types import Floats64

Groups = Sequence[Hashable] | npt.NDArray[np.generic]
_LEVEL = 0.95


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value with a 95 % interval; ``n`` counts what was averaged, ``groups`` what was resampled.

    ``low`` and ``high`` are infinite where so few groups tell nothing, NaN where there is nothing to average.
    """

    value: float
    low: float
    high: float
    n: int
    groups: int = 0


def bootstrap_means(
    values: Floats64, groups: Groups, generator: np.random.Generator, draws: int = 1000
) -> list[Estimate]:
    """Mean of each column of values [n, m] with an interval over groups [n]; all columns share the resamples."""
    n, m = values.shape
    if n == 0:
        return [Estimate(math.nan, math.nan, math.nan, 0)] * m
    sums, counts = _by_group(values, groups)
    return means_of_groups(sums, counts, generator, draws)


def means_of_groups(
    sums: Floats64, counts: Floats64, generator: np.random.Generator, draws: int = 1000
) -> list[Estimate]:
    """The same from what each group's cases sum to, [G, m], and their numbers [G].

    The mean is that of all cases, a ratio of sums: se² = G / (G − 1) · Σ_g (s_g − θ n_g)² / N², in a resample over the
    groups that were drawn.
    """
    n_groups = len(counts)
    theta, error = _mean_and_error(np.ones((1, n_groups)), sums, counts)
    resampled, errors = _mean_and_error(_resamples(n_groups, generator, draws), sums, counts)
    margin = _margin(theta[0], error[0], resampled, errors)
    return [
        Estimate(value, value - width, value + width, int(counts.sum()), n_groups)
        for value, width in zip(theta[0].tolist(), margin.tolist(), strict=True)
    ]


def bootstrap_mean(values: Floats64, groups: Groups, generator: np.random.Generator, draws: int = 1000) -> Estimate:
    """Mean of values [n] with an interval over groups [n] (persons, or dialogues where persons are not known)."""
    return bootstrap_means(values[:, None], groups, generator, draws)[0]

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}], n = {self.n}"


def bootstrap_sums(
    parts: Floats64,
    groups: Groups,
    statistic: Callable[[Floats64], Floats64],
    generator: np.random.Generator,
    draws: int = 1000,
) -> Estimate:
    """A smooth statistic of column sums with an interval over groups.

    parts [n, m]: one row a case; ``statistic`` maps summed parts [b, m] to values [b] (corpus BLEU is a function of
    n-gram counts). Standard errors come from each group's influence, which leaving it out tells (the delete-one
    jackknife; Efron & Tibshirani 1993, sections 11.5 and 21).
    """
    if len(parts) == 0:
        return Estimate(math.nan, math.nan, math.nan, 0)
    sums, _ = _by_group(parts, groups)
    n_groups, total = len(sums), sums.sum(axis=0, keepdims=True)
    value = float(statistic(total)[0])
    if n_groups == 1:
        return Estimate(value, -math.inf, math.inf, len(parts), 1)
    influence = (n_groups - 1) * (value - statistic(total - sums))
    drawn = _resamples(n_groups, generator, draws)
    resampled = statistic(drawn @ sums)
    means = drawn @ influence / n_groups
    squares = np.maximum(drawn @ influence**2 / n_groups - means**2, 0.0)
    errors = np.sqrt(squares / (n_groups - 1))
    error = float(np.sqrt(np.var(influence) / (n_groups - 1)))
    margin = _margin(np.array([value]), np.array([error]), resampled[:, None], errors[:, None])
    return Estimate(value, value - float(margin[0]), value + float(margin[0]), len(parts), n_groups)


def _by_group(values: Floats64, groups: Groups) -> tuple[Floats64, Floats64]:
    """Column sums [G, m] and numbers of cases [G] of the groups."""
    _, rows = np.unique(np.asarray(groups), return_inverse=True)
    sums = np.zeros((int(rows.max()) + 1, values.shape[1]))
    np.add.at(sums, rows, values)
    return sums, np.bincount(rows).astype(np.float64)


def _resamples(n_groups: int, generator: np.random.Generator, draws: int) -> Floats64:
    """How often each group was drawn, [draws, G]."""
    return generator.multinomial(n_groups, np.full(n_groups, 1.0 / n_groups), size=draws).astype(np.float64)


def _mean_and_error(weights: Floats64, sums: Floats64, counts: Floats64) -> tuple[Floats64, Floats64]:
    """Means over cases and their standard errors between groups, [b, m] each, of resamples [b, G]."""
    n_groups = len(counts)
    cases = (weights @ counts)[:, None]
    means = (weights @ sums) / cases
    products, squares = weights @ (sums * counts[:, None]), (weights @ counts**2)[:, None]
    spread = np.maximum(weights @ sums**2 - 2.0 * means * products + means**2 * squares, 0.0)
    correction = n_groups / (n_groups - 1) if n_groups > 1 else math.inf
    with np.errstate(invalid="ignore"):
        return means, np.sqrt(correction * spread) / cases


def _margin(theta: Floats64, error: Floats64, resampled: Floats64, errors: Floats64) -> Floats64:
    """q · se of each column, [m]: 0 where no group differs from another, infinite where the resamples do not tell."""
    gaps = np.abs(resampled - theta)
    none = errors <= 1e-9 * np.where(np.isfinite(error), error, 0.0)  # a resample whose groups are all alike
    with np.errstate(divide="ignore", invalid="ignore"):
        t = np.where(none, np.where(gaps <= 1e-12 * np.maximum(np.abs(theta), 1.0), 0.0, np.inf), gaps / errors)
        t[np.isnan(t)] = np.inf
        quantile = np.quantile(t, _LEVEL, axis=0, method="inverted_cdf")
        margin = quantile * error
    margin[error == 0.0] = 0.0
    margin[np.isnan(margin)] = np.inf
    return np.asarray(margin)
