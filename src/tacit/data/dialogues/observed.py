"""What a run will be able to observe in your logs, counted as they stream by."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from typing import NamedTuple

from tacit.types import Dialogue, Feedback, Turn

FIELDS = tuple(part.name for part in fields(Feedback))
CHANNELS = ("engagement", "relevance", "sentiment")
MIN_PARTS = 2  # of engagement, as signals.min_parts has it
# A run of configs/redial.yaml on two shared cores (docs/results.md): 82,606 training messages, 6,924 items.
_RUN_TURNS, _RUN_ITEMS, _RUN_HOURS, _RUN_GB = 82_606, 6_924, 1.2, 6.0
_FIXED_HOURS, _FIXED_GB = 0.5, 3.0  # guessed: what does not grow with the data


@dataclass
class Observed:
    """Counts of dialogues, of agent turns (a run of messages is one turn), and of those in which a thing was logged."""

    dialogues: int = 0
    judged: int = 0  # dialogues with a judgement
    turns: int = 0
    kinds: Counter[_Kind] = field(default_factory=Counter)

    def add(self, dialogue: Dialogue) -> None:
        self.dialogues += 1
        self.judged += bool(dialogue.judgements)
        self.turns += len(dialogue.turns)
        spoken_to, run = False, list[Turn]()
        for turn in dialogue.turns:
            if turn.speaker == "agent":
                run.append(turn)
                continue
            if run:
                self.kinds[_kind(run, spoken_to, answered=True)] += 1
                run = []
            spoken_to = True
        if run:
            self.kinds[_kind(run, spoken_to, answered=False)] += 1

    @property
    def agent(self) -> int:
        return self.kinds.total()

    @property
    def shown(self) -> int:
        """Agent turns with a slate."""
        return sum(count for kind, count in self.kinds.items() if kind.slate)

    @property
    def seen(self) -> Counter[str]:
        """Agent turns by feedback field, propensity, timestamp, and channel that can be made of them."""
        counts: Counter[str] = Counter()
        for kind, count in self.kinds.items():
            for thing in _things(kind):
                counts[thing] += count
        return counts

    def lines(self) -> Iterator[str]:
        """Sentences for a person: shares of agent turns, channels that will be missing."""
        seen = self.seen
        yield f"{self.agent:,} agent turns, {_share(self.shown, self.agent)} of them with a slate"
        logged = ", ".join(f"{name} {_share(seen[name], self.agent)}" for name in (*FIELDS, "timestamp"))
        yield f"of the agent turns carry: {logged}"
        yield f"of the slates carry a propensity: {_share(seen['propensity'], self.shown)}"
        yield f"of the dialogues carry judgements: {_share(self.judged, self.dialogues)}"
        for channel in CHANNELS:
            count = seen[channel]
            state = f"can be observed in {_share(count, self.agent)} of the agent turns" if count else "will be missing"
            yield f"the channel {channel} {state}{'' if count else ': ' + _REMEDIES[channel]}"


_REMEDIES = {
    "engagement": "log dwell_s, scroll_depth or clicked (that the talk goes on is not enough)",
    "relevance": "log a slate, or the mentions of agent turns",
    "sentiment": "log what the user says before and after, or sentiment_before and sentiment_after",
}


def estimate(turns: int, items: int) -> str:
    """Time and memory of a run on two CPU cores with the shipped settings, in proportion to a measured one."""
    grown = turns / _RUN_TURNS
    hours = _FIXED_HOURS + (_RUN_HOURS - _FIXED_HOURS) * grown
    gigabytes = _FIXED_GB + (_RUN_GB - _FIXED_GB) * (grown + items / _RUN_ITEMS) / 2
    return (
        f"a run may take some {hours:.1f} h on two CPU cores and {gigabytes:.0f} GB of memory with settings as in "
        "configs/redial.yaml (in proportion to a run on ReDial; rough)"
    )


class _Kind(NamedTuple):
    """What an agent turn carries: few kinds make up the largest log, so that a turn costs one count."""

    slate: bool
    propensity: bool
    timestamp: bool
    spoken_to: bool  # the user said something before
    answered: bool
    fields: tuple[bool, ...] | None  # by FIELDS; None without feedback
    accepted_or_left: bool


def _kind(run: list[Turn], spoken_to: bool, answered: bool) -> _Kind:
    slate = any(turn.slate for turn in run)
    propensity = any(turn.slate is not None and turn.slate.propensities is not None for turn in run)
    timestamp = any(turn.time_s is not None for turn in run)
    feedback = next((turn.feedback for turn in reversed(run) if turn.feedback), None)
    if feedback is None:
        return _Kind(slate, propensity, timestamp, spoken_to, answered, None, False)
    observed = tuple([getattr(feedback, name) is not None for name in FIELDS])
    ended = bool(feedback.accepted or feedback.left)
    return _Kind(slate, propensity, timestamp, spoken_to, answered, observed, ended)


def _things(kind: _Kind) -> Iterator[str]:
    """Names of what was logged of such a turn, and of the channels that can be made of it (``reward.labels``)."""
    logged = {name for name, is_there in zip(FIELDS, kind.fields or (), strict=False) if is_there}
    yield from logged
    yield from (name for name in ("timestamp", "propensity") if getattr(kind, name))
    if kind.slate:
        yield "relevance"
    nothing_shown = kind.fields is not None and not kind.slate  # then no click and no scroll are observed
    parts = (
        "dwell_s" in logged,
        "scroll_depth" in logged or nothing_shown,
        "clicked" in logged or nothing_shown,
        kind.answered or kind.accepted_or_left,
        kind.answered or "left" in logged,
    )
    if sum(parts[:3]) + any(parts[3:]) >= MIN_PARTS:  # as signals.engagement: going on and not leaving are one part
        yield "engagement"
    before, after = kind.spoken_to or "sentiment_before" in logged, kind.answered or "sentiment_after" in logged
    if before and after:
        yield "sentiment"


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.0%}" if whole else "none"
