"""The log in parts that fit memory: the exposures of one day in some shards, with the rows their labels need.

A session lies in one shard. Its events lie on the day of the exposure and on the ``expiry_days`` after it, since later
ones are refused; so do the later exposures that tell whether a person went on. Small shards of a day go together.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl

from tacit.events.export import files, scan
from tacit.events.rows import STREAMS
from tacit.events.schema import DAY_MS
from tacit.labels.gather import COLUMNS, Log, Span

LARGEST = 12 * 2**20  # bytes of Parquet that are read together, about half a million events; one shard's may be more
By = dict[tuple[str, int], list[Path]]  # (day, shard) → files


@dataclass(frozen=True)
class Part:
    day: str  # such as 2026-01-31, UTC
    shards: tuple[int, ...]
    files: dict[str, tuple[Path, ...]]  # of each table

    @property
    def place(self) -> str:
        first, last = f"{self.shards[0]:02d}", f"{self.shards[-1]:02d}"
        return f"day={self.day}/shard={first if first == last else f'{first}-{last}'}"

    @property
    def file(self) -> str:
        return f"{self.day}-{self.shards[0]:02d}.parquet"

    def span(self, as_of: int, window_s: float) -> Span:
        first = int(datetime.fromisoformat(self.day).replace(tzinfo=UTC).timestamp() * 1000)
        return Span(first, first + DAY_MS, as_of, round(window_s * 1000))


def parts(export: Path, as_of: int, expiry_days: int) -> list[Part]:
    """By day, those with exposures made before ``as_of``; ``InputError`` where the folder is no export."""
    scan(export, "exposures")  # says so where it is none
    last = datetime.fromtimestamp(as_of / 1000, UTC).date().isoformat()
    found: dict[str, By] = {name: {} for name in COLUMNS}
    for name, by_place in found.items():
        for path in files(export, name):
            day = path.parent.parent.name.removeprefix("day=")
            by_place.setdefault((day, int(path.parent.name.removeprefix("shard="))), []).append(path)
    days = sorted({day for day, _ in found["exposures"] if day <= last})
    return [part for day in days for part in _of_day(day, found, expiry_days)]


def _of_day(day: str, found: dict[str, By], expiry_days: int) -> Iterator[Part]:
    days = [(date.fromisoformat(day) + timedelta(days=k)).isoformat() for k in range(expiry_days + 1)]
    shards = sorted(shard for one, shard in found["exposures"] if one == day)
    reach = {
        shard: {name: [p for one in days for p in found[name].get((one, shard), ())] for name in COLUMNS}
        for shard in shards
    }
    sizes = {shard: sum(p.stat().st_size for paths in reach[shard].values() for p in paths) for shard in shards}
    for group in _grouped(shards, sizes):
        yield Part(day, group, {name: tuple(p for shard in group for p in reach[shard][name]) for name in COLUMNS})


def _grouped(shards: Sequence[int], sizes: dict[int, int]) -> Iterator[tuple[int, ...]]:
    group: list[int] = []
    for shard in shards:
        if group and sum(sizes[one] for one in (*group, shard)) > LARGEST:
            yield tuple(group)
            group = []
        group.append(shard)
    if group:
        yield tuple(group)


def read(part: Part) -> Log:
    """Its rows, without those of sessions that only begin on a later day."""
    tables = {name: _table(part, name) for name in COLUMNS}
    made = pl.from_epoch("created_ms", time_unit="ms").dt.date()
    sessions = tables["exposures"].filter(made == date.fromisoformat(part.day)).select("session_id").unique()
    return Log(**{name: table.join(sessions, on="session_id", how="semi") for name, table in tables.items()})


def _table(part: Part, name: str) -> pl.DataFrame:
    paths, columns = part.files[name], list(COLUMNS[name])
    if not paths:
        return pl.DataFrame(schema={column: STREAMS[name].columns[column] for column in columns})
    return pl.read_parquet(list(paths), columns=columns, hive_partitioning=False)
