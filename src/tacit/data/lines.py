"""Reading line files of any size: plain, gzipped, or inside a zip, one line at a time with its number."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import re
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO, cast

from tacit.types import Dialogue, InputError, Split

MAX_LINE = 64 * 1024 * 1024  # bytes: a longer "line" is a broken file, and must not fill the memory

_HALF_ESCAPE = re.compile(rb"\\u[dD][89a-fA-F]")  # surrogates, which are only valid in pairs


def find(folder: Path, names: Sequence[str]) -> Path | None:
    """The first of ``names`` in ``folder``, plain or with ``.gz``; a zip member is written ``archive.zip/name``."""
    if folder.is_dir():
        for name in names:
            for candidate in (folder / name, folder / f"{name}.gz"):
                if candidate.is_file():
                    return candidate
    archives = [folder] if folder.suffix == ".zip" and folder.is_file() else sorted(folder.glob("*.zip"))
    for archive in archives:
        members = {Path(member).name: member for member in _members(archive) if not member.startswith("__MACOSX")}
        for name in names:
            if name in members:
                return archive / members[name]
    return None


def require(folder: Path, names: Sequence[str], what: str) -> Path:
    """``find`` or an InputError that names the folder, the files looked for and the remedy."""
    found = find(folder, names)
    if found is None:
        wanted = ", ".join(names)
        state = "has none of" if folder.exists() else "does not exist; looked for"
        raise InputError(f"{folder} {state} {wanted} (plain, .gz or in a .zip): set data.path to the {what} folder.")
    return found


def open_binary(path: Path) -> BinaryIO:
    """Open a plain file, a ``.gz``, or ``archive.zip/member`` for reading bytes."""
    archive = next((parent for parent in path.parents if parent.suffix == ".zip" and parent.is_file()), None)
    try:
        if archive is not None:
            return cast(BinaryIO, zipfile.ZipFile(archive).open(path.relative_to(archive).as_posix()))
        if path.suffix == ".gz":
            return cast(BinaryIO, gzip.open(path, "rb"))
        return path.open("rb")
    except (OSError, KeyError, zipfile.BadZipFile) as error:
        raise InputError(f"{path} cannot be read ({error}): check the path and the file.") from None


def lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """(number from 1, bytes) of each non-blank line, at constant memory. An over-long line comes as its first part."""
    with open_binary(path) as file:
        reader = io.BufferedReader(cast(Any, file), 1 << 20) if not isinstance(file, io.BufferedReader) else file
        number = 0
        try:
            while raw := reader.readline(MAX_LINE + 1):
                number += 1
                yield from ((number, raw),) if raw.strip() else ()
                part = raw
                while len(part) > MAX_LINE and not part.endswith(b"\n"):
                    part = reader.readline(MAX_LINE + 1)
        except (OSError, EOFError, zlib.error, zipfile.BadZipFile) as error:
            raise InputError(f"{path}:{number + 1}: the file is damaged ({error}): fetch it again.") from None


def decode(raw: bytes) -> Any:
    """One line as JSON; ValueError with a plain reason otherwise."""
    if len(raw) > MAX_LINE:
        raise ValueError(f"the line is longer than {MAX_LINE >> 20} MiB: write one dialogue a line")
    try:
        value = json.loads(raw.decode("utf-8-sig"))
        if _HALF_ESCAPE.search(raw):
            json.dumps(value, ensure_ascii=False).encode()
        return value
    except UnicodeEncodeError:
        raise ValueError("a \\ud800-style escape stands alone: write the whole character") from None
    except UnicodeDecodeError as error:
        raise ValueError(f"not UTF-8 at byte {error.start}: re-encode the file as UTF-8") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"not JSON ({error.msg} at column {error.colno}): write one JSON object a line") from None
    except RecursionError:
        raise ValueError("the JSON is nested too deeply: write one dialogue a line") from None


def records(path: Path) -> Iterator[tuple[int, Any]]:
    """(number, parsed line); InputError naming file and line for the first that cannot be parsed."""
    for number, raw in lines(path):
        try:
            yield number, decode(raw)
        except ValueError as error:
            raise InputError(f"{path}:{number}: {error}.") from None


def read_json(path: Path) -> Any:
    """A whole (small) JSON file, plain or gzipped."""
    with open_binary(path) as file:
        try:
            return json.loads(file.read().decode("utf-8"))
        except (ValueError, OSError, EOFError, zlib.error) as error:
            raise InputError(f"{path} is not readable JSON ({error}): fetch it again.") from None


def share(key: str) -> float:
    """A fixed number in [0, 1) for a key: its sha256's first 32 bits."""
    return int(hashlib.sha256(key.encode()).hexdigest()[:8], 16) / 2**32


def keep(dialogues: Iterable[Dialogue], limit: float, where: str) -> tuple[Dialogue, ...]:
    """The fixed, hash-selected ``limit`` share of the dialogues; InputError when nothing is left.

    The rest is dropped as it streams by, so that a small share of a huge file needs little memory.
    """
    if not 0 < limit <= 1:
        raise InputError(f"data.limit is {limit}: it must be above 0 and at most 1.")
    kept = tuple(dialogue for dialogue in dialogues if limit == 1 or share("limit:" + dialogue.id) < limit)
    if not kept:
        raise InputError(f"{where} holds no dialogues (with data.limit={limit}): give a file with at least one.")
    return kept


def split(dialogues: Sequence[Dialogue]) -> Split:
    """Training and validation: a dialogue is validation when sha256(id) falls into the first tenth.

    Two or more dialogues always fill both sides, so that a tiny data set still trains and validates.
    """
    valid = [dialogue for dialogue in dialogues if share(dialogue.id) < 0.1]
    if len(dialogues) > 1 and len(valid) in (0, len(dialogues)):
        valid = [min(dialogues, key=lambda dialogue: share(dialogue.id))]
    held = {dialogue.id for dialogue in valid}
    return Split(tuple(dialogue for dialogue in dialogues if dialogue.id not in held), tuple(valid))


def _members(archive: Path) -> list[str]:
    try:
        with zipfile.ZipFile(archive) as file:
            return file.namelist()
    except (OSError, zipfile.BadZipFile) as error:
        raise InputError(f"{archive} is not a readable zip file ({error}): fetch it again.") from None
