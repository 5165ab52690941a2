"""The part of a crowd that feels and acts, without words: state arrays and one step of them.

Kept apart from speech so that calibration can play thousands of conversations in a second.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from tacit.dialogue.users import behaviour as act
from tacit.dialogue.users.behaviour import BehaviourConfig
from tacit.dialogue.users.people import People, PeopleConfig, utility
from tacit.dialogue.users.taste import Taste
from tacit.dialogue.users.voices import Voices
from tacit.types import Bools, Floats64, Ints64

DRAWN_CARDS = 10  # random numbers drawn a step and user, so that one user's slate never shifts another's luck


@dataclass(frozen=True)
class Tuning:
    """What calibration fits: mean and deviation of log latency, willingness to accept, speed of losing patience.

    The values here are those fitted on ReDial: they serve where a data set cannot tell.
    """

    latency_log_mean: float = 2.44
    latency_log_sd: float = 0.98
    willing: float = 0.36
    speed: float = 0.64
    voices: Voices | None = None  # how often it says what of a film; None: by its worth alone

    @classmethod
    def of(cls, saved: Mapping[str, Any]) -> Tuning:
        """From ``asdict``, also of users that were saved without voices."""
        voices = saved.get("voices")
        told = Voices(tuple(voices["now"]), tuple(voices["earlier"])) if voices else None
        return cls(**{**saved, "voices": told})


@dataclass(frozen=True)
class Reaction:
    """One step of all n users; rows of users who took no part carry no meaning.

    utility, examined, clicked, repeated [n, K]; accepted [n] card position or -1; the rest [n].
    ``hidden`` is the step's hidden utility and ``value`` how good the user found what it looked at.
    """

    utility: Floats64
    examined: Bools
    clicked: Bools
    repeated: Bools
    accepted: Ints64
    left: Bools
    dwell_s: Floats64
    scroll: Floats64
    latency_s: Floats64
    value: Floats64
    hidden: Floats64


class UserState:
    """State of n users: mood, patience, what they have seen. ``generator`` is drawn from in a fixed pattern."""

    def __init__(
        self,
        people: People,
        taste: Taste,
        people_config: PeopleConfig,
        config: BehaviourConfig,
        tuning: Tuning,
        generator: np.random.Generator,
    ) -> None:
        self.people, self.taste, self.tuning = people, taste, tuning
        self._people_config, self._config, self._generator = people_config, config, generator
        n = len(people)
        self.mood: Floats64 = np.zeros(n)
        self.patience: Floats64 = people.patience.copy()
        self.idle: Floats64 = np.zeros(n)  # agent turns in a row without a slate
        self.seen: Bools = np.zeros((n, len(taste.items)), dtype=bool)
        for user, rows in enumerate(zip(people.known, people.disliked, strict=True)):
            self.seen[user, [*rows[0], *rows[1]]] = True

    def react(
        self,
        rows: Ints64,
        mask: Bools,
        words: Floats64,
        taking: Bools,
        bother: Floats64 | None = None,
        willing: Floats64 | None = None,
    ) -> Reaction:
        """rows, mask [n, K]: the cards (anything where mask is False); words [n]: length of the reply with titles;
        taking [n]: who receives an agent turn at all; bother, willing [n]: what the reply's words cost, and a factor on
        the chance to accept (hearing.py)."""
        n, cards = mask.shape
        draw = self._generator.random((n, 2, max(cards, DRAWN_CARDS)))
        alone = self._generator.random((n, 2))
        normal = self._generator.standard_normal((n, 2))
        everyone = np.arange(n)
        has_slate: Bools = np.asarray(mask.any(1))
        fresh = utility(self.people, self.taste, self._people_config, everyone, rows)
        repeated = mask & (self.seen[everyone[:, None], rows] | _doubled(rows, mask))
        worth = np.where(mask, fresh * np.where(repeated, self._people_config.known_value, 1.0), 0.0)
        traits = self.people.traits
        examined = act.examine(worth, mask, self.patience, traits.reach, draw[:, 0, :cards], self._config)
        clicked = act.click(worth, examined, draw[:, 1, :cards], self._config)
        value = act.slate_value(worth, examined)
        self.idle = np.where(taking, np.where(has_slate, 0.0, self.idle + 1), self.idle)
        repeats = repeated.sum(1) / np.maximum(mask.sum(1), 1)
        cost = act.irritation(repeats, words, has_slate, self.idle, self._config)
        cost = cost if bother is None else cost + bother
        ready = self.tuning.willing * (np.ones(n) if willing is None else willing)
        accepted = act.accept(worth, examined & ~repeated, alone[:, 0], ready, self._config)
        used = act.drain(value, cost, has_slate, traits.drain * (1 + np.maximum(-self.mood, 0)), self.tuning.speed)
        self.mood = np.where(taking, act.next_mood(self.mood, value, cost, has_slate, traits.irritation), self.mood)
        self.patience = np.where(taking, self.patience - used, self.patience)
        left = (self.patience <= 0) & (accepted < 0)
        frustration = np.maximum(-self.mood, 0.0)
        patience = np.clip(self.patience, 0.0, 1.0)
        self.seen[everyone[:, None], rows] |= mask & taking[:, None]
        tuning = self.tuning
        return Reaction(
            utility=worth,
            examined=examined,
            clicked=clicked,
            repeated=repeated,
            accepted=accepted,
            left=left,
            dwell_s=act.dwell(value, words, frustration, self.people.mobile, normal[:, 0], self._config),
            scroll=act.scroll(examined, mask, words, patience, alone[:, 1]),
            latency_s=act.latency(value, normal[:, 1], tuning.latency_log_mean, tuning.latency_log_sd, self._config),
            value=value,
            hidden=act.slate_value(worth, mask) - cost,
        )


def _doubled(rows: Ints64, mask: Bools) -> Bools:
    """[n, K] cards that stand higher up in the same slate already."""
    same = (rows[:, :, None] == rows[:, None, :]) & mask[:, None, :]
    return np.asarray(np.tril(same, k=-1).any(2))
