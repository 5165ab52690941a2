"""Small worlds whose truth is known to the last digit, to try estimators and gates on.

Contexts and items are few, so that every slate can be written down: the value of a policy is an exact sum, and what an
interval should hold is known. People differ, and come back: rounds of one person are alike.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from itertools import permutations
from typing import Literal

import numpy as np

from tacit.offpolicy.log import Log
from tacit.types import Bools, Floats64, Ints64

Rewards = Literal["independent", "cascade", "whole slate"]
Fault = Literal["scaled", "swapped", "rounded", "other version", "no exploring"]
FAULTS: tuple[Fault, ...] = ("scaled", "swapped", "rounded", "other version", "no exploring")
STOP = 0.6  # of a cascade: how much an item that attracts ends the reading
TOGETHER = 0.5  # of whole slates: how much a pair of neighbours in the catalogue adds


@dataclass(frozen=True, eq=False)
class World:
    """``attraction`` [contexts, items]: P(click), when looked at, of a person of average taste."""

    attraction: Floats64
    places: int = 3
    rewards: Rewards = "cascade"

    @classmethod
    def random(
        cls, generator: np.random.Generator, contexts: int = 40, items: int = 8, rewards: Rewards = "cascade"
    ) -> World:
        strength = generator.normal(size=(contexts, items))
        return cls(0.5 / (1.0 + np.exp(1.0 - strength)), rewards=rewards)

    def chances(self, contexts: Ints64, slates: Ints64) -> Floats64:
        """P(click at place k) [n, K] of ``slates`` [n, K] in ``contexts`` [n], for a person of average taste."""
        attracts = self.attraction[contexts[:, None], slates]
        if self.rewards == "cascade":
            read_on = np.cumprod(1.0 - STOP * attracts, axis=1)
            return np.asarray(attracts * np.hstack([np.ones((len(slates), 1)), read_on[:, :-1]]))
        if self.rewards == "whole slate":
            gaps = np.abs(slates[:, :, None] - slates[:, None, :])
            pairs = (gaps == 1).any(axis=(1, 2))
            return np.asarray(attracts * (1.0 - TOGETHER / 2.0 + TOGETHER * pairs[:, None]))
        return np.asarray(attracts)

    def value(self, logits: Floats64, epsilon: float) -> float:
        """What the policy of ``logits`` [contexts, items] earns a round, exactly."""
        contexts, slates, earned = self._every_slate
        drawn: Floats64 = np.asarray(probabilities(logits[contexts], slates, epsilon).prod(axis=1))
        return float(drawn @ earned) / len(self.attraction)

    @cached_property
    def _every_slate(self) -> tuple[Ints64, Ints64, Floats64]:
        """(contexts, slates, what each earns) of every slate in every context."""
        n_contexts, n_items = self.attraction.shape
        slates = np.array(list(permutations(range(n_items), self.places)))
        contexts = np.repeat(np.arange(n_contexts), len(slates))
        every = np.tile(slates, (n_contexts, 1))
        return contexts, every, np.asarray(self.chances(contexts, every).sum(axis=1))

    def policy(self, generator: np.random.Generator, knows: float = 0.0, noise: float = 0.5) -> Floats64:
        """Logits [contexts, items] that follow the attraction as far as ``knows``, beside noise of its own."""
        return knows * self.strength + noise * generator.normal(size=self.attraction.shape)

    @property
    def strength(self) -> Floats64:
        """The attraction, in standard units by context."""
        centred = self.attraction - self.attraction.mean(axis=1, keepdims=True)
        return np.asarray(centred / centred.std(axis=1, keepdims=True))

    def log(
        self,
        logged: Floats64,
        target: Floats64,
        n: int,
        generator: np.random.Generator,
        epsilon: float = 0.1,
    ) -> Log:
        """n rounds that the policy of ``logged`` logits drew; ``target`` is to be judged, drawn with the same ε."""
        contexts = generator.integers(len(self.attraction), size=n)
        slates, drawn, explored = draw(logged[contexts], self.places, epsilon, generator)
        persons = visits(n, generator)
        taste = generator.uniform(0.5, 1.5, size=int(persons.max()) + 1)[persons]
        clicks = generator.random(slates.shape) < taste[:, None] * self.chances(contexts, slates)
        return Log(
            logged=drawn,
            target=probabilities(target[contexts], slates, epsilon),
            rewards=clicks.astype(np.float64),
            sessions=np.array([f"{person}/{i // 2}" for i, person in enumerate(persons)]),
            users=persons,
            versions=np.full(n, "served", dtype=object),
            contexts=contexts,
            items=slates,
            explored=explored,
            epsilon=np.full(n, epsilon),
            candidates=np.full(n, self.attraction.shape[1]),
        )


def visits(n: int, generator: np.random.Generator) -> Ints64:
    """Whose each of n rounds is: persons come 1 to 12 times, most of them seldom."""
    times = 1 + generator.binomial(11, generator.beta(1.0, 3.0, size=n))
    return np.repeat(np.arange(n), times)[:n]


def draw(
    logits: Floats64, places: int, epsilon: float, generator: np.random.Generator
) -> tuple[Ints64, Floats64, Bools]:
    """Slates [n, K] of ``logits`` [n, items], their probabilities place by place, and whether chance drew one."""
    n = len(logits)
    rows, left = np.arange(n), np.ones(logits.shape, dtype=np.bool_)
    slates, drawn = np.zeros((n, places), dtype=np.int64), np.zeros((n, places))
    explored = np.zeros(n, dtype=np.bool_)
    for k in range(places):
        likely, even = _softmax(logits, left), left / left.sum(axis=1, keepdims=True)
        by_chance = generator.random(n) < epsilon
        sums = np.cumsum(np.where(by_chance[:, None], even, likely), axis=1)
        slates[:, k] = (sums > generator.random((n, 1)) * sums[:, -1:]).argmax(axis=1)
        drawn[:, k] = ((1.0 - epsilon) * likely + epsilon * even)[rows, slates[:, k]]
        explored |= by_chance
        left[rows, slates[:, k]] = False
    return slates, drawn, explored


def probabilities(logits: Floats64, slates: Ints64, epsilon: float) -> Floats64:
    """P(item at place k | items before), [n, K]: what ``tacit.slates`` says of one slate, of many at once."""
    weights = np.exp(logits - logits.max(axis=1, keepdims=True))
    shown = np.take_along_axis(weights, slates, axis=1)
    left = weights.sum(axis=1, keepdims=True) - np.cumsum(shown, axis=1) + shown
    likely = np.minimum(shown / left, 1.0)
    return np.asarray((1.0 - epsilon) * likely + epsilon / (logits.shape[1] - np.arange(slates.shape[1])))


def _softmax(logits: Floats64, left: Bools) -> Floats64:
    weights = np.exp(np.where(left, logits - logits.max(axis=1, keepdims=True), -np.inf))
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))


def corrupted(log: Log, fault: Fault, other: Floats64, logged: Floats64) -> Log:
    """The log with its probabilities as a faulty logger would have written them.

    ``logged`` and ``other`` are logits [contexts, items] of the policy that drew, and of another version.
    """
    if log.items is None or log.contexts is None or log.epsilon is None:
        raise ValueError("a log without items, contexts or ε cannot be written again")
    contexts, slates = log.contexts.astype(np.int64), log.items.astype(np.int64)
    if fault == "scaled":
        return replace(log, logged=2.0 * log.logged)
    if fault == "swapped":
        return replace(log, logged=log.logged[:, [1, 0, *range(2, log.places)]])
    if fault == "rounded":
        return replace(log, logged=np.round(log.logged, 2))
    if fault == "other version":
        return replace(log, logged=probabilities(other[contexts], slates, float(log.epsilon[0])))
    unmarked = np.zeros(log.n, dtype=np.bool_)  # the logger does not know that chance drew some places
    return replace(log, logged=probabilities(logged[contexts], slates, 0.0), explored=unmarked)
