"""Counts by hour, of everybody: what an operator watches. They name nobody, and hold no word."""

from __future__ import annotations

from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from tacit.events.schema import Event, Verdict
from tacit.run.files import atomic_write

HOUR_MS = 3_600_000
HOURS = 168
_FOLLOWED = 20_000  # exposures whose time in view is followed, so that growing totals are counted once
BOUNDS = tuple(round(10 * 1.2**k) for k in range(50))  # milliseconds: a quantile is read to a fifth of its size
_REJECTING, _LIKING = {"not_for_me", "dismiss"}, {"more_like_this", "accept"}


class Hour(msgspec.Struct):
    hour_ms: int
    conversations: int = 0
    turns: int = 0
    slates: int = 0
    explored: int = 0
    clicks: int = 0
    dwell_ms: int = 0
    dwell_slates: int = 0
    rejections: int = 0
    likes: int = 0
    votes: int = 0
    events: int = 0
    shed: int = 0
    errors: int = 0
    first_byte: list[int] = msgspec.field(default_factory=lambda: [0] * (len(BOUNDS) + 1))
    reply: list[int] = msgspec.field(default_factory=lambda: [0] * (len(BOUNDS) + 1))
    policy_versions: dict[str, int] = {}

    def shown(self) -> dict[str, Any]:
        row: dict[str, Any] = msgspec.to_builtins(self)
        row["explore_share"] = round(self.explored / self.slates, 4) if self.slates else None
        for name in ("first_byte", "reply"):
            counts = row.pop(name)
            row[f"{name}_ms"] = {"p50": quantile(counts, 0.5), "p95": quantile(counts, 0.95)}
        return row


class Aggregates:
    """Of one process, called from its event loop; saved now and then, and read again when it starts."""

    def __init__(self, path: Path, now_ms: Callable[[], int]) -> None:
        self.path, self.now_ms = path, now_ms
        self._hours: dict[int, Hour] = {}
        self._seen: OrderedDict[str, int] = OrderedDict()
        if path.is_file():
            try:
                self._hours = {hour.hour_ms: hour for hour in msgspec.json.decode(path.read_bytes(), type=list[Hour])}
            except (msgspec.MsgspecError, UnicodeDecodeError):
                self._hours = {}  # counts alone: begun anew

    def hour(self) -> Hour:
        start = self.now_ms() // HOUR_MS * HOUR_MS
        if start not in self._hours:
            self._hours[start] = Hour(start)
            for old in sorted(self._hours)[:-HOURS]:
                del self._hours[old]
        return self._hours[start]

    def answered(self, turn: int, version: str, slate: bool, explored: bool, first_byte_ms: int) -> None:
        hour = self.hour()
        hour.turns += 1
        hour.conversations += turn == 0
        hour.slates += slate
        hour.explored += explored
        hour.first_byte[bisect_left(BOUNDS, first_byte_ms)] += 1
        hour.policy_versions[version] = hour.policy_versions.get(version, 0) + 1

    def ended(self, reply_ms: int) -> None:
        self.hour().reply[bisect_left(BOUNDS, reply_ms)] += 1

    def accepted(self, batch: Sequence[Event | Verdict], verdicts: Sequence[Verdict]) -> None:
        hour = self.hour()
        for event, verdict in zip(batch, verdicts, strict=True):
            if verdict.status != "accepted" or isinstance(event, Verdict):
                continue
            hour.events += 1
            hour.clicks += event.kind == "click"
            hour.rejections += event.kind in _REJECTING
            hour.likes += event.kind in _LIKING
            hour.votes += event.kind == "vote"
            if event.visible_ms is not None:
                self._dwell(hour, event.exposure_id, event.visible_ms)

    def _dwell(self, hour: Hour, exposure: str, visible_ms: int) -> None:
        """By how much the longest time of a slate has grown."""
        before = self._seen.pop(exposure, None)
        self._seen[exposure] = max(visible_ms, before or 0)
        hour.dwell_slates += before is None
        hour.dwell_ms += self._seen[exposure] - (before or 0)
        while len(self._seen) > _FOLLOWED:
            self._seen.popitem(last=False)

    def rows(self) -> list[dict[str, Any]]:
        """By hour, the oldest first."""
        return [self._hours[start].shown() for start in sorted(self._hours)]

    def save(self) -> None:
        atomic_write(self.path, msgspec.json.encode([self._hours[start] for start in sorted(self._hours)]))


def quantile(counts: Sequence[int], share: float) -> int | None:
    """The upper bound of the bin that holds it, in ms; None without counts."""
    total, before = sum(counts), 0
    if not total:
        return None
    for place, count in enumerate(counts):
        before += count
        if before >= share * total:
            return BOUNDS[min(place, len(BOUNDS) - 1)]
    return BOUNDS[-1]
