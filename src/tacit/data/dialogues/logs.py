"""Your own logs: one dialogue a line (``schema/dialogue-v1.json``), one item a line (``schema/item-v1.json``).

``parse`` checks a line by hand, because a generic validator is an order of magnitude too slow for gigabytes; a test
holds it to the published schema. Beyond the schema it refuses what no schema can see: unknown items, clicks on items
that were not shown, repeated positions, half-logged propensities, and clocks that go back.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

from tacit.catalog import Catalog
from tacit.data.dialogues.form import parse, to_json
from tacit.data.lines import find, keep, records, share, split
from tacit.run.files import says_when_full, sync_file
from tacit.types import Dialogue, InputError, Split, TestSet

TEST_SHARE = 0.1  # of a single file without a test file beside it, by hash of the dialogue id


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
