"""Your own interactions: ``interactions.csv``, ``.jsonl`` or ``.parquet`` beside ``items.jsonl`` (``item-v1`` form).

An interaction has ``user`` and ``item`` (ids), ``rating`` (a number; above ``positive_above`` it is a positive label)
and ``time`` (Unix seconds, or a date and time with its zone). Without any ``time`` a user's interactions are taken to
be in order. A file with a bad line is refused whole, and every bad line is named.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl

from tacit.catalog import Catalog
from tacit.data.lines import decode, find, lines, open_binary
from tacit.data.ratings.assemble import assemble
from tacit.data.ratings.table import Ratings
from tacit.types import InputError, ItemId

POSITIVE_ABOVE = 3.0
SHOWN = 100  # bad lines that the error names; of further ones it gives the number
NAMES = ("interactions.csv", "interactions.jsonl", "interactions.parquet")
_KEYS = ("user", "item", "rating", "time")
_LATEST = 253_402_300_799  # the last second of the year 9999

Event = tuple[str, ItemId, float, int | None]


@dataclass
class _Events:
    """What the good lines hold, and what is wrong with the bad ones."""

    good: list[Event] = field(default_factory=list)
    bad: list[tuple[int, str]] = field(default_factory=list)


def load(
    path: Path, items: Path | None = None, positive_above: float = POSITIVE_ABOVE, domain: str = "movies"
) -> Ratings:
    """From a file, or a folder that holds one of ``NAMES``; ``items`` is ``items.jsonl`` beside it unless given."""
    source = path if path.is_file() else find(path, NAMES)
    if source is None:
        raise InputError(f"{path} has none of {', '.join(NAMES)}: set data.path to your interactions file or folder.")
    catalog = Catalog.load(items or source.parent / "items.jsonl")
    events = _read(source, catalog)
    if events.bad:
        raise InputError(_listing(source, events.bad))
    columns = {"user": pl.String, "item": pl.String, "rating": pl.Float32, "time": pl.Int64}
    frame = pl.DataFrame(events.good, schema=columns, orient="row")
    users = frame["user"].unique(maintain_order=True).to_list()
    return assemble("own", frame, users, catalog.items, positive_above, domain=domain)


def parse(row: Mapping[str, Any], catalog: Catalog) -> Event:
    """One interaction; ValueError with one plain sentence otherwise. Values may be text, as a csv file has them."""
    unknown = next((key for key in row if key not in _KEYS), None)
    if unknown is not None:
        raise ValueError(f"unknown key {unknown!r}: allowed are {', '.join(_KEYS)}")
    user, item = _id(row.get("user"), "user"), _id(row.get("item"), "item")
    if item not in catalog:
        raise ValueError(f"item {item!r} is not in the items file: add it there")
    rating = _number(row.get("rating"))
    if rating is None:
        raise ValueError("key 'rating' must be a number")
    return user, item, rating, _seconds(row.get("time"))


def _read(path: Path, catalog: Catalog) -> _Events:
    events = _Events()
    timed = None
    for number, row in _rows(path):
        try:
            if isinstance(row, ValueError):
                raise row
            event = parse(row, catalog)
            timed = event[3] is not None if timed is None else timed
            if timed != (event[3] is not None):
                raise ValueError("some interactions have a time and others have none: give all or none")
        except ValueError as error:
            events.bad.append((number, str(error)))
        else:
            events.good.append(event)
    return events


def _rows(path: Path) -> Iterator[tuple[int, dict[str, Any] | ValueError]]:
    """(number, keys and values, or what is wrong) of each line; of parquet files of each row, from 1."""
    kind = path.name.removesuffix(".gz").rsplit(".", 1)[-1]
    readers = {"csv": _csv_rows, "jsonl": _jsonl_rows, "parquet": _parquet_rows}
    if kind not in readers:
        raise InputError(
            f"{path} is neither .csv, .jsonl (both plain or .gz) nor .parquet: convert or rename the file."
        )
    return readers[kind](path)


def _jsonl_rows(path: Path) -> Iterator[tuple[int, dict[str, Any] | ValueError]]:
    for number, raw in lines(path):
        try:
            row = decode(raw)
        except ValueError as error:
            yield number, error
            continue
        yield number, row if isinstance(row, dict) else ValueError("not a JSON object")


def _csv_rows(path: Path) -> Iterator[tuple[int, dict[str, Any] | ValueError]]:
    """Rows below a header; the number is that of a row's first line."""
    with open_binary(path) as file:
        text = (raw.decode("utf-8-sig", errors="surrogateescape") for raw in file)
        table = csv.reader(text, strict=True)
        try:
            header = next(table, [])
        except csv.Error as error:
            raise InputError(f"{path}:1: not csv ({error}): write a header with {', '.join(_KEYS)}.") from None
        _check_names(path, header)
        while True:
            number = table.line_num + 1
            try:
                values = next(table)
            except StopIteration:
                return
            except csv.Error as error:
                yield number, ValueError(f"not csv: {error}")
                continue
            if len(values) == len(header):
                yield number, dict(zip(header, values, strict=True))
            elif values:
                yield number, ValueError(f"{len(values)} fields where the header names {len(header)}")


def _parquet_rows(path: Path) -> Iterator[tuple[int, dict[str, Any] | ValueError]]:
    try:
        frame = pl.read_parquet(path)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise InputError(f"{path} is not a readable parquet file ({error}): write it anew.") from None
    _check_names(path, frame.columns)
    if frame.schema.get("time") in (pl.Datetime, pl.Date):
        frame = frame.with_columns(pl.col("time").dt.epoch("s"))
    yield from enumerate(frame.iter_rows(named=True), start=1)


def _check_names(path: Path, names: Sequence[str]) -> None:
    """A misspelt column must not pass as an absent one: the order of time would be lost in silence."""
    unknown = [name for name in names if name not in _KEYS]
    if unknown or not {"user", "item", "rating"} <= set(names):
        raise InputError(
            f"{path}: the columns are {', '.join(names)}: they must be user, item, rating and, if known, time."
        )


def _id(value: object, key: str) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"key {key!r} must be an id (non-empty text or an integer)")
    if any("\udc80" <= character <= "\udcff" for character in value):
        raise ValueError(f"key {key!r} is not UTF-8: re-encode the file as UTF-8")
    return value.strip()


def _number(value: object) -> float | None:
    """A finite number, or text that is one; None otherwise."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _seconds(value: object) -> int | None:
    """Whole Unix seconds; None where no time is given."""
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    seconds = _number(value)
    if seconds is None and isinstance(value, str):
        try:
            moment = datetime.fromisoformat(value.strip())
        except ValueError:
            moment = None
        seconds = moment.timestamp() if moment is not None and moment.tzinfo is not None else None
    if seconds is None:
        raise ValueError("key 'time' must be Unix seconds or a date and time with its zone, like 2025-01-31T12:00:00Z")
    if not 0 <= seconds <= _LATEST:
        raise ValueError("key 'time' is not in Unix seconds, counted from 1970: milliseconds must be divided by 1000")
    return math.floor(seconds)


def _listing(path: Path, bad: Sequence[tuple[int, str]]) -> str:
    shown = [f"{path}:{number}: {reason}." for number, reason in bad[:SHOWN]]
    rest = [f"... and {len(bad) - SHOWN} more bad lines."] if len(bad) > SHOWN else []
    return "\n".join([*shown, *rest, f"{path}: {len(bad)} bad lines, nothing was read: repair or remove them."])
