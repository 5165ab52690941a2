"""The ``dialogue-v1`` form as types, decoded straight into them: the fast way in for lines that are plainly good.

Whatever these types, or ``sound``, do not take is left to ``form.parse``, which has the last word and the sentence. So
here it is enough to be right about what is taken: a test holds every line that is taken to what ``form.parse`` makes
of it. They take less than the form allows: no null structs in users' turns, no numbers beyond a double's 53 bits, no
``1.0`` for a position, no thoughts of a model in an agent's text.
"""

from __future__ import annotations

from datetime import datetime
from itertools import pairwise
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct, field

from tacit.data.thoughts import has_thoughts
from tacit.data.times import EARLIEST, LATEST, SHORT
from tacit.types import Dialogue, Feedback, ItemId, Judgement, Slate, Turn

_EXACT = 2**53  # integers up to here are the same number as a double
Id = Annotated[str, Meta(min_length=1)]
Share = Annotated[int, Meta(ge=0, le=1)] | Annotated[float, Meta(ge=0.0, le=1.0)]
Signed = Annotated[int, Meta(ge=-1, le=1)] | Annotated[float, Meta(ge=-1.0, le=1.0)]
Seconds = Annotated[int, Meta(ge=0, le=_EXACT)] | Annotated[float, Meta(ge=0.0, le=float(_EXACT))]
Time = Annotated[int, Meta(ge=0, lt=LATEST)] | Annotated[float, Meta(ge=0.0, lt=float(LATEST))] | str


class Row(Struct, forbid_unknown_fields=True, gc=False):
    pass


class Card(Row):
    item: Id
    position: Annotated[int, Meta(ge=1)]
    propensity: Annotated[float, Meta(gt=0.0, le=1.0)] | None = None


class Seen(Row):
    """``Feedback``, with its fields in its order."""

    dwell_s: Seconds | None = None
    scroll_depth: Share | None = None
    clicked: list[Id] | None = None
    latency_s: Seconds | None = None
    sentiment_before: Signed | None = None
    sentiment_after: Signed | None = None
    accepted: bool | None = None
    left: bool | None = None
    device: str | None = None


class UserTurn(Row, tag_field="speaker", tag="user"):
    text: str
    time_s: Time | None = field(name="timestamp", default=None)
    mentions: list[Id] | None = None
    slate: None = None
    feedback: None = None
    meta: dict[str, Any] | None = None


class AgentTurn(Row, tag_field="speaker", tag="agent"):
    text: str
    time_s: Time | None = field(name="timestamp", default=None)
    mentions: list[Id] | None = None
    slate: list[Card] | None = None
    feedback: Seen | None = None
    meta: dict[str, Any] | None = None


class Word(Row):
    suggested: bool | None = None
    seen: bool | None = None
    liked: bool | None = None


class DialogueRow(Row):
    id: Id
    user: Id
    turns: Annotated[list[UserTurn | AgentTurn], Meta(min_length=1)]
    version: Literal[1] | None = None
    judgements: dict[str, Word | None] | None = None
    meta: dict[str, Any] | None = None


_DECODER = msgspec.json.Decoder(DialogueRow)
# What decoding raises on bytes that do not fit. Among them may be lines that the form takes.
_UNFIT = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


def decode(line: bytes) -> DialogueRow | None:
    """The row of one line; None where it does not fit these types."""
    try:
        return _DECODER.decode(line)
    except _UNFIT:
        return None


def decode_block(block: bytes, lines: int) -> list[DialogueRow] | None:
    """The rows of a block of ``lines`` whole lines, one each; None where any does not fit.

    Between a closing brace and an opening one no newline can stand inside of a value. So where all lines begin and end
    with braces they hold whole values, and as many rows as lines say that each holds one.
    """
    if not _hold_values(block.removesuffix(b"\n"), lines):
        return None
    try:
        rows = _DECODER.decode_lines(block)
    except _UNFIT:
        return None
    return rows if len(rows) == lines else None


def _hold_values(body: bytes, lines: int) -> bool:
    """Whether each line begins and ends with a brace."""
    if body.count(b"}\n{") == lines - 1 and body.startswith(b"{") and body.endswith(b"}"):
        return True
    return {(line[:1], line.rstrip(b"\r")[-1:]) for line in body.split(b"\n")} == {(b"{", b"}")}


def sound(row: DialogueRow, known: frozenset[ItemId] | None) -> bool:
    """Whether the row is good beyond its types: known items, slates, clicks, clocks, a user, and no thoughts."""
    spoken, times = False, []
    ids = list(row.judgements) if row.judgements else []
    for turn in row.turns:
        if turn.time_s is not None:
            times.append(turn.time_s)
        if turn.mentions:
            ids += turn.mentions
        if isinstance(turn, UserTurn):
            spoken = True
            continue
        if has_thoughts(turn.text):
            return False
        shown = turn.mentions or []
        if turn.slate is not None:
            shown = [card.item for card in turn.slate]
            ids += shown
            if not _is_slate(turn.slate):
                return False
        if turn.feedback is not None and turn.feedback.clicked and not set(shown).issuperset(turn.feedback.clicked):
            return False
    return spoken and (known is None or known.issuperset(ids)) and (not times or in_order(times))


def _is_slate(cards: list[Card]) -> bool:
    """Every item and every position once, propensities on all cards or on none."""
    n = len(cards)
    with_propensity = sum(card.propensity is not None for card in cards)
    distinct = len({card.item for card in cards}) == n == len({card.position for card in cards})
    return distinct and with_propensity in (0, n)


def in_order(times: list[Any]) -> bool:
    """Written in one way, and never going back."""
    if any(type(time) is str for time in times):
        found = [moment(time) for time in times if type(time) is str]
        if len(found) < len(times) or None in found:
            return False
        times = found
    elif times[0] < SHORT:
        if max(times) >= SHORT:
            return False
    elif min(times) < EARLIEST:
        return False
    return all(before <= after for before, after in pairwise(times))


def moment(text: str) -> float | None:
    """Unix seconds of a date and time with a zone; None where it is none."""
    try:
        found = datetime.fromisoformat(text.replace("Z", "+00:00").replace("z", "+00:00"))
        return found.timestamp() if found.tzinfo is not None and len(text) > 10 else None
    except ValueError:
        return None


def read(line: bytes, known: frozenset[ItemId] | None) -> Dialogue | None:
    """What ``form.parse`` makes of a line that is plainly good; None of any other."""
    row = decode(line)
    return to_dialogue(row) if row is not None and sound(row, known) else None


def to_dialogue(row: DialogueRow) -> Dialogue:
    """What ``form.parse`` makes of a sound row."""
    judgements = {}
    for item, word in (row.judgements or {}).items():
        if word is not None and not (word.suggested is word.seen is word.liked is None):
            judgements[item] = Judgement(word.suggested, word.seen, word.liked)
    return Dialogue(row.id, row.user, tuple([_turn(turn) for turn in row.turns]), judgements)


def _turn(row: UserTurn | AgentTurn) -> Turn:
    mentions = tuple(row.mentions) if row.mentions else ()
    # As ``times.to_seconds``: numbers of seconds become doubles.
    time_s = row.time_s
    if time_s is not None:
        time_s = moment(time_s) if isinstance(time_s, str) else time_s / 1
    if isinstance(row, UserTurn):
        return Turn("user", row.text, mentions, None, None, time_s)
    slate = _slate(row.slate) if row.slate is not None else None
    if row.slate is None and mentions:
        slate = Slate(tuple(dict.fromkeys(mentions)))
    return Turn("agent", row.text, mentions, slate, _feedback(row.feedback) if row.feedback else None, time_s)


def _slate(cards: list[Card]) -> Slate | None:
    if not cards:
        return None
    cards = sorted(cards, key=lambda card: card.position)
    items = tuple([card.item for card in cards])
    if cards[0].propensity is None:
        return Slate(items)
    return Slate(items, tuple([card.propensity for card in cards if card.propensity is not None]))


def _feedback(row: Seen) -> Feedback | None:
    """None where no field was observed."""
    values = [getattr(row, name) for name in row.__struct_fields__]
    if values.count(None) == len(values):
        return None
    values[2] = None if row.clicked is None else tuple(row.clicked)
    return Feedback(*values)
