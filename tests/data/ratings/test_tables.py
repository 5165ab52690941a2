"""Tables with any separator: types, blank lines, and faults with their line numbers."""

from __future__ import annotations

import gzip
from pathlib import Path

import polars as pl
import pytest

from tacit.data.ratings.tables import table
from tacit.types import InputError

COLUMNS = {"name": pl.String, "stars": pl.Float32, "rank": pl.Int32}


def write(folder: Path, text: str) -> Path:
    path = folder / "t.dat"
    path.write_bytes(text.encode("latin-1"))
    return path


def test_fields_lines_and_encoding(tmp_path: Path) -> None:
    path = write(tmp_path, "Amélie::4::1\r\n\nHeat::3.5::2\n")
    rows = table(path, "::", COLUMNS, encoding="latin-1")
    assert rows.rows() == [(1, "Amélie", 4.0, 1), (3, "Heat", 3.5, 2)]
    packed = tmp_path / "t.dat.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    assert table(packed, "::", COLUMNS, encoding="latin-1").equals(rows)


def test_header_and_optional_fields(tmp_path: Path) -> None:
    path = write(tmp_path, "name,stars,rank\nHeat,4,\n")
    assert table(path, ",", COLUMNS, header=tuple(COLUMNS), optional=("rank",)).rows() == [(2, "Heat", 4.0, None)]
    with pytest.raises(InputError, match=r"t\.dat:2: field rank is not of type Int32"):
        table(path, ",", COLUMNS, header=tuple(COLUMNS))
    with pytest.raises(InputError, match=r"t\.dat:1: the columns are name, stars, rank: they must be a, b, c"):
        table(path, ",", COLUMNS, header=("a", "b", "c"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Heat::4::1\nAlien::x::2\n", r"t\.dat:2: field stars is not of type Float32"),
        ("Heat::4::1\nAlien::4\n", r"t\.dat:2: there must be 3 fields"),
        ("Heat::4::1::\n", r"t\.dat:1: there must be 3 fields"),
        ("Heat::4::1.5\n", r"t\.dat:1: field rank is not of type Int32"),
    ],
)
def test_faults(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        table(write(tmp_path, text), "::", COLUMNS)


def test_unreadable_files(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not utf-8 at byte 2"):
        table(write(tmp_path, "Amélie::4::1\n"), "::", COLUMNS)
    torn = tmp_path / "t.dat.gz"
    torn.write_bytes(gzip.compress(b"Heat::4::1\n" * 100)[:30])
    with pytest.raises(InputError, match=r"t\.dat\.gz is damaged"):
        table(torn, "::", COLUMNS)
