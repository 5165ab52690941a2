"""Your own logs: one dialogue a line (``schema/dialogue-v1.json``), one item a line (``schema/item-v1.json``).

``parse`` checks a line by hand, because a generic validator is an order of magnitude too slow for gigabytes; a test
holds it to the published schema. Beyond the schema it refuses what no schema can see: unknown items, clicks on items
that were not shown, repeated positions, half-logged propensities, and clocks that go back.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, NoReturn

from tacit.catalog import Catalog
from tacit.data.lines import find, keep, records, share, split
from tacit.run.files import says_when_full, sync_file
from tacit.types import Dialogue, Feedback, InputError, ItemId, Judgement, Slate, Split, TestSet, Turn

TEST_SHARE = 0.1  # of a single file without a test file beside it, by hash of the dialogue id
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
_JUDGEMENT_KEYS = ("suggested", "seen", "liked")


def load_training(path: Path, items: Path | None, limit: float = 1.0) -> tuple[Catalog, Split]:
    """From a folder, ``train.jsonl``; from a single file, all but the hash-chosen test tenth."""
    source, test = _places(path)
    catalog = read_items(path, items)
    everything = (dialogue for _, dialogue in read(source, catalog))
    dialogues = (dialogue for dialogue in everything if test is not None or not _held_out(dialogue))
    parts = split(keep(dialogues, limit, str(source)))
    return catalog.with_counts(parts.train), parts


def load_test(path: Path, items: Path | None, limit: float = 1.0) -> TestSet:
    source, test = _places(path)
    everything = (dialogue for _, dialogue in read(test or source, read_items(path, items)))
    dialogues = (dialogue for dialogue in everything if test is not None or _held_out(dialogue))
    return TestSet(keep(dialogues, limit, f"the test part of {test or source}"))


def read_items(path: Path, items: Path | None) -> Catalog:
    """The items file: as given, else ``items.jsonl`` beside the dialogues."""
    return Catalog.load(items or (path if path.is_dir() else path.parent) / "items.jsonl")


def read(path: Path, catalog: Catalog | None) -> Iterator[tuple[int, Dialogue]]:
    """(line number, dialogue) of each line; InputError naming file and line at the first bad one."""
    seen: dict[str, int] = {}
    for number, row in records(path):
        try:
            dialogue = parse(row, catalog)
        except ValueError as error:
            raise InputError(f"{path}:{number}: {error} (`tacit data check {path}` lists every bad line).") from None
        if dialogue.id in seen:
            raise InputError(f"{path}:{number}: id {dialogue.id!r} repeats line {seen[dialogue.id]}: remove one.")
        seen[dialogue.id] = number
        yield number, dialogue
    if not seen:
        raise InputError(f"{path} holds no dialogues: give a file with at least one, one JSON object a line.")


def write(path: Path, dialogues: Iterable[Dialogue]) -> int:
    """Stream dialogues into a file in this form; the file appears only when complete. Returns how many."""
    partial = path.with_name(path.name + ".partial")
    count = 0
    try:
        with says_when_full(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            with partial.open("w", encoding="utf-8", newline="\n") as file:
                for dialogue in dialogues:
                    file.write(json.dumps(to_json(dialogue), ensure_ascii=False) + "\n")
                    count += 1
            sync_file(partial)
            partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    return count


def to_json(dialogue: Dialogue) -> dict[str, Any]:
    """A dialogue in the ``dialogue-v1`` form; ``parse`` gives back an equal one."""
    row: dict[str, Any] = {"version": 1, "id": dialogue.id, "user": dialogue.user}
    row["turns"] = [_turn_to_json(turn) for turn in dialogue.turns]
    if dialogue.judgements:
        row["judgements"] = {
            id: {key: getattr(word, key) for key in _JUDGEMENT_KEYS if getattr(word, key) is not None}
            for id, word in dialogue.judgements.items()
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
    if turn.feedback is not None:
        seen = {key: getattr(turn.feedback, key) for key in sorted(_FEEDBACK_KEYS)}
        row["feedback"] = {
            key: list(value) if isinstance(value, tuple) else value for key, value in seen.items() if value is not None
        }
    return row


def parse(row: Any, catalog: Catalog | None) -> Dialogue:
    """A dialogue from the ``dialogue-v1`` form; ValueError with one plain sentence otherwise.

    Without a catalogue any item id is taken as known.
    """
    _object(row, _DIALOGUE_KEYS, "the dialogue")
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
    judgements = row.get("judgements", {})
    if not isinstance(judgements, dict):
        _bad("judgements", "must be an object by item id")
    words = {id: _judgement(word, f"judgements[{id!r}]") for id, word in judgements.items()}
    _known(words, "judgements", catalog)
    return Dialogue(row["id"], row["user"], turns, words)


def _turn(row: Any, where: str, catalog: Catalog | None) -> Turn:
    _object(row, _TURN_KEYS, where)
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
        for key in ("slate", "feedback"):
            if key in row:
                _bad(f"{where}.{key}", "belongs to agent turns only")
        return Turn("user", text, mentions, time_s=time_s)
    if "slate" in row:
        slate = _slate(row["slate"], f"{where}.slate", catalog)
    else:
        slate = Slate(tuple(dict.fromkeys(mentions))) if mentions else None
    feedback = _feedback(row["feedback"], f"{where}.feedback", slate) if "feedback" in row else None
    return Turn("agent", text, mentions, slate, feedback, time_s)


def _slate(cards: Any, where: str, catalog: Catalog | None) -> Slate | None:
    if not isinstance(cards, list):
        _bad(where, "must be a list of cards")
    for k, card in enumerate(cards):
        _object(card, {"item", "position", "propensity"}, f"{where}[{k}]")
        position = card.get("position")
        if not _is_number(position) or position != int(position) or position < 1:
            _bad(f"{where}[{k}].position", "must be an integer of at least 1")
        propensity = card.get("propensity", 1.0)
        if not _is_number(propensity) or not 0 < propensity <= 1:
            _bad(f"{where}[{k}].propensity", "must be above 0 and at most 1")
    cards = sorted(cards, key=lambda card: int(card["position"]))
    items = _ids([card.get("item") for card in cards], where, catalog)
    if len({card["position"] for card in cards}) < len(cards):
        _bad(where, "shows two items at one position")
    if len(set(items)) < len(items):
        _bad(where, "shows an item twice")
    given = [float(card["propensity"]) for card in cards if "propensity" in card]
    if given and len(given) < len(cards):
        _bad(where, "has propensities on some cards only: give all or none")
    return Slate(items, tuple(given) or None) if items else None


def _feedback(row: Any, where: str, slate: Slate | None) -> Feedback:
    _object(row, _FEEDBACK_KEYS, where)
    row = {key: value for key, value in row.items() if value is not None}
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
    return Feedback(**{**row, "clicked": clicked})


def _judgement(row: Any, where: str) -> Judgement:
    _object(row, set(_JUDGEMENT_KEYS), where)
    for key, value in row.items():
        if value is not None and not isinstance(value, bool):
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


def _object(row: Any, allowed: set[str], where: str) -> None:
    if not isinstance(row, dict):
        raise ValueError(f"{where} must be a JSON object")
    for key in row:
        if key not in allowed:
            raise ValueError(f"{where} has the unknown key {key!r}: allowed are {', '.join(sorted(allowed))}")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _bad(key: str, reason: str) -> NoReturn:
    raise ValueError(f"key {key} {reason}")


def _held_out(dialogue: Dialogue) -> bool:
    return share("test:" + dialogue.id) < TEST_SHARE


def _places(path: Path) -> tuple[Path, Path | None]:
    """(training or only file, test file or None) of a folder or a file."""
    if path.is_file():
        return path, None
    train = find(path, ("train.jsonl",))
    if train is None:
        raise InputError(f"{path} is no file and has no train.jsonl: set data.path to your dialogues file or folder.")
    return train, find(path, ("test.jsonl",))
