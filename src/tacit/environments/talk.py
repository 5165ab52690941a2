"""One simulated user for a model of anybody: words in, words and a reward out.

A trainer elsewhere has a model that answers in text. What its text names of the catalogue is what it shows, in the
order named; the user reacts to that as to any slate, hears the words, and answers. The reward is made of what could be
observed of a person. What the user felt stays inside: ``felt`` alone tells it, for an evaluation that asks.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tacit.dialogue.users.crowd import UserWorld
from tacit.types import Feedback, InputError, Slate, Turn

MOST_SHOWN = 10  # titles of one reply that count as shown; the rest is mentioned
CLICKED, LEFT = 0.2, -1.0
Reward = Callable[[Feedback], float]


def observed_reward(feedback: Feedback) -> float:
    """1 for an acceptance, 0.2 for a click, −1 for leaving: of what is observed, nothing that talking on would raise
    (dwell, turns and warm words would)."""
    return float(bool(feedback.accepted)) + CLICKED * bool(feedback.clicked) + LEFT * bool(feedback.left)


@dataclass(frozen=True)
class Answer:
    """What the user did: its words ("" when it left in silence), the reward, and whether the talk is over."""

    text: str
    reward: float
    over: bool


class Talk:
    """One conversation. The same world and seed give the same user, whatever ran before."""

    def __init__(self, world: UserWorld, seed: int, max_turns: int = 5, reward: Reward = observed_reward) -> None:
        if max_turns < 1:
            raise InputError("max_turns must be at least 1.")
        self._catalog, self._reward, self._left = world.catalog, reward, max_turns
        self._crowd = world.start(1, np.random.default_rng(seed), ids_prefix=f"talk{seed}-")
        self.opening = self._crowd.dialogues[0].turns[-1].text

    @property
    def over(self) -> bool:
        return self._left == 0 or not bool(self._crowd.active[0])

    @property
    def ended(self) -> str:
        """accepted, left, cut (the turns are used up), or "" while it goes on."""
        return self._crowd.ended[0] or ("cut" if self.over else "")

    def say(self, text: str) -> Answer:
        """The model's reply to the user's last words; ``InputError`` once the talk is over."""
        if self.over:
            raise InputError("this conversation is over: begin another.")
        before = len(self._crowd.dialogues[0].turns)
        feedback = self._crowd.step({0: self.shown(text)})[0]
        self._left -= 1
        assert feedback is not None  # of a user that is there
        words = [turn.text for turn in self._crowd.dialogues[0].turns[before:] if turn.speaker == "user"]
        return Answer(" ".join(words), self._reward(feedback), self.over)

    def shown(self, text: str) -> Turn:
        """The reply as a turn: titles of the catalogue that it names are its slate."""
        items = self._catalog.named(text)
        return Turn("agent", text, mentions=items, slate=Slate(items[:MOST_SHOWN]) if items else None)

    def felt(self) -> float:
        """The hidden utility of the conversation so far (``users.oracle``): to evaluate with, never to train on."""
        from tacit.dialogue.users import oracle

        return float(oracle.read(self._crowd).total[0])
