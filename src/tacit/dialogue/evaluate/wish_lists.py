"""Wishes in people's words beside their meaning as facts: read from a file, and checked against the catalogue alone.

A line is one wish:

    {"id": "a03", "turns": ["Anything with Tom Hanks, no romance"], "want": [{"star": ["tom hanks"]}],
     "avoid": [{"genre": ["romance"]}], "avoid_items": ["Big (1988)"]}

``turns`` are the user's words, or an agent turn {"text": ..., "shown": [titles]}. An item satisfies a wish when it has
every fact of ``want`` and none of ``avoid``, and is not among ``avoid_items`` (titles). A fact names attributes
(several with "|") and values of which one is enough; two numbers are a span, ends included. Where the catalogue has no
attribute ``title`` or ``text``, these names mean the item's own: a title as a whole, and words that stand in the text
(topics that no attribute tells). Nothing here reads the words, and nothing is shared with what does.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tacit.catalog import Catalog
from tacit.run.lines import decode, lines
from tacit.types import Bools, Dialogue, InputError, Slate, Turn

Fact = Mapping[str, Sequence[str] | Sequence[float]]
_OWN = ("title", "text")
SHIPPED = Path(__file__).parent / "wish_files"


@dataclass(frozen=True)
class Case:
    """A wish to score: what was said, and which items satisfy it [n_items] (none that the dialogue named)."""

    id: str
    context: Dialogue
    satisfies: Bools


def read_cases(file: Path, catalog: Catalog) -> tuple[list[Case], int]:
    """The wishes of a file, and how many were left out because the catalogue has nothing that satisfies them, or lacks
    a title that they name. A bad line raises ``InputError``."""
    if not file.is_file():
        raise InputError(f"{file} does not exist: give a JSON-lines file with one wish a line.")
    cases: list[Case] = []
    left_out = 0
    facts = Facts(catalog)
    for number, raw in lines(file):
        try:
            case = make_case(_checked(decode(raw)), facts)
        except ValueError as error:
            raise InputError(f"{file}:{number}: {error} (docs/wishes.md has the form).") from None
        if case is None or not case.satisfies.any():
            left_out += 1
        else:
            cases.append(case)
    return cases, left_out


def make_case(row: Mapping[str, Any], facts: Facts) -> Case | None:
    """None where the catalogue lacks a title that the wish names."""
    catalog, titles = facts.catalog, facts.titles
    turns: list[Turn] = []
    for said in row["turns"]:
        if isinstance(said, str):
            turns.append(Turn("user", said, catalog.named(said)))
            continue
        shown = [titles.get(_plain(title)) for title in said.get("shown", ())]
        items = tuple(id for id in shown if id is not None)
        if len(items) < len(shown):
            return None
        turns.append(Turn("agent", said["text"], items, Slate(items) if items else None))
    context = Dialogue(row["id"], row["id"], tuple(turns))
    avoided = [titles.get(_plain(title)) for title in row.get("avoid_items", ())]
    ok = facts.satisfies(row.get("want", ()), row.get("avoid", ()))
    for id in (*context.mentioned(), *(id for id in avoided if id is not None)):
        ok[catalog.index(id)] = False
    return None if None in avoided else Case(row["id"], context, ok)


class Facts:
    """A catalogue's attributes, looked up by value."""

    def __init__(self, catalog: Catalog) -> None:
        self.catalog = catalog
        self.titles = {_plain(item.title): item.id for item in reversed(catalog.items)}
        self._rows: dict[tuple[str, str], list[int]] = defaultdict(list)
        self._values: dict[str, set[str]] = defaultdict(set)
        for row, item in enumerate(catalog.items):
            for key, values in item.attributes.items():
                self._values[key].update(values)
                for value in values:
                    self._rows[key, value].append(row)

    def satisfies(self, want: Iterable[Fact], avoid: Iterable[Fact]) -> Bools:
        """[n_items]: every fact of ``want`` and none of ``avoid``; an attribute that an item lacks holds nothing."""
        ok = np.ones(len(self.catalog), dtype=bool)
        for fact in want:
            ok &= self._holds(fact)
        for fact in avoid:
            ok &= ~self._holds(fact)
        return ok

    def _holds(self, fact: Fact) -> Bools:
        held = np.zeros(len(self.catalog), dtype=bool)
        for names, values in fact.items():
            for key in names.split("|"):
                if key in _OWN and key not in self._values:
                    held |= self._own(key, [str(value) for value in values])
                    continue
                for value in self._meant(key, values):
                    held[self._rows.get((key, value), [])] = True
        return held

    def _own(self, key: str, values: Sequence[str]) -> Bools:
        """[n_items]: the title is one of ``values``, or the text has the words of one of them side by side."""
        if key == "title":
            meant = {_plain(value) for value in values}
            return np.array([_plain(item.title) in meant for item in self.catalog.items])
        stands = re.compile(rf"(?<!\w)(?:{'|'.join(re.escape(_plain(value)) for value in values)})(?!\w)")
        return np.array([stands.search(_plain(item.text)) is not None for item in self.catalog.items])

    def _meant(self, key: str, values: Sequence[str] | Sequence[float]) -> list[str]:
        if len(values) == 2 and not isinstance(values[0], str) and not isinstance(values[1], str):
            low, high = float(values[0]), float(values[1])
            return [
                value for value in self._values.get(key, ()) if (n := _number(value)) is not None and low <= n <= high
            ]
        return [str(value) for value in values]


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _plain(title: str) -> str:
    return " ".join(title.lower().split())


def _checked(row: object) -> dict[str, Any]:
    if not isinstance(row, dict):
        raise ValueError("a wish must be a JSON object")
    unknown = sorted(set(row) - {"id", "turns", "want", "avoid", "avoid_items"})
    if unknown:
        raise ValueError(f"unknown key {unknown[0]!r} in a wish")
    if not isinstance(row.get("id"), str) or not row["id"]:
        raise ValueError("key 'id' of a wish must be a non-empty string")
    turns = row.get("turns")
    if not isinstance(turns, list) or not turns or not isinstance(turns[-1], str):
        raise ValueError("key 'turns' of a wish must be a list that ends with the user's words")
    for turn in turns:
        spoken = isinstance(turn, str) or (isinstance(turn, dict) and isinstance(turn.get("text"), str))
        if not spoken or (isinstance(turn, dict) and not _strings(turn.get("shown", []))):
            raise ValueError("a turn must be the user's words or an object with 'text' and 'shown' (titles)")
    for key in ("want", "avoid"):
        facts = row.get(key, [])
        if not isinstance(facts, list) or not all(isinstance(fact, dict) and fact for fact in facts):
            raise ValueError(f"key {key!r} of a wish must be a list of objects")
        if not all(_strings(values) or _span(values) for fact in facts for values in fact.values()):
            raise ValueError(f"a fact in {key!r} must hold a list of strings, or two numbers")
    if not _strings(row.get("avoid_items", [])):
        raise ValueError("key 'avoid_items' of a wish must be a list of titles")
    return row


def _strings(values: object) -> bool:
    return isinstance(values, list) and all(isinstance(value, str) for value in values)


def _span(values: object) -> bool:
    if not isinstance(values, list) or len(values) != 2:
        return False
    return all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
