"""What a set of dialogues holds, in numbers: its size, and which signals of the users it can teach."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tacit.data.dialogues import columns
from tacit.data.dialogues.columns import AGENT, FIELDS, FIRST_FIELD, PROPENSITY, SLATE, TIME
from tacit.types import Dialogue, Turn

SIGNALS: Mapping[str, int] = {  # a signal → the bit of an agent turn at which it was observed
    "dwell": 1 << FIRST_FIELD + FIELDS.index("dwell_s"),
    "scroll depth": 1 << FIRST_FIELD + FIELDS.index("scroll_depth"),
    "clicks": 1 << FIRST_FIELD + FIELDS.index("clicked"),
    "latency": 1 << FIRST_FIELD + FIELDS.index("latency_s"),
    "sentiment": 1 << FIRST_FIELD + FIELDS.index("sentiment_after"),
    "accepted": 1 << FIRST_FIELD + FIELDS.index("accepted"),
    "left": 1 << FIRST_FIELD + FIELDS.index("left"),
    "time of the turn": TIME,
    "propensities": PROPENSITY,
}


def data_card(dialogues: Sequence[Dialogue]) -> dict[str, Any]:
    """Counts of dialogues, turns, users and items, and ``observed``: shares in [0, 1] of agent turns with a signal.

    ``items`` counts those mentioned or shown. "propensities" and "liked" are of agent turns whose slate came with its
    propensities, or holds an item that the user judged. Without an agent turn the shares are None: there is no telling.
    """
    found = columns.of_dialogues(dialogues)
    agent = found.bits[found.bits & AGENT > 0]
    counts = {name: int((agent & bit > 0).sum()) for name, bit in SIGNALS.items()}
    counts["liked"] = sum(_judged(dialogue, turn) for dialogue in dialogues for turn in dialogue.turns)
    return {
        "dialogues": len(dialogues),
        "turns": len(found.bits),
        "agent turns": len(agent),
        "agent turns that recommend": int((agent & SLATE > 0).sum()),
        "users": len(np.unique(found.users)),
        "items": len({item for dialogue in dialogues for item in dialogue.mentioned()}),
        "observed": {name: count / len(agent) if len(agent) else None for name, count in counts.items()},
    }


def _judged(dialogue: Dialogue, turn: Turn) -> bool:
    judgements = (dialogue.judgements.get(item) for item in (turn.slate.items if turn.slate else ()))
    return any(judgement is not None and judgement.liked is not None for judgement in judgements)
