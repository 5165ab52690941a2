"""What was decided about versions, by whom and why: one JSON object a line, appended, each with the hash of the last.

    {"n": 2, "at": "2026-11-29T04:30:00.000+00:00", "who": "ann", "what": "promote", "version": "...",
     "previous_version": "...", "why": "...", "forced": false, "report": "sha256 of the report", "details": {...},
     "before": "...", "hash": "..."}

``hash`` is the SHA-256 of the row without it, and ``before`` the hash of the row before: a row that is changed, taken
out or put in breaks the chain. That the end is cut off shows by the registry's pointer, which names the row that moved
it. It is no signature: whoever may write the folder can make a whole chain anew. Copy the last hash to where they
cannot.
"""

from __future__ import annotations

import getpass
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from tacit.run.files import says_when_unwritable, sync_folder
from tacit.types import InputError

What = Literal["first", "gate", "promote", "canary", "share", "rollback", "abandoned", "lost"]
MOVES = ("first", "promote", "canary", "share", "rollback")  # what changes which version is served
START = "0" * 64  # what the first row says of the row before it


@dataclass(frozen=True)
class Row:
    n: int
    at: str
    who: str
    what: What
    version: str | None
    previous_version: str | None
    why: str
    forced: bool
    report: str | None
    details: Mapping[str, Any] = field(default_factory=dict)
    before: str = START
    hash: str = ""

    def hashed(self) -> str:
        content = {name: value for name, value in asdict(self).items() if name != "hash"}
        return hashlib.sha256(_line(content)).hexdigest()


class Audit:
    """One writer at a time: the registry holds its folder while it appends."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def rows(self) -> list[Row]:
        """Those that are whole; ``InputError`` naming the line where the file is no audit."""
        return [row for row, _ in self._read()]

    def append(
        self,
        what: What,
        version: str | None,
        previous_version: str | None,
        why: str,
        who: str = "",
        forced: bool = False,
        report: str | None = None,
        details: Mapping[str, Any] | None = None,
    ) -> Row:
        """On disk when it returns. A line that a kill left unfinished was never answered for, and is cut off first."""
        rows = self.rows()
        at = datetime.now(UTC).isoformat(timespec="milliseconds")
        before = rows[-1].hash if rows else START
        row = Row(
            len(rows) + 1,
            at,
            who or user_name(),
            what,
            version,
            previous_version,
            why,
            forced,
            report,
            details or {},
            before,
        )
        row = Row(**{**asdict(row), "hash": row.hashed()})
        with says_when_unwritable(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            handle = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o644)
            try:
                end = _whole_bytes(self.path)
                os.ftruncate(handle, end)
                os.pwrite(handle, _line(asdict(row)) + b"\n", end)
                os.fsync(handle)
            finally:
                os.close(handle)
            sync_folder(self.path.parent)
        return row

    def faults(self) -> list[str]:
        """What shows that a row was changed, taken out or put in; one sentence each."""
        found, before = list[str](), START
        for number, (row, line) in enumerate(self._read(), start=1):
            place = f"{self.path}:{number}"
            if row.hashed() != row.hash or _line(asdict(row)) != line:
                found.append(f"{place} was changed after it was written: its hash is another.")
            if row.before != before or row.n != number:
                found.append(f"{place} does not follow the row before it: rows were taken out, put in or changed.")
            before = row.hash
        return found

    def _read(self) -> Iterator[tuple[Row, bytes]]:
        try:
            content = self.path.read_bytes()
        except FileNotFoundError:
            return
        except OSError as error:
            raise InputError(f"{self.path} cannot be read ({error.strerror}): make it readable.") from None
        for number, line in enumerate(content.split(b"\n")[:-1], start=1):
            try:
                yield _row(json.loads(line)), line
            except (ValueError, TypeError):
                raise InputError(
                    f"{self.path}:{number} is damaged, it holds no row of an audit: put the file back from a copy, or "
                    "move it elsewhere, which the next row will say."
                ) from None


def user_name() -> str:
    """Who runs this process, as the system has it."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container's user may have no name
        return f"uid {os.getuid()}"


def _row(content: Any) -> Row:
    """``TypeError`` where it is none, or a field is of another kind."""
    row = Row(**content)
    texts = (row.at, row.who, row.what, row.why, row.before, row.hash)
    names = (row.version, row.previous_version, row.report)
    if (
        type(row.n) is not int
        or not isinstance(row.details, Mapping)
        or not all(isinstance(one, str) for one in texts)
        or not all(one is None or isinstance(one, str) for one in names)
    ):
        raise TypeError("a field of another kind")
    return row


def _line(content: Mapping[str, Any]) -> bytes:
    return json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False).encode("ascii")


def _whole_bytes(path: Path) -> int:
    """Up to and with the last end of a line."""
    return path.read_bytes().rfind(b"\n") + 1
