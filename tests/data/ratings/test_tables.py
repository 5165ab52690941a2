"""Tables with any separator: types, blank lines, and faults with their line numbers."""

from __future__ import annotations

import gzip
from pathlib import Path

import polars as pl
import pytest

from tacit.data.ratings.tables import in_seconds, table
from tacit.types import InputError

COLUMNS = {"name": pl.String, "stars": pl.Float32, "rank": pl.Int32}


def write(folder: Path, text: str) -> Path:
    path = folder / "t.dat"
    path.write_bytes(text.encode("latin-1"))
    return path


def test_fields_lines_and_encoding(tmp_path: Path) -> None:
    path = write(tmp_path, "Amélie::4::1\r\n\nHeat::3.5::2\n")
    rows = table(path, "::", COLUMNS)
    assert rows.rows() == [(1, "Amélie", 4.0, 1), (3, "Heat", 3.5, 2)]
    packed = tmp_path / "t.dat.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    assert table(packed, "::", COLUMNS).equals(rows)


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
        ("Heat::nan::1\n", r"t\.dat:1: field stars is no finite number"),
        ("Heat::4::1\nHeat::-inf::1\n", r"t\.dat:2: field stars is no finite number"),
        (" ::4::1\n", r"t\.dat:1: field name is empty"),
    ],
)
def test_faults(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        table(write(tmp_path, text), "::", COLUMNS)


TITLES = "1::Misérables, Les (1995)::5\n2::Cité (1995)::4\n"


@pytest.mark.parametrize(
    "raw",
    [
        TITLES.encode("latin-1"),
        TITLES.encode("utf-8"),
        TITLES.encode("utf-8-sig"),
        TITLES.encode("utf-8").decode("latin-1").encode("utf-8"),  # encoded twice
        TITLES.encode("latin-1").replace(b"Cit\xe9", "Cité".encode()),  # some of each
    ],
)
def test_encodings_read_the_same(tmp_path: Path, raw: bytes) -> None:
    path = tmp_path / "t.dat"
    path.write_bytes(raw)
    rows = table(path, "::", {"id": pl.String, "title": pl.String, "stars": pl.Int32})
    assert rows["title"].to_list() == ["Misérables, Les (1995)", "Cité (1995)"]


def test_windows_quotes_and_utf16(tmp_path: Path) -> None:
    path = tmp_path / "t.dat"
    path.write_bytes("1::Don’t – “é”\n".encode("cp1252"))
    assert table(path, "::", {"id": pl.String, "title": pl.String})["title"].to_list() == ["Don’t – “é”"]
    path.write_bytes(TITLES.encode("utf-16"))
    with pytest.raises(InputError, match="is in UTF-16: save it as UTF-8"):
        table(path, "::", {"id": pl.String, "title": pl.String})


NOON = 978_350_400


@pytest.mark.parametrize("times", [[NOON, NOON + 1], [NOON * 1000, NOON * 1000 + 1999], [5, 9_999_999]])
def test_times_in_any_unit(tmp_path: Path, times: list[int]) -> None:
    frame = pl.DataFrame({"line": [1, 2], "time": times})
    read = in_seconds(tmp_path, frame)["time"].to_list()
    assert read == ([NOON, NOON + 1] if times[0] != 5 else times)


@pytest.mark.parametrize(
    ("times", "message"),
    [
        ([NOON, -1, NOON], ":2: field time is negative"),
        ([NOON, NOON, NOON * 1000], ":3: field time is in milliseconds, line 1 in seconds"),
        ([NOON * 1000, NOON, NOON], ":2: field time is in seconds, line 1 in milliseconds"),
        ([NOON, 0, NOON], ":2: field time is in seconds from a start"),
        ([10**8, NOON], ":1: field time is no time between 1990 and 2100"),
        ([20010101, 20011301, 20011231], ":2: field time is neither seconds nor a day"),
    ],
)
def test_times_that_are_none(times: list[int], message: str) -> None:
    frame = pl.DataFrame({"line": range(1, len(times) + 1), "time": times})
    with pytest.raises(InputError, match=message):
        in_seconds(Path("t.dat"), frame)


def test_unreadable_files(tmp_path: Path) -> None:
    torn = tmp_path / "t.dat.gz"
    torn.write_bytes(gzip.compress(b"Heat::4::1\n" * 100)[:30])
    with pytest.raises(InputError, match=r"t\.dat\.gz is damaged"):
        table(torn, "::", COLUMNS)
