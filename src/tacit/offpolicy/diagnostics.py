"""What an estimate rests on: how many rounds really speak, and how the weights lie."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tacit.metrics.intervals import Estimate
from tacit.offpolicy.log import Log
from tacit.types import Bools, Floats64

TAIL = 0.05  # the share of the largest weights that the tail index is read from
FEW = 10
RATIO = 10.0  # an item counts as unsupported where π draws it so many times as often as μ, which hardly ever does


@dataclass(frozen=True)
class Diagnostics:
    """``ess`` of the weights of whole slates, ``ess_by_place`` of prefixes up to each place."""

    ess: float
    ess_share: float
    ess_by_place: tuple[float, ...]
    ess_by_version: dict[str, float]
    max_weight_share: float
    weight_p99: float
    weight_p999: float
    tail_index: float | None
    unsupported_mass: float
    mean_weight: Estimate
    mean_weight_by_place: tuple[Estimate, ...]
    q_calibration: tuple[tuple[float, float, int], ...] = ()
    recount: tuple[tuple[float, float, float], ...] = field(default=())

    def as_json(self) -> dict[str, Any]:
        return {
            "ess": self.ess,
            "ess_share": self.ess_share,
            "ess_by_place": list(self.ess_by_place),
            "ess_by_version": self.ess_by_version,
            "max_weight_share": self.max_weight_share,
            "weight_p99": self.weight_p99,
            "weight_p999": self.weight_p999,
            "tail_index": self.tail_index,
            "unsupported_mass": self.unsupported_mass,
            "mean_weight": ends(self.mean_weight),
            "mean_weight_by_place": [ends(one) for one in self.mean_weight_by_place],
            "q_calibration": [{"predicted": p, "observed": o, "n": n} for p, o, n in self.q_calibration],
            "recount": [{"probability": p, "expected": e, "observed": o} for p, e, o in self.recount],
        }


def ends(estimate: Estimate) -> dict[str, float | None]:
    """``value``, ``low`` and ``high``; None for what is not finite."""
    told = estimate.as_json()
    return {name: told[name] for name in ("value", "low", "high")}


def tail_index(weights: Floats64) -> float | None:
    """Hill's estimate (1975) of α in P(w > t) ~ t^−α, from the largest 5 %; None where these are few, or all alike.

    Below 2 the weights have no variance, and intervals mean little; below 1 they have no mean.
    """
    positive = np.sort(weights[weights > 0.0])[::-1]
    k = int(TAIL * len(positive))
    if k < FEW:
        return None
    mean = float(np.log(positive[:k] / positive[k]).mean())
    return 1.0 / mean if mean > 1e-9 else None


def unsupported(log: Log) -> Bools:
    """[n]: rounds with an item that μ would draw less than once in a log of this length, and π ten times as often."""
    rare = (log.logged < 1.0 / log.n) & (log.target > RATIO * log.logged)
    rounds: Bools = np.asarray((log.shown & rare).any(axis=1))
    return rounds


def unsupported_mass(log: Log, weights: Floats64, mean_weight: Estimate) -> float:
    """The share of what π would do that the log can hardly speak of, in [0, 1].

    Twofold: the weighted share of rounds that are ``unsupported``; and what is missing in the sum of weights. On
    average a weight is 1 less the mass that μ never draws, so an interval of the mean that ends below 1 tells of it.
    """
    total = float(weights.sum())
    rare = float(weights[unsupported(log)].sum()) / total if total > 0.0 else 1.0
    never = max(0.0, 1.0 - mean_weight.high) if np.isfinite(mean_weight.high) else 0.0
    return min(1.0, rare + never)


def quantile(weights: Floats64, share: float) -> float:
    return float(np.quantile(weights, share)) if len(weights) else 0.0


def calibration(predicted: Floats64, observed: Floats64, bins: int = 10) -> tuple[tuple[float, float, int], ...]:
    """(mean prediction, mean reward, how many) by tenths of one or more predictions; equal ones stay together."""
    edges = np.unique(np.quantile(predicted, np.linspace(0.0, 1.0, bins + 1)[1:-1]))
    place = np.searchsorted(edges, predicted, side="right")
    return tuple(
        (float(predicted[place == b].mean()), float(observed[place == b].mean()), int((place == b).sum()))
        for b in np.unique(place)
    )
