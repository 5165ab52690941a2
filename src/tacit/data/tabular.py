"""Rows of a table, whatever it is stored as: csv, JSON lines (both plain or gzipped) or Parquet. Each has its number.

A row that cannot be read comes as a ``ValueError`` with the reason, so that the caller may name every bad row.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl
from polars import selectors as cs

from tacit.data.lines import decode, lines, open_binary
from tacit.data.ratings.tables import DAMAGE
from tacit.data.times import LATEST
from tacit.run.memory import pass_on_want_of_memory
from tacit.types import InputError, InputErrors

Row = tuple[int, dict[str, Any] | ValueError]
CheckNames = Callable[[Path, Sequence[str]], None]  # raises InputError where a file has other columns than it must
SHOWN = 100  # bad rows that an error names; of further ones it gives the number
_SEPARATORS = ",;\t|"


def any_names(path: Path, names: Sequence[str]) -> None:
    """Columns may be called anything, once."""
    twice = next((name for place, name in enumerate(names) if name in names[:place]), None)
    if twice is not None:
        raise InputError(f"{path}:1: two columns are called {_shown(twice)}: rename one.")


def rows(path: Path, check_names: CheckNames = any_names) -> Iterator[Row]:
    """(number, keys and values, or what is wrong) of each line; of Parquet files of each row, from 1.

    Of comma, semicolon, tab and bar the one that stands most often in a csv file's header parts its fields.
    """
    kind = path.name.lower().removesuffix(".gz").rsplit(".", 1)[-1]
    if kind in ("csv", "tsv"):
        return _csv_rows(path, check_names)
    if kind in ("jsonl", "ndjson"):
        return _jsonl_rows(path)
    if kind == "parquet":
        return _parquet_rows(path, check_names)
    raise InputError(f"{path} is neither .csv, .jsonl (both plain or .gz) nor .parquet: convert or rename the file.")


def bad_rows(path: Path, bad: Sequence[tuple[int, str]]) -> InputErrors:
    """Every bad row with its reason."""
    shown = [f"{path}:{number}: {reason}." for number, reason in bad[:SHOWN]]
    rest = [f"... and {len(bad) - SHOWN} more bad lines."] if len(bad) > SHOWN else []
    return InputErrors([*shown, *rest, f"{path}: {len(bad)} bad lines, nothing was read: repair or remove them."])


def utf8(value: str) -> bool:
    """False for csv text with bytes that are none: they come as half characters."""
    return not any("\udc80" <= character <= "\udcff" for character in value)


def mapped(row: Mapping[str, Any], columns: Mapping[str, str], known: Sequence[str]) -> dict[str, Any]:
    """The row by the names of ``known``: under the column that ``columns`` gives a name, else under its own."""
    return {name: row[column] for name in known if (column := columns.get(name, name)) in row}


def check_mapping(columns: Mapping[str, str], known: Sequence[str], names: Sequence[str], where: str) -> None:
    """InputError where a mapping names no field there is, or no column that is there."""
    for name, column in columns.items():
        if name not in known:
            raise InputError(f"--map {name}={column}: choose one of {', '.join(known)}.")
        if column not in names:
            shown = ", ".join(map(_shown, names))[:500]
            raise InputError(f"{where}: there is no column {_shown(column)}: it has {shown}.")


def _shown(name: str) -> str:
    return name.encode(errors="replace").decode()[:60].replace("\n", " ").replace("\r", " ")


def _jsonl_rows(path: Path) -> Iterator[Row]:
    for number, raw in lines(path):
        try:
            row = decode(raw)
        except ValueError as error:
            yield number, error
            continue
        yield number, row if isinstance(row, dict) else ValueError("not a JSON object")


def _csv_rows(path: Path, check_names: CheckNames) -> Iterator[Row]:
    """Rows below a header; the number is that of a row's first line."""
    with open_binary(path) as file:
        number = 1
        try:
            first = file.readline().decode("utf-8-sig", errors="surrogateescape")
            text = (raw.decode("utf-8", errors="surrogateescape") for raw in file)
            separator = max(_SEPARATORS, key=first.count)
            table = csv.reader(_after(first, text), strict=True, delimiter=separator)
            header = [name.strip() for name in next(table, [])]
            check_names(path, header)
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
            raise InputError(f"{path}:1: not csv ({error}): write a header with the names of the columns.") from None
        except DAMAGE as error:
            pass_on_want_of_memory(error)
            raise InputError(f"{path}:{number}: the file is damaged ({error}): fetch it again.") from None


def _after(first: str, rest: Iterator[str]) -> Iterator[str]:
    if first:
        yield first
    yield from rest


def _parquet_rows(path: Path, check_names: CheckNames) -> Iterator[Row]:
    try:
        with open_binary(path) as file:
            frame = pl.read_parquet(io.BytesIO(file.read()))
        check_names(path, frame.columns)
        frame = frame.with_columns(_as_text(pl.col(pl.Date, pl.Datetime)), cs.decimal().cast(pl.Float64))
    except (*DAMAGE, pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        pass_on_want_of_memory(error)
        reason = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise InputError(f"{path} is not a readable parquet file ({reason}): write it anew.") from None
    yield from enumerate(frame.iter_rows(named=True), start=1)


def _as_text(moment: pl.Expr) -> pl.Expr:
    """Days and moments in ISO 8601, as other files write them; polars cannot write those beyond its calendar."""
    within = moment.dt.epoch("ms").is_between(0, LATEST * 1000)
    text = pl.when(within).then(moment).dt.to_string("iso")
    return pl.when(within | moment.is_null()).then(text).otherwise(pl.lit("out of range"))
