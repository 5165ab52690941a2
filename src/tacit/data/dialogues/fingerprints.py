"""Hashes of ids, users and beginnings of dialogues on disk: what recurs in files of any size, at constant memory."""

from __future__ import annotations

import tempfile
from array import array
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import IO

import numpy as np
import numpy.typing as npt

from tacit.data.dialogues.overlap import Overlap, prefixes, scored
from tacit.types import Bools, Dialogue, Ints64

BUCKETS = 64
ID, USER, BEGINNING, SCORED, WHOLE, ANSWERED = 1, 2, 4, 8, 16, 32  # what a hash is of; flags
_FLUSH = 1 << 11  # records in memory
_RECORD = np.dtype([("hash", "<i8"), ("line", "<i8"), ("file", "<i4"), ("flags", "<i4")])
_Records = npt.NDArray[np.void]


class Fingerprints:
    """24 bytes an id, user and turn, in 64 files by hash, of which one at a time is in memory.

    ``file`` numbers the files of a folder, so that one can be held against another. Hashes are 64 bits: among ten
    million of them one false meeting is to be expected in 300,000 checks.
    """

    def __enter__(self) -> Fingerprints:
        self._open = ExitStack()
        self._files: list[IO[bytes]] = []  # opened with the first records that do not fit into memory
        self._fresh = array("q")
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._open.close()

    def add(self, file: int, line: int, dialogue: Dialogue) -> None:
        """Remember a dialogue: its id, its user, and each of its beginnings."""
        place = file << 32
        fresh = self._fresh
        fresh.extend((hash(("id", dialogue.id)), line, place | ID, hash(("user", dialogue.user)), line, place | USER))
        last = len(dialogue.turns) - 1
        answered = 0
        for t, (state, asked) in enumerate(zip(prefixes(dialogue.turns), scored(dialogue), strict=True)):
            answered = answered or (ANSWERED if dialogue.turns[t].speaker == "agent" else 0)
            fresh.extend((state, line, place | BEGINNING | asked * SCORED | (t == last) * WHOLE | answered))
        if len(fresh) >= 3 * _FLUSH:
            self._flush()

    def repeated_ids(self, file: int) -> list[tuple[int, int]]:
        """(line, the first line with that id) of every repetition in a file, by line."""
        found: list[tuple[int, int]] = []
        for records in self._buckets(ID, file):
            starts = _starts(records["hash"])
            first = records["line"][np.maximum.accumulate(np.where(starts, np.arange(len(records)), 0))]
            again = ~starts
            found += zip(records["line"][again].tolist(), first[again].tolist(), strict=True)
        return sorted(found)

    def contained(self, file: int) -> int:
        """Dialogues with an answer that are the beginning of another of the file, or equal to an earlier one."""
        count = 0
        for records in self._buckets(BEGINNING, file):
            group = np.cumsum(_starts(records["hash"])) - 1
            whole = (records["flags"] & WHOLE > 0) & (records["flags"] & ANSWERED > 0)
            longer = np.bincount(group, records["flags"] & WHOLE == 0) > 0
            wholes = np.bincount(group, whole)
            count += int(np.where(longer, wholes, np.maximum(wholes - 1, 0)).sum()) if len(group) else 0
        return count

    def overlap(self, training: tuple[int, ...], test: int) -> Overlap:
        """The same counts as ``overlap.overlap`` of the dialogues in these files."""
        dialogues, by_id, _ = self._shared(ID, training, test)
        turns, in_training, _ = self._shared(BEGINNING, training, test)
        _, _, (users, both) = self._shared(USER, training, test)
        return Overlap(dialogues, by_id, turns, in_training, users, both)

    def users(self) -> int:
        """Different users in all files."""
        return sum(int(_starts(records["hash"]).sum()) for records in self._buckets(USER, None))

    def _shared(self, kind: int, training: tuple[int, ...], test: int) -> tuple[int, int, tuple[int, int]]:
        """(test records, those of them with a training record of the same hash, (test groups, those shared))."""
        total = shared = groups = shared_groups = 0
        for records in self._buckets(kind, None):
            group = np.cumsum(_starts(records["hash"])) - 1
            of_test: Bools = records["file"] == test
            if kind == BEGINNING:
                of_test &= records["flags"] & SCORED > 0
            trained = np.bincount(group, np.isin(records["file"], training)) > 0
            tested = np.bincount(group, of_test) > 0
            total += int(of_test.sum())
            shared += int((of_test & trained[group]).sum())
            groups += int(tested.sum())
            shared_groups += int((tested & trained).sum())
        return total, shared, (groups, shared_groups)

    def _buckets(self, kind: int, file: int | None) -> Iterator[_Records]:
        """Records of a kind (and file), sorted by hash, then file, then line; one bucket at a time."""
        if self._files:
            self._flush()
        for bucket in self._files or (None,):
            if bucket is None:
                records = self._fresh_records()
            else:
                bucket.seek(0)
                records = np.frombuffer(bucket.read(), _RECORD)
            chosen = records["flags"] & kind > 0
            if file is not None:
                chosen &= records["file"] == file
            records = records[chosen]
            yield records[np.lexsort((records["line"], records["file"], records["hash"]))]

    def _fresh_records(self) -> _Records:
        columns: Ints64 = np.array(self._fresh, dtype=np.int64).reshape(-1, 3)
        records = np.empty(len(columns), _RECORD)
        records["hash"], records["line"] = columns[:, 0], columns[:, 1]
        records["file"], records["flags"] = columns[:, 2] >> 32, columns[:, 2] & 0xFFFFFFFF
        return records

    def _flush(self) -> None:
        if not self._files:
            folder = Path(self._open.enter_context(tempfile.TemporaryDirectory(prefix="tacit-check-")))
            for name in range(BUCKETS):
                self._files.append(self._open.enter_context((folder / str(name)).open("w+b")))
        records = self._fresh_records()
        bucket_of = records["hash"] & (BUCKETS - 1)
        ends = np.cumsum(np.bincount(bucket_of, minlength=BUCKETS))
        parts = np.split(records[np.argsort(bucket_of, kind="stable")], ends[:-1])
        for bucket, part in zip(self._files, parts, strict=True):
            if len(part):
                bucket.seek(0, 2)
                bucket.write(part.tobytes())
        self._fresh = array("q")


def _starts(sorted_hashes: Ints64) -> Bools:
    """True where a hash differs from the one before."""
    starts = np.ones(len(sorted_hashes), dtype=bool)
    starts[1:] = sorted_hashes[1:] != sorted_hashes[:-1]
    return starts
