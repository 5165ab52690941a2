"""The nouns every layer shares: frozen, tensor-free, and honest about what was not observed.

``None`` always means *not observed*; ``0.0`` or ``False`` means *observed, and zero*.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

Floats32 = npt.NDArray[np.float32]
Floats64 = npt.NDArray[np.float64]
Ints32 = npt.NDArray[np.int32]
Ints64 = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

ItemId = str
Speaker = Literal["user", "agent"]
Ended = Literal["accepted", "left", "cut"]


@dataclass(frozen=True, slots=True)
class Item:
    """One catalogue entry. ``text`` is what a text encoder reads; ``attributes`` are lower-case lists."""

    id: ItemId
    title: str
    text: str
    attributes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Slate:
    """An ordered recommendation, best first.

    ``propensities[k]`` is P(items[k] | state, items[:k]), the sequential-softmax factor of position k.
    """

    items: tuple[ItemId, ...]
    propensities: tuple[float, ...] | None = None


@dataclass(frozen=True, slots=True)
class Feedback:
    """What one agent turn provoked. Seconds, shares in [0, 1], sentiment in [-1, 1]; None = not observed."""

    dwell_s: float | None = None
    scroll_depth: float | None = None
    clicked: tuple[ItemId, ...] | None = None
    latency_s: float | None = None
    sentiment_before: float | None = None
    sentiment_after: float | None = None
    accepted: bool | None = None
    left: bool | None = None
    device: str | None = None


@dataclass(frozen=True, slots=True)
class Turn:
    """One utterance. ``text`` has titles written out; ``mentions`` are the catalogue items in it, in order."""

    speaker: Speaker
    text: str
    mentions: tuple[ItemId, ...] = ()
    slate: Slate | None = None
    feedback: Feedback | None = None
    time_s: float | None = None


@dataclass(frozen=True, slots=True)
class Judgement:
    """A user's explicit word on an item (ReDial's forms). It validates a reward; on request it signs the channels."""

    suggested: bool | None = None
    seen: bool | None = None
    liked: bool | None = None


@dataclass(frozen=True, slots=True)
class Dialogue:
    id: str
    user: str
    turns: tuple[Turn, ...]
    judgements: Mapping[ItemId, Judgement] = field(default_factory=dict)

    def window(self, k: int) -> tuple[Turn, ...]:
        """The last ``k`` utterances, after merging each speaker's consecutive messages: the state s_t."""
        return self.merged().turns[-k:]

    def merged(self) -> Dialogue:
        """The same dialogue with consecutive messages of one speaker joined (for models, not for counting)."""
        turns: list[Turn] = []
        for turn in self.turns:
            if turns and turns[-1].speaker == turn.speaker:
                turns[-1] = _join(turns[-1], turn)
            else:
                turns.append(turn)
        return self if len(turns) == len(self.turns) else replace(self, turns=tuple(turns))

    def then(self, *turns: Turn) -> Dialogue:
        return replace(self, turns=self.turns + turns)

    def before(self, t: int) -> Dialogue:
        """The context of turn ``t``: everything said earlier."""
        return replace(self, turns=self.turns[:t])

    def mentioned(self) -> tuple[ItemId, ...]:
        """Every item mentioned or shown so far, first mention first, without repeats."""
        seen: dict[ItemId, None] = {}
        for turn in self.turns:
            for item in turn.mentions + (turn.slate.items if turn.slate else ()):
                seen.setdefault(item)
        return tuple(seen)


def _join(first: Turn, second: Turn) -> Turn:
    items = (first.slate.items if first.slate else ()) + (second.slate.items if second.slate else ())
    slate = Slate(tuple(dict.fromkeys(items))) if items else None
    return replace(
        first,
        text=f"{first.text} {second.text}".strip(),
        mentions=first.mentions + second.mentions,
        slate=slate,
        feedback=second.feedback or first.feedback,
    )


@dataclass(frozen=True, slots=True)
class Sample:
    """One draw from a policy, kept as tokens so that nothing is ever re-tokenised.

    For a conversational turn ``tokens`` is: decision, (slate titles), ``<reply>``, reply, ``<eos>``.
    ``sampled[i]`` is True where the policy drew ``tokens[i]``; ``logprobs[i]`` is 0.0 elsewhere (nats).
    ``slate_logprobs[k]`` is log P(slate.items[k] | state, items[:k]); empty when the turn shows no slate.
    """

    prompt_tokens: tuple[int, ...]
    tokens: tuple[int, ...]
    sampled: tuple[bool, ...]
    logprobs: tuple[float, ...]
    text: str
    slate: Slate | None = None
    slate_logprobs: tuple[float, ...] = ()
    finished: bool = True  # False when the reply was cut before <eos>
    version: str = ""

    def turn(self) -> Turn:
        return Turn("agent", self.text, mentions=self.slate.items if self.slate else (), slate=self.slate)


@dataclass(frozen=True, slots=True)
class Scored:
    """A sample in its context, with the score a trainer may use. ``channels`` are its named parts."""

    context: Dialogue
    sample: Sample
    score: float
    by: str
    channels: Mapping[str, float] = field(default_factory=dict)
    feedback: Feedback | None = None


@dataclass(frozen=True, slots=True)
class Episode:
    """One conversation of a policy with a user. Only ``cut`` bootstraps the value of the last state."""

    steps: tuple[Scored, ...]
    ended: Ended
    user: str = ""


@dataclass(frozen=True, slots=True)
class Group:
    """Several samples of one prompt, side by side."""

    options: tuple[Scored, ...]


@dataclass(frozen=True, slots=True)
class Split:
    """What a trainer may see. There is no test field on purpose."""

    train: tuple[Dialogue, ...]
    valid: tuple[Dialogue, ...]
    rule: str = "dialogue"  # what no two sides share: user, time (dates), dialogue; or files, as given


@dataclass(frozen=True, slots=True)
class TestSet:
    """What only the evaluator may see."""

    __test__ = False  # not a pytest class
    dialogues: tuple[Dialogue, ...]


class Scorer(Protocol):
    """(s_t, a_t) → reward, with named channels. One score a turn."""

    name: str

    def score(self, contexts: Sequence[Dialogue], turns: Sequence[Turn]) -> list[tuple[float, dict[str, float]]]: ...


class InputError(Exception):
    """Bad input from outside: the message names the file, line or key and the remedy. The CLI exits with 2."""


class InputErrors(InputError):
    """Several at once, such as every bad line of a file: a sentence each."""

    def __init__(self, sentences: Sequence[str]) -> None:
        super().__init__("\n".join(sentences))
        self.sentences = tuple(sentences)
