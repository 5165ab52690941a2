"""What users truly felt. For the evaluator and the rollout log only: nothing that trains may import this file.

Hidden utility of a step: ``h = slate_value - cost``. ``slate_value`` is the position-discounted mean utility (0.85 a
position) of all cards shown, whether looked at or not, repeats and known items at 0.15 of their utility, and 0 without
a slate. ``cost`` is what the turn wasted: overlong or empty text, repeats, turns in a row without a slate
(behaviour.irritation), and words that are no language, contradict the catalogue or leave a question unanswered
(hearing). Dwell, clicks and the user's own words never enter.

Hidden total of a conversation: the mean over the ``horizon`` turns a user has to give (default 5). A turn held counts
h; after an acceptance each turn saved counts the accepted item's utility; after leaving each turn lost counts 0. A
conversation cut by the recommender's own limit, or longer than the horizon, is averaged over the turns it had.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import overload

import numpy as np

from tacit.dialogue.users.crowd import Crowd
from tacit.types import Ended, Floats64


@dataclass(frozen=True)
class Hidden(Sequence[tuple[float, ...]]):
    """``hidden[user][turn]`` is the hidden utility of one agent turn; ``total`` [n] that of each conversation.

    ``heard[user][turn]``: whether the reply was no language, how many of its claims the catalogue contradicts, and
    whether it ignored what was asked.
    """

    steps: tuple[tuple[float, ...], ...]
    total: Floats64
    heard: tuple[tuple[tuple[bool, int, bool], ...], ...]

    def __len__(self) -> int:
        return len(self.steps)

    @overload
    def __getitem__(self, at: int) -> tuple[float, ...]: ...
    @overload
    def __getitem__(self, at: slice) -> tuple[tuple[float, ...], ...]: ...
    def __getitem__(self, at: int | slice) -> tuple[float, ...] | tuple[tuple[float, ...], ...]:
        return self.steps[at]


def read(crowd: object) -> Hidden:
    """Everything the simulated users of ``crowd`` felt so far. Real users have no oracle."""
    if not isinstance(crowd, Crowd):
        raise TypeError(f"hidden utility is known of simulated users only, not of {type(crowd).__name__}")
    totals = [
        total(steps, ended, float(value), crowd._config.horizon)
        for steps, ended, value in zip(crowd._hidden, crowd.ended, crowd._accepted_value, strict=True)
    ]
    steps = tuple(tuple(row) for row in crowd._hidden)
    return Hidden(steps, np.array(totals), tuple(tuple(row) for row in crowd._heard))


def total(steps: list[float], ended: Ended | None, accepted_value: float, horizon: int) -> float:
    """The hidden utility of one conversation (definition above); 0 before the first agent turn."""
    if not steps:
        return 0.0
    saved = max(horizon - len(steps), 0)
    if ended == "accepted":
        return (sum(steps) + saved * accepted_value) / (len(steps) + saved)
    if ended == "left":
        return sum(steps) / (len(steps) + saved)
    return sum(steps) / len(steps)
