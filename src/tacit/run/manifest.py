"""Hashes of a saved model's files: one flipped byte is refused when the model is loaded.

A folder that ``sealed_folder`` wrote holds ``manifest.json``: {"format": 1, "files": {name: {"sha256", "bytes"}}}.
Folders from before there were manifests have none and are loaded as they are.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

from tacit.run.files import atomic_folder, sha256
from tacit.types import InputError

FILE = "manifest.json"
_FORMAT = 1


@contextlib.contextmanager
def sealed_folder(path: str | Path) -> Iterator[Path]:
    """``atomic_folder`` with a manifest of everything that was put into it."""
    with atomic_folder(path) as part:
        yield part
        seal(part)


def seal(folder: Path) -> None:
    """Write the manifest of all files below ``folder``."""
    files = {
        path.relative_to(folder).as_posix(): {"sha256": sha256(path), "bytes": path.stat().st_size}
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path != folder / FILE
    }
    text = json.dumps({"format": _FORMAT, "files": files}, indent=1)
    (folder / FILE).write_text(text + "\n", encoding="utf-8")


def content_hash(folder: Path) -> str:
    """One SHA-256 of the names and hashes of all files below ``folder`` but its manifest: equal files, equal hash."""
    files = {
        path.relative_to(folder).as_posix(): sha256(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path != folder / FILE
    }
    return hashlib.sha256(json.dumps(files, sort_keys=True).encode()).hexdigest()


_REMEDY = (
    "restore the folder from a copy, delete the stage's folder and run it again, or load it unchecked "
    "(verify=False, on the command line --no-verify)."
)


def verify(folder: str | Path, remedy: str = _REMEDY) -> None:
    """``InputError`` naming the first file that is missing or is not what was saved, and the ``remedy``; files beside
    them may be there."""
    folder = Path(folder)
    path = folder / FILE
    if not path.is_file():
        return
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        expected = {str(name): (str(one["sha256"]), int(one["bytes"])) for name, one in manifest["files"].items()}
        version = manifest["format"]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise InputError(f"{path} is damaged: {remedy}") from None
    if version != _FORMAT:
        raise InputError(f"{path} has format {version}, and this version reads {_FORMAT}: update tacit.")
    for name, (digest, size) in expected.items():
        part = folder / name
        if not part.is_file():
            raise InputError(f"{part} is missing: {remedy}")
        if part.stat().st_size != size or sha256(part) != digest:
            raise InputError(f"{part} is not the file that was saved (its sha256 differs): {remedy}")


def verify_if_sealed(folder: str | Path) -> None:
    """``verify`` for a folder that may be anybody's: a manifest of another form is not held against it."""
    try:
        files = json.loads((Path(folder) / FILE).read_text(encoding="utf-8"))["files"]
        sealed = all(set(one) == {"sha256", "bytes"} for one in files.values())
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return
    if sealed:
        verify(folder)
