"""The distribution a served slate is drawn from, and its exact probabilities.

Place by place, with the items already taken put aside: with probability 1 − ε an item by the softmax over what is left,
after any truncation; with probability ε one uniformly among all that is left. With R the rows left, T those of them
that truncation keeps, and w_i = exp(logit_i / temperature),

    P(i | items before) = (1 − ε) · w_i [i in T] / Σ_{j in T} w_j  +  ε / |R|.

For ε > 0 this is not Plackett-Luce: a slate's probability is the product of these factors, and nothing shorter.
Truncation is made anew at each place: the ``top_k`` best of what is left (of equal ones the first), then of these the
smallest best part whose share reaches ``top_p``. Everything is float64, and numpy alone, so that a server, a log and an
estimator may all use it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tacit.run.limits import above, share

Floats = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]

# Logits at or below it are masks (policies write -1e9): such rows are never drawn, by ε neither.
OUT_OF_REACH = -1e8
_BLOCK = 1024  # rows whose weights are summed together, so that a draw need not walk the catalogue
_SMALLEST = 1e-200  # a sum of weights below it has lost digits: the weights are made anew around the best row left


@dataclass(frozen=True)
class Mixture:
    """How slates are drawn. ``top_k=1`` with ``epsilon=0`` is greedy."""

    epsilon: float = share(default=0.0)
    temperature: float = above(0.0, default=1.0)
    top_k: int | None = None
    top_p: float | None = None

    def __post_init__(self) -> None:
        if not 0.0 <= self.epsilon <= 1.0:
            raise ValueError(f"epsilon is {self.epsilon}: it must be from 0 to 1")
        if not 0.0 < self.temperature < np.inf:
            raise ValueError(f"temperature is {self.temperature}: it must be above 0 and finite")
        if self.top_k is not None and self.top_k < 1:
            raise ValueError(f"top_k is {self.top_k}: it must be at least 1")
        if self.top_p is not None and not 0.0 < self.top_p <= 1.0:
            raise ValueError(f"top_p is {self.top_p}: it must be above 0 and at most 1")

    @property
    def deterministic(self) -> bool:
        """Nothing is drawn by chance: off-policy evaluation has no other slate to weigh."""
        return self.epsilon == 0.0 and self.top_k == 1


@dataclass(frozen=True)
class Draw:
    """An ordered slate of K item rows, P(row k | rows before), and whether place k was drawn by ε."""

    rows: tuple[int, ...]
    probabilities: tuple[float, ...]
    explored: tuple[bool, ...]


def draw(
    logits: npt.ArrayLike,
    size: int,
    generator: np.random.Generator,
    mixture: Mixture | None = None,
    allowed: npt.NDArray[np.bool_] | None = None,
) -> Draw:
    """``size`` different rows of ``logits`` [n], best place first. ``allowed`` [n] is False for rows never to be shown.

    ValueError where fewer than ``size`` rows are left to draw.
    """
    mixture = mixture or Mixture()
    left = _Left(logits, mixture, allowed, size)
    if not 0 <= size <= left.count:
        raise ValueError(f"a slate of {size} cannot be drawn from {left.count} items")
    rows, probabilities, explored = list[int](), list[float](), list[bool]()
    for _ in range(size):
        explores = mixture.epsilon > 0.0 and bool(generator.random() < mixture.epsilon)
        row = left.uniform(generator) if explores else left.softmax(generator)
        rows.append(row)
        probabilities.append(left.probability(row))
        explored.append(explores)
        left.take(row)
    return Draw(tuple(rows), tuple(probabilities), tuple(explored))


def probabilities(
    logits: npt.ArrayLike,
    slate: Sequence[int],
    mixture: Mixture | None = None,
    allowed: npt.NDArray[np.bool_] | None = None,
) -> Floats:
    """P(slate[k] | slate[:k]) of any ordered slate of different rows, [K]; 0 where it could not have been drawn."""
    left = _Left(logits, mixture or Mixture(), allowed, len(slate))
    if len(set(slate)) < len(slate):
        raise ValueError("a slate names a row twice")
    factors = np.zeros(len(slate))
    for k, row in enumerate(slate):
        if not left.can(row):
            break  # and nothing after it could have been drawn
        factors[k] = left.probability(row)
        left.take(row)
    return factors


def logprobs(
    logits: npt.ArrayLike,
    slate: Sequence[int],
    mixture: Mixture | None = None,
    allowed: npt.NDArray[np.bool_] | None = None,
) -> Floats:
    """log P(slate[k] | slate[:k]) in nats, [K]; -inf where it could not have been drawn. Their sum is the slate's."""
    with np.errstate(divide="ignore"):
        logs: Floats = np.log(probabilities(logits, slate, mixture, allowed))
    return logs


class _Left:
    """What is left to draw from, with its weights: ``take`` puts a row aside, ``places`` times at most."""

    def __init__(
        self, logits: npt.ArrayLike, mixture: Mixture, allowed: npt.NDArray[np.bool_] | None, places: int
    ) -> None:
        self.logits: Floats = np.array(logits, dtype=np.float64)  # a copy: taken rows are written over
        if self.logits.ndim != 1:
            raise ValueError(f"logits have {self.logits.ndim} axes: one slate is drawn from [n]")
        if allowed is not None:
            self.logits[~allowed] = -np.inf
        self.mixture = mixture
        self.count = len(self.logits)
        if self.count and not self.logits.max() < np.inf:  # a maximum with a nan is nan
            raise ValueError("logits hold a number that is not finite")
        if self.count and self.logits.min() <= OUT_OF_REACH:
            masked = self.logits <= OUT_OF_REACH
            self.logits[masked] = -np.inf
            self.count -= int(np.count_nonzero(masked))
        self.truncates = mixture.top_k is not None or mixture.top_p is not None
        self.best = self._best_first(places) if self.truncates else None
        self._weigh()

    def can(self, row: int) -> bool:
        return 0 <= row < len(self.logits) and bool(np.isfinite(self.logits[row]))

    def take(self, row: int) -> None:
        self.logits[row] = -np.inf
        self.count -= 1
        if not self.truncates:
            self.weights[row] = 0.0
            start = row - row % _BLOCK
            self.blocks[row // _BLOCK] = self.weights[start : start + _BLOCK].sum()
            self.total = float(self.blocks.sum())
        if self.count and (self.truncates or self.total < _SMALLEST):
            self._weigh()

    def probability(self, row: int) -> float:
        """The mixture's, of a row that is left."""
        if self.truncates:
            place = np.flatnonzero(self.kept == row)
            weight = float(self.weights[place[0]]) if len(place) else 0.0
        else:
            weight = float(self.weights[row])
        epsilon = self.mixture.epsilon
        chosen = weight / self.total
        return chosen if epsilon == 0.0 else (1.0 - epsilon) * chosen + epsilon / self.count

    def uniform(self, generator: np.random.Generator) -> int:
        """Any of what is left. Trying rows is quick where most are left; else they are listed."""
        n = len(self.logits)
        if 2 * self.count > n:
            while True:
                row = int(generator.integers(n))
                if np.isfinite(self.logits[row]):
                    return row
        return int(np.flatnonzero(np.isfinite(self.logits))[generator.integers(self.count)])

    def softmax(self, generator: np.random.Generator) -> int:
        """By weight: first a block of rows, then a row in it."""
        if self.truncates:
            return int(self.kept[_pick(self.weights, generator)]) if len(self.kept) > 1 else int(self.kept[0])
        start = _BLOCK * _pick(self.blocks, generator)
        return start + _pick(self.weights[start : start + _BLOCK], generator)

    def _weigh(self) -> None:
        """Weights, relative to the best row left, of all rows or of those that truncation keeps."""
        if not self.count:
            return
        if self.truncates:
            self.kept, self.weights = self._truncated()
        else:
            self.weights = self.logits - self.logits.max()
            if self.mixture.temperature != 1.0:
                self.weights /= self.mixture.temperature
            np.exp(self.weights, out=self.weights)
            self.blocks = np.add.reduceat(self.weights, np.arange(0, len(self.weights), _BLOCK))
        self.total = float(self.weights.sum() if self.truncates else self.blocks.sum())

    def _truncated(self) -> tuple[Rows, Floats]:
        rows = self.next_best()
        weights: Floats = np.exp((self.logits[rows] - self.logits[rows[0]]) / self.mixture.temperature)
        if self.mixture.top_p is not None:
            sums = np.cumsum(weights)
            enough = int((sums >= self.mixture.top_p * sums[-1]).argmax()) + 1
            rows, weights = rows[:enough], weights[:enough]
        return rows, weights

    def next_best(self) -> Rows:
        """Rows left, best first: ``top_k`` of them, or all."""
        assert self.best is not None
        if self.mixture.top_k is None:
            rows = self.best[np.isfinite(self.logits[self.best])]
        else:
            rows = np.fromiter(self._walk(self.mixture.top_k), dtype=np.int64)
        return rows

    def _walk(self, most: int) -> Iterator[int]:
        assert self.best is not None
        for row in self.best:
            if most and np.isfinite(self.logits[row]):
                most -= 1
                yield int(row)
            if not most:
                return

    def _best_first(self, places: int) -> Rows:
        """Rows from the best logit down, of equal ones the lower row first: as many as truncation can ever keep."""
        top_k = self.mixture.top_k
        rows = np.flatnonzero(np.isfinite(self.logits))
        if top_k is not None and top_k + places < self.count:  # else sorting a catalogue would be most of the time
            place = len(self.logits) - top_k - places
            rows = np.flatnonzero(self.logits >= np.partition(self.logits, place)[place])
        return rows[np.argsort(-self.logits[rows], kind="stable")]


def _pick(weights: Floats, generator: np.random.Generator) -> int:
    """An index by weight; one of weight 0 never."""
    sums = np.cumsum(weights)
    index = int(np.searchsorted(sums, generator.random() * sums[-1], side="right"))
    return index if index < len(weights) else int(np.flatnonzero(weights)[-1])
