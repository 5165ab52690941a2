"""Small tables with any separator: one record a line, every fault with its line number."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import polars as pl

from tacit.data.lines import open_binary
from tacit.types import InputError


def table(
    path: Path,
    separator: str,
    columns: Mapping[str, type[pl.DataType]],
    *,
    header: Sequence[str] = (),
    optional: Sequence[str] = (),
    encoding: str = "utf-8",
) -> pl.DataFrame:
    """A frame with the given columns and ``line`` (from 1), blank lines left out.

    ``separator`` may have several characters, and nothing is quoted, which no CSV reader offers. With ``header`` the
    first line must hold these names. An empty field of an ``optional`` column is null; any other field that is not of
    its column's type is an InputError naming file and line.
    """
    frame = pl.DataFrame({"text": _text(path, encoding).split("\n")}, schema={"text": pl.String})
    frame = frame.with_columns(pl.col("text").str.strip_chars_end("\r")).with_row_index("line", offset=1)
    if header:
        found = frame["text"][0].split(separator)
        if found != list(header):
            raise InputError(f"{path}:1: the columns are {', '.join(found)}: they must be {', '.join(header)}.")
        frame = frame.slice(1)
    frame = frame.filter(pl.col("text") != "").with_columns(pl.col("text").str.split(separator))
    refuse(path, frame.filter(pl.col("text").list.len() != len(columns)), f"there must be {len(columns)} fields")
    fields = [pl.col("text").list.get(place).alias(name) for place, name in enumerate(columns)]
    texts = frame.select("line", *fields)
    typed = texts.with_columns(pl.col(name).cast(kind, strict=False) for name, kind in columns.items())
    for name, kind in columns.items():
        fault = typed[name].is_null() & ((texts[name] != "") if name in optional else pl.lit(True))
        refuse(path, typed.filter(fault), f"field {name} is not of type {kind}")
    return typed


def refuse(path: Path, rows: pl.DataFrame, reason: str) -> None:
    """InputError naming the first of the ``rows`` by its ``line``, if there is any."""
    if not rows.is_empty():
        raise InputError(f"{path}:{rows['line'][0]}: {reason}: fetch the file again.")


def _text(path: Path, encoding: str) -> str:
    with open_binary(path) as file:
        try:
            return file.read().decode(encoding)
        except UnicodeDecodeError as error:
            raise InputError(f"{path} is not {encoding} at byte {error.start}: fetch the file again.") from None
        except (OSError, EOFError, zlib.error) as error:
            raise InputError(f"{path} is damaged ({error}): fetch it again.") from None
