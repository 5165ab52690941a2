"""What a run will be able to observe in your logs, counted as they stream by."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, fields

from tacit.types import Dialogue, Feedback, Turn

FIELDS = tuple(part.name for part in fields(Feedback))
CHANNELS = ("engagement", "relevance", "sentiment")
MIN_PARTS = 2  # of engagement, as signals.min_parts has it
# A run of configs/redial.yaml on two shared cores (docs/results.md): 82,606 training messages, 6,924 items.
_RUN_TURNS, _RUN_ITEMS, _RUN_HOURS, _RUN_GB = 82_606, 6_924, 1.2, 6.0
_FIXED_HOURS, _FIXED_GB = 0.5, 3.0  # of these, what does not grow with the data: simulated talks; libraries and models


@dataclass
class Observed:
    """Counts of dialogues, of agent turns, and of those in which a thing was logged."""

    dialogues: int = 0
    judged: int = 0  # dialogues with a judgement
    turns: int = 0
    agent: int = 0  # agent turns, a run of messages as one
    shown: int = 0  # of these, with a slate
    seen: Counter[str] = field(default_factory=Counter)  # agent turns by feedback field, propensity, time or channel

    def add(self, dialogue: Dialogue) -> None:
        self.dialogues += 1
        self.judged += bool(dialogue.judgements)
        self.turns += len(dialogue.turns)
        turns = dialogue.merged().turns
        user_before = [False] + [turn.speaker == "user" for turn in turns]
        for t, turn in enumerate(turns):
            if turn.speaker == "agent":
                self.agent += 1
                self.shown += turn.slate is not None
                following = turns[t + 1] if t + 1 < len(turns) else None
                self.seen.update(_things(turn, following, any(user_before[: t + 1])))

    def lines(self) -> Iterator[str]:
        """Sentences for a person: shares of agent turns, channels that will be missing."""
        yield f"{self.agent:,} agent turns, {_share(self.shown, self.agent)} of them with a slate"
        logged = ", ".join(f"{name} {_share(self.seen[name], self.agent)}" for name in (*FIELDS, "timestamp"))
        yield f"of the agent turns carry: {logged}"
        yield f"of the slates carry a propensity: {_share(self.seen['propensity'], self.shown)}"
        yield f"of the dialogues carry judgements: {_share(self.judged, self.dialogues)}"
        for channel in CHANNELS:
            count = self.seen[channel]
            state = f"can be observed in {_share(count, self.agent)} of the agent turns" if count else "will be missing"
            yield f"the channel {channel} {state}{'' if count else ': ' + _REMEDIES[channel]}"


_REMEDIES = {
    "engagement": "log dwell_s, scroll_depth, clicked, accepted or left",
    "relevance": "log a slate, or the mentions of agent turns",
    "sentiment": "log what the user says before and after, or sentiment_before and sentiment_after",
}


def estimate(turns: int, items: int) -> str:
    """Time and memory of a run on two CPU cores with the shipped settings, in proportion to a measured one."""
    grown = turns / _RUN_TURNS
    hours = _FIXED_HOURS + (_RUN_HOURS - _FIXED_HOURS) * grown
    gigabytes = _FIXED_GB + (_RUN_GB - _FIXED_GB) * (grown + items / _RUN_ITEMS) / 2
    return (
        f"a run takes about {hours:.1f} h on two CPU cores and {gigabytes:.0f} GB of memory with settings as in "
        "configs/redial.yaml (in proportion to a run on ReDial; rough)"
    )


def _things(turn: Turn, following: Turn | None, spoken_to: bool) -> Iterator[str]:
    """Names of what was logged of an agent turn, and of the channels that can be made of it."""
    feedback = turn.feedback or Feedback()
    yield from (name for name in FIELDS if getattr(feedback, name) is not None)
    if turn.time_s is not None:
        yield "timestamp"
    if turn.slate and turn.slate.propensities:
        yield "propensity"
    if turn.slate:
        yield "relevance"
    nothing_shown = turn.feedback is not None and not turn.slate  # then no click and no scroll are observed
    left_or_stayed = feedback.left is not None or following is not None
    parts = (
        feedback.dwell_s is not None,
        feedback.scroll_depth is not None or nothing_shown,
        feedback.clicked is not None or nothing_shown,
        following is not None or bool(feedback.accepted) or bool(feedback.left),
        left_or_stayed,
    )
    if sum(parts) >= MIN_PARTS:
        yield "engagement"
    before = spoken_to or feedback.sentiment_before is not None
    if before and (following is not None or feedback.sentiment_after is not None):
        yield "sentiment"


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.0%}" if whole else "none"
