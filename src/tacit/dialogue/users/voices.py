"""How often a user says what of a film, fitted to what seekers of the training dialogues said.

A user that neither accepts nor leaves voices one of ``KINDS``. Of a film shown just now the chances are

    P(kind) ∝ base_kind · exp(lean_kind · (u − 1/2) + again_kind · [shown or known before])

with u the utility of the best card it looked at; of one shown earlier, while the agent only talks, they are plain
rates. Leans are what ReDial's forms say of training seekers: 32 % reject a film that the form says they did not like
and 1.6 % one they liked, 44 and 12 % are drawn to one they had not seen, 48 and 5 % say of one they liked that they
have seen it, where the form says so or the opposite. Bases are fitted, so that the rates are those of the data.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tacit.dialogue.users.acts import Decision
from tacit.types import Bools, Floats64

KINDS = ("praise", "critique", "seen", "ask", "steer")
ACT_OF = {"accept": "praise", "reject": "critique", "seen": "seen", "ask": "ask", "other": "steer"}
LEAN = np.array([1.9, -4.7, 1.9, 0.0, 0.0])  # about the logs of those ratios, over 0.7 of utility
AGAIN = np.array([0.0, 0.0, 2.2, 0.0, 0.0])
FEWEST = 1000  # moments of training seekers: fewer leave the users as they were
ROUNDS = 60


@dataclass(frozen=True)
class Voices:
    """Bases of ``KINDS`` for a film shown just now, and rates for one shown earlier; both sum to 1."""

    now: tuple[float, ...]
    earlier: tuple[float, ...]

    def of_film(self, utility: float, again: bool) -> Floats64:
        """[5] chances for the best card looked at."""
        return np.asarray(_chances(np.array(self.now), np.array([utility]), np.array([again]))[0])


def observed(train: Sequence[Decision]) -> tuple[Floats64, Floats64] | None:
    """Rates of ``KINDS`` of seekers who neither decided nor ended, with a film shown just now and with one shown
    earlier; None where too few tell."""
    now, earlier = np.zeros(len(KINDS)), np.zeros(len(KINDS))
    for moment in train:
        if moment.act != "end" and not moment.decided:
            kind = KINDS.index(ACT_OF[moment.act])
            if moment.agent.slate is not None:
                now[kind] += 1
            elif any(turn.slate is not None for turn in moment.context.turns):
                earlier[kind] += 1
    if now.sum() < FEWEST:
        return None
    earlier += now / now.sum()  # of one moment more, where none or few are told
    return now / now.sum(), earlier / earlier.sum()


def fit(rates: tuple[Floats64, Floats64], utility: Floats64, again: Bools) -> Voices:
    """Bases for which users with these best cards, [n], voice the ``rates`` on the mean.

    Each round multiplies a base by what it lacks (iterative proportional fitting).
    """
    now, earlier = rates
    base = now.copy()
    for _ in range(ROUNDS):
        base *= now / np.maximum(_chances(base, utility, again).mean(0), 1e-12)
        base /= base.sum()
    return Voices(tuple(base.tolist()), tuple(earlier.tolist()))


def _chances(base: Floats64, utility: Floats64, again: Bools) -> Floats64:
    weights = base * np.exp(LEAN * (utility[:, None] - 0.5) + AGAIN * again[:, None])
    return np.asarray(weights / weights.sum(1, keepdims=True), dtype=np.float64)
