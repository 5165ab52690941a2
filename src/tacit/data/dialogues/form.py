"""The ``dialogue-v1`` form (``schema/dialogue-v1.json``): one dialogue to and from a line of JSON.

``parse`` checks a line by hand, because a generic validator is an order of magnitude too slow for gigabytes; a test
holds it to the published schema. Beyond the schema it refuses what no schema can see: unknown items, clicks on items
that were not shown, repeated positions, half-logged propensities, and clocks that go back. A null is an absent key,
since writers of columns (Arrow, Spark, pandas, pydantic) write every key of a struct.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, NoReturn

from tacit.catalog import Catalog
from tacit.data.thoughts import has_thoughts, without_thoughts
from tacit.types import Dialogue, Feedback, ItemId, Judgement, Slate, Turn

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
_JUDGEMENT_KEYS = ("suggested", "seen", "liked")


def to_json(dialogue: Dialogue) -> dict[str, Any]:
    """A dialogue in the ``dialogue-v1`` form; ``parse`` gives back an equal one."""
    row: dict[str, Any] = {"version": 1, "id": dialogue.id, "user": dialogue.user}
    row["turns"] = [_turn_to_json(turn) for turn in dialogue.turns]
    if any(word != Judgement() for word in dialogue.judgements.values()):
        row["judgements"] = {
            id: {key: getattr(word, key) for key in _JUDGEMENT_KEYS if getattr(word, key) is not None}
            for id, word in dialogue.judgements.items()
            if word != Judgement()
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
    if turn.feedback is not None and turn.feedback != Feedback():
        seen = {key: getattr(turn.feedback, key) for key in sorted(_FEEDBACK_KEYS)}
        row["feedback"] = {
            key: list(value) if isinstance(value, tuple) else value for key, value in seen.items() if value is not None
        }
    return row


def parse(row: Any, catalog: Catalog | None) -> Dialogue:
    """A dialogue from the ``dialogue-v1`` form; ValueError with one plain sentence otherwise.

    Without a catalogue any item id is taken as known.
    """
    row = _object(row, _DIALOGUE_KEYS, "the dialogue")
    if row.get("version", 1) != 1 or isinstance(row.get("version"), bool):
        _bad("version", "must be 1, the only version of this form")
    for key in ("id", "user"):
        if not isinstance(row.get(key), str) or not row[key]:
            _bad(key, "must be a non-empty string")
    if not isinstance(row.get("turns"), list) or not row["turns"]:
        _bad("turns", "must be a non-empty list")
    if not isinstance(row.get("meta", {}), dict):
        _bad("meta", "must be an object")
    turns = tuple(_turn(turn, f"turns[{t}]", catalog) for t, turn in enumerate(row["turns"]))
    if not any(turn.speaker == "user" for turn in turns):
        raise ValueError("the dialogue has no user turn: add one or remove the line")
    _check_clock(row["turns"], turns)
    return Dialogue(row["id"], row["user"], turns, _judgements(row.get("judgements", {}), catalog))


def _turn(row: Any, where: str, catalog: Catalog | None) -> Turn:
    row = _object(row, _TURN_KEYS, where)
    speaker, text = row.get("speaker"), row.get("text")
    if speaker not in ("user", "agent"):
        _bad(f"{where}.speaker", "must be 'user' or 'agent'")
    if not isinstance(text, str):
        _bad(f"{where}.text", "must be a string")
    if not isinstance(row.get("meta", {}), dict):
        _bad(f"{where}.meta", "must be an object")
    mentions = _ids(row.get("mentions", []), f"{where}.mentions", catalog)
    time_s = _seconds(row.get("timestamp"), f"{where}.timestamp")
    if speaker == "user":
        if "slate" in row or not _holds_only_nulls(row.get("feedback")):
            _bad(f"{where}.{'slate' if 'slate' in row else 'feedback'}", "belongs to agent turns only")
        return Turn("user", text, mentions, time_s=time_s)
    if has_thoughts(text):
        text, mentions = _as_shown(text, mentions, catalog)
    if "slate" in row:
        slate = _slate(row["slate"], f"{where}.slate", catalog)
    else:
        slate = Slate(tuple(dict.fromkeys(mentions))) if mentions else None
    feedback = _feedback(row["feedback"], f"{where}.feedback", slate) if "feedback" in row else None
    return Turn("agent", text, mentions, slate, feedback, time_s)


def _as_shown(text: str, mentions: tuple[ItemId, ...], catalog: Catalog | None) -> tuple[str, tuple[ItemId, ...]]:
    """A model's text without its thoughts, and the mentions without those whose title stands in the thoughts alone."""
    shown = without_thoughts(text)
    if catalog is None:
        return shown, mentions
    in_all, in_shown = ({item for _, _, item in catalog.link(part)} for part in (text, shown))
    return shown, tuple(item for item in mentions if item in in_shown or item not in in_all)


def _slate(cards: Any, where: str, catalog: Catalog | None) -> Slate | None:
    if not isinstance(cards, list):
        _bad(where, "must be a list of cards")
    cards = [_object(card, _CARD_KEYS, f"{where}[{k}]") for k, card in enumerate(cards)]
    for k, card in enumerate(cards):
        position = card.get("position")
        if not _is_number(position) or position != int(position) or position < 1:
            _bad(f"{where}[{k}].position", "must be an integer of at least 1")
        propensity = card.get("propensity", 1.0)
        if not _is_number(propensity) or not 0 < propensity <= 1:
            _bad(f"{where}[{k}].propensity", "must be above 0 and at most 1")
    cards.sort(key=lambda card: int(card["position"]))
    items = _ids([card.get("item") for card in cards], where, catalog)
    if len({card["position"] for card in cards}) < len(cards):
        _bad(where, "shows two items at one position")
    if len(set(items)) < len(items):
        _bad(where, "shows an item twice")
    given = [float(card["propensity"]) for card in cards if "propensity" in card]
    if given and len(given) < len(cards):
        _bad(where, "has propensities on some cards only: give all or none")
    return Slate(items, tuple(given) or None) if items else None


def _feedback(row: Any, where: str, slate: Slate | None) -> Feedback | None:
    """None where no field was observed: columnar writers make such structs of absent ones."""
    row = _object(row, _FEEDBACK_KEYS, where)
    for key, (low, high) in _RANGES.items():
        if key in row and (not _is_number(row[key]) or not low <= row[key] <= high):
            limits = "at least 0" if high == math.inf else f"from {low:g} to {high:g}"
            _bad(f"{where}.{key}", f"must be a number, {limits}")
    for key in ("accepted", "left"):
        if not isinstance(row.get(key, False), bool):
            _bad(f"{where}.{key}", "must be true or false")
    if not isinstance(row.get("device", ""), str):
        _bad(f"{where}.device", "must be a string")
    clicked = _ids(row["clicked"], f"{where}.clicked", None) if "clicked" in row else None
    for id in clicked or ():
        if slate is None or id not in slate.items:
            _bad(f"{where}.clicked", f"names item {id!r}, which the turn did not show")
    return Feedback(**{**row, "clicked": clicked}) if row else None


def _judgements(rows: Any, catalog: Catalog | None) -> dict[ItemId, Judgement]:
    if not isinstance(rows, dict):
        _bad("judgements", "must be an object by item id")
    words = {id: _judgement(row, f"judgements[{id!r}]") for id, row in rows.items() if row is not None}
    _known(words, "judgements", catalog)
    return {id: word for id, word in words.items() if word != Judgement()}


def _judgement(row: Any, where: str) -> Judgement:
    row = _object(row, set(_JUDGEMENT_KEYS), where)
    for key, value in row.items():
        if not isinstance(value, bool):
            _bad(f"{where}.{key}", "must be true or false")
    return Judgement(**row)


def _ids(values: Any, where: str, catalog: Catalog | None) -> tuple[ItemId, ...]:
    if not isinstance(values, list) or not all(isinstance(value, str) and value for value in values):
        _bad(where, "must hold item ids (non-empty strings)")
    _known(values, where, catalog)
    return tuple(values)


def _known(ids: Iterable[ItemId], where: str, catalog: Catalog | None) -> None:
    for id in ids:
        if catalog is not None and id not in catalog:
            raise ValueError(f"{where} names item {id!r}, which is not in the catalogue: add it to the items file")


def _seconds(value: Any, where: str) -> float | None:
    if value is None:
        return None
    if _is_number(value) and value >= 0:
        return float(value)
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


def _object(row: Any, allowed: set[str], where: str) -> dict[str, Any]:
    """The row without its nulls."""
    if not isinstance(row, dict):
        raise ValueError(f"{where} must be a JSON object")
    if not row.keys() <= allowed:
        key = next(key for key in row if key not in allowed)
        raise ValueError(f"{where} has the unknown key {key!r}: allowed are {', '.join(sorted(allowed))}")
    return {key: value for key, value in row.items() if value is not None} if None in row.values() else row


def _holds_only_nulls(row: Any) -> bool:
    """Null, or what a writer of columns makes of an absent struct; not an object that somebody wrote by hand."""
    if not isinstance(row, dict):
        return row is None
    return len(row) > 0 and row.keys() <= _FEEDBACK_KEYS and all(value is None for value in row.values())


def _is_number(value: Any) -> bool:
    """Finite, and no larger than a double holds: integers of JSON have any number of digits."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max


def _bad(key: str, reason: str) -> NoReturn:
    raise ValueError(f"key {key} {reason}")
