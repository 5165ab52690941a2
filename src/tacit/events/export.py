"""The log as Parquet: ``FOLDER/events/day=2026-01-31/shard=07/000000000001-000000200000.parquet``.

Each row is exported once. A file is named after the row numbers it was made from, so that a later batch of the same day
lies beside the first; what was being written when a process was killed is named in ``export.json``, thrown away, and
made again. Words are never exported.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl

from tacit.events.rows import SHARDS, STREAMS, batches, with_partitions
from tacit.events.store import Store
from tacit.events.tables import STORE_ID
from tacit.run.files import atomic_write, read_json, sync_folder, write_parquet
from tacit.run.lock import exclusive
from tacit.types import InputError

MANIFEST = "export.json"
ROWS = 200_000  # in memory at a time


def export(store: Store, folder: str | Path, rows: int = ROWS) -> dict[str, int]:
    """Append to ``folder`` what it does not hold yet: how many rows of each table."""
    folder = Path(folder)
    written = dict.fromkeys(STREAMS, 0)
    with exclusive(folder):
        manifest = _manifest(store, folder)
        _save(folder, manifest)
        for name, stream in STREAMS.items():
            for frame in batches(store, name, manifest["done"][name], rows):
                last = int(frame["row"][-1])
                batch = f"{manifest['done'][name] + 1:012d}-{last:012d}"
                _save(folder, {**manifest, "pending": [name, batch]})
                parts = with_partitions(frame, stream.moment).partition_by(["day", "shard"], as_dict=True)
                for (day, shard), part in parts.items():
                    place = folder / name / f"day={day}" / f"shard={shard:02d}"
                    write_parquet(place / f"{batch}.parquet", part.drop("day", "shard"))
                manifest["done"][name] = last
                _save(folder, {**manifest, "pending": None})
                written[name] += frame.height
    return written


def delete_user(folder: str | Path, user: str) -> int:
    """Rewrite the files that have rows of this pseudonym without them; how many rows. Doing it again does no harm."""
    folder, deleted = Path(folder), 0
    with exclusive(folder):
        for path in files(folder):
            if user not in pl.read_parquet(path, columns=["user"])["user"]:
                continue
            table = pl.read_parquet(path)
            rest = table.filter(pl.col("user") != user)
            deleted += table.height - rest.height
            if rest.height:
                write_parquet(path, rest)
            else:
                _remove(path)
    return deleted


def retain(folder: str | Path, first_day: str) -> int:
    """Remove the files of days before ``first_day`` (such as 2026-01-31): how many."""
    removed = 0
    with exclusive(Path(folder)):
        for path in list(files(Path(folder))):
            if path.parent.parent.name.removeprefix("day=") < first_day:
                _remove(path)
                removed += 1
    return removed


def files(folder: Path, name: str = "*") -> Iterator[Path]:
    """Of one table, or of all."""
    yield from sorted(folder.glob(f"{name}/day=*/shard=*/*.parquet"))


def scan(folder: Path, name: str) -> pl.LazyFrame:
    """A table of the export; ``InputError`` where the folder is none."""
    if not (folder / MANIFEST).is_file():
        raise InputError(
            f"{folder} is no export of a log: make one with `tacit events export STORE --parquet {folder}`."
        )
    found = list(files(folder, name))
    if not found:
        return pl.LazyFrame(schema=STREAMS[name].columns)
    return pl.scan_parquet(found, hive_partitioning=False)


def _manifest(store: Store, folder: Path) -> dict[str, Any]:
    """What is done; what was pending is thrown away."""
    path, mine = folder / MANIFEST, store.value(STORE_ID)
    if not path.exists():
        if any(files(folder)):
            raise InputError(f"{folder} has Parquet files of an export and no {MANIFEST}: choose an empty folder.")
        return {"version": 1, "store": mine, "shards": SHARDS, "done": dict.fromkeys(STREAMS, 0), "pending": None}
    manifest = read_json(path, "choose an empty folder, and export again.")
    if (manifest.get("version"), manifest.get("shards")) != (1, SHARDS) or set(manifest["done"]) != set(STREAMS):
        raise InputError(f"{path} is of another version: choose an empty folder, and export again.")
    if manifest["store"] != mine:
        raise InputError(
            f"{folder} is the export of another log, or of this one before a copy was restored: choose an empty one."
        )
    if manifest["pending"] is not None:
        name, batch = manifest["pending"]
        for part in folder.glob(f"{name}/day=*/shard=*/{batch}.parquet"):
            _remove(part)
    return {**manifest, "pending": None}


def _save(folder: Path, manifest: dict[str, Any]) -> None:
    atomic_write(folder / MANIFEST, json.dumps(manifest, indent=1) + "\n")


def _remove(path: Path) -> None:
    path.unlink()
    sync_folder(path.parent)
