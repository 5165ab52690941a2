"""ReDial (Li et al., NeurIPS 2018, https://redialdata.github.io/website/) in its official raw form.

A line is one dialogue: ``messages`` hold ``@id`` mentions, ``initiatorWorkerId`` is the seeker (user),
``respondentWorkerId`` the recommender (agent). Messages stay as sent: models merge a speaker's run, counting does not.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from tacit.catalog import Catalog, normalise_title
from tacit.data.items import make_item
from tacit.data.lines import find, keep, open_binary, read_json, records, require, split
from tacit.types import Dialogue, InputError, ItemId, Judgement, Slate, Split, TestSet, Turn

TRAIN = ("train_data.jsonl", "train_available.jsonl", "train.jsonl")
TEST = ("test_data.jsonl", "test.jsonl")
_MENTION = re.compile(r"@(\d+)")


def load_training(folder: Path, limit: float = 1.0) -> tuple[Catalog, Split]:
    """The catalogue (with counts of the training part) and the training dialogues, validation tenth held apart."""
    path = require(folder, TRAIN, "ReDial")
    catalog, titles = read_catalog(folder)
    parts = split(keep((dialogue for _, dialogue in read(path, titles)), limit, str(path)))
    return catalog.with_counts(parts.train), parts


def load_test(folder: Path, limit: float = 1.0) -> TestSet:
    path = require(folder, TEST, "ReDial")
    _, titles = read_catalog(folder)
    return TestSet(keep((dialogue for _, dialogue in read(path, titles)), limit, str(path)))


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
    for source in sources:
        if source is not None:
            for _, row in records(source):
                for id, title in _entries(row, "movieMentions"):
                    if isinstance(title, str) and title.strip():
                        titles.setdefault(id, _clean(title))
    if not titles:
        raise InputError(f"{folder} names no movies: put movies_with_mentions.csv or the ReDial files there.")
    facts = _facts(folder)
    by_title = {normalise_title(str(info.get("name", ""))): info for info in facts.values()}
    items = []
    for id, title in titles.items():
        items.append(make_item(id, title, facts.get(id) or by_title.get(normalise_title(title))))
    return Catalog(items), titles


def read(path: Path, titles: Mapping[ItemId, str]) -> Iterator[tuple[int, Dialogue]]:
    """(line number, dialogue) of each line of a raw ReDial file."""
    seen: dict[str, int] = {}
    for number, row in records(path):
        try:
            dialogue = parse(row, titles)
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            reason = f"key {error} is missing" if isinstance(error, KeyError) else str(error)
            raise InputError(f"{path}:{number}: not a ReDial dialogue ({reason}): fetch the file again.") from None
        if not any(turn.speaker == "user" for turn in dialogue.turns):
            raise InputError(f"{path}:{number}: the dialogue has no user turn: remove the line.")
        if dialogue.id in seen:
            raise InputError(f"{path}:{number}: id {dialogue.id} repeats line {seen[dialogue.id]}: remove one.")
        seen[dialogue.id] = number
        yield number, dialogue


def parse(row: Any, titles: Mapping[ItemId, str]) -> Dialogue:
    """One raw dialogue. ``@digits`` that name no known movie stay as text (some are not movies)."""
    seeker, recommender = row["initiatorWorkerId"], row["respondentWorkerId"]
    local = {id: _clean(title) for id, title in _entries(row, "movieMentions") if isinstance(title, str)}
    turns = []
    for message in row["messages"]:
        if message["senderWorkerId"] not in (seeker, recommender):
            raise ValueError(f"sender {message['senderWorkerId']} is neither seeker nor recommender")
        text, mentions = _write_titles(message["text"] or "", titles, local)
        time = message.get("timeOffset")
        turn = Turn("user", text, mentions, time_s=None if time is None else float(time))
        if message["senderWorkerId"] == recommender:
            slate = Slate(tuple(dict.fromkeys(mentions))) if mentions else None
            turn = replace(turn, speaker="agent", slate=slate)
        turns.append(turn)
    form = _entries(row, "initiatorQuestions") or _entries(row, "respondentQuestions")
    judgements = {id: _judgement(answers) for id, answers in form if id in titles}
    return Dialogue(str(row["conversationId"]), str(seeker), tuple(turns), judgements)


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


def _judgement(answers: Mapping[str, int]) -> Judgement:
    """0 = no, 1 = yes, 2 = did not say."""
    values = {key: {0: False, 1: True}.get(answers.get(key, 2)) for key in ("suggested", "seen", "liked")}
    return Judgement(**values)


def _entries(row: Mapping[str, Any], key: str) -> list[tuple[str, Any]]:
    """An empty form is written ``[]`` in the release, a filled one as an object."""
    value = row.get(key) or {}
    return [(str(id), entry) for id, entry in value.items()]


def _read_csv(path: Path) -> dict[ItemId, str]:
    with open_binary(path) as file:
        try:
            text = file.read().decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise InputError(f"{path} is not UTF-8 at byte {error.start}: re-encode the file as UTF-8.") from None
    rows = csv.DictReader(io.StringIO(text))
    if not {"movieId", "movieName"} <= set(rows.fieldnames or ()):
        raise InputError(f"{path} lacks the columns movieId and movieName: fetch the file again.")
    return {row["movieId"]: _clean(row["movieName"]) for row in rows if _clean(row["movieName"])}


def _facts(folder: Path) -> dict[str, dict[str, Any]]:
    for place in (folder, folder / "ievalm"):
        path = find(place, ("id2info.json",))
        if path is not None:
            facts: dict[str, dict[str, Any]] = read_json(path)
            return facts
    return {}


def _clean(title: str) -> str:
    return " ".join(title.split())
