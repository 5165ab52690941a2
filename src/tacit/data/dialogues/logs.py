"""Your own logs: one dialogue a line (``form``), one item a line, in one file or a folder of them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from tacit.catalog import Catalog
from tacit.data.dialogues import typed
from tacit.data.dialogues.form import parse, to_json, without_unknown
from tacit.data.dialogues.overlap import overlap, refuse_above
from tacit.data.dialogues.sides import Census, held_out, split_off_valid
from tacit.data.lines import decode, find, keep, lines
from tacit.run.files import says_when_full, sync_file
from tacit.types import Dialogue, InputError, ItemId, Split, TestSet


def load_training(
    path: Path, items: Path | None, limit: float = 1.0, rule: str = "auto", largest_overlap: float = 1.0
) -> tuple[Catalog, Split]:
    """The catalogue with training counts, and the training and validation dialogues.

    ``train.jsonl``, ``valid.jsonl`` and ``test.jsonl`` of a folder are taken as they are; what has no file of its own
    is cut out of ``train.jsonl``, or of the single file, by ``rule`` (``sides.RULES``). A test of which more than the
    share ``largest_overlap`` stands in training is refused.
    """
    source, valid, test = _places(path)
    catalog = read_items(path, items)
    training, tests, rule = _read_sides(source, test, catalog, limit, rule)
    if valid is None:
        parts = split_off_valid(training, rule, str(source))
    else:
        by_file = keep((dialogue for _, dialogue in read(valid, catalog)), limit, str(valid))
        parts = Split(training, by_file, "files" if test else rule)
    refuse_above(overlap((*parts.train, *parts.valid), tests), largest_overlap, str(path))
    return catalog.with_counts(parts.train), parts


def load_test(path: Path, items: Path | None, limit: float = 1.0, rule: str = "auto") -> TestSet:
    source, _, test = _places(path)
    catalog = read_items(path, items)
    if test is not None:
        return TestSet(keep((dialogue for _, dialogue in read(test, catalog)), limit, str(test)))
    tests = _read_sides(source, None, catalog, limit, rule)[1]
    return TestSet(keep(tests, 1.0, f"the test part of {source}"))


def _read_sides(
    source: Path, test: Path | None, catalog: Catalog, limit: float, rule: str
) -> tuple[tuple[Dialogue, ...], tuple[Dialogue, ...], str]:
    """(all but the test, the test, the rule in force), the rule judged by all dialogues, whichever are kept."""
    census = Census()
    kept = keep(census.watch(dialogue for _, dialogue in read(source, catalog)), limit, str(source))
    rule = census.rule(rule)
    if test is not None:
        return kept, tuple(dialogue for _, dialogue in read(test, catalog)), rule
    is_test = held_out(census, rule, str(source))
    training = keep((dialogue for dialogue in kept if not is_test(dialogue)), 1.0, f"the training part of {source}")
    return training, tuple(dialogue for dialogue in kept if is_test(dialogue)), rule


def read_items(path: Path, items: Path | None) -> Catalog:
    """The items file: as given, else ``items.jsonl`` (or ``items.jsonl.gz``) beside the dialogues."""
    return Catalog.load(items or items_beside(path) or (path if path.is_dir() else path.parent) / "items.jsonl")


def items_beside(path: Path) -> Path | None:
    """The items file of a folder of dialogues, or beside a file of dialogues."""
    folder = path if path.is_dir() else path.parent
    return next((file for name in ("items.jsonl", "items.jsonl.gz") if (file := folder / name).is_file()), None)


def read(path: Path, catalog: Catalog | None, unknown: Counter[ItemId] | None = None) -> Iterator[tuple[int, Dialogue]]:
    """(line number, dialogue) of each line; InputError naming file and line at the first bad one.

    An item that ``catalog`` lacks makes its line a bad one; with ``unknown`` it is left out and counted there.
    """
    seen: dict[str, int] = {}
    known = None if catalog is None else frozenset(item.id for item in catalog)
    for number, raw in lines(path):
        dialogue = typed.read(raw, known) or _read_slowly(raw, f"{path}:{number}", catalog, path, unknown)
        if dialogue.id in seen:
            raise InputError(f"{path}:{number}: id {dialogue.id!r} repeats line {seen[dialogue.id]}: remove one.")
        seen[dialogue.id] = number
        yield number, dialogue
    if not seen:
        raise InputError(f"{path} holds no dialogues: give a file with at least one, one JSON object a line.")


def _read_slowly(
    raw: bytes, where: str, catalog: Catalog | None, path: Path, unknown: Counter[ItemId] | None
) -> Dialogue:
    """As the form has it: its last word, and its sentence."""
    try:
        row = decode(raw)
    except ValueError as error:
        raise InputError(f"{where}: {error}.{_of_another_form(path)}") from None
    if unknown is not None and catalog is not None:
        row = without_unknown(row, catalog, unknown)
    try:
        return parse(row, catalog)
    except ValueError as error:
        raise InputError(f"{where}: {error} (`tacit data check {path}` lists every bad line).") from None


def _of_another_form(path: Path) -> str:
    """What to do with a file whose name says that it holds no lines of JSON."""
    if {".csv", ".tsv", ".json", ".parquet", ".zip", ".txt"}.isdisjoint(path.suffixes):
        return ""
    return f" A table, or chats of another tool: `tacit data convert chats {path} OUT --items ITEMS` writes this form."


def write(path: Path, dialogues: Iterable[Dialogue]) -> int:
    """Stream dialogues into a file in this form; the file appears only when complete. Returns how many."""
    return write_rows(path, (to_json(dialogue) for dialogue in dialogues))


def write_rows(path: Path, rows: Iterable[dict[str, Any]]) -> int:
    """Stream objects into a file, one a line; the file appears only when complete. Returns how many."""
    partial = path.with_name(path.name + ".partial")
    count = 0
    try:
        with says_when_full(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            with partial.open("w", encoding="utf-8", newline="\n") as file:
                for row in rows:
                    file.write(json.dumps(row, ensure_ascii=False) + "\n")
                    count += 1
            sync_file(partial)
            partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    return count


def _places(path: Path) -> tuple[Path, Path | None, Path | None]:
    """(training or only file, validation file or None, test file or None) of a folder or a file."""
    if path.is_file():
        return path, None, None
    train = find(path, ("train.jsonl",))
    if train is None:
        raise InputError(f"{path} is no file and has no train.jsonl: set data.path to your dialogues file or folder.")
    return train, find(path, ("valid.jsonl",)), find(path, ("test.jsonl",))
