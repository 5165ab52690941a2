"""Who a simulated user is: a mixture of five temperaments, and what each does to taste and patience."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tacit.types import Floats64


@dataclass(frozen=True)
class Profile:
    """One temperament. A user is a convex mixture of them, so every number below is mixed linearly."""

    name: str
    novelty: float  # logits of utility per standard deviation of unpopularity
    threshold: float  # logits taken from every item's utility
    drain: float  # factor on how fast patience runs out
    irritation: float  # factor on how strongly a bad turn darkens the mood
    reach: float  # added to the chance of looking at the next card


PROFILES: tuple[Profile, ...] = (
    Profile("explorer", novelty=0.5, threshold=0.0, drain=0.9, irritation=0.9, reach=0.1),
    Profile("picky", novelty=0.0, threshold=0.9, drain=1.0, irritation=1.1, reach=0.05),
    Profile("popularity-led", novelty=-0.5, threshold=-0.2, drain=1.0, irritation=0.9, reach=-0.05),
    Profile("impatient", novelty=0.0, threshold=0.0, drain=1.8, irritation=1.1, reach=-0.15),
    Profile("easily frustrated", novelty=0.0, threshold=0.1, drain=1.2, irritation=2.0, reach=0.0),
)
NAMES = tuple(profile.name for profile in PROFILES)


@dataclass(frozen=True)
class Traits:
    """The mixed numbers of n users, one array [n] a field."""

    novelty: Floats64
    threshold: Floats64
    drain: Floats64
    irritation: Floats64
    reach: Floats64


def draw_weights(
    n: int, mixture: list[float], concentration: float, generator: np.random.Generator
) -> npt.NDArray[np.float64]:
    """[n, 5] rows on the simplex: Dirichlet around the configured mixture; small concentration = pure types."""
    base = np.maximum(np.asarray(mixture, dtype=np.float64), 1e-6)
    return generator.dirichlet(concentration * base / base.sum(), size=n)


def traits(weights: npt.NDArray[np.float64]) -> Traits:
    """[n, 5] mixture weights → the users' traits."""

    def mixed(name: str) -> Floats64:
        return np.asarray(weights @ np.array([getattr(profile, name) for profile in PROFILES]))

    return Traits(mixed("novelty"), mixed("threshold"), mixed("drain"), mixed("irritation"), mixed("reach"))
