"""What is logged, version 1: exposures (what was shown, and how it was drawn) and events (what people did with it).

The server writes exposures and deliveries, clients send events. Times are whole milliseconds. ``None`` is *not
observed*, 0 is *observed, and zero*. No record but ``Words`` holds free text, and a client cannot send any.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

VERSION = 1
MAX_BATCH = 200  # events in a request
MAX_BODY = 65_536  # bytes of a request
DAY_MS = 86_400_000
LONGEST_MS = 30 * DAY_MS  # no counter of a page may be above it

Identifier = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_.:-]+\Z")]
ItemName = Annotated[str, Meta(min_length=1, max_length=256, pattern=r"^[^\x00-\x1f\x7f]+\Z")]
Milliseconds = Annotated[int, Meta(ge=0, le=LONGEST_MS)]
Count = Annotated[int, Meta(ge=0, le=2**31 - 1)]
Moment = Annotated[int, Meta(ge=0, le=2**53)]
Part = Annotated[float, Meta(ge=0.0, le=1.0)]

Consent = Literal["train", "store"]  # learn from it; or keep it for the person's own next visit alone
Bucket = Literal["policy", "explore"]
Decision = Literal["recommend", "reply"]
Delivered = Literal["delivered", "partial", "undelivered"]
Kind = Literal[
    "visible", "dwell", "scroll", "click", "expand", "copy", "accept", "dismiss", "more_like_this", "not_for_me",
    "seen_it", "reply", "thumb", "vote", "session_end",
]  # fmt: skip
OF_AN_ITEM = frozenset({"click", "expand", "dismiss", "more_like_this", "not_for_me", "seen_it"})


class Shown(msgspec.Struct, frozen=True):
    """An item of a slate: its place on the page from 1, and P(item | the items drawn before it)."""

    item_id: ItemName
    position: Annotated[int, Meta(ge=1, le=1000)]
    probability: Annotated[float, Meta(gt=0.0, le=1.0)]


class Exposure(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One turn of the recommender, as it was drawn: written, and safe on disk, before the first byte leaves.

    ``items`` stand in the order of drawing. ``p_recommend`` is the probability of recommending, whichever was decided.
    ``catalog_version`` and ``mask_hash`` name the candidates. What happened then is in ``Delivery``.
    """

    exposure_id: Identifier
    session_id: Identifier
    user: Identifier  # a pseudonym
    turn: Annotated[int, Meta(ge=0, le=1_000_000)]  # of the recommender, from 0; asked again, a turn has two exposures
    created_ms: Moment
    expires_ms: Moment  # events that come later are refused
    policy_version: Annotated[str, Meta(min_length=1, max_length=256)]
    bucket: Bucket = "policy"
    deterministic: bool = False
    epsilon: Part = 0.0
    temperature: Annotated[float, Meta(gt=0.0)] = 1.0
    top_k: Count | None = None
    top_p: Part | None = None
    decision: Decision
    p_recommend: Part
    items: tuple[Shown, ...] = ()
    candidates: Count | None = None
    catalog_version: str | None = None
    mask_hash: str | None = None
    schema: Literal[1] = 1

    @property
    def logprob(self) -> float:
        """log P(decision and slate), nats."""
        p = self.p_recommend if self.decision == "recommend" else 1.0 - self.p_recommend
        return sum(math.log(shown.probability) for shown in self.items) + (math.log(p) if p > 0 else -math.inf)


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """What became of an exposure. One without it, as after a crash, counts as undelivered."""

    exposure_id: Identifier
    state: Delivered
    first_token_ms: Moment | None = None
    last_token_ms: Moment | None = None
    words: Count | None = None


class Words(msgspec.Struct, frozen=True, kw_only=True):
    """The free text of a turn: what the person had said before it, and the reply. Redacted before it is stored."""

    exposure_id: Identifier
    asked: str | None = None
    asked_ms: Moment | None = None
    said: str | None = None


class Event(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What a client saw happen. Counters are cumulative since the exposure, so that a lost, repeated or late event can
    never add to them; ``seq`` counts a session's events, so that losses show.
    """

    event_id: Identifier
    exposure_id: Identifier
    signature: Annotated[str, Meta(max_length=64)]
    kind: Kind
    seq: Annotated[int, Meta(ge=0, le=10_000_000)]
    schema: int = VERSION
    item_id: ItemName | None = None  # None: the reply as a whole
    mono_ms: Moment | None = None  # the page's monotonic clock
    client_ms: Moment | None = None  # the device's clock, for what it is worth
    visible_ms: Milliseconds | None = None
    idle_ms: Milliseconds | None = None
    hidden_ms: Milliseconds | None = None
    latency_ms: Milliseconds | None = None  # of a reply: from the last token to the first key
    max_ratio: Part | None = None
    scroll_depth: Part | None = None
    toggles: Annotated[int, Meta(ge=0, le=10_000)] | None = None
    censored: bool | None = None  # the counters may still have grown: they are lower bounds
    reason: Literal["tab_hidden", "idle", "closed", "still_open"] | None = None
    value: Literal[-1, 0, 1] | None = None  # of a thumb or a vote: against, a tie, for this exposure
    against: Identifier | None = None  # of a vote: the exposure beside it
    device: Literal["desktop", "phone", "tablet"] | None = None


COUNTERS = ("visible_ms", "idle_ms", "hidden_ms", "latency_ms", "max_ratio", "scroll_depth", "toggles")

Reason = Literal[
    "malformed", "unsupported_schema", "incomplete", "unknown_exposure", "forged", "foreign", "expired",
    "before_exposure", "unknown_item", "impossible_time",
]  # fmt: skip


class Verdict(msgspec.Struct, frozen=True, omit_defaults=True):
    """What became of one event. It never repeats what was sent, beyond a well-formed id."""

    status: Literal["accepted", "duplicate", "rejected"]
    event_id: str | None = None
    reason: Reason | None = None


class _Batch(msgspec.Struct):
    events: list[msgspec.Raw]


class _Named(msgspec.Struct):
    event_id: Identifier


class BadBatch(ValueError):
    """A request that is no batch of events at all; ``too_large`` tells which kind of no."""

    def __init__(self, message: str, too_large: bool = False) -> None:
        super().__init__(message)
        self.too_large = too_large


# msgspec says of bytes that are no UTF-8 and of deep nesting with these, not with an error of its own.
_NOT_JSON = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
_batches = msgspec.json.Decoder(_Batch)
_events = msgspec.json.Decoder(Event)
_names = msgspec.json.Decoder(_Named)


def read_batch(body: bytes) -> list[Event | Verdict]:
    """The events of a request ``{"events": [...]}``, in order; a rejection in the place of each that is malformed."""
    if len(body) > MAX_BODY:
        raise BadBatch(f"a request may have {MAX_BODY} bytes", too_large=True)
    try:
        rows = _batches.decode(body).events
    except _NOT_JSON:
        rows = _rows_of_loose_json(body)
    if not 1 <= len(rows) <= MAX_BATCH:
        raise BadBatch(f"a request holds 1 to {MAX_BATCH} events", too_large=len(rows) > MAX_BATCH)
    return [_read(row) for row in rows]


def _rows_of_loose_json(body: bytes) -> list[msgspec.Raw]:
    """What Python reads and JSON is not (NaN, half a character) spoils the events that hold it, not those beside."""
    try:
        rows = json.loads(body)["events"]
    except (ValueError, TypeError, KeyError, RecursionError):
        rows = None
    if not isinstance(rows, list):
        raise BadBatch('a request must be {"events": [...]}, in JSON')
    return [msgspec.Raw(_strict(row).encode()) for row in rows]


def _strict(row: Any) -> str:
    try:
        return json.dumps(row, allow_nan=False)
    except (ValueError, RecursionError):
        name = row.get("event_id") if isinstance(row, dict) else None
        return json.dumps({"event_id": name} if isinstance(name, str) else None)


def _read(row: msgspec.Raw) -> Event | Verdict:
    try:
        event = _events.decode(row)
    except _NOT_JSON:
        return Verdict("rejected", _name(row), "malformed")
    reason = incomplete(event)
    return Verdict("rejected", event.event_id, reason) if reason else event


def _name(row: msgspec.Raw) -> str | None:
    try:
        return _names.decode(row).event_id
    except _NOT_JSON:
        return None


def incomplete(event: Event) -> Reason | None:
    """What an event lacks for its kind, by itself."""
    if event.schema != VERSION:
        return "unsupported_schema"
    if event.kind in OF_AN_ITEM and event.item_id is None:
        return "incomplete"
    if event.kind == "thumb" and not event.value:
        return "incomplete"
    if event.kind == "vote" and (event.value is None or event.against in (None, event.exposure_id)):
        return "incomplete"
    if event.visible_ms is not None and event.censored is None:
        return "incomplete"  # a time that may be a lower bound must say so
    return None


def longest_time(event: Event) -> int:
    """The largest of the times it counts: none can pass the time since the exposure."""
    return max(event.visible_ms or 0, event.idle_ms or 0, event.hidden_ms or 0, event.latency_ms or 0)


def pseudonym(user: str) -> str:
    """The same; ValueError where it is no identifier."""
    return msgspec.convert(user, Identifier)


def check(exposure: Exposure) -> Exposure:
    """The same exposure; ValueError where it cannot be what a policy drew. (Types and ranges: ``msgspec.convert``.)"""
    items = exposure.items
    if (exposure.decision == "recommend") != bool(items):
        raise ValueError("an exposure that recommends has items, and one that does not has none")
    if len({shown.item_id for shown in items}) < len(items) or len({shown.position for shown in items}) < len(items):
        raise ValueError("an exposure shows an item, or uses a place, twice")
    numbers = (exposure.p_recommend, *(shown.probability for shown in items))
    if not all(0.0 <= p <= 1.0 for p in numbers) or not all(numbers[1:]):
        raise ValueError("an exposure has a probability that is none, or an item that could not have been drawn")
    if exposure.logprob == -math.inf:
        raise ValueError("an exposure has a decision that could not have been drawn")
    if exposure.deterministic and exposure.logprob != 0.0:
        raise ValueError("an exposure that is deterministic has a probability below 1")
    if not all(math.isfinite(x) for x in (exposure.epsilon, exposure.temperature, exposure.top_p or 0.0)):
        raise ValueError("an exposure has a setting that is not finite")
    if exposure.expires_ms <= exposure.created_ms:
        raise ValueError("an exposure expires before it begins")
    return msgspec.convert(msgspec.to_builtins(exposure), Exposure)


def uuid7(now_ms: int, random: bytes | None = None) -> str:
    """A UUID of version 7 (RFC 9562): ids made later sort later. ``random``: ten bytes, the system's by default."""
    noise = int.from_bytes(random if random is not None else os.urandom(10), "big")
    head = (now_ms & (2**48 - 1)) << 16 | 0x7000 | (noise >> 68)
    digits = f"{head << 64 | 2 << 62 | noise & (2**62 - 1):032x}"
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def counted(events: Iterable[Event]) -> dict[str | None, dict[str, float]]:
    """By item (None: the reply as a whole), the largest value of each counter that was observed at all."""
    largest: dict[str | None, dict[str, float]] = {}
    for event in events:
        for name in COUNTERS:
            value = getattr(event, name)
            if value is not None:
                of_item = largest.setdefault(event.item_id, {})
                of_item[name] = max(value, of_item.get(name, value))
    return largest
