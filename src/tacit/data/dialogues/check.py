"""`tacit data check`: every bad line of dialogues and items, with its number and reason, at constant memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

from tacit.catalog import Catalog, item_from_json
from tacit.data.dialogues.columns import Columns, joined, of_dialogues, of_rows
from tacit.data.dialogues.fingerprints import Fingerprints
from tacit.data.dialogues.form import parse
from tacit.data.dialogues.observed import Observed
from tacit.data.dialogues.typed import decode as decode_typed
from tacit.data.dialogues.typed import decode_block
from tacit.data.lines import blocks, decode, lines
from tacit.data.thoughts import has_thoughts
from tacit.types import Dialogue, InputError, Item, ItemId

AT_ONCE = 20_000  # turns that are counted together


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
    known = None if catalog is None else frozenset(item.id for item in catalog)
    total = bad = turns = thoughts = 0
    good: list[tuple[list[int], Columns]] = []
    with nullcontext(prints) if prints else Fingerprints() as seen:
        for first, count, block in blocks(path):
            found = _read(block, first, count, catalog, known)
            for problem in found.problems:
                report(problem)
            total += found.lines
            bad += len(found.problems)
            thoughts += found.thoughts
            good += found.good
            if sum(len(part.bits) for _, part in good) > AT_ONCE:
                turns += _count(good, file, seen, observed)
            if advance:
                advance(len(block))
        turns += _count(good, file, seen, observed)
        for line, earlier in seen.repeated_ids(file):
            bad += 1
            report(Problem(line, f"the dialogue id repeats that of line {earlier}: make ids unique"))
        contained = seen.contained(file)
    if total == 0:
        raise InputError(f"{path} is empty: give a file with one dialogue a line.")
    return Checked(total, bad, turns, contained, thoughts)


def _count(good: list[tuple[list[int], Columns]], file: int, prints: Fingerprints, observed: Observed | None) -> int:
    """Tell both of these dialogues, which are taken out of the list; returns their turns."""
    if not good:
        return 0
    part = joined([part for _, part in good])
    prints.add_columns(file, [number for numbers, _ in good for number in numbers], part)
    if observed is not None:
        observed.add_columns(part)
    good.clear()
    return len(part.bits)


@dataclass
class _Block:
    """``good``: line numbers and columns of dialogues."""

    lines: int = 0
    good: list[tuple[list[int], Columns]] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    thoughts: int = 0


def _read(block: bytes, first: int, count: int, catalog: Catalog | None, known: frozenset[ItemId] | None) -> _Block:
    """Lines that are plainly good, all at once; the others one by one, as ``form.parse`` reads them."""
    rows = decode_block(block, count)
    numbers = list(range(first, first + count))
    raws: dict[int, bytes] = {}
    if rows is None:
        raws = {number: raw for number, raw in enumerate(BytesIO(block), first) if not raw.isspace()}
        typed = {number: row for number, raw in raws.items() if (row := decode_typed(raw)) is not None}
        rows, numbers = list(typed.values()), list(typed)
    part, unsound = of_rows(rows, known)
    if unsound or len(raws) > len(rows):
        raws = raws or dict(enumerate(BytesIO(block), first))
        left = set(raws).difference(numbers).union(numbers[row] for row in unsound)
        found = _one_by_one({number: raws[number] for number in sorted(left)}, catalog)
        numbers = [number for number in numbers if number not in left]
    else:
        found = _Block()
    found.lines += len(numbers)
    found.good.append((numbers, part))
    return found


def _one_by_one(raws: Mapping[int, bytes], catalog: Catalog | None) -> _Block:
    """Lines by their numbers, as the form reads them."""
    found = _Block(len(raws))
    good: dict[int, Dialogue] = {}
    for number, raw in raws.items():
        try:
            row = decode(raw)
            good[number] = parse(row, catalog)
        except ValueError as error:
            found.problems.append(Problem(number, str(error)))
        else:
            found.thoughts += _thinking(row)
    found.good.append((list(good), of_dialogues(good.values())))
    return found


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
