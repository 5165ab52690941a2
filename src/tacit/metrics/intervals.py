"""Values with 95 % intervals: cases of one dialogue or user are not independent, so whole groups are resampled."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tacit.types import Floats64


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value with a 95 % interval; ``n`` counts what was averaged, not what was resampled."""

    value: float
    low: float
    high: float
    n: int

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}], n = {self.n}"


def bootstrap_sums(
    parts: Floats64,
    groups: Sequence[Hashable] | npt.NDArray[np.generic],
    statistic: Callable[[Floats64], Floats64],
    generator: np.random.Generator,
    draws: int = 1000,
) -> Estimate:
    """95 % percentile interval of a statistic of column sums, resampling whole groups with replacement.

    parts [n, m]: one row a case; ``statistic`` maps summed parts [b, m] to values [b] (a mean is sum / count, corpus
    BLEU a function of n-gram counts). Source: Efron & Tibshirani 1993, ch. 13; groups as in Field & Welsh 2007.
    """
    if len(parts) == 0:
        return Estimate(math.nan, math.nan, math.nan, 0)
    _, rows = np.unique(np.asarray(groups), return_inverse=True)
    sums = np.zeros((int(rows.max()) + 1, parts.shape[1]))
    np.add.at(sums, rows, parts)
    drawn = generator.multinomial(len(sums), np.full(len(sums), 1.0 / len(sums)), size=draws)
    samples = statistic(drawn @ sums)
    low, high = np.nanquantile(samples, [0.025, 0.975])
    return Estimate(float(statistic(sums.sum(0, keepdims=True))[0]), float(low), float(high), len(parts))


def bootstrap_means(
    values: Floats64,
    groups: Sequence[Hashable] | npt.NDArray[np.generic],
    generator: np.random.Generator,
    draws: int = 1000,
) -> list[Estimate]:
    """Mean of each column of values [n, m] with a 95 % interval over groups [n]; all columns share the resamples."""
    n, m = values.shape
    if n == 0:
        return [Estimate(math.nan, math.nan, math.nan, 0)] * m
    _, rows = np.unique(np.asarray(groups), return_inverse=True)
    sums = np.zeros((int(rows.max()) + 1, m + 1))
    np.add.at(sums, rows, np.concatenate([values, np.ones((n, 1))], axis=1))
    drawn = generator.multinomial(len(sums), np.full(len(sums), 1.0 / len(sums)), size=draws) @ sums
    low, high = np.quantile(drawn[:, :m] / drawn[:, m:], [0.025, 0.975], axis=0)
    means = sums[:, :m].sum(0) / n
    return [Estimate(*triple, n) for triple in zip(means.tolist(), low.tolist(), high.tolist(), strict=True)]


def bootstrap_mean(
    values: Floats64,
    groups: Sequence[Hashable] | npt.NDArray[np.generic],
    generator: np.random.Generator,
    draws: int = 1000,
) -> Estimate:
    """Mean of values [n] with a 95 % interval over groups [n] (dialogues, or users)."""
    return bootstrap_means(values[:, None], groups, generator, draws)[0]
