"""The ``dialogue-v1`` form (``schema/dialogue-v1.json``): one dialogue to and from a line of JSON.

``parse`` checks a line by hand, because a generic validator is an order of magnitude too slow for gigabytes; a test
holds it to the published schema. Beyond the schema it refuses what no schema can see: unknown items, clicks on items
that were not shown, repeated positions, half-logged propensities, and clocks that go back. A null is an absent key,
since writers of columns (Arrow, Spark, pandas, pydantic) write every key of a struct.
"""

from __future__ import annotations

import math
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Set
from datetime import datetime
from typing import Any, NoReturn

from tacit.catalog import Catalog
from tacit.data.thoughts import has_thoughts, without_thoughts
from tacit.data.times import Clock
from tacit.types import Dialogue, Feedback, ItemId, Judgement, Slate, Turn

_LARGEST = sys.float_info.max
_UNSAID, _UNSEEN = Judgement(), Feedback()
_CHAT_KEYS = ("messages", "conversation", "conversations", "mapping")  # where other forms keep what was said
_DIALOGUE_KEYS = {"version", "id", "user", "turns", "judgements", "meta"}
_TURN_KEYS = {"speaker", "text", "timestamp", "mentions", "slate", "feedback", "meta"}
_RANGES = {
    "dwell_s": (0.0, math.inf),
    "latency_s": (0.0, math.inf),
    "scroll_depth": (0.0, 1.0),
    "sentiment_before": (-1.0, 1.0),
    "sentiment_after": (-1.0, 1.0),
}
_FEEDBACK_KEYS = {*_RANGES, "clicked", "accepted", "left", "device"}
_CARD_KEYS = {"item", "position", "propensity"}
_JUDGEMENT_KEYS = dict.fromkeys(("suggested", "seen", "liked")).keys()
# Where in a line a value stands: (the place it is in, its key); written out only when the value is bad, since that
# takes longer than the checking.
Place = tuple[Any, ...]


def _at(where: Place | str) -> str:
    """("turns", 1) is turns[1], and (("turns", 1), "text") is turns[1].text."""
    if isinstance(where, str):
        return where
    head, step = where
    return f"{_at(head)}.{step}" if isinstance(head, tuple) and isinstance(step, str) else f"{_at(head)}[{step!r}]"


def to_json(dialogue: Dialogue) -> dict[str, Any]:
    """A dialogue in the ``dialogue-v1`` form; ``parse`` gives back an equal one."""
    row: dict[str, Any] = {"version": 1, "id": dialogue.id, "user": dialogue.user}
    row["turns"] = [_turn_to_json(turn) for turn in dialogue.turns]
    if any(word != _UNSAID for word in dialogue.judgements.values()):
        row["judgements"] = {
            id: {key: getattr(word, key) for key in _JUDGEMENT_KEYS if getattr(word, key) is not None}
            for id, word in dialogue.judgements.items()
            if word != _UNSAID
        }
    return row


def _turn_to_json(turn: Turn) -> dict[str, Any]:
    row: dict[str, Any] = {"speaker": turn.speaker, "text": turn.text}
    if turn.time_s is not None:
        row["timestamp"] = turn.time_s
    if turn.mentions:
        row["mentions"] = list(turn.mentions)
    if turn.slate is not None:
        row["slate"] = [{"item": item, "position": k} for k, item in enumerate(turn.slate.items, start=1)]
        for card, propensity in zip(row["slate"], turn.slate.propensities or (), strict=False):
            card["propensity"] = propensity
    elif turn.speaker == "agent" and turn.mentions:
        row["slate"] = []  # named, not recommended
    if turn.feedback is not None and turn.feedback != _UNSEEN:
        seen = {key: getattr(turn.feedback, key) for key in sorted(_FEEDBACK_KEYS)}
        row["feedback"] = {
            key: list(value) if isinstance(value, tuple) else value for key, value in seen.items() if value is not None
        }
    return row


def parse(row: Any, catalog: Catalog | None) -> Dialogue:
    """A dialogue from the ``dialogue-v1`` form; ValueError with one plain sentence otherwise.

    Without a catalogue any item id is taken as known.
    """
    _refuse_chat(row)
    row = _object(row, _DIALOGUE_KEYS, "the dialogue")
    if row.get("version", 1) != 1 or isinstance(row.get("version"), bool):
        _bad("version", "must be 1, the only version of this form")
    for key in ("id", "user"):
        if not isinstance(row.get(key), str) or not row[key]:
            own = ": give each dialogue a user of its own where nobody knows who speaks" if key == "user" else ""
            _bad(key, f"must be a non-empty string{own}")
    if not isinstance(row.get("turns"), list) or not row["turns"]:
        _bad("turns", "must be a non-empty list")
    if not isinstance(row.get("meta", {}), dict):
        _bad("meta", "must be an object")
    clock = Clock(days=False)  # turns lie seconds apart
    turns = tuple([_turn(turn, ("turns", t), catalog, clock) for t, turn in enumerate(row["turns"])])
    if not any(turn.speaker == "user" for turn in turns):
        raise ValueError("the dialogue has no user turn: add one or remove the line")
    _check_clock(row["turns"], turns)
    judgements = row.get("judgements")
    return Dialogue(row["id"], row["user"], turns, {} if judgements is None else _judgements(judgements, catalog))


def without_unknown(row: Any, catalog: Catalog, unknown: Counter[ItemId]) -> Any:
    """The row without the items that ``catalog`` lacks, wherever they are named, shown, clicked or judged; they are
    counted in ``unknown``, once a place. Whatever is not of the form is left for ``parse`` to refuse."""
    if not isinstance(row, dict):
        return row
    row, turns, words = dict(row), row.get("turns"), row.get("judgements")
    if isinstance(turns, list):
        row["turns"] = [_of_known(turn, catalog, unknown) if isinstance(turn, dict) else turn for turn in turns]
    if isinstance(words, dict):
        unknown.update(id for id in words if id not in catalog)
        row["judgements"] = {id: word for id, word in words.items() if id in catalog}
    return row


def _of_known(turn: dict[str, Any], catalog: Catalog, unknown: Counter[ItemId]) -> dict[str, Any]:
    turn, gone = dict(turn), set[ItemId]()

    def known(id: Any) -> bool:
        if not isinstance(id, str) or not id or id in catalog:
            return True
        gone.add(id)
        return False

    if isinstance(turn.get("mentions"), list):
        turn["mentions"] = [id for id in turn["mentions"] if known(id)]
    if isinstance(turn.get("slate"), list):
        turn["slate"] = [card for card in turn["slate"] if not isinstance(card, dict) or known(card.get("item"))]
    seen = turn.get("feedback")
    if isinstance(seen, dict) and isinstance(seen.get("clicked"), list):  # a click on what was not shown stays wrong
        turn["feedback"] = {**seen, "clicked": [id for id in seen["clicked"] if id not in gone]}
    unknown.update(gone)
    return turn


def _refuse_chat(row: Any) -> None:
    """Another tool's chat is named as one, with the command that reads it."""
    other = next((key for key in _CHAT_KEYS if isinstance(row, dict) and "turns" not in row and key in row), None)
    if other is not None:
        raise ValueError(
            f"the line is a chat of another form (key {other!r}): turn the file into this one with "
            "`tacit data convert chats FILE OUT --items ITEMS`"
        )


def _turn(row: Any, where: Place | str, catalog: Catalog | None, clock: Clock) -> Turn:
    row = _object(row, _TURN_KEYS, where)
    speaker, text = row.get("speaker"), row.get("text")
    if speaker not in ("user", "agent"):
        _bad((where, "speaker"), "must be 'user' or 'agent'")
    if not isinstance(text, str):
        _bad((where, "text"), "must be a string")
    if "meta" in row and not isinstance(row["meta"], dict):
        _bad((where, "meta"), "must be an object")
    mentions = _ids(row["mentions"], (where, "mentions"), catalog) if "mentions" in row else ()
    time_s = _seconds(row["timestamp"], (where, "timestamp"), clock) if "timestamp" in row else None
    if speaker == "user":
        if "slate" in row or ("feedback" in row and not _holds_only_nulls(row["feedback"])):
            _bad((where, "slate" if "slate" in row else "feedback"), "belongs to agent turns only")
        return Turn("user", text, mentions, time_s=time_s)
    if has_thoughts(text):
        text, mentions = _as_shown(text, mentions, catalog)
    if "slate" in row:
        slate = _slate(row["slate"], (where, "slate"), catalog)
    else:
        slate = Slate(tuple(dict.fromkeys(mentions))) if mentions else None
    feedback = _feedback(row["feedback"], (where, "feedback"), slate) if "feedback" in row else None
    return Turn("agent", text, mentions, slate, feedback, time_s)


def _as_shown(text: str, mentions: tuple[ItemId, ...], catalog: Catalog | None) -> tuple[str, tuple[ItemId, ...]]:
    """A model's text without its thoughts, and the mentions without those whose title stands in the thoughts alone."""
    shown = without_thoughts(text)
    if catalog is None:
        return shown, mentions
    in_all, in_shown = ({item for _, _, item in catalog.link(part)} for part in (text, shown))
    return shown, tuple(item for item in mentions if item in in_shown or item not in in_all)


def _slate(cards: Any, where: Place | str, catalog: Catalog | None) -> Slate | None:
    if not isinstance(cards, list):
        _bad(where, "must be a list of cards")
    cards = [_card(card, (where, k)) for k, card in enumerate(cards)]
    positions = [card["position"] for card in cards]
    if sorted(positions) != positions:
        cards.sort(key=lambda card: int(card["position"]))
    items = _ids([card.get("item") for card in cards], where, catalog)
    if len(set(positions)) < len(cards):
        _bad(where, "shows two items at one position")
    if len(set(items)) < len(items):
        _bad(where, "shows an item twice")
    given = [float(card["propensity"]) for card in cards if "propensity" in card]
    if given and len(given) < len(cards):
        _bad(where, "has propensities on some cards only: give all or none")
    return Slate(items, tuple(given) or None) if items else None


def _card(row: Any, where: Place | str) -> dict[str, Any]:
    card: dict[str, Any] = _object(row, _CARD_KEYS, where)
    position: Any = card.get("position")
    if not _is_number(position) or position < 1 or (type(position) is float and position != int(position)):
        _bad((where, "position"), "must be an integer of at least 1")
    if "propensity" in card and (not _is_number(card["propensity"]) or not 0 < card["propensity"] <= 1):
        _bad((where, "propensity"), "must be above 0 and at most 1")
    return card


def _feedback(row: Any, where: Place | str, slate: Slate | None) -> Feedback | None:
    """None where no field was observed: columnar writers make such structs of absent ones."""
    row = _object(row, _FEEDBACK_KEYS, where)
    for key, (low, high) in _RANGES.items():
        if key in row and (not _is_number(row[key]) or not low <= row[key] <= high):
            limits = "at least 0" if high == math.inf else f"from {low:g} to {high:g}"
            _bad((where, key), f"must be a number, {limits}")
    for key in ("accepted", "left"):
        if not isinstance(row.get(key, False), bool):
            _bad((where, key), "must be true or false")
    if not isinstance(row.get("device", ""), str):
        _bad((where, "device"), "must be a string")
    clicked = _ids(row["clicked"], (where, "clicked"), None) if "clicked" in row else None
    for id in clicked or ():
        if slate is None or id not in slate.items:
            _bad((where, "clicked"), f"names item {id!r}, which the turn did not show")
    return Feedback(**{**row, "clicked": clicked}) if row else None


def _judgements(rows: Any, catalog: Catalog | None) -> dict[ItemId, Judgement]:
    if not isinstance(rows, dict):
        _bad("judgements", "must be an object by item id")
    words = {id: _judgement(row, ("judgements", id)) for id, row in rows.items() if row is not None}
    _known(words, "judgements", catalog)
    return {id: word for id, word in words.items() if word != _UNSAID}


def _judgement(row: Any, where: Place | str) -> Judgement:
    row = _object(row, _JUDGEMENT_KEYS, where)
    for key, value in row.items():
        if not isinstance(value, bool):
            _bad((where, key), "must be true or false")
    return Judgement(**row)


def _ids(values: Any, where: Place | str, catalog: Catalog | None) -> tuple[ItemId, ...]:
    if not isinstance(values, list) or not all(isinstance(value, str) and value for value in values):
        _bad(where, "must hold item ids (non-empty strings)")
    _known(values, where, catalog)
    return tuple(values)


def _known(ids: Iterable[ItemId], where: Place | str, catalog: Catalog | None) -> None:
    for id in ids:
        if catalog is not None and id not in catalog:
            raise ValueError(f"{_at(where)} names item {id!r}, which is not in the catalogue: add it to the items file")


def _seconds(value: Any, where: Place | str, clock: Clock) -> float | None:
    if value is None:
        return None
    if _is_number(value):
        try:
            return clock.seconds(value)
        except ValueError as error:
            _bad(where, str(error))
    if isinstance(value, str):
        try:
            moment = datetime.fromisoformat(value.replace("Z", "+00:00").replace("z", "+00:00"))
        except ValueError:
            moment = None
        if moment is not None and moment.tzinfo is not None and len(value) > 10:
            return moment.timestamp()
    _bad(where, "must be seconds (at least 0) or a date and time like 2025-01-31T12:00:00Z")


def _check_clock(rows: list[Mapping[str, Any]], turns: tuple[Turn, ...]) -> None:
    kinds = {isinstance(row["timestamp"], str) for row in rows if row.get("timestamp") is not None}
    if len(kinds) > 1:
        raise ValueError("the turns mix timestamps in seconds and in text: use one kind")
    last = -math.inf
    for t, turn in enumerate(turns):
        if turn.time_s is not None and turn.time_s < last:
            _bad(f"turns[{t}].timestamp", "goes back in time")
        last = last if turn.time_s is None else turn.time_s


def _object(row: Any, allowed: Set[str], where: Place | str) -> dict[str, Any]:
    """The row without its nulls."""
    if not isinstance(row, dict):
        raise ValueError(f"{_at(where)} must be a JSON object")
    if not row.keys() <= allowed:
        key = next(key for key in row if key not in allowed)
        own = "; what is yours goes into meta" if "meta" in allowed else ""
        raise ValueError(f"{_at(where)} has the unknown key {key!r}: allowed are {', '.join(sorted(allowed))}{own}")
    return {key: value for key, value in row.items() if value is not None} if None in row.values() else row


def _holds_only_nulls(row: Any) -> bool:
    """Null, or what a writer of columns makes of an absent struct; not an object that somebody wrote by hand."""
    if not isinstance(row, dict):
        return row is None
    return len(row) > 0 and row.keys() <= _FEEDBACK_KEYS and all(value is None for value in row.values())


def _is_number(value: Any) -> bool:
    """Finite, no larger than a double holds (integers of JSON have any number of digits), and no truth value."""
    return type(value) in (float, int) and -_LARGEST <= value <= _LARGEST


def _bad(where: Place | str, reason: str) -> NoReturn:
    raise ValueError(f"key {_at(where)} {reason}")
