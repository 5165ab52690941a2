"""How often a 95 % interval holds the truth when few persons of unequal size are all there is.

    python benchmarks/interval_coverage.py [data sets, 2000 by default]

Each simulated data set has 10, 20, 50 or 100 persons. Their numbers of cases are log-normal (a few persons hold most
of the cases), and cases of one person are alike. Three kinds of values: hits (0 or 1, a tenth are hits), paired
differences of hits between two policies, and hits whose rate falls with the number of cases. The truth is the ratio of
expectations, which is what a mean over all cases estimates. Prints coverage in percent and, in brackets, the median
width beside that of the percentiles.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from scipy import stats

from tacit.metrics.intervals import means_of_groups
from tacit.types import Floats64

Interval = tuple[float, float]
PERSONS = (10, 20, 50, 100)
DRAWS = 999


def sizes(persons: int, generator: np.random.Generator) -> npt.NDArray[np.int64]:
    """Cases of each person: median 9, the largest of a hundred near 150."""
    return 1 + np.floor(generator.lognormal(2.1, 1.0, persons)).astype(np.int64)


def hits(persons: int, generator: np.random.Generator) -> tuple[Floats64, Floats64]:
    """Sums and counts [persons]: every person has a rate of their own, Beta(1, 9)."""
    n = sizes(persons, generator)
    return generator.binomial(n, generator.beta(1.0, 9.0, persons)).astype(float), n.astype(float)


def differences(persons: int, generator: np.random.Generator) -> tuple[Floats64, Floats64]:
    """Of two policies on the same cases: rarely −1 or 1, a person's own tendency beside an effect of .01."""
    n = sizes(persons, generator)
    up = np.clip(0.03 + generator.normal(0.0, 0.015, persons), 0.0, 1.0)
    down = np.clip(0.02 + generator.normal(0.0, 0.010, persons), 0.0, 1.0)
    better = generator.binomial(n, up)
    return (better - generator.binomial(n - better, down)).astype(float), n.astype(float)


def hits_by_size(persons: int, generator: np.random.Generator) -> tuple[Floats64, Floats64]:
    """Who gives many cases is hit less often."""
    n = sizes(persons, generator)
    rates = np.clip(generator.beta(1.5, 6.0, persons) / np.sqrt(1.0 + n / 9.0), 0.0, 1.0)
    return generator.binomial(n, rates).astype(float), n.astype(float)


def percentile(sums: Floats64, counts: Floats64, generator: np.random.Generator, tail: float = 0.025) -> Interval:
    """What lies between the tails of the resampled means."""
    drawn = generator.multinomial(len(sums), np.full(len(sums), 1.0 / len(sums)), size=DRAWS)
    low, high = np.quantile((drawn @ sums) / (drawn @ counts), [tail, 1.0 - tail])
    return float(low), float(high)


def widened(sums: Floats64, counts: Floats64, generator: np.random.Generator) -> Interval:
    """Percentiles further out: √(G / (G − 1)) and Student's t in place of the normal (Hesterberg 2015)."""
    n = len(sums)
    return percentile(sums, counts, generator, float(stats.norm.cdf(-np.sqrt(n / (n - 1)) * stats.t.ppf(0.975, n - 1))))


def jackknife_t(sums: Floats64, counts: Floats64, generator: np.random.Generator) -> Interval:
    """Delete-one standard error and Student's t with G − 1 degrees of freedom (CV3; no resampling)."""
    n, mean = len(sums), sums.sum() / counts.sum()
    without = (sums.sum() - sums) / (counts.sum() - counts)
    margin = stats.t.ppf(0.975, n - 1) * np.sqrt((n - 1) / n * ((without - mean) ** 2).sum())
    return float(mean - margin), float(mean + margin)


def wild(sums: Floats64, counts: Floats64, generator: np.random.Generator) -> Interval:
    """Wild cluster bootstrap-t with Webb's six weights (Cameron, Gelbach & Miller 2008; Webb 2014)."""
    n, total, mean = len(sums), counts.sum(), sums.sum() / counts.sum()
    weights = np.sqrt(np.array([1.5, 1.0, 0.5]))[generator.integers(3, size=(DRAWS, n))]
    moved = weights * generator.choice([-1.0, 1.0], size=(DRAWS, n)) * (sums - mean * counts)
    shift = moved.sum(axis=1) / total
    errors = np.sqrt(((moved - shift[:, None] * counts) ** 2).sum(axis=1))
    t = np.divide(np.abs(shift) * total, errors, out=np.zeros(DRAWS), where=errors > 0)
    margin = np.quantile(t, 0.95) * np.sqrt(((sums - mean * counts) ** 2).sum()) / total
    return float(mean - margin), float(mean + margin)


def symmetric_t(sums: Floats64, counts: Floats64, generator: np.random.Generator) -> Interval:
    """The one that Tacit uses."""
    estimate = means_of_groups(sums[:, None], counts, generator, DRAWS)[0]
    return estimate.low, estimate.high


METHODS: dict[str, Callable[[Floats64, Floats64, np.random.Generator], Interval]] = {
    "percentile": percentile,
    "widened percentile": widened,
    "jackknife, Student's t": jackknife_t,
    "wild": wild,
    "symmetric bootstrap-t": symmetric_t,
}
KINDS: dict[str, Callable[[int, np.random.Generator], tuple[Floats64, Floats64]]] = {
    "hits": hits,
    "paired differences": differences,
    "hits, fewer for who gives many": hits_by_size,
}


def main(data_sets: int) -> None:
    print(f"{data_sets} data sets each, {DRAWS} draws, nominal 95 %")
    print("| values | persons | " + " | ".join(METHODS) + " |")
    print("|---" * (len(METHODS) + 2) + "|")
    for kind, make in KINDS.items():
        sums, counts = make(400_000, np.random.default_rng(1))
        truth = sums.sum() / counts.sum()
        for persons in PERSONS:
            generator = np.random.default_rng([7, persons])
            covered = dict.fromkeys(METHODS, 0)
            widths: dict[str, list[float]] = {name: [] for name in METHODS}
            for _ in range(data_sets):
                sums, counts = make(persons, generator)
                for name, method in METHODS.items():
                    low, high = method(sums, counts, generator)
                    covered[name] += bool(low <= truth <= high)
                    widths[name].append(high - low)
            usual = np.median(widths["percentile"])
            cells = [f"{100 * covered[m] / data_sets:.1f} ({np.median(widths[m]) / usual:.2f})" for m in METHODS]
            print(f"| {kind} | {persons} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 2000)
