"""Your own interactions: ``interactions.csv``, ``.jsonl`` or ``.parquet`` beside ``items.jsonl`` (``item-v1`` form).

An interaction has ``user`` and ``item`` (ids), ``rating`` (a number; above ``positive_above`` it is a positive label)
and ``time`` (``tacit.data.times`` says how it may be written). Without any ``time`` a user's interactions are taken to
be in order. A file with a bad line is refused whole, and every bad line is named.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from tacit.catalog import Catalog
from tacit.data.lines import find
from tacit.data.ratings.assemble import assemble
from tacit.data.ratings.table import Ratings
from tacit.data.tabular import bad_rows, rows, utf8
from tacit.data.times import Clock
from tacit.types import InputError, ItemId

POSITIVE_ABOVE = 3.0
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
        raise bad_rows(source, events.bad)
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
    for number, row in rows(path, _check_names):
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
    if not utf8(value):
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
