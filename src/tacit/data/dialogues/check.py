"""`tacit data check`: every bad line of a dialogues file, with its number and reason, at constant memory."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import numpy as np

from tacit.catalog import Catalog
from tacit.data.dialogues.form import parse
from tacit.data.lines import decode, lines
from tacit.types import InputError

BUCKETS = 64


@dataclass(frozen=True, slots=True)
class Problem:
    line: int
    reason: str


@dataclass(frozen=True, slots=True)
class Checked:
    """What was read: non-blank lines, how many of them are bad, and turns in the good ones."""

    lines: int
    bad: int
    turns: int


def check(
    path: Path,
    catalog: Catalog | None,
    report: Callable[[Problem], None],
    advance: Callable[[int], None] | None = None,
) -> Checked:
    """Report every bad line as it is met; repeated dialogue ids come last, since they need the whole file.

    Without a catalogue item ids are not looked up. ``advance`` is told the bytes of each line read.
    """
    total = bad = turns = 0
    with _Ids() as ids:
        for number, raw in lines(path):
            total += 1
            try:
                dialogue = parse(decode(raw), catalog)
            except ValueError as error:
                bad += 1
                report(Problem(number, str(error)))
            else:
                turns += len(dialogue.turns)
                ids.add(dialogue.id, number)
            if advance:
                advance(len(raw))
        for line, first in ids.repeats():
            bad += 1
            report(Problem(line, f"the dialogue id repeats that of line {first}: make ids unique"))
    if total == 0:
        raise InputError(f"{path} is empty: give a file with one dialogue a line.")
    return Checked(total, bad, turns)


class _Ids:
    """Finds repeated ids on disk: 24 bytes an id in files by hash, and only one of the 64 files in memory at a time."""

    _record = np.dtype([("hash", "S16"), ("line", "<i8")])

    def __enter__(self) -> _Ids:
        self._folder = tempfile.TemporaryDirectory(prefix="tacit-check-")
        self._files = [(Path(self._folder.name) / str(bucket)).open("w+b") for bucket in range(BUCKETS)]
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        for file in self._files:
            file.close()
        self._folder.cleanup()

    def add(self, id: str, line: int) -> None:
        digest = hashlib.blake2b(id.encode(), digest_size=16).digest()
        self._files[digest[0] % BUCKETS].write(digest + line.to_bytes(8, "little"))

    def repeats(self) -> list[tuple[int, int]]:
        """(line, the first line with that id) of every repetition, by line."""
        found: list[tuple[int, int]] = []
        for file in self._files:
            file.seek(0)
            records = np.frombuffer(file.read(), self._record)
            records = records[np.lexsort((records["line"], records["hash"]))]
            starts = np.flatnonzero(np.append(True, records["hash"][1:] != records["hash"][:-1]))
            for start, stop in zip(starts, [*starts[1:], len(records)], strict=True) if len(records) else ():
                first = int(records["line"][start])
                found += [(int(line), first) for line in records["line"][start + 1 : stop]]
        return sorted(found)
