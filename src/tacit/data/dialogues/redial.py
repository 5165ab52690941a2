"""ReDial (Li et al., NeurIPS 2018, https://redialdata.github.io/website/) in its official raw form.

A line is one dialogue: ``messages`` hold ``@id`` mentions, ``initiatorWorkerId`` is the seeker (user),
``respondentWorkerId`` the recommender (agent). Messages stay as sent: models merge a speaker's run, counting does not.
"""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tacit.catalog import Catalog, normalise_title
from tacit.data.dialogues.publishers import read_info, say_silent
from tacit.data.dialogues.sides import split_off_valid
from tacit.data.items import make_item
from tacit.data.lines import find, keep, read_bytes, records, require
from tacit.run.lines import parse_json
from tacit.types import Dialogue, InputError, ItemId, Judgement, Slate, Split, TestSet, Turn

TRAIN = ("train_data.jsonl", "train_available.jsonl", "train.jsonl")
TEST = ("test_data.jsonl", "test.jsonl")
_LATEST_S = 1e15  # a larger offset is no number of seconds
_MENTION = re.compile(r"@(\d+)")


def load_training(
    folder: Path, limit: float = 1.0, dropped: Counter[str] | None = None, rule: str = "auto"
) -> tuple[Catalog, Split]:
    """The catalogue (with counts of the training part) and the training dialogues, a tenth of the seekers held apart.

    No seeker of the official test takes part in training, so none of the validation part does either: a seeker is
    validation when sha256(the worker's id) falls into the first tenth. ``rule`` "dialogue" cuts by dialogue, as runs of
    before did; 88 % of the seekers are then on both sides, which flatters.
    """
    path = require(folder, TRAIN, "ReDial")
    catalog, titles = read_catalog(folder)
    dialogues = keep((dialogue for _, dialogue in read(path, titles, dropped)), limit, str(path))
    parts = split_off_valid(dialogues, "user" if rule == "auto" else rule, str(path))
    return catalog.with_counts(parts.train), parts


def load_test(folder: Path, limit: float = 1.0, dropped: Counter[str] | None = None) -> TestSet:
    path = require(folder, TEST, "ReDial")
    _, titles = read_catalog(folder)
    return TestSet(keep((dialogue for _, dialogue in read(path, titles, dropped)), limit, str(path)))


def read_catalog(folder: Path) -> tuple[Catalog, dict[ItemId, str]]:
    """Items from ``movies_with_mentions.csv`` and the training dialogues' ``movieMentions``.

    Where the csv is absent (the official release has none) the catalogue is the ``movieMentions`` of both splits:
    of the test file only ids and titles are read, as every published protocol does, never a message or a judgement.
    Facts (genres, people, plot) come from ``id2info.json`` by id, else by normalised title.
    """
    titles: dict[ItemId, str] = {}
    listing = find(folder, ("movies_with_mentions.csv",))
    if listing is not None:
        titles.update(_read_csv(listing))
    sources = [find(folder, TRAIN)] + ([] if listing else [find(folder, TEST)])
    for source in filter(None, sources):
        for number, row in records(source):
            try:
                mentioned = _titles(_object(row, "the line"))
            except ValueError as error:
                raise _refused(source, number, error) from None
            for id, title in mentioned.items():
                titles.setdefault(id, title)
    if not titles:
        raise InputError(f"{folder} names no movies: put movies_with_mentions.csv or the ReDial files there.")
    facts = _facts(folder)
    by_title = {normalise_title(str(info.get("name", ""))): info for info in facts.values()}
    items = []
    for id, title in titles.items():
        items.append(make_item(id, title, facts.get(id) or by_title.get(normalise_title(title))))
    return Catalog(items), titles


def read(
    path: Path, titles: Mapping[ItemId, str], dropped: Counter[str] | None = None
) -> Iterator[tuple[int, Dialogue]]:
    """(line number, dialogue) of each line of a ReDial file; those without a word of the seeker are left out."""
    seen: dict[str, int] = {}
    silent: list[int] = []
    for number, row in records(path):
        try:
            dialogue = parse(row, titles)
        except ValueError as error:
            raise _refused(path, number, error) from None
        if dialogue.id in seen:
            raise InputError(f"{path}:{number}: id {dialogue.id} repeats line {seen[dialogue.id]}: remove one.")
        seen[dialogue.id] = number
        if any(turn.speaker == "user" for turn in dialogue.turns):
            yield number, dialogue
        else:
            silent.append(number)
    say_silent(path, "line", silent, dropped)


def parse(row: Any, titles: Mapping[ItemId, str]) -> Dialogue:
    """One raw dialogue; ValueError says what is wrong. ``@digits`` that name no known movie stay as text."""
    row = _object(row, "the line")
    id, seeker, recommender = (_name(row, key) for key in ("conversationId", "initiatorWorkerId", "respondentWorkerId"))
    local = _titles(row)
    turns: list[Turn] = []
    for message in _rows(row.get("messages"), "messages"):
        sender = _name(message, "senderWorkerId")
        if sender not in (seeker, recommender):
            raise ValueError(f"sender {sender} is neither seeker nor recommender")
        raw = message.get("text")
        if raw is not None and not isinstance(raw, str):
            raise ValueError("key text must be a string")
        text, mentions = _write_titles(raw or "", titles, local)
        turn = Turn("user", text, mentions, time_s=_offset(message.get("timeOffset"), turns))
        if sender == recommender:
            slate = Slate(tuple(dict.fromkeys(mentions))) if mentions else None
            turn = replace(turn, speaker="agent", slate=slate)
        turns.append(turn)
    form = _entries(row, "initiatorQuestions") or _entries(row, "respondentQuestions")
    judgements = {id: _judgement(_object(answers, f"the form on {id}")) for id, answers in form if id in titles}
    return Dialogue(id, seeker, tuple(turns), judgements)


def _write_titles(text: str, titles: Mapping[ItemId, str], local: Mapping[str, str]) -> tuple[str, tuple[ItemId, ...]]:
    """Text with titles for ``@id`` and the catalogue items in it; a title only the dialogue knows stays text."""
    mentions: list[ItemId] = []

    def title_of(match: re.Match[str]) -> str:
        title = titles.get(match.group(1))
        if title is not None:
            mentions.append(match.group(1))
        else:
            title = local.get(match.group(1))
        if title is None:
            return match.group()
        glued = text[match.end() : match.end() + 1].isalnum()
        return title + " " if glued else title

    return _MENTION.sub(title_of, text).strip(), tuple(mentions)


def _offset(value: Any, before: Sequence[Turn]) -> float | None:
    """Seconds since the dialogue's start."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= _LATEST_S:
        raise ValueError("key timeOffset must be seconds, at least 0")
    last = next((turn.time_s for turn in reversed(before) if turn.time_s is not None), 0.0)
    if value < last:
        raise ValueError(f"key timeOffset goes back in time, from {last:g} to {value:g}")
    return float(value)


def _judgement(answers: Mapping[str, Any]) -> Judgement:
    """0 = no, 1 = yes, 2 = did not say."""
    values: dict[str, bool | None] = {}
    for key in ("suggested", "seen", "liked"):
        answer = answers.get(key)
        if answer not in (0, 1, 2, None):
            raise ValueError(f"key {key} of a form must be 0, 1 or 2")
        values[key] = None if answer is None else {0: False, 1: True}.get(answer)
    return Judgement(**values)


def _titles(row: Mapping[str, Any]) -> dict[ItemId, str]:
    """Ids and titles of ``movieMentions``; a movie whose title is not known is left out."""
    titles = {}
    for id, entry in _entries(row, "movieMentions"):
        title = entry.get("movieName") if isinstance(entry, dict) else entry
        if title is not None and not isinstance(title, str):
            raise ValueError(f"the title of movie {id} must be a string")
        if title and _clean(title):
            titles[id] = _clean(title)
    return titles


def _entries(row: Mapping[str, Any], key: str) -> list[tuple[ItemId, Any]]:
    """Entries by movie id: an object in the release (``[]`` when empty), a list of rows on the Hugging Face hub."""
    value = _decoded(row.get(key), key)
    if isinstance(value, dict) and not isinstance(value.get("movieId"), list):
        entries = [(str(id), entry) for id, entry in value.items()]
    else:
        entries = [(_name(entry, "movieId"), entry) for entry in _rows(value, key)]
    if any(not id for id, _ in entries):
        raise ValueError(f"key {key} has a movie without an id")
    return [(id, entry) for id, entry in entries if entry is not None]


def _rows(value: Any, key: str) -> list[dict[str, Any]]:
    """A list of objects; also as one object of lists, which is how ``datasets`` keeps a sequence of features."""
    value = _decoded(value, key)
    if isinstance(value, dict) and value and all(isinstance(column, list) for column in value.values()):
        if len({len(column) for column in value.values()}) > 1:
            raise ValueError(f"key {key} has columns of different lengths")
        return [dict(zip(value, cells, strict=True)) for cells in zip(*value.values(), strict=True)]
    if value is None or (isinstance(value, list) and all(isinstance(entry, dict) for entry in value)):
        return value or []
    raise ValueError(f"key {key} must be a list of objects")


def _decoded(value: Any, key: str) -> Any:
    """Columns of tables hold JSON as text."""
    if not isinstance(value, str):
        return value
    try:
        return parse_json(value.encode())
    except ValueError as error:
        raise ValueError(f"key {key}: {error}") from None


def _object(row: Any, what: str) -> dict[str, Any]:
    if not isinstance(row, dict):
        raise ValueError(f"{what} must be a JSON object")
    return row


def _name(row: Mapping[str, Any], key: str) -> str:
    """An id, which is a string or a whole number."""
    value = row.get(key)
    if isinstance(value, bool) or not isinstance(value, str | int) or value == "":
        raise ValueError(f"key {key} is missing" if value is None else f"key {key} must be a string or a whole number")
    return str(value)


def _refused(path: Path, number: int, error: ValueError) -> InputError:
    return InputError(f"{path}:{number}: not a ReDial dialogue ({error}): fetch the file again.")


def _read_csv(path: Path) -> dict[ItemId, str]:
    try:
        rows = csv.DictReader(io.StringIO(read_bytes(path).decode("utf-8-sig")))
        if not {"movieId", "movieName"} <= set(rows.fieldnames or ()):
            raise InputError(f"{path} lacks the columns movieId and movieName: fetch the file again.")
        titles = {row["movieId"]: _clean(row["movieName"] or "") for row in rows}
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8 at byte {error.start}: re-encode the file as UTF-8.") from None
    except csv.Error as error:
        raise InputError(f"{path} is not a CSV table ({error}): fetch the file again.") from None
    return {id: title for id, title in titles.items() if id and title}


def _facts(folder: Path) -> dict[str, dict[str, Any]]:
    for place in (folder, folder / "ievalm"):
        path = find(place, ("id2info.json",))
        if path is not None:
            return read_info(path)
    return {}


def _clean(title: str) -> str:
    return " ".join(title.split())
