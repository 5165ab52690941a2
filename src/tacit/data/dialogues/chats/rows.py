"""The rows of an export, however stored: lines, one array, one object, packed, or several files of a folder or zip.

An array is told from lines by its first byte. A file that is one object may hold its rows in a list (``data`` of an
interface's page, ``traces`` of a session, ``chats``).
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

from tacit.data.lines import lines, open_binary, read_bytes
from tacit.run.lines import MAX_LINE, decode, parse_json
from tacit.types import InputError

LISTS = ("data", "traces", "chats")
_ENDINGS = (".json", ".jsonl", ".ndjson", ".json.gz", ".jsonl.gz", ".ndjson.gz")
_BEGINNING = 1 << 16  # bytes among which the first that is no space must stand


@dataclass(frozen=True)
class Row:
    where: str  # "chats.jsonl:3", or "conversations.json: entry 3"
    name: str  # "chats-3", for a conversation without an id
    value: Any


@dataclass(frozen=True)
class Source:
    """A file, or those of a folder or zip that hold JSON. It may be read any number of times."""

    path: Path

    @cached_property
    def files(self) -> tuple[Path, ...]:
        """``conversations*.json`` alone where there is one, as ChatGPT's export has other files beside it."""
        if self.path.is_dir():
            found = sorted(file for file in self.path.rglob("*") if file.is_file() and _is_json(file.name))
        elif self.path.suffix == ".zip" and self.path.is_file():
            found = [self.path / name for name in _members(self.path) if _is_json(name)]
        else:
            if not self.path.is_file() and not any(parent.is_file() for parent in self.path.parents):
                raise InputError(f"{self.path} does not exist: give a file, a folder or a zip of chats.")
            return (self.path,)
        chosen = [file for file in found if file.name.startswith("conversations")] or found
        if not chosen:
            raise InputError(f"{self.path} holds no JSON file: give a file, a folder or a zip of chats.")
        return tuple(chosen)

    def rows(self) -> Iterator[Row]:
        for file in self.files:
            yield from _rows(file, f"{file.name.split('.')[0]}-")

    def beside(self, name: str) -> list[Any]:
        """The entries of another file of the same folder or zip; none where it is not there."""
        places = {file.with_name(name) for file in self.files}
        found = [file for file in sorted(places) if file.is_file() or _in_zip(file)]
        return [row.value for file in found for row in _rows(file, "")]


def _rows(file: Path, name: str) -> Iterator[Row]:
    if beginning(file) == b"[":
        yield from _entries(file, name, _whole(file))
        return
    begun = False
    for number, raw in lines(file):
        try:
            value = decode(raw)
        except ValueError as error:
            if not begun and (whole := _one_object(file)) is not None:
                yield from _of_object(file, name, whole)
                return
            raise InputError(f"{file}:{number}: {error}.") from None
        if not begun and isinstance(value, dict) and _list_in(value) is not None and len(raw) <= MAX_LINE:
            rest = next((True for later, _ in lines(file) if later != number), False)
            if not rest:
                yield from _of_object(file, name, value)
                return
        begun = True
        yield Row(f"{file}:{number}", f"{name}{number}", value)


def _entries(file: Path, name: str, values: Sequence[Any]) -> Iterator[Row]:
    for number, value in enumerate(values, start=1):
        yield Row(f"{file}: entry {number}", f"{name}{number}", value)


def _of_object(file: Path, name: str, value: dict[str, Any]) -> Iterator[Row]:
    listed = _list_in(value)
    yield from _entries(file, name, [value] if listed is None else listed)


def _list_in(value: dict[str, Any]) -> list[Any] | None:
    for key in LISTS:
        entries = value.get(key)
        if isinstance(entries, list) and entries and all(isinstance(entry, dict) for entry in entries):
            return entries
    return None


def beginning(file: Path) -> bytes:
    """The first byte that is no space; b"" of a file that has none."""
    with open_binary(file) as opened:
        try:
            raw = opened.read(_BEGINNING)
        except OSError as error:
            raise InputError(f"{file} cannot be read ({error}): check the path and the file.") from None
    return raw.removeprefix(b"\xef\xbb\xbf").lstrip()[:1]


def _whole(file: Path) -> list[Any]:
    try:
        value = parse_json(read_bytes(file))
    except ValueError as error:
        reason = str(error).replace("write one JSON object a line", "it begins as an array, which must end as one")
        raise InputError(f"{file}: {reason}.") from None
    if not isinstance(value, list):
        raise InputError(f"{file} is no array of conversations: give one JSON object a line, or an array of them.")
    return value


def _one_object(file: Path) -> dict[str, Any] | None:
    """A file that is one object over several lines."""
    if beginning(file) != b"{":
        return None
    try:
        value = parse_json(read_bytes(file))
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def _is_json(name: str) -> bool:
    return PurePosixPath(name).name.lower().endswith(_ENDINGS) and not name.startswith("__MACOSX")


def _members(archive: Path) -> list[str]:
    try:
        with zipfile.ZipFile(archive) as opened:
            return sorted(opened.namelist())
    except (OSError, zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        raise InputError(f"{archive} is not a readable zip file ({error}): fetch it again.") from None


def _in_zip(file: Path) -> bool:
    archive = next((parent for parent in file.parents if parent.suffix == ".zip" and parent.is_file()), None)
    return archive is not None and file.relative_to(archive).as_posix() in _members(archive)
