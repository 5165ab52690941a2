"""`tacit data check`: every bad line of dialogues and items, with its number and reason, at constant memory."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tacit.catalog import Catalog, item_from_json
from tacit.data.dialogues.fingerprints import Fingerprints
from tacit.data.dialogues.form import parse
from tacit.data.dialogues.observed import Observed
from tacit.data.lines import decode, lines
from tacit.data.thoughts import has_thoughts
from tacit.types import InputError, Item


@dataclass(frozen=True, slots=True)
class Problem:
    line: int
    reason: str


@dataclass(frozen=True, slots=True)
class Checked:
    """What was read: non-blank lines, how many of them are bad, and of the good ones: turns, and what is suspicious."""

    lines: int
    bad: int
    turns: int
    contained: int = 0  # dialogues that are the beginning of another one, or a copy: logs with the whole history a line
    thoughts: int = 0  # agent turns with a model's thoughts, which are left out


def check(
    path: Path,
    catalog: Catalog | None,
    report: Callable[[Problem], None],
    advance: Callable[[int], None] | None = None,
    prints: Fingerprints | None = None,
    observed: Observed | None = None,
    file: int = 0,
) -> Checked:
    """Report every bad line as it is met; repeated dialogue ids come last, since they need the whole file.

    Without a catalogue item ids are not looked up. ``advance`` is told the bytes of each line read. ``prints`` and
    ``observed`` are told of every good dialogue, as one of the file with this number.
    """
    total = bad = turns = thoughts = 0
    with nullcontext(prints) if prints else Fingerprints() as seen:
        for number, raw in lines(path):
            total += 1
            try:
                row = decode(raw)
                dialogue = parse(row, catalog)
            except ValueError as error:
                bad += 1
                report(Problem(number, str(error)))
            else:
                turns += len(dialogue.turns)
                thoughts += _thinking(row) if b"<" in raw or b"[THINK]" in raw else 0
                seen.add(file, number, dialogue)
                if observed is not None:
                    observed.add(dialogue)
            if advance:
                advance(len(raw))
        for line, first in seen.repeated_ids(file):
            bad += 1
            report(Problem(line, f"the dialogue id repeats that of line {first}: make ids unique"))
        contained = seen.contained(file)
    if total == 0:
        raise InputError(f"{path} is empty: give a file with one dialogue a line.")
    return Checked(total, bad, turns, contained, thoughts)


def check_items(path: Path, report: Callable[[Problem], None]) -> tuple[Catalog | None, int]:
    """The catalogue of the good lines (None where there are none), and how many lines are bad; each is reported."""
    items: list[Item] = []
    counts: list[int] = []
    first: dict[str, int] = {}
    bad = 0
    for number, raw in lines(path):
        try:
            item, count = item_from_json(decode(raw))
            if first.setdefault(item.id, number) != number:
                raise ValueError(f"the item id repeats that of line {first[item.id]}: make ids unique")
        except ValueError as error:
            bad += 1
            report(Problem(number, str(error)))
        else:
            items.append(item)
            counts.append(count)
    return Catalog(items, counts) if items else None, bad


def _thinking(row: dict[str, Any]) -> int:
    return sum(turn["speaker"] == "agent" and has_thoughts(turn["text"]) for turn in row["turns"])
