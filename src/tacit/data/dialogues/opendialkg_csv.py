"""OpenDialKG's official ``opendialkg.csv`` (https://github.com/facebookresearch/opendialkg).

Columns ``Messages, User Rating, Assistant Rating``; ``Messages`` is a JSON list of chats and actions. An action
``kgwalk/choose_path`` carries ``metadata.path = [score, [[subject, relation, object], ...], rendering]`` and comes
just before the chat it belongs to; ``~`` marks an inverse relation. Items are not flagged in the release: an entity
is an item when a relation that only works have (directed by, starring, ...) says so, and a chat mentions the item at
the end of its path. The release has no split: 15 % of the dialogues, by hash of the id, are the test set.
"""

from __future__ import annotations

import csv
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tacit.catalog import Catalog
from tacit.data.dialogues.publishers import say_silent
from tacit.data.items import make_item
from tacit.data.lines import keep, lines, open_binary, share, split
from tacit.run.lines import parse_json
from tacit.types import Dialogue, InputError, Slate, Speaker, Split, TestSet, Turn

NAME = "opendialkg.csv"
TRIPLES = "opendialkg_triples.txt"
TEST_SHARE = 0.15
# Relations whose subject is a film or a book, and the fact each states.
_WORK_RELATIONS = {
    "directed_by": "director",
    "starred_actors": "star",
    "written_by": "writer",
    "has_genre": "genre",
    "release_year": "year",
}
Triple = tuple[str, str, str]


def load_training(path: Path, limit: float = 1.0, dropped: Counter[str] | None = None) -> tuple[Catalog, Split]:
    catalog, dialogues = read(path, dropped)
    training = [dialogue for dialogue in dialogues if share("test:" + dialogue.id) >= TEST_SHARE]
    parts = split(keep(training, limit, str(path)))
    return catalog.with_counts(parts.train), parts


def load_test(path: Path, limit: float = 1.0, dropped: Counter[str] | None = None) -> TestSet:
    _, dialogues = read(path, Counter() if dropped is not None else None)  # counted with the training part
    held = [dialogue for dialogue in dialogues if share("test:" + dialogue.id) < TEST_SHARE]
    return TestSet(keep(held, limit, str(path)))


def read(path: Path, dropped: Counter[str] | None = None) -> tuple[Catalog, list[Dialogue]]:
    """The catalogue of every item that a chosen path names, and every dialogue; a dialogue's id is its row number.

    Rows without a chat of the user, or too short to have messages, are left out and counted.
    """
    rows = list(_messages(path))
    walked = [triple for number, messages in rows for triple in _row_triples(path, number, messages)]
    facts = _facts(walked, path.parent / TRIPLES)
    if not facts:
        raise InputError(f"{path} names no films or books in its paths: fetch the file again.")
    catalog = Catalog([make_item(name, name, entry) for name, entry in facts.items()])
    dialogues = []
    silent = []
    for number, messages in rows:
        turns = _turns(number, messages, catalog, path)
        if any(turn.speaker == "user" for turn in turns):
            dialogues.append(Dialogue(str(number), f"user-{number}", turns))
        else:
            silent.append(number)
    say_silent(path, "row", silent, dropped)
    return catalog, dialogues


def _turns(number: int, messages: Sequence[dict[str, Any]], catalog: Catalog, path: Path) -> tuple[Turn, ...]:
    turns: list[Turn] = []
    ends: dict[str, list[str]] = defaultdict(list)
    for message in messages:
        sender = str(message.get("sender"))
        if message.get("type") != "chat":
            walk = _triples([message])
            ends[sender] += [walk[-1][2]] if walk else []
            continue
        text = message.get("message")
        if sender not in ("user", "assistant") or not isinstance(text, str | None):
            raise InputError(f"{path}: row {number} has a chat of nobody, or without text: fetch the file again.")
        items = tuple(dict.fromkeys(end for end in ends.pop(sender, []) if end in catalog))
        speaker: Speaker = "user" if sender == "user" else "agent"
        slate = Slate(items) if items and speaker == "agent" else None
        turns.append(Turn(speaker, (text or "").strip(), items, slate))
    return tuple(turns)


def _messages(path: Path) -> Iterator[tuple[int, list[dict[str, Any]]]]:
    """(row number from 1, parsed Messages) of each row; none for a row that is too short."""
    csv.field_size_limit(min(sys.maxsize, 2**31 - 1))
    with open_binary(path) as file:
        table = csv.reader(_decoded(file, path))
        try:
            header = next(table, [])
            if "Messages" not in header:
                raise InputError(f"{path} lacks the column Messages: fetch the official opendialkg.csv.")
            column = header.index("Messages")
            for number, row in enumerate(table, start=1):
                yield number, _parsed(row[column], number, path) if len(row) >= len(header) else []
        except (csv.Error, OSError) as error:
            raise InputError(f"{path} is not a CSV table ({error}): fetch the file again.") from None


def _parsed(cell: str, number: int, path: Path) -> list[dict[str, Any]]:
    try:
        messages = parse_json(cell.encode())
        if not isinstance(messages, list) or not all(isinstance(message, dict) for message in messages):
            raise ValueError("Messages is not a list of objects")
    except ValueError as error:
        raise InputError(f"{path}: row {number} is not a dialogue ({error}): fetch the file again.") from None
    return messages


def _row_triples(path: Path, number: int, messages: Sequence[dict[str, Any]]) -> list[Triple]:
    try:
        return _triples(messages)
    except ValueError as error:
        raise InputError(f"{path}: row {number} has {error}: fetch the file again.") from None


def _decoded(file: Any, path: Path) -> Iterator[str]:
    for number, raw in enumerate(file, start=1):
        try:
            yield raw.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError:
            raise InputError(f"{path}:{number}: not UTF-8: re-encode the file as UTF-8.") from None


def _triples(messages: Sequence[dict[str, Any]]) -> list[Triple]:
    """Every [subject, relation, object] of the messages' paths, in order; steps of another length say nothing."""
    triples: list[Triple] = []
    for message in messages:
        metadata = message.get("metadata") or {}
        if not isinstance(metadata, dict):
            raise ValueError("metadata that is no object")
        path = metadata.get("path") or []
        if not isinstance(path, list):
            raise ValueError("a path that is no list")
        walk = path[1] if len(path) > 1 and isinstance(path[1], list) else []
        for step in walk:
            if not isinstance(step, list) or not all(isinstance(part, str | int | float) for part in step):
                raise ValueError("a step of a path that is no list of names")
            if len(step) == 3 and all(str(part).strip() for part in step):
                triples.append((str(step[0]), str(step[1]), str(step[2])))
    return triples


def _facts(walked: Sequence[Triple], triples: Path) -> dict[str, dict[str, Any]]:
    """Facts of every item that was walked over, from the walks and, when at hand, from the whole graph."""
    facts: dict[str, dict[str, Any]] = {}
    for subject, relation, entity in map(_forward, walked):
        if relation in _WORK_RELATIONS:
            _add(facts.setdefault(subject, {}), relation, entity)
    if triples.is_file():
        for number, raw in lines(triples):
            fields = raw.decode("utf-8", errors="replace").rstrip("\r\n").split("\t")
            if len(fields) != 3:
                raise InputError(f"{triples}:{number}: not three tab-separated fields: fetch the file again.")
            subject, relation, entity = _forward((fields[0], fields[1], fields[2]))
            if subject in facts and relation in _WORK_RELATIONS:
                _add(facts[subject], relation, entity)
    return facts


def _forward(triple: Triple) -> Triple:
    subject, relation, entity = triple
    return (entity, relation[1:], subject) if relation.startswith("~") else triple


def _add(facts: dict[str, Any], relation: str, entity: str) -> None:
    key = _WORK_RELATIONS[relation]
    if key == "year":
        facts.setdefault("year", entity)
    else:
        facts.setdefault(key, []).append(entity)
