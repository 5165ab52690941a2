"""Your own interactions: ``interactions.csv``, ``.jsonl`` or ``.parquet`` beside ``items.jsonl`` (``item-v1`` form).

An interaction has ``user`` and ``item`` (ids), ``rating`` (a number; above ``positive_above`` it is a positive label)
and ``time`` (``tacit.data.times`` says how it may be written). Without any ``time`` a user's interactions are taken to
be in order. A file with a bad line is refused whole, and every bad line is named.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl
from polars import selectors as cs

from tacit.catalog import Catalog
from tacit.data.lines import decode, find, lines, open_binary
from tacit.data.ratings.assemble import assemble
from tacit.data.ratings.table import Ratings
from tacit.data.ratings.tables import DAMAGE
from tacit.data.times import LATEST, Clock
from tacit.types import InputError, ItemId

POSITIVE_ABOVE = 3.0
SHOWN = 100  # bad lines that the error names; of further ones it gives the number
NAMES = ("interactions.csv", "interactions.jsonl", "interactions.parquet")
_KEYS = ("user", "item", "rating", "time")
_LARGEST = 3e38  # that a Float32 holds

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


def parse(row: Mapping[str, Any], catalog: Catalog, clock: Clock | None = None) -> Event:
    """One interaction; ValueError with one plain sentence otherwise. Values may be text, as a csv file has them.

    ``clock`` is that of the file, whose first time says how all are written.
    """
    unknown = next((key for key in row if key not in _KEYS), None)
    if unknown is not None:
        raise ValueError(f"unknown key {unknown!r}: allowed are {', '.join(_KEYS)}")
    user, item = _id(row.get("user"), "user"), _id(row.get("item"), "item")
    if item not in catalog:
        raise ValueError(f"item {item!r} is not in the items file: add it there")
    rating = _number(row.get("rating"))
    if rating is None:
        raise ValueError("key 'rating' must be a number")
    try:
        seconds = (clock or Clock()).seconds(row.get("time"))
    except ValueError as error:
        raise ValueError(f"key 'time' {error}") from None
    return user, item, rating, None if seconds is None else math.floor(seconds)


def _read(path: Path, catalog: Catalog) -> _Events:
    events, clock = _Events(), Clock()
    timed = None
    for number, row in _rows(path):
        try:
            if isinstance(row, ValueError):
                raise row
            event = parse(row, catalog, clock)
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
        number = 1
        try:
            header = [name.strip() for name in next(table, [])]
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
        except csv.Error as error:
            raise InputError(f"{path}:1: not csv ({error}): write a header with {', '.join(_KEYS)}.") from None
        except DAMAGE as error:
            raise InputError(f"{path}:{number}: the file is damaged ({error}): fetch it again.") from None


def _parquet_rows(path: Path) -> Iterator[tuple[int, dict[str, Any] | ValueError]]:
    try:
        with open_binary(path) as file:
            frame = pl.read_parquet(io.BytesIO(file.read()))
        _check_names(path, frame.columns)
        frame = frame.with_columns(_as_text(pl.col(pl.Date, pl.Datetime)), cs.decimal().cast(pl.Float64))
    except (*DAMAGE, pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        reason = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise InputError(f"{path} is not a readable parquet file ({reason}): write it anew.") from None
    yield from enumerate(frame.iter_rows(named=True), start=1)


def _as_text(moment: pl.Expr) -> pl.Expr:
    """Days and moments in ISO 8601, as other files write them; polars cannot write those beyond its calendar."""
    within = moment.dt.epoch("ms").is_between(0, LATEST * 1000)
    text = pl.when(within).then(moment).dt.to_string("iso")
    return pl.when(within | moment.is_null()).then(text).otherwise(pl.lit("out of range"))


def _check_names(path: Path, names: Sequence[str]) -> None:
    """A misspelt column must not pass as an absent one: the order of time would be lost in silence."""
    unknown = [name for name in names if name not in _KEYS]
    if unknown or not {"user", "item", "rating"} <= set(names) or len(set(names)) != len(names):
        shown = ", ".join(names).encode(errors="replace").decode()[:500]
        raise InputError(
            f"{path}: the columns are {shown}: they must be user, item, rating and, if known, time, each once."
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
    return number if abs(number) <= _LARGEST and "_" not in str(value) else None  # nan compares false


def _listing(path: Path, bad: Sequence[tuple[int, str]]) -> str:
    shown = [f"{path}:{number}: {reason}." for number, reason in bad[:SHOWN]]
    rest = [f"... and {len(bad) - SHOWN} more bad lines."] if len(bad) > SHOWN else []
    return "\n".join([*shown, *rest, f"{path}: {len(bad)} bad lines, nothing was read: repair or remove them."])
