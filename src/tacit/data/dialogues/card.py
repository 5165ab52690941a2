"""What a set of dialogues holds, in numbers: its size, and which signals of the users it can teach."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tacit.types import Dialogue, Feedback, Turn

# A signal → was it observed at this agent turn?
SIGNALS: Mapping[str, Callable[[Feedback], bool]] = {
    "dwell": lambda feedback: feedback.dwell_s is not None,
    "scroll depth": lambda feedback: feedback.scroll_depth is not None,
    "clicks": lambda feedback: feedback.clicked is not None,
    "latency": lambda feedback: feedback.latency_s is not None,
    "sentiment": lambda feedback: feedback.sentiment_after is not None,
    "accepted": lambda feedback: feedback.accepted is not None,
    "left": lambda feedback: feedback.left is not None,
}


def data_card(dialogues: Sequence[Dialogue]) -> dict[str, Any]:
    """Counts of dialogues, turns, users and items, and ``observed``: shares in [0, 1] of agent turns with a signal.

    ``items`` counts those mentioned or shown. "propensities" and "liked" are of agent turns whose slate came with its
    propensities, or holds an item that the user judged. Without an agent turn the shares are None: there is no telling.
    """
    turns = [turn for dialogue in dialogues for turn in dialogue.turns]
    agent = [(dialogue, turn) for dialogue in dialogues for turn in dialogue.turns if turn.speaker == "agent"]
    feedback = [turn.feedback or Feedback() for _, turn in agent]
    counts = {name: sum(map(observed, feedback)) for name, observed in SIGNALS.items()}
    counts["time of the turn"] = sum(turn.time_s is not None for _, turn in agent)
    counts["propensities"] = sum(turn.slate is not None and turn.slate.propensities is not None for _, turn in agent)
    counts["liked"] = sum(_judged(dialogue, turn) for dialogue, turn in agent)
    return {
        "dialogues": len(dialogues),
        "turns": len(turns),
        "agent turns": len(agent),
        "agent turns that recommend": sum(turn.slate is not None for _, turn in agent),
        "users": len({dialogue.user for dialogue in dialogues}),
        "items": len({item for dialogue in dialogues for item in dialogue.mentioned()}),
        "observed": {name: count / len(agent) if agent else None for name, count in counts.items()},
    }


def _judged(dialogue: Dialogue, turn: Turn) -> bool:
    judgements = (dialogue.judgements.get(item) for item in (turn.slate.items if turn.slate else ()))
    return any(judgement is not None and judgement.liked is not None for judgement in judgements)
