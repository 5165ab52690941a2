"""Small tables with any separator: one record a line, every fault with its line number.

A publisher writes latin-1, copies are often UTF-8: each line says itself which it is, since latin-1 text with accents
is practically never valid UTF-8.
"""

from __future__ import annotations

import codecs
import math
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import polars as pl

from tacit.data.lines import open_binary
from tacit.data.times import EIGHT_DIGITS, FROM_A_START, to_seconds, unit
from tacit.run.memory import pass_on_want_of_memory
from tacit.types import InputError

DAMAGE = (OSError, EOFError, zlib.error, zipfile.BadZipFile, RuntimeError, NotImplementedError)  # in packed files


def table(
    path: Path,
    separator: str,
    columns: Mapping[str, type[pl.DataType]],
    *,
    header: Sequence[str] = (),
    optional: Sequence[str] = (),
) -> pl.DataFrame:
    """A frame with the given columns and ``line`` (from 1), blank lines left out.

    ``separator`` may have several characters, and nothing is quoted, which no CSV reader offers. With ``header`` the
    first line must hold these names. An empty field of an ``optional`` column is null; any other field that is not of
    its column's type is an InputError naming file and line.
    """
    frame = pl.DataFrame({"text": decoded_lines(path)}, schema={"text": pl.String})
    frame = frame.with_columns(pl.col("text").str.strip_chars_end("\r")).with_row_index("line", offset=1)
    if header:
        found = frame["text"][0].split(separator)
        if found != list(header):
            names = ", ".join(found)[:500]
            raise InputError(f"{path}:1: the columns are {names}: they must be {', '.join(header)}.")
        frame = frame.slice(1)
    frame = frame.filter(pl.col("text") != "").with_columns(pl.col("text").str.split(separator))
    refuse(path, frame.filter(pl.col("text").list.len() != len(columns)), f"there must be {len(columns)} fields")
    fields = [pl.col("text").list.get(place).alias(name) for place, name in enumerate(columns)]
    texts = frame.select("line", *fields)
    typed = texts.with_columns(pl.col(name).cast(kind, strict=False) for name, kind in columns.items())
    for name, kind in columns.items():
        fault = typed[name].is_null() & ((texts[name] != "") if name in optional else pl.lit(True))
        refuse(path, typed.filter(fault), f"field {name} is not of type {kind}")
        if kind in (pl.Float32, pl.Float64):
            refuse(path, typed.filter(~typed[name].is_finite().fill_null(True)), f"field {name} is no finite number")
        if kind == pl.String and name not in optional:
            refuse(path, typed.filter(typed[name].str.strip_chars() == ""), f"field {name} is empty")
    return typed


def in_seconds(path: Path, frame: pl.DataFrame, column: str = "time") -> pl.DataFrame:
    """The Int64 ``column`` in Unix seconds, whatever its unit; InputError where it is no time, or units are mixed."""
    if frame.is_empty():
        return frame
    times = frame[column].to_list()
    ways = []
    for number in (times[0], min(times), max(times)):
        try:
            ways.append(unit(number))
        except ValueError as error:
            refuse(path, frame.filter(pl.col(column) == number), f"field {column} {error}", remedy="")
    other = next((way for way in ways if way != ways[0]), None)
    if other is not None:
        row = next(row for row, number in enumerate(times) if _unit(number) != ways[0])
        refuse(path, frame[row : row + 1], f"field {column} is in {_unit(times[row])}, line 1 in {ways[0]}")
    if ways[0] in ("seconds", FROM_A_START):
        return frame
    if ways[0] == EIGHT_DIGITS:
        days = pl.Series([_unit(number) == EIGHT_DIGITS for number in times])
        refuse(path, frame.filter(~days), f"field {column} is no day")
    return frame.with_columns(pl.Series(column, [math.floor(to_seconds(n, ways[0])) for n in times], dtype=pl.Int64))


def _unit(number: int) -> str | None:
    try:
        return unit(number)
    except ValueError:
        return None


def refuse(path: Path, rows: pl.DataFrame, reason: str, remedy: str = ": fetch the file again") -> None:
    """InputError naming the first of the ``rows`` by its ``line``, if there is any."""
    if not rows.is_empty():
        raise InputError(f"{path}:{rows['line'][0]}: {reason}{remedy}.")


def decoded_lines(path: Path) -> list[str]:
    """The lines of a file that is UTF-8 (with or without a byte order mark), latin-1, Windows-1252, or some of each."""
    with open_binary(path) as file:
        try:
            raw = file.read()
        except DAMAGE as error:
            pass_on_want_of_memory(error)
            raise InputError(f"{path} is damaged ({error}): fetch it again.") from None
    if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise InputError(f"{path} is in UTF-16: save it as UTF-8.")
    raw = raw.removeprefix(codecs.BOM_UTF8)
    return raw.decode().split("\n") if raw.isascii() else [decode_either(line) for line in raw.split(b"\n")]


def decode_either(raw: bytes) -> str:
    """One line as UTF-8 where it is valid UTF-8, also where it was encoded so twice; else as what publishers wrote."""
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        windows = any(0x80 <= byte < 0xA0 for byte in raw)  # control characters in latin-1, quotes and dashes there
        return raw.decode("cp1252" if windows else "latin-1", errors="replace")
    try:
        return text if text.isascii() else text.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return text
