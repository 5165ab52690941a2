"""Versions of the policy that is served, and which of them is current.

    FOLDER/versions/VERSION/         a policy, copied, with its manifest
    FOLDER/current.json              {"format": 1, "history": ["older", "current"], "canary": {...}, "audit": "hash"}
    FOLDER/audit.jsonl               every decision, chained by hashes (``serve.audit``)
    FOLDER/reports/SHA256.json       what decisions were made from, byte for byte

A version is named by the hash of its files: weights, configuration, catalogue. Folder and pointer each take their place
in one step, so that whatever is killed, the registry names one version whose files are whole.

A decision is written to the audit first, and then the pointer moves. What is current is what the pointer says: where a
kill came between the two, nothing moved, and the next decision begins by noting that the row before it was abandoned.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import secrets
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tacit.run.files import atomic_write, remove_unfinished, sha256
from tacit.run.lock import exclusive
from tacit.serve.audit import MOVES, Audit, Row, What
from tacit.serve.pointer import FILE, REMEDY, Canary, Pointer, read_pointer
from tacit.serve.versions import Versions
from tacit.types import InputError

log = logging.getLogger(__name__)
MOST = 50  # versions of the history that are remembered
WAIT_S = 5.0  # for another process that changes the registry
_alone = threading.RLock()  # a process holds the folder's lock as one


class Registry:
    """Safe to call from any thread, and from several processes: one at a time changes it."""

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self.audit = Audit(self.folder / "audit.jsonl")
        self._versions = Versions(self.folder / "versions")

    def versions(self) -> list[str]:
        """Those registered, whole or not, by name."""
        return self._versions.names()

    def path(self, version: str) -> Path:
        """The policy folder of a version; ``InputError`` where there is none."""
        return self._versions.path(version)

    def add(self, policy: Path) -> str:
        """Copy a policy folder in, if it is not there; its version. ``InputError`` where its files are damaged."""
        with self._changing():
            return self._versions.add(policy)

    def pointer(self) -> Pointer:
        return read_pointer(self.folder)

    def history(self) -> list[str]:
        """Versions as they were promoted, the current one last."""
        return list(self.pointer().history)

    def current(self) -> str | None:
        """The current version; of a damaged one, the last before it that is whole. None: nothing was promoted yet."""
        history = self.pointer().history
        whole = self._versions.whole(history)
        if history and not whole:
            raise InputError(f"{self.folder} has no version left that is whole: {REMEDY}")
        if whole != history:
            log.warning("the current policy's files are damaged: the version before it is served")
        return whole[-1] if whole else None

    def candidate(self) -> Canary | None:
        """The canary that runs; None where its files are damaged, too: nobody is given it then."""
        canary = self.pointer().canary
        if canary is not None and self._versions.damage(canary.version):
            log.warning("the candidate's files are damaged: nobody is given it")
            return None
        return canary

    def stamp(self) -> tuple[int, int, int] | None:
        """Another one whenever the pointer was written."""
        try:
            found = (self.folder / FILE).stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino

    def keep_report(self, content: bytes) -> str:
        """The bytes that a decision is made from, kept under their SHA-256, which is returned."""
        name = hashlib.sha256(content).hexdigest()
        with self._changing():
            atomic_write(self._report(name), content)
        return name

    def decided(self, version: str, passed: bool, why: str, report: str, details: Mapping[str, Any]) -> Row:
        """Note what the gate said of a version beside the current one."""
        with self._changing():
            self._versions.require_whole(version)
            said = {"passed": passed, **details}
            return self.audit.append("gate", version, self.current(), why, report=report, details=said)

    def passed(self, version: str) -> Row | None:
        """The gate's last word on a version beside the current one, where it let it pass; else None."""
        current, found = self.current(), None
        for row in self.audit.rows():
            if row.what == "gate" and row.version == version and row.previous_version == current:
                found = row
        return found if found is not None and found.details.get("passed") is True else None

    def promote(
        self,
        version: str,
        why: str = "",
        who: str = "",
        force: str = "",
        canary: Canary | None = None,
        details: Mapping[str, Any] | None = None,
    ) -> None:
        """From now on current. Its files are read and compared first, and the gate must have let it pass beside what is
        current now; ``force`` is the reason to do without. The first version of all has nothing to be compared with.
        ``canary``: only if it is the one that runs."""
        with self._changing():
            self._versions.require_whole(version)
            pointer, current = self.pointer() if canary is None else self._still(canary), self.current()
            if current == version and pointer.canary is None:
                return
            self._no_other_canary(pointer, version)
            report = self._permitted(version, force, pointer) if current else None
            moved = Pointer((*self._versions.whole(pointer.history), version))
            what: What = "promote" if current else "first"
            self._move(what, moved, version, current, why, who, force, report, details)

    def begin_canary(self, version: str, share: float, why: str = "", who: str = "", force: str = "") -> Canary:
        """Give a share of the sessions to a version that the gate let pass beside the current one."""
        with self._changing():
            self._versions.require_whole(version)
            pointer, current = self.pointer(), self.current()
            if current is None:
                raise InputError(
                    f"Nothing is current that {version} could be tried beside: promote it without --share."
                )
            if current == version:
                raise InputError(f"{version} is current, and cannot be tried beside itself: give another version.")
            self._no_other_canary(pointer, version)
            if pointer.canary is not None:
                raise InputError(f"{version} is being tried already: see `tacit versions`.")
            report = self._permitted(version, force, pointer)
            canary = Canary(version, ((_now_ms(), _checked(share)),), secrets.token_hex(8))
            moved = Pointer(self._versions.whole(pointer.history), canary)
            self._move("canary", moved, version, current, why, who, force, report, {"share": share})
            return canary

    def set_share(
        self, canary: Canary, share: float, why: str = "", details: Mapping[str, Any] | None = None
    ) -> Canary:
        """Another share for the canary that runs; ``InputError`` where ``canary`` is no longer it."""
        with self._changing():
            pointer = self._still(canary)
            grown = replace(canary, shares=(*canary.shares, (_now_ms(), _checked(share))))
            said = {"share": share, **(details or {})}
            moved = replace(pointer, canary=grown)
            self._move("share", moved, canary.version, self.current(), why, details=said)
            return grown

    def rollback(
        self, why: str = "", who: str = "", canary: Canary | None = None, details: Mapping[str, Any] | None = None
    ) -> str:
        """End the canary where one runs; else back to the version before the current one, which is whole. The version
        that is current then. ``canary``: only if it is the one that runs."""
        with self._changing():
            pointer = self.pointer() if canary is None else self._still(canary)
            left = pointer.canary.version if pointer.canary else (pointer.history or (None,))[-1]
            whole = self._versions.whole(pointer.history if pointer.canary else pointer.history[:-1])
            if not whole:
                raise InputError(f"{self.folder} has no version before the current one to go back to.")
            self._move("rollback", Pointer(whole), whole[-1], left, why, who, details=details)
            return whole[-1]

    def faults(self) -> list[str]:
        """What is wrong with the audit, the pointer, and what they speak of; one sentence each."""
        return [*self.audit.faults(), *self._pointer_faults(), *self._file_faults()]

    def _pointer_faults(self) -> Iterator[str]:
        rows, pointer, path = self.audit.rows(), self.pointer(), self.folder / FILE
        row = next((row for row in rows if row.hash == pointer.audit), None)
        if row is None and pointer.audit is not None:
            yield f"{self.audit.path} lacks the row that moved {path.name}: rows were taken out, or it is older."
        elif row is None and pointer.history and any(row.what in MOVES for row in rows):
            yield f"{path} was written by something else: it names no row of the audit."
        elif row is None and len(_moves(rows)) > 1:
            yield f"{path} is missing or empty, which rows of the audit say was moved: put it back from a copy."
        elif row is not None and row.details.get("pointer") != pointer.decided():
            yield f"{path} is not what row {row.n} of the audit decided."
        for row in rows:
            if row.what == "lost":
                yield f"Row {row.n} of the audit says: {row.why}."

    def _file_faults(self) -> Iterator[str]:
        pointer = self.pointer()
        canary = (pointer.canary.version,) if pointer.canary else ()
        for version in dict.fromkeys((*pointer.history, *canary, *self.versions())):
            if wrong := self._versions.damage(version):
                yield wrong
        for row in self.audit.rows():
            if row.report and self._lost(row):
                yield f"The report of row {row.n} of the audit is missing or was changed: {self._report(row.report)}."

    def _lost(self, row: Row) -> bool:
        """Is the report that a row names not there as it was?"""
        path = self._report(row.report or "")
        return not path.is_file() or sha256(path) != row.report

    def _report(self, name: str) -> Path:
        return self.folder / "reports" / f"{name}.json"

    @contextlib.contextmanager
    def _changing(self) -> Iterator[None]:
        """Alone, among threads and processes; another process is waited for. What a killed one left is put right."""
        with _alone, contextlib.ExitStack() as held:
            end = time.monotonic() + WAIT_S
            while True:
                try:
                    held.enter_context(exclusive(self.folder))
                    break
                except InputError:
                    if time.monotonic() > end or not os.access(self.folder, os.W_OK):
                        raise
                    time.sleep(0.05)
            remove_unfinished(self.folder)
            yield

    def _still(self, canary: Canary) -> Pointer:
        pointer = self.pointer()
        if pointer.canary != canary:
            raise InputError("The canary was changed meanwhile: look at `tacit versions` and ask again.")
        return pointer

    def _no_other_canary(self, pointer: Pointer, version: str) -> None:
        if pointer.canary is not None and pointer.canary.version != version:
            raise InputError(
                f"{pointer.canary.version} is being tried on a share of the sessions: promote it, or end that by "
                "`tacit rollback`, first."
            )

    def _permitted(self, version: str, force: str, pointer: Pointer) -> str | None:
        """The hash of the report with which the gate let it pass; None by force. ``InputError`` else. What is being
        tried was permitted when that began."""
        if pointer.canary is not None:
            return next((row.report for row in reversed(self.audit.rows()) if row.what == "canary"), None)
        row, reason = self.passed(version), 'give --force "reason", which the audit keeps.'
        if not force.strip():
            if row is None:
                raise InputError(
                    f"The gate has not let {version} pass beside {self.current()}, which is current: run `tacit gate`, "
                    f"or {reason}"
                )
            if self.audit.faults():
                raise InputError(f"{self.audit.path} was changed, see `tacit versions`: put it back, or {reason}")
            if self._lost(row):
                raise InputError(f"The report by which {version} passed is missing or changed: run `tacit gate` again.")
        return row.report if row else None

    def _move(
        self,
        what: What,
        pointer: Pointer,
        version: str,
        left: str | None,
        why: str,
        who: str = "",
        force: str = "",
        report: str | None = None,
        details: Mapping[str, Any] | None = None,
    ) -> None:
        """The row, and then the pointer."""
        self._note_what_was_before(who)
        pointer = replace(pointer, history=pointer.history[-MOST:], audit=None)
        said = {**(details or {}), "pointer": pointer.decided()}
        forced = force.strip()
        row = self.audit.append(what, version, left, forced or why, who, bool(forced), report, said)
        replace(pointer, audit=row.hash).save(self.folder)

    def _note_what_was_before(self, who: str) -> None:
        """Pointer and audit must follow from one another. A row that no pointer followed was abandoned: its process was
        killed, or the disk was full. Where rows or the pointer are gone, that stays a fault for ever."""
        rows, pointer = self.audit.rows(), self.pointer()
        moves = _moves(rows)
        if pointer.audit is not None and all(row.hash != pointer.audit for row in rows):
            self._note("lost", None, f"rows before it are missing, with the one that moved {FILE}", who, pointer.audit)
        elif pointer.audit is None and len(moves) > 1:
            self._note("lost", None, f"{FILE} was missing, or written by something else", who, moves[-1].hash)
        elif moves and moves[-1].hash != pointer.audit:
            why = f"row {moves[-1].n} was not carried out"
            self._note("abandoned", moves[-1].version, why, who, moves[-1].hash)

    def _note(self, what: What, version: str | None, why: str, who: str, row: str) -> None:
        self.audit.append(what, version, None, why, who, details={"row": row})


def _moves(rows: Sequence[Row]) -> list[Row]:
    """Rows that moved the pointer, or were about to: all but those noted as abandoned."""
    abandoned = {row.details.get("row") for row in rows if row.what == "abandoned"}
    return [row for row in rows if row.what in MOVES and row.hash not in abandoned]


def _checked(share: float) -> float:
    if not 0.0 < share < 1.0:
        raise InputError(
            f"The share of a canary is {share:g}: give a number above 0 and below 1, or promote it to all."
        )
    return float(share)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
