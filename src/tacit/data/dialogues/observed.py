"""What a run will be able to observe in your logs, counted as they stream by."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from tacit.data.dialogues import columns
from tacit.data.dialogues.columns import AGENT, ENDED, FEEDBACK, FIELDS, FIRST_FIELD, PROPENSITY, SLATE, TIME, Columns
from tacit.types import Bools, Dialogue, Ints64

CHANNELS = ("engagement", "relevance", "sentiment")
MIN_PARTS = 2  # of engagement, as signals.min_parts has it
# A run of configs/redial.yaml on two shared cores (docs/results.md): 82,606 training messages, 6,924 items.
_RUN_TURNS, _RUN_ITEMS, _RUN_HOURS, _RUN_GB = 82_606, 6_924, 1.2, 6.0
_FIXED_HOURS, _FIXED_GB = 0.5, 3.0  # guessed: what does not grow with the data
_SPOKEN_TO, _ANSWERED = 1 << 20, 1 << 21  # beside the bits of ``columns``
_OF_ANY = AGENT | SLATE | PROPENSITY | TIME  # a run carries what any of its messages does; feedback is of one message


@dataclass
class Observed:
    """Counts of dialogues, of agent turns (a run of messages is one turn), and of those in which a thing was logged.

    Few kinds of agent turns make up the largest log, so they are counted by what they carry.
    """

    dialogues: int = 0
    judged: int = 0  # dialogues with a judgement
    turns: int = 0
    counts: Counter[int] = field(default_factory=Counter)  # of agent turns, by their bits

    def add(self, dialogue: Dialogue) -> None:
        self.add_columns(columns.of_dialogues([dialogue]))

    def add_columns(self, of: Columns) -> None:
        self.dialogues += len(of.ids)
        self.judged += of.judged
        self.turns += len(of.bits)
        if of.bits.any():
            kinds, counts = np.unique(_of_runs(of), return_counts=True)
            self.counts.update(dict(zip(kinds.tolist(), counts.tolist(), strict=True)))

    @property
    def kinds(self) -> dict[_Kind, int]:
        return {_kind(bits): count for bits, count in self.counts.items()}

    @property
    def agent(self) -> int:
        return self.counts.total()

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


def _of_runs(of: Columns) -> Ints64:
    """Bits of every run of an agent's messages: what any of them carries, and the feedback of the last that has one."""
    agent: Bools = of.bits & AGENT > 0
    opens = np.zeros(len(agent), bool)
    opens[of.starts] = True
    whose = np.cumsum(opens) - 1
    begins = agent & (opens | ~np.roll(agent, 1))
    run = np.cumsum(begins) - 1  # of an agent's message
    where = np.flatnonzero(begins)
    bits = np.bitwise_or.reduceat(np.where(agent, of.bits & _OF_ANY, 0), where)
    told = np.flatnonzero(of.bits & FEEDBACK)
    of_last = np.zeros(len(where), np.int64)
    of_last[run[told]] = of.bits[told] & ~_OF_ANY  # where several meet, the last one stays
    user = np.flatnonzero(~agent)
    first, last = np.full(len(of.lengths), len(agent)), np.full(len(of.lengths), -1)
    first[whose[user[::-1]]], last[whose[user]] = user[::-1], user
    spoken_to, answered = first[whose[where]] < where, last[whose[where]] > where
    return np.asarray(bits | of_last | spoken_to * _SPOKEN_TO | answered * _ANSWERED)


class _Kind(NamedTuple):
    """What an agent turn carries."""

    slate: bool
    propensity: bool
    timestamp: bool
    spoken_to: bool  # the user said something before
    answered: bool
    fields: tuple[bool, ...] | None  # by FIELDS; None without feedback
    accepted_or_left: bool


def _kind(bits: int) -> _Kind:
    fields = tuple([bool(bits >> FIRST_FIELD + k & 1) for k in range(len(FIELDS))]) if bits & FEEDBACK else None
    slate, propensity, timestamp = bool(bits & SLATE), bool(bits & PROPENSITY), bool(bits & TIME)
    spoken_to, answered = bool(bits & _SPOKEN_TO), bool(bits & _ANSWERED)
    return _Kind(slate, propensity, timestamp, spoken_to, answered, fields, bool(bits & ENDED))


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
