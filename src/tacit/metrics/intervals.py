"""Values with 95 % intervals: cases of one person are not independent, so whole groups (persons) are resampled.

The interval is a symmetric bootstrap-t over groups, θ ± q · se: se is the standard error between groups, and q the 95 %
quantile of |θ* − θ| / se* over the resamples (Efron & Tibshirani 1993, section 12.5; Hall 1988). Percentiles, the
commoner choice, cover 85 to 93.5 % in place of 95 at 10 to 50 groups of unequal size; the simulated coverage of both
and of others stands in docs/measured.md, and ``benchmarks/interval_coverage.py`` makes it. Resamples without spread
(few groups, few hits) count as infinitely far away: an interval without ends says that the data do not tell.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import numpy.typing as npt

from tacit.types import Floats64

Groups = Sequence[Hashable] | npt.NDArray[np.generic]
_LEVEL = 0.95
_ROUNDING = 1e-12  # differences below this share of the largest number are those of floating point
# Groups that are all alike tell a value only from six on: five lie on one side of zero by luck once in 16 times.
_ALIKE = 6


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

    def __str__(self) -> str:
        interval = f"[{self.low:.3f}, {self.high:.3f}]" if self.ends else f"not told ({self.groups} groups)"
        return f"{self.value:.3f} {interval}, n = {self.n}"

    @property
    def ends(self) -> tuple[float, float] | None:
        """(low, high) where both are finite."""
        return finite(self.low, self.high)

    def as_json(self) -> dict[str, float | None]:
        """The fields by name; what is not finite is None, which JSON can hold."""
        return {name: value if math.isfinite(value) else None for name, value in asdict(self).items()}


def finite(low: float | None, high: float | None) -> tuple[float, float] | None:
    """Both ends of an interval, or None where either is missing or infinite."""
    if low is None or high is None or not (math.isfinite(low) and math.isfinite(high)):
        return None
    return low, high


def bootstrap_means(
    values: Floats64, groups: Groups, generator: np.random.Generator, draws: int = 1000
) -> list[Estimate]:
    """Mean of each column of values [n, m] with an interval over groups [n]; all columns share the resamples.

    A column of zeros alone (two policies that do the same in every case) is 0 [0, 0], however few groups there are.
    """
    n, m = values.shape
    if n == 0:
        return [Estimate(math.nan, math.nan, math.nan, 0)] * m
    sums, counts = _by_group(values, groups)
    estimates = means_of_groups(sums, counts, generator, draws)
    zero = Estimate(0.0, 0.0, 0.0, n, len(counts))
    return [estimate if column.any() else zero for column, estimate in zip(values.T, estimates, strict=True)]


def means_of_groups(
    sums: Floats64, counts: Floats64, generator: np.random.Generator, draws: int = 1000
) -> list[Estimate]:
    """The same from what each group's cases sum to, [G, m], and their numbers [G].

    The mean is that of all cases, a ratio of sums: se² = G / (G − 1) · Σ_g (s_g − θ n_g)² / N², in a resample over the
    groups that were drawn.
    """
    n_groups = len(counts)
    theta = sums.sum(axis=0) / counts.sum()
    residuals = _rounded(sums - theta * counts[:, None], np.abs(sums).max(axis=0))
    _, error = _shift_and_error(np.ones((1, n_groups)), residuals, counts)
    shifts, errors = _shift_and_error(_resamples(n_groups, generator, draws), residuals, counts)
    margin = _margin(shifts, error[0], errors, n_groups)
    return [
        Estimate(value, value - width, value + width, int(counts.sum()), n_groups)
        for value, width in zip(theta.tolist(), margin.tolist(), strict=True)
    ]


def bootstrap_mean(values: Floats64, groups: Groups, generator: np.random.Generator, draws: int = 1000) -> Estimate:
    """Mean of values [n] with an interval over groups [n] (persons, or dialogues where persons are not known)."""
    return bootstrap_means(values[:, None], groups, generator, draws)[0]


def standard_error(values: Floats64, groups: Groups) -> float:
    """Of the mean of values [n], between groups [n]; NaN where there is one group alone."""
    sums, counts = _by_group(values[:, None], groups)
    residuals = _rounded(sums - values.mean() * counts[:, None], np.abs(sums).max(axis=0))
    _, error = _shift_and_error(np.ones((1, len(counts))), residuals, counts)
    return float(error[0, 0])


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

    def column(sums: Floats64) -> Floats64:
        return statistic(sums)[:, None]

    return bootstrap_statistics(parts, groups, column, generator, draws)[0]


def bootstrap_statistics(
    parts: Floats64,
    groups: Groups,
    statistic: Callable[[Floats64], Floats64],
    generator: np.random.Generator,
    draws: int = 1000,
) -> list[Estimate]:
    """Several statistics of column sums, all from the same resamples: ``statistic`` maps [b, m] to values [b, s]."""
    sums, _ = _by_group(parts, groups)
    n_groups, total = len(sums), sums.sum(axis=0, keepdims=True)
    values = statistic(total)[0]
    if n_groups == 1:
        return [Estimate(value, -math.inf, math.inf, len(parts), 1) for value in values.tolist()]
    gaps = _rounded(values - statistic(total - sums), np.abs(values))
    influence = (n_groups - 1) * gaps
    drawn = _resamples(n_groups, generator, draws)
    shifts = statistic(drawn @ sums) - values
    means = drawn @ influence / n_groups
    squares = np.maximum(drawn @ influence**2 / n_groups - means**2, 0.0)
    errors = np.sqrt(squares / (n_groups - 1))
    error = np.sqrt(np.var(influence, axis=0) / (n_groups - 1))
    margins = _margin(shifts, error, errors, n_groups)
    return [
        Estimate(value, value - margin, value + margin, len(parts), n_groups)
        for value, margin in zip(values.tolist(), margins.tolist(), strict=True)
    ]


def bootstrap_pairs(wins: Floats64, pairs: Floats64, generator: np.random.Generator, draws: int = 1000) -> Estimate:
    """A share of pairs, such as an AUC, with an interval over groups.

    wins [G, G]: what pairs of one of g's cases with one of h's win in sum; pairs [G, G]: how many there are. With
    group g taken w_g times θ = w·wins·w / w·pairs·w; h_g = ((wins + winsᵀ)w − θ (pairs + pairsᵀ)w)_g is its influence,
    and se² = G / (G − 1) · Σ_g w_g h_g² / (w·pairs·w)² (as Obuchowski 1997, Biometrics 53(2), for an AUC of clusters).
    """
    n_groups, n = len(pairs), int(pairs.sum())
    if n == 0:
        return Estimate(math.nan, math.nan, math.nan, 0, n_groups)
    won, all_pairs = wins + wins.T, pairs + pairs.T
    value, error = _pair_share(np.ones((1, n_groups)), won, all_pairs)
    with np.errstate(divide="ignore", invalid="ignore"):  # a resample without a pair tells nothing
        shares, errors = _pair_share(_resamples(n_groups, generator, draws), won, all_pairs)
    margin = float(_margin((shares - value)[:, None], error, errors[:, None], n_groups)[0])
    share = float(value[0])
    return Estimate(share, share - margin, share + margin, n, n_groups)


def _pair_share(weights: Floats64, won: Floats64, pairs: Floats64) -> tuple[Floats64, Floats64]:
    """θ and its standard error, [b] each, of groups taken ``weights`` [b, G] times; both matrices are symmetric."""
    n_groups = len(pairs)
    total = weights @ pairs
    twice = (total * weights).sum(1)  # every pair counts from both its ends
    influence = weights @ won
    theta = (influence * weights).sum(1) / twice
    influence = influence - theta[:, None] * total
    influence[np.abs(influence) <= _ROUNDING * np.abs(total)] = 0.0
    spread = (weights * influence**2).sum(1)
    if n_groups == 1:
        return theta, np.full_like(theta, np.nan)
    return theta, 2.0 * np.sqrt(n_groups / (n_groups - 1) * spread) / twice


def _by_group(values: Floats64, groups: Groups) -> tuple[Floats64, Floats64]:
    """Column sums [G, m] and numbers of cases [G] of the groups."""
    _, rows = np.unique(np.asarray(groups), return_inverse=True)
    sums = np.zeros((int(rows.max()) + 1, values.shape[1]))
    np.add.at(sums, rows, values)
    return sums, np.bincount(rows).astype(np.float64)


def _rounded(residuals: Floats64, sizes: Floats64) -> Floats64:
    """Residuals [G, m] with 0 for what floating point leaves of numbers of these sizes [m]."""
    return np.where(np.abs(residuals) <= _ROUNDING * sizes, 0.0, residuals)


def _resamples(n_groups: int, generator: np.random.Generator, draws: int) -> Floats64:
    """How often each group was drawn, [draws, G]."""
    return generator.multinomial(n_groups, np.full(n_groups, 1.0 / n_groups), size=draws).astype(np.float64)


def _shift_and_error(weights: Floats64, residuals: Floats64, counts: Floats64) -> tuple[Floats64, Floats64]:
    """θ* − θ and the standard error of θ*, [b, m] each, of resamples [b, G]; residuals s_g − θ n_g are [G, m].

    With r_g = s_g − θ n_g: θ* − θ = Σ w_g r_g / Σ w_g n_g = d, and s_g − θ* n_g = r_g − d n_g.
    """
    n_groups = len(counts)
    cases = (weights @ counts)[:, None]
    shifts = (weights @ residuals) / cases
    products, squares = weights @ (residuals * counts[:, None]), (weights @ counts**2)[:, None]
    spread = np.maximum(weights @ residuals**2 - 2.0 * shifts * products + shifts**2 * squares, 0.0)
    if n_groups == 1:
        return shifts, np.full_like(spread, np.nan)
    return shifts, np.sqrt(n_groups / (n_groups - 1) * spread) / cases


def _margin(shifts: Floats64, error: Floats64, errors: Floats64, n_groups: int) -> Floats64:
    """q · se of each column [m], from shifts and errors of the resamples [b, m]; infinite where they do not tell."""
    flat = errors <= 1e-7 * error  # a resample whose groups are all alike: what is left is rounding
    with np.errstate(divide="ignore", invalid="ignore"):
        t = np.where(flat, np.where(np.abs(shifts) <= 1e-7 * error, 0.0, np.inf), np.abs(shifts) / errors)
        t[np.isnan(t)] = np.inf
        quantile = np.quantile(t, _LEVEL, axis=0, method="inverted_cdf")
        margin = np.where(error == 0.0, 0.0 if n_groups >= _ALIKE else np.inf, quantile * error)
    return np.where(np.isnan(margin), np.inf, margin)
