"""Dialogues → training segments: k + 1 consecutive utterances, every agent turn in them a target.

One pass over a segment trains all its agent turns, so an epoch costs the length of the dialogues and not k times it.
The cut moves from epoch to epoch; a turn is therefore seen with between 0 and k utterances before it, as it is at the
start of a conversation and in the middle of one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Literal

import numpy as np

from tacit.dialogue.policy.policy import Policy
from tacit.dialogue.responses import responses
from tacit.types import Dialogue, ItemId

Rejected = Literal["positive", "ignore", "negative"]  # what an item that the person rejected is to the slate's loss


@dataclass(frozen=True, slots=True)
class Pick:
    """A recommendation to learn: the LM state at token ``position`` (``<recommend>``) against the item ``rows``, and
    against ``rejected`` rows, which are to be unlikely."""

    position: int
    context: Dialogue
    rows: tuple[int, ...]
    rejected: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Segment:
    tokens: tuple[int, ...]
    targets: tuple[bool, ...]  # True where the token is the policy's own: decision, reply, <eos>
    picks: tuple[Pick, ...]
    starts: tuple[int, ...] = ()  # where each utterance begins


def segments(
    dialogues: Sequence[Dialogue],
    policy: Policy,
    shift: np.random.Generator | None,
    rejected: Rejected = "positive",
) -> list[Segment]:
    """All segments of the dialogues, in order; ``shift`` moves the cuts, None starts them at the first utterance.

    ``rejected`` items (``dialogue.responses``) are items like others, left out, or negatives.
    """
    length = policy.config.window + 1
    pieces: list[Segment] = []
    for dialogue in dialogues:
        merged = dialogue.merged()
        refused = None if rejected == "positive" else rejections(dialogue)
        first = int(shift.integers(length)) - length + 1 if shift is not None else 0
        for start in range(first, len(merged.turns), length):
            segment = _segment(merged, max(start, 0), start + length, policy, refused, rejected == "negative")
            if any(segment.targets):
                pieces.append(segment)
    return pieces


def rejections(dialogue: Dialogue) -> list[frozenset[ItemId]]:
    """What was rejected of each turn of the *merged* dialogue; of an item shown twice in one, the last answer counts.

    Merging joins the slates of a run of messages and keeps one feedback, so the answers are read before it.
    """
    utterances = groupby(range(len(dialogue.turns)), key=lambda t: dialogue.turns[t].speaker)
    answers = [
        {item: answer for t in turns for item, answer in responses(dialogue, t).items()} for _, turns in utterances
    ]
    return [frozenset(item for item, answer in part.items() if answer.rejected) for part in answers]


def _segment(
    dialogue: Dialogue,
    start: int,
    stop: int,
    policy: Policy,
    refused: Sequence[frozenset[ItemId]] | None,
    negatives: bool,
) -> Segment:
    layout = policy.layout
    tokens: list[int] = list(layout.head)
    targets: list[bool] = [False] * len(tokens)
    picks: list[Pick] = []
    starts: list[int] = []
    for t in range(start, min(stop, len(dialogue.turns))):
        turn = dialogue.turns[t]
        utterance, drawn = layout.marked(turn)
        if len(tokens) + len(utterance) > layout.lengths.longest:
            break
        if turn.speaker == "agent" and turn.slate and t > 0:
            out = refused[t] if refused is not None else frozenset()
            rows = tuple(policy.catalog.index(item) for item in turn.slate.items if item not in out)
            against = tuple(policy.catalog.index(item) for item in turn.slate.items if item in out and negatives)
            if rows or against:
                picks.append(Pick(len(tokens) + len(layout.agent_open), dialogue.before(t), rows, against))
        starts.append(len(tokens))
        tokens += utterance
        targets += drawn
    return Segment(tuple(tokens), tuple(targets), tuple(picks), tuple(starts))
