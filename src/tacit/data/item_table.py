"""A catalogue from a table (csv, JSON lines or Parquet) by a mapping of columns: items in the ``item-v1`` form.

Fields are ``id``, ``title``, ``text``, ``year``, ``plot`` and ``count``; any other name is an attribute. Without a
``text`` the encoder reads title, year, attributes and plot. Every bad row is named with its column; then nothing is
written.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tacit.catalog import item_to_json
from tacit.data.items import make_item
from tacit.data.tabular import any_names, bad_rows, rows, utf8
from tacit.run.files import atomic_write
from tacit.types import InputError, Item

FIELDS = ("id", "title", "text", "year", "plot", "count")
IN_TEXT = ("genre", "director", "star", "actor", "writer")  # attributes that ``make_item`` knows how to say
_YEAR = re.compile(r"(\d{4})(?:\.0+|[-/].*)?", re.DOTALL)


class _Bad(ValueError):
    def __init__(self, column: str, reason: str) -> None:
        super().__init__(f"column {column} {reason}")


def read(path: Path, columns: Mapping[str, str], separator: str, dropped: Counter[str]) -> list[tuple[Item, int]]:
    """(item, its count) of each row. ``separator`` stands between an attribute's values in text; ``dropped`` counts the
    columns that no field takes."""
    found, bad, first = list[tuple[Item, int]](), list[tuple[int, str]](), dict[str, int]()
    places: dict[str, str] | None = None
    for number, row in rows(path, any_names):
        try:
            if isinstance(row, ValueError):
                raise row
            if places is None:
                places = _places(path, columns, list(row), dropped)
            item, count = _item(row, places, separator)
            if first.setdefault(item.id, number) != number:
                raise _Bad(places["id"], f"has {item.id!r} twice, in row {first[item.id]} before: make ids unique")
            found.append((item, count))
        except ValueError as error:
            bad.append((number, str(error)))
    if bad:
        raise bad_rows(path, bad)
    if not found:
        raise InputError(f"{path} holds no items: give a table with at least one row.")
    return found


def write(out: Path, found: Sequence[tuple[Item, int]]) -> None:
    """Lines of items; where the name ends in ``.json``, the changes a served policy takes (docs/serving.md)."""
    lines = [item_to_json(item, count) for item, count in found]
    if out.suffix == ".json":
        atomic_write(out, json.dumps({"added": lines}, ensure_ascii=False) + "\n")
    else:
        atomic_write(out, "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines))


def _places(path: Path, columns: Mapping[str, str], names: Sequence[str], dropped: Counter[str]) -> dict[str, str]:
    """Field → its column: as mapped, else the column of a field's name."""
    for name, column in columns.items():
        if column not in names:
            shown = ", ".join(repr(known)[1:-1] for known in names)[:500]
            raise InputError(f"{path}: there is no column {column!r} (--map {name}={column}): it has {shown}.")
    places = {name: name for name in (*FIELDS, *IN_TEXT) if name in names and name not in columns.values()}
    places.update(columns)
    for name in ("id", "title"):
        if name not in places:
            shown = ", ".join(repr(known)[1:-1] for known in names)[:500]
            raise InputError(f"{path}: no column is {name}: give --map {name}=COLUMN; it has {shown}.")
    for name in names:
        if name not in places.values():
            dropped[f"column {name!r} (--map takes it)"] += 1
    return places


def _item(row: Mapping[str, Any], places: Mapping[str, str], separator: str) -> tuple[Item, int]:
    values = {name: row.get(column) for name, column in places.items()}
    id, title = _word(values["id"], places["id"]), _word(values["title"], places["title"])
    year = _year(values.get("year"), places.get("year", ""))
    text, plot = (_text(values.get(name), places.get(name, "")) for name in ("text", "plot"))
    lists = {
        name: some
        for name, column in places.items()
        if name not in FIELDS and (some := _list(values[name], column, separator))
    }
    facts: dict[str, Any] = {**{name: lists[name] for name in IN_TEXT if name in lists}, "year": year, "plot": plot}
    item = make_item(id, title, facts)
    others = {name: tuple(value.lower() for value in some) for name, some in lists.items() if name not in IN_TEXT}
    said = "".join(f" {name.capitalize()}: {', '.join(lists[name])}." for name in others)
    item = replace(item, text=text or item.text + said, attributes={**item.attributes, **others})
    return item, _count(values.get("count"), places.get("count", ""))


def _word(value: Any, column: str) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if isinstance(value, float) and value.is_integer():  # what pandas makes of a column with gaps
        return str(int(value))
    if not isinstance(value, str) or not value.strip():
        raise _Bad(column, "must be text or a whole number, and not empty")
    return _text(value, column)


def _text(value: Any, column: str) -> str:
    """ "" where it is absent, null or empty."""
    if value is None:
        return ""
    if not isinstance(value, str):
        raise _Bad(column, "must be text")
    if not utf8(value):
        raise _Bad(column, "is not UTF-8: re-encode the file as UTF-8")
    return " ".join(value.split())


def _year(value: Any, column: str) -> str:
    if value is None or value == "" or value != value:
        return ""
    found = _YEAR.fullmatch(str(value).strip()) if isinstance(value, int | float | str) else None
    if found is None or isinstance(value, bool):
        raise _Bad(column, "must be a year of four digits, or a date that begins with one")
    return found[1]


def _count(value: Any, column: str) -> int:
    if value is None or value == "" or value != value:
        return 0
    try:
        count = float(value) if isinstance(value, int | float | str) and not isinstance(value, bool) else -1.0
    except (ValueError, OverflowError):
        count = -1.0
    if not 0 <= count < 2**53 or count != int(count):
        raise _Bad(column, "must be a whole number of at least 0")
    return int(count)


def _list(value: Any, column: str, separator: str) -> list[str]:
    """A list of text, or text with a separator between its values; one number is a value, too."""
    if value is None or value != value:
        return []
    if isinstance(value, int | float) and not isinstance(value, bool):
        return [f"{value:g}" if isinstance(value, float) else str(value)]
    parts = value.split(separator) if isinstance(value, str) else value
    if not isinstance(parts, list) or not all(isinstance(part, str) for part in parts):
        raise _Bad(column, "must be text, a number, or a list of texts")
    return list(dict.fromkeys(text for part in parts if (text := _text(part, column))))
