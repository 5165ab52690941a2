"""Is one of two versions that are served side by side worse? Asked as often as one likes, at one error rate.

Session i is given the candidate (A_i = 1) by chance, with probability p_i that is known and may change as the canary
grows. Y_i in [0, 1] is what came of it. With m_i the mean of the outcomes before it,

    Z_i = (A_i / p_i - (1 - A_i) / (1 - p_i)) (Y_i - m_i)
    E[Z_i | past] = E[Y_i of the candidate - Y_i of the other | past],

whatever m_i is, since the factor in front has mean 0: m_i only takes variance away. Against "no session's expected
difference is below d", a bet that Z is below it,

    K_n = Π_i (1 + λ_i (d - Z_i)),       0 <= λ_i < 1 / (u_i - d),   u_i the largest Z_i can be,

is a nonnegative supermartingale that begins at 1, and so is the mean of several with other λ. By Ville's inequality it
ever reaches 1/α with probability at most α: one may look after every session and stop at will.

Sources: Waudby-Smith and Ramdas, Estimating means of bounded random variables by betting (JRSS B 86, 2024); with known
probabilities of assignment, Waudby-Smith et al., Anytime-valid off-policy inference for contextual bandits
(arXiv 2210.10768). Left out of theirs: bets that learn from the past; a grid of constant shares of the largest bet
loses little, and has nothing to tune.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
BETS = tuple(2.0**-k for k in range(1, 9))  # shares of the largest bet that cannot lose more than everything
_STEPS = 40  # of a bisection: 2e-12 of its range


@dataclass(frozen=True)
class Trial:
    """One session: was it given the candidate, with which probability, and what came of it, from 0 to 1."""

    candidate: bool
    share: float
    outcome: float

    def __post_init__(self) -> None:
        if not 0.0 < self.share < 1.0:
            raise ValueError(f"share is {self.share}: a session tells something where it is above 0 and below 1")
        if not 0.0 <= self.outcome <= 1.0:
            raise ValueError(f"outcome is {self.outcome}: it must be from 0 to 1")


def differences(trials: Sequence[Trial]) -> tuple[Floats, Floats]:
    """Z_i, and the largest each could have been, [n] each; m_1 is 1/2, as if one session had come to that before."""
    chosen = np.array([trial.candidate for trial in trials], dtype=np.bool_)
    share = np.array([trial.share for trial in trials], dtype=np.float64)
    outcome = np.array([trial.outcome for trial in trials], dtype=np.float64)
    before = np.concatenate([[0.0], np.cumsum(outcome)[:-1]]) if len(trials) else outcome
    mean = (0.5 + before) / (1.0 + np.arange(len(trials)))
    z = np.where(chosen, 1.0 / share, -1.0 / (1.0 - share)) * (outcome - mean)
    return z, np.maximum((1.0 - mean) / share, mean / (1.0 - share))


def evidence_below(z: Floats, largest: Floats, d: float) -> Floats:
    """K after each session, [n], against "the difference is d or more": 1/α or more rejects it at α, at any time.

    It grows with d: what rejects a difference rejects every larger one. For d at or above what Z can be, infinite.
    """
    room = largest - d
    if not len(z):
        return np.ones(0)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        gain = np.where(room > 0.0, (d - z) / room, np.inf)
        logs = np.cumsum(np.log1p(np.array(BETS)[:, None] * gain[None, :]), axis=1)  # [bets, n]
        return np.asarray(np.exp(np.logaddexp.reduce(logs, axis=0) - np.log(len(BETS))), dtype=np.float64)


def evidence_of_worse(trials: Sequence[Trial], margin: float = 0.0) -> Floats:
    """After each session, [n]: evidence that the candidate's outcome is lower by more than ``margin``."""
    z, largest = differences(trials)
    return evidence_below(z, largest, -margin)


def confidence_sequence(trials: Sequence[Trial], alpha: float = 0.05) -> tuple[float, float]:
    """(low, high) of the difference, candidate minus other: with probability 1 - α the truth is in it at every look.

    Each end is α/2's. An end that nothing bounds yet is -1 or 1.
    """
    swapped = [Trial(trial.candidate, trial.share, 1.0 - trial.outcome) for trial in trials]
    return -_highest(swapped, alpha / 2), _highest(trials, alpha / 2)


def _highest(trials: Sequence[Trial], alpha: float) -> float:
    """The least difference in [-1, 1] that the trials reject at ``alpha``; 1 where they reject none."""
    z, largest = differences(trials)

    def rejected(d: float) -> bool:
        evidence = evidence_below(z, largest, d)
        return bool(len(evidence)) and float(evidence.max()) >= 1.0 / alpha

    low, high = -1.0, 1.0
    if not rejected(high):
        return high
    for _ in range(_STEPS):
        middle = (low + high) / 2
        low, high = (low, middle) if rejected(middle) else (middle, high)
    return high
