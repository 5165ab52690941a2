"""OpenDialKG (Moon et al., ACL 2019) as turn files: one recommending agent turn a line, its context beside it.

``{train,valid,test}_data_processed.jsonl`` hold ``dialog_id, turn_id, context, entity, rec, resp``. The publisher
defines no split; these files split by turn, so a dialogue's turns may lie in several files. Training material is the
train and valid files together, re-divided by dialogue id; the test file alone is the test set. Dialogue ids are kept,
so test dialogues that also occur in training can be told apart. Nothing says who spoke: splits and intervals go by
dialogue, and ``Dialogue.user`` is a name made of the dialogue's id.

Two dialogues of three are about films, one is about books. A ``domain`` is one of the two alone: a row belongs to the
books where its dialogue begins like one of ``dialog_Books.jsonl`` (iEvaLM's extract), and to the films otherwise.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, Literal

from tacit.catalog import Catalog
from tacit.data.dialogues import opendialkg_csv
from tacit.data.dialogues.publishers import read_info, say_silent
from tacit.data.items import make_item
from tacit.data.lines import find, keep, read_json, records, require, split
from tacit.types import Dialogue, InputError, ItemId, Slate, Split, TestSet, Turn

TRAIN, VALID, TEST = (f"{part}_data_processed.jsonl" for part in ("train", "valid", "test"))
BOOKS = "dialog_Books.jsonl"  # the book dialogues whole: lists of turns with role, text and the items they name
Domain = Literal["all", "films", "books"]


@dataclass(frozen=True, slots=True)
class _Row:
    """One gold turn: the texts up to and including it, and the titles it recommends."""

    texts: tuple[str, ...]
    recommended: tuple[str, ...]
    entities: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Books:
    """What is known of the book dialogues: how they begin, and the items that they name."""

    openings: frozenset[str]
    items: frozenset[str]


def load_training(
    folder: Path, limit: float = 1.0, dropped: Counter[str] | None = None, domain: Domain = "all"
) -> tuple[Catalog, Split]:
    if find(folder, (TRAIN,)) is None and (table := find(folder, (opendialkg_csv.NAME,))):
        _require_all(table, domain)
        return opendialkg_csv.load_training(table, limit, dropped)
    paths = [require(folder, (TRAIN,), "OpenDialKG")]
    paths += [path for path in (find(folder, (VALID,)),) if path]
    catalog = read_catalog(folder, domain)
    parts = split(keep(read(paths, catalog, dropped, _rows_of(folder, domain)), limit, str(paths[0])))
    return catalog.with_counts(parts.train), parts


def load_test(folder: Path, limit: float = 1.0, dropped: Counter[str] | None = None, domain: Domain = "all") -> TestSet:
    if find(folder, (TEST,)) is None and (table := find(folder, (opendialkg_csv.NAME,))):
        _require_all(table, domain)
        return opendialkg_csv.load_test(table, limit, dropped)
    path = require(folder, (TEST,), "OpenDialKG")
    dialogues = read([path], read_catalog(folder, domain), dropped, _rows_of(folder, domain))
    return TestSet(keep(dialogues, limit, str(path)))


def _require_all(table: Path, domain: Domain) -> None:
    if domain != "all":
        raise InputError(f"data.domain={domain} is for turn files, not for {table}: leave it at all.")


def read_catalog(folder: Path, domain: Domain = "all") -> Catalog:
    """The publisher's candidates (``item_ids.json``) in order, then any other item a turn file recommends; of a
    ``domain`` those that the book dialogues name, or do not name, and what its own rows recommend.

    Item ids are the keys of ``id2info.json``, whose names are unique. Of the test file only the titles recommended
    are read; without ``item_ids.json`` every item of ``id2info.json`` is a candidate.
    """
    source = require(folder, ("id2info.json",), "OpenDialKG")
    info = read_info(source)
    for id, facts in info.items():
        if not id or not isinstance(facts.get("name"), str) or not facts["name"]:
            raise InputError(f"{source}: the item {id!r} has no name or no id: fetch it again.")
    id_of = {facts["name"]: id for id, facts in info.items()}
    listing, entities = find(folder, ("item_ids.json",)), find(folder, ("entity2id.json",))
    names = _candidates(listing, entities) if listing and entities else list(id_of)
    if domain != "all":
        of_books = _read_books(folder).items
        names = [name for name in names if (name in of_books) == (domain == "books")]
    belongs = _rows_of(folder, domain)
    for part in (TRAIN, VALID, TEST):
        path = find(folder, (part,))
        for _, _, row in _rows(path) if path else ():
            names += list(row.recommended) if belongs(row) else []
    unknown = [name for name in names if name not in id_of]
    if unknown:
        raise InputError(
            f"{folder}/id2info.json lacks the item {unknown[0]!r}: fetch the files again, all of one version."
        )
    return Catalog([make_item(id_of[name], name, info[id_of[name]]) for name in dict.fromkeys(names)])


def _rows_of(folder: Path, domain: Domain) -> Callable[[_Row], bool]:
    """Whether a row belongs to the domain: whether its dialogue begins like a book dialogue."""
    if domain == "all":
        return _everything
    openings = _read_books(folder).openings
    return lambda row: (row.texts[0] in openings) == (domain == "books")


def _read_books(folder: Path) -> _Books:
    path = require(folder, (BOOKS,), "OpenDialKG's books (data.domain)")
    openings: set[str] = set()
    items: set[str] = set()
    for number, turns in records(path):
        whole = isinstance(turns, list) and turns and all(isinstance(turn, dict) for turn in turns)
        if not whole or not isinstance(turns[0].get("text"), str):
            raise InputError(f"{path}:{number}: not a dialogue (a list of turns with text and item): fetch it again.")
        openings.add(turns[0]["text"])
        for turn in turns:
            try:
                items.update(_texts(turn, "item"))
            except ValueError as error:
                raise InputError(f"{path}:{number}: not a dialogue ({error}): fetch it again.") from None
    return _Books(frozenset(openings), frozenset(items))


def _everything(row: _Row) -> bool:
    return True


def read(
    paths: Sequence[Path],
    catalog: Catalog,
    dropped: Counter[str] | None = None,
    belongs: Callable[[_Row], bool] = _everything,
) -> list[Dialogue]:
    """Dialogues in order of appearance: the rows of one dialogue id become one dialogue where their texts agree. Rows
    that do not belong are left out."""
    rows: dict[str, list[_Row]] = {}
    for path in paths:
        silent: list[int] = []
        for number, id, row in _rows(path):
            if not belongs(row):
                continue
            if len(row.texts) < 2:
                silent.append(number)
            else:
                rows.setdefault(id, []).append(row)
        say_silent(path, "line", silent, dropped)
    id_of = {item.title: item.id for item in catalog}
    taken = set(rows)
    dialogues = []
    for id, members in rows.items():
        for part, group in enumerate(_agreeing(members)):
            name = id if part == 0 else next(n for k in count(part) if (n := f"{id}#{k}") not in taken)
            taken.add(name)
            dialogues.append(_dialogue(name, group, id_of))
    return dialogues


def _rows(path: Path) -> Iterator[tuple[int, str, _Row]]:
    """(line number, dialogue id, turn) of each line of a turn file."""
    for number, row in records(path):
        try:
            if not isinstance(row, dict):
                raise ValueError("the line must be a JSON object")
            id = row.get("dialog_id")
            if isinstance(id, bool) or not isinstance(id, str | int) or id == "":
                raise ValueError("key dialog_id must be a string or a whole number")
            if not isinstance(row.get("resp"), str):
                raise ValueError("key resp must be a string")
            context, recommended, entities = (_texts(row, key) for key in ("context", "rec", "entity"))
            if "rec" not in row or "context" not in row:
                raise ValueError("keys context and rec must be there")
        except ValueError as error:
            raise InputError(f"{path}:{number}: not an OpenDialKG turn ({error}): fetch it again.") from None
        yield number, str(id), _Row((*context, row["resp"]), recommended, entities)


def _texts(row: Mapping[str, Any], key: str) -> tuple[str, ...]:
    values = row.get(key) or []
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise ValueError(f"key {key} must be a list of strings")
    return tuple(values)


def _candidates(listing: Path, entities: Path) -> list[str]:
    numbers, names = read_json(listing), read_json(entities)
    if not isinstance(names, dict) or not all(type(number) is int for number in names.values()):
        raise InputError(f"{entities} is not an object of numbers by entity: fetch it again.")
    name_of = {number: name for name, number in names.items()}
    if not isinstance(numbers, list) or not all(type(number) is int and number in name_of for number in numbers):
        raise InputError(f"{listing} is not a list of numbers from {entities.name}: fetch both again, of one version.")
    return [name_of[number] for number in numbers]


def _agreeing(rows: Sequence[_Row]) -> Iterator[list[_Row]]:
    """Groups of rows that are prefixes of one and the same conversation, agent turns at the same parity."""
    left = sorted(rows, key=lambda row: -len(row.texts))
    while left:
        longest = left[0].texts
        same = [
            row for row in left if longest[: len(row.texts)] == row.texts and (len(longest) - len(row.texts)) % 2 == 0
        ]
        yield same
        left = [row for row in left if row not in same]


def _dialogue(id: str, rows: Sequence[_Row], id_of: Mapping[str, ItemId]) -> Dialogue:
    """The last text is the agent's, and speakers alternate. Only annotated turns carry a slate."""
    texts = rows[0].texts
    gold = {len(row.texts) - 1: row.recommended for row in rows}
    known = {name: id_of[name] for row in rows for name in (*row.entities, *row.recommended) if name in id_of}
    turns = []
    for t, text in enumerate(texts):
        speaker_is_agent = (len(texts) - 1 - t) % 2 == 0
        if t in gold:
            order = sorted(dict.fromkeys(gold[t]), key=lambda name: _place(name, text))
            items = tuple(id_of[name] for name in order)
            turns.append(Turn("agent", text, items, Slate(items)))
        else:
            turns.append(Turn("agent" if speaker_is_agent else "user", text, _mentions(text, known)))
    return Dialogue(id, f"user-{id}", tuple(turns))


def _mentions(text: str, known: Mapping[str, ItemId]) -> tuple[ItemId, ...]:
    """Known names that occur in the text as whole words, longest first so that no name is found inside another."""
    if not known:
        return ()
    names = sorted(known, key=lambda name: -len(name))
    pattern = "|".join(rf"(?<!\w){re.escape(name)}(?!\w)" for name in names)
    lowered = {name.lower(): id for name, id in known.items()}
    found = (match.group().lower() for match in re.finditer(pattern, text, re.IGNORECASE))
    return tuple(dict.fromkeys(lowered[name] for name in found if name in lowered))


def _place(name: str, text: str) -> int:
    place = text.lower().find(name.lower())
    return place if place >= 0 else len(text)
