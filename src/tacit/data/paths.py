"""The files that the data section of a config names."""

from __future__ import annotations

from pathlib import Path

from tacit.types import InputError


def data_path(path: str, name: str, remedy: str) -> Path:
    """``data.path`` of the source ``name``, which must exist; ``remedy`` says what to give where it is not set."""
    if not path:
        raise InputError(f"data.path is not set: give {remedy}.")
    found = Path(path).expanduser()
    if not found.exists():
        raise InputError(f"data.path {found} does not exist: give the file or folder of the {name} data.")
    return found


def items_path(items: str) -> Path | None:
    """``data.items``; None where it is not set."""
    return Path(items).expanduser() if items else None
