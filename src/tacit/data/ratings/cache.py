"""Ratings that take minutes to read, kept on disk for the next stage of a run."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path

import polars as pl

from tacit.data.ratings.table import Ratings
from tacit.run.files import atomic_folder
from tacit.types import Item

_FRAME, _REST = "ratings.parquet", "ratings.json"
Key = Mapping[str, object]  # of JSON's values: lists, no tuples


def kept(folder: Path, key: Key, read: Callable[[], Ratings]) -> Ratings:
    """What ``folder`` holds under ``key``; else ``read()``, which the folder holds from then on.

    Ratings under another key, and such as cannot be read, are replaced. A kill leaves nothing that is half written.
    """
    found = _load(folder, key)
    if found is None:
        found = read()
        with atomic_folder(folder) as part:
            _save(part, key, found)
    return found


def version(path: Path) -> list[object]:
    """Path, bytes and nanosecond of the last change: tells a file from another version of it without reading it."""
    known = path.stat()
    return [str(path.resolve()), known.st_size, known.st_mtime_ns]


def _save(folder: Path, key: Key, ratings: Ratings) -> None:
    rest = vars(ratings) | {"items": [asdict(item) for item in ratings.items]}
    rest.pop("frame").write_parquet(folder / _FRAME)
    (folder / _REST).write_text(json.dumps({"key": key, "ratings": rest}), encoding="utf-8")


def _load(folder: Path, key: Key) -> Ratings | None:
    try:
        stored = json.loads((folder / _REST).read_text(encoding="utf-8"))
        if stored["key"] != key:
            return None
        rest = stored["ratings"]
        for item in rest["items"]:
            item["attributes"] = {name: tuple(values) for name, values in item["attributes"].items()}
        rest["items"] = tuple(Item(**item) for item in rest["items"])
        rest["users"], rest["profiles"] = tuple(rest["users"]), tuple(rest["profiles"])
        return Ratings(frame=pl.read_parquet(folder / _FRAME), **rest)
    except (OSError, ValueError, KeyError, TypeError, pl.exceptions.PolarsError):
        return None
