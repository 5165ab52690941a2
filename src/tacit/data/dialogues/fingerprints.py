"""Hashes of ids, users and beginnings of dialogues on disk: what recurs in files of any size, at constant memory."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import IO

import numpy as np
import numpy.typing as npt

from tacit.data.dialogues import columns
from tacit.data.dialogues.columns import AGENT, SLATE, Columns
from tacit.data.dialogues.overlap import Overlap
from tacit.types import Bools, Dialogue, Ints64

BUCKETS = 64
SCORED, WHOLE, ANSWERED = 1, 2, 4  # what a beginning is, flags: asked of a ranking, the whole dialogue, with an answer
_IN_MEMORY = 1 << 20  # records of a kind, 24 MB
_AGENT, _USER = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xD1B54A32D192ED03)  # Python's hash of "" is 0
_Hashes = npt.NDArray[np.uint64]
_Records = npt.NDArray[np.uint64]  # [3, n]: hashes; lines; the number of the file, and flags in the lower 8 bits


class Fingerprints:
    """24 bytes an id, user and turn, in memory, and above a million of a kind in 64 files by hash, one at a time read.

    ``file`` numbers the files of a folder, so that one can be held against another. Hashes are 64 bits: among ten
    million of them one false meeting is to be expected in 300,000 checks.
    """

    def __enter__(self) -> Fingerprints:
        self._open = ExitStack()
        self._ids, self._users, self._beginnings = (_Spill(self._open) for _ in range(3))
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._open.close()

    def add(self, file: int, line: int, dialogue: Dialogue) -> None:
        """Remember a dialogue: its id, its user, and each of its beginnings."""
        self.add_columns(file, [line], columns.of_dialogues([dialogue]))

    def add_columns(self, file: int, lines: Sequence[int], of: Columns) -> None:
        """The same of many dialogues, which stand in these lines."""
        if not len(of.ids):
            return
        line: Ints64 = np.array(lines, np.int64)
        self._ids.add(of.ids.view(np.uint64), line, file)
        self._users.add(of.users.view(np.uint64), line, file)
        whose = np.repeat(np.arange(len(line)), of.lengths)
        place = np.arange(len(whose)) - of.starts[whose]
        agent: Bools = of.bits & AGENT > 0
        answered = np.cumsum(agent) - (np.cumsum(agent) - agent)[of.starts][whose] > 0
        scored = (of.bits & SLATE > 0) & (place > 0)
        whole = place == of.lengths[whose] - 1
        flags = scored * SCORED + whole * WHOLE + answered * ANSWERED
        self._beginnings.add(_prefixes(of, agent, place, whose), line[whose], file, flags)

    def repeated_ids(self, file: int) -> list[tuple[int, int]]:
        """(line, the first line with that id) of every repetition in a file, by line."""
        found: list[tuple[int, int]] = []
        for hashes, lines, _ in self._ids.buckets(file):
            rising = np.sort(hashes)
            again = rising[1:][rising[1:] == rising[:-1]]
            if not len(again):
                continue
            first: dict[int, int] = {}
            some = np.isin(hashes, again)
            for value, line in zip(hashes[some].tolist(), lines[some].tolist(), strict=True):
                if value in first:  # records lie in the order of their lines
                    found.append((line, first[value]))
                first.setdefault(value, line)
        return sorted(found)

    def contained(self, file: int) -> int:
        """Dialogues with an answer that are the beginning of another of the file, or equal to an earlier one."""
        count = 0
        for hashes, _, flags in self._beginnings.buckets(file):
            ends = flags & np.uint64(WHOLE) > 0
            wholes, times = np.unique(hashes[ends & (flags & np.uint64(ANSWERED) > 0)], return_counts=True)
            longer = _are_in(wholes, np.sort(hashes[~ends]))
            count += int(np.where(longer, times, times - 1).sum())
        return count

    def overlap(self, training: tuple[int, ...], test: int) -> Overlap:
        """The same counts as ``overlap.overlap`` of the dialogues in these files."""
        dialogues, by_id, _, _ = _shared(self._ids, training, test)
        turns, in_training, _, _ = _shared(self._beginnings, training, test, SCORED)
        _, _, users, both = _shared(self._users, training, test)
        return Overlap(dialogues, by_id, turns, in_training, users, both)

    def users(self) -> int:
        """Different users in all files."""
        return sum(len(np.unique(hashes)) for hashes, _, _ in self._users.buckets())


class _Spill:
    """Records of one kind, in the order in which they came; those that do not fit into memory go to files by hash."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._fresh: list[_Records] = []
        self._size = 0
        self._files: list[IO[bytes]] = []

    def add(self, hashes: _Hashes, lines: Ints64, file: int, flags: Ints64 | int = 0) -> None:
        records = np.empty((3, len(hashes)), np.uint64)
        records[0], records[1], records[2] = hashes, lines, flags + (file << 8)
        self._fresh.append(records)
        self._size += len(hashes)
        if self._size > _IN_MEMORY:
            self._flush()

    def buckets(self, file: int | None = None) -> Iterator[_Records]:
        """All records (of a file); equal hashes lie in one part."""
        if self._files:
            self._flush()
        elif self._fresh:
            self._fresh = [np.concatenate(self._fresh, axis=1)]
        for records in map(_all_of, self._files) if self._files else self._fresh:
            yield records if file is None else records[:, records[2] >> np.uint64(8) == file]

    def _flush(self) -> None:
        if not self._files:
            folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="tacit-check-")))
            for name in range(BUCKETS):
                self._files.append(self._stack.enter_context((folder / str(name)).open("w+b", buffering=0)))
        if not self._fresh:
            return
        records = np.concatenate(self._fresh, axis=1)
        bucket_of = ((records[0] >> np.uint64(32)) % np.uint64(BUCKETS)).astype(np.int64)
        rows = records.T[np.argsort(bucket_of, kind="stable")]
        ends = np.cumsum(np.bincount(bucket_of, minlength=BUCKETS))
        for bucket, part in zip(self._files, np.split(rows, ends[:-1]), strict=True):
            if len(part):
                bucket.seek(0, 2)
                bucket.write(part.tobytes())
        self._fresh, self._size = [], 0


def _all_of(bucket: IO[bytes]) -> _Records:
    bucket.seek(0)
    return np.ascontiguousarray(np.frombuffer(bucket.read(), np.uint64).reshape(-1, 3).T)


def _shared(records: _Spill, training: tuple[int, ...], test: int, flag: int = 0) -> tuple[int, int, int, int]:
    """(test records, those of them with a training record of the same hash, the same of different hashes)."""
    counts = np.zeros(4, np.int64)
    for hashes, _, last in records.buckets():
        file = last >> np.uint64(8)
        tested = hashes[(file == test) & (last & np.uint64(flag) == flag)]
        trained = np.sort(hashes[np.isin(file, np.array(training, np.uint64))])
        different = np.unique(tested)
        counts += [len(tested), _are_in(tested, trained).sum(), len(different), _are_in(different, trained).sum()]
    total, shared, groups, shared_groups = counts.tolist()
    return total, shared, groups, shared_groups


def _are_in(hashes: _Hashes, rising: _Hashes) -> Bools:
    place = np.searchsorted(rising, hashes)
    inside = place < len(rising)
    inside[inside] = rising[place[inside]] == hashes[inside]
    return inside


def _prefixes(of: Columns, agent: Bools, place: Ints64, whose: Ints64) -> _Hashes:
    """A hash of the turns up to each one: equal where two conversations begin alike.

    Σ_i h_i · r_i modulo 2^64 over the turns, h_i of speaker and text, r_i odd: one running sum gives all of them.
    """
    own = of.texts.view(np.uint64) ^ np.where(agent, _AGENT, _USER)
    own *= _odd_numbers(int(of.lengths.max()))[place]
    running = np.cumsum(own)
    before = (running - own)[of.starts]
    return np.asarray(running - before[whose])


def _odd_numbers(n: int) -> _Hashes:
    """The same n that look random each time. Source: splitmix64 (Steele et al. 2014, OOPSLA)."""
    z = np.arange(1, n + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray((z ^ (z >> np.uint64(31))) | np.uint64(1))
