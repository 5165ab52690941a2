"""Finding a data set's files, plain, gzipped or in a zip, and parting its dialogues by hash.

The readers themselves stand lower, in ``tacit.run.lines``, since the catalogue reads its items with them.
"""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from tacit.run.lines import MAX_LINE, blocks, decode, lines, open_binary, read_bytes, read_json, records
from tacit.types import Dialogue, InputError, Split

__all__ = [
    "MAX_LINE",
    "blocks",
    "decode",
    "find",
    "keep",
    "lines",
    "open_binary",
    "read_bytes",
    "read_json",
    "records",
    "require",
    "share",
    "split",
]


def find(folder: Path, names: Sequence[str]) -> Path | None:
    """The first of ``names`` in ``folder``, plain or with ``.gz``; a zip member is written ``archive.zip/name``."""
    if folder.is_dir():
        for name in names:
            for candidate in (folder / name, folder / f"{name}.gz"):
                if candidate.is_file():
                    return candidate
    if folder.suffix == ".zip" and folder.is_file():
        archives = [folder]
    else:
        archives = sorted(path for path in folder.glob("*.zip") if path.is_file())
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


def split(dialogues: Sequence[Dialogue], key: Callable[[Dialogue], str] = lambda dialogue: dialogue.id) -> Split:
    """Training and validation: a dialogue is validation when sha256(its key) falls into the first tenth.

    Two or more keys always fill both sides, so that a tiny data set still trains and validates.
    """
    keys = {key(dialogue) for dialogue in dialogues}
    held = {name for name in keys if share(name) < 0.1}
    if len(keys) > 1 and len(held) in (0, len(keys)):
        held = {min(keys, key=share)}
    train = tuple(dialogue for dialogue in dialogues if key(dialogue) not in held)
    return Split(train, tuple(dialogue for dialogue in dialogues if key(dialogue) in held))


def _members(archive: Path) -> list[str]:
    try:
        with zipfile.ZipFile(archive) as file:
            return file.namelist()
    except (OSError, zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        raise InputError(f"{archive} is not a readable zip file ({error}): fetch it again.") from None
