"""How often a 95 % interval holds the truth when few persons of unequal size are all there is.

    python benchmarks/interval_coverage.py [data sets, 2000 by default]

Each simulated data set has 10, 20, 50 or 100 persons. Their numbers of cases are log-normal (a few persons hold most
of the cases), and cases of one person are alike. Three kinds of values: hits (0 or 1, a tenth are hits), paired
differences of hits between two policies, and hits whose rate falls with the number of cases. The truth is the ratio of
expectations, which is what a mean over all cases estimates. Prints coverage in percent and, in brackets, the mean width
beside that of the percentiles.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from tacit.metrics import intervals

Floats = npt.NDArray[np.float64]
PERSONS = (10, 20, 50, 100)
DRAWS = 999


def sizes(persons: int, generator: np.random.Generator) -> npt.NDArray[np.int64]:
    """Cases of each person: median 9, the largest of a hundred near 150."""
    return 1 + np.floor(generator.lognormal(2.1, 1.0, persons)).astype(np.int64)


def hits(persons: int, generator: np.random.Generator) -> tuple[Floats, Floats]:
    """Sums and counts [persons]: every person has a rate of their own, Beta(1, 9)."""
    n = sizes(persons, generator)
    return generator.binomial(n, generator.beta(1.0, 9.0, persons)).astype(float), n.astype(float)


def differences(persons: int, generator: np.random.Generator) -> tuple[Floats, Floats]:
    """Of two policies on the same cases: rarely −1 or 1, a person's own tendency beside an effect of .01."""
    n = sizes(persons, generator)
    up = np.clip(0.03 + generator.normal(0.0, 0.015, persons), 0.0, 1.0)
    down = np.clip(0.02 + generator.normal(0.0, 0.010, persons), 0.0, 1.0)
    better = generator.binomial(n, up)
    return (better - generator.binomial(n - better, down)).astype(float), n.astype(float)


def hits_by_size(persons: int, generator: np.random.Generator) -> tuple[Floats, Floats]:
    """Who gives many cases is hit less often."""
    n = sizes(persons, generator)
    rates = np.clip(generator.beta(1.5, 6.0, persons) / np.sqrt(1.0 + n / 9.0), 0.0, 1.0)
    return generator.binomial(n, rates).astype(float), n.astype(float)


KINDS: dict[str, Callable[[int, np.random.Generator], tuple[Floats, Floats]]] = {
    "hits": hits,
    "paired differences": differences,
    "hits, fewer for who gives many": hits_by_size,
}


def main(data_sets: int) -> None:
    print(f"{data_sets} data sets each, {DRAWS} draws, nominal 95 %")
    print("| values | persons | " + " | ".join(intervals.METHODS) + " |")
    print("|---" * (len(intervals.METHODS) + 2) + "|")
    for kind, make in KINDS.items():
        sums, counts = make(400_000, np.random.default_rng(1))
        truth = sums.sum() / counts.sum()
        for persons in PERSONS:
            generator = np.random.default_rng([7, persons])
            covered = dict.fromkeys(intervals.METHODS, 0)
            width = dict.fromkeys(intervals.METHODS, 0.0)
            for _ in range(data_sets):
                sums, counts = make(persons, generator)
                for name, method in intervals.METHODS.items():
                    low, high = method(sums, counts, generator, DRAWS)
                    covered[name] += bool(low <= truth <= high)
                    width[name] += high - low
            cells = [f"{100 * covered[m] / data_sets:.1f} ({width[m] / width['percentile']:.2f})" for m in covered]
            print(f"| {kind} | {persons} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 2000)
