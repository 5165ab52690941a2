"""Your own interactions: three formats that read the same, and every bad line named."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tacit.catalog import Catalog
from tacit.data.ratings.interactions import load, parse
from tacit.data.tabular import SHOWN
from tacit.types import InputError, Item

CATALOG = Catalog([Item("a", "Heat (1995)", "Heat"), Item("b", "Alien", "Alien"), Item("7", "Seven", "Seven")])
ROWS = [
    {"user": "u2", "item": "7", "rating": 4.5, "time": 100},
    {"user": "u1", "item": "a", "rating": 3.0, "time": 90},
    {"user": "u2", "item": "a", "rating": 1.0, "time": 80},
]
READ = [(0, 1, 4.5, 100, None), (1, 0, 3.0, 90, None), (0, 0, 1.0, 80, None)]


def as_csv(folder: Path, rows: list[dict[str, Any]]) -> Path:
    path = folder / "interactions.csv"
    pl.DataFrame(rows).write_csv(path)
    return path


def as_jsonl(folder: Path, rows: list[dict[str, Any]]) -> Path:
    path = folder / "interactions.jsonl.gz"
    path.write_bytes(gzip.compress("".join(json.dumps(row) + "\n" for row in rows).encode()))
    return path


def as_parquet(folder: Path, rows: list[dict[str, Any]]) -> Path:
    path = folder / "interactions.parquet"
    pl.DataFrame(rows).write_parquet(path)
    return path


FORMATS = [as_csv, as_jsonl, as_parquet]
Write = Callable[[Path, list[dict[str, Any]]], Path]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    CATALOG.save(tmp_path / "items.jsonl")
    return tmp_path


@pytest.mark.parametrize("write", FORMATS)
def test_formats_read_the_same(folder: Path, write: Write) -> None:
    path = write(folder, ROWS)
    for place in (path, folder):
        ratings = load(place)
        assert ratings.users == ("u2", "u1")
        assert [item.id for item in ratings.items] == ["a", "7"]  # in the order of the items file; nobody rated b
        assert ratings.frame.rows() == READ
        assert ratings.profiles == ("", "")
        assert (ratings.name, ratings.domain, ratings.positive_above) == ("own", "movies", 3.0)


@pytest.mark.parametrize("write", FORMATS)
def test_times_may_be_absent(folder: Path, write: Write) -> None:
    ratings = load(write(folder, [{key: row[key] for key in ("user", "item", "rating")} for row in ROWS]))
    assert ratings.frame["time"].null_count() == 3


@pytest.mark.parametrize("write", FORMATS)
def test_every_bad_line_is_named(folder: Path, write: Write) -> None:
    bad = [{**ROWS[0], "item": "z"}, ROWS[1], {**ROWS[2], "time": 1_700_000_000_000}]
    path = write(folder, bad)
    with pytest.raises(InputError) as caught:
        load(path)
    first = 2 if path.suffix == ".csv" else 1  # a csv file has a header
    assert str(caught.value).splitlines() == [
        f"{path}:{first}: item 'z' is not in the items file: add it there.",
        f"{path}:{first + 2}: key 'time' is written as milliseconds, earlier ones as seconds from a start: "
        "write one way in the whole file.",
        f"{path}: 2 bad lines, nothing was read: repair or remove them.",
    ]


def test_broken_lines(folder: Path) -> None:
    path = folder / "interactions.csv"
    path.write_bytes(
        b'user,item,rating,time\nu1,a,4,1\n\nu1,a,4\nu\xff,a,4,1\nu1,"a"b,4,1\nu1,a,nan,1\n"u\n1",a,4,1\nu1,a,4,\n'
    )
    with pytest.raises(InputError) as caught:
        load(path)
    reasons = [line.removeprefix(f"{path}:") for line in str(caught.value).splitlines()[:-1]]
    assert [reason.split(":")[0] for reason in reasons] == ["4", "5", "6", "7", "10"]
    assert "3 fields where the header names 4" in reasons[0]
    assert "not UTF-8" in reasons[1]
    assert "not csv" in reasons[2]
    assert "'rating' must be a number" in reasons[3]
    assert "give all or none" in reasons[4]
    path = folder / "interactions.jsonl"
    path.write_text('{"user": "u1"\n[1]\n\n{"user": "u1", "item": "a", "rating": 4, "timestamp": 1}\n')
    with pytest.raises(InputError, match=r"(?s):1: not JSON.*:2: not a JSON object.*:4: unknown key 'timestamp'"):
        load(path)


def test_many_bad_lines_are_counted(folder: Path) -> None:
    path = as_jsonl(folder, [{**ROWS[0], "rating": None}] * (SHOWN + 5))
    with pytest.raises(InputError, match=rf"and 5 more bad lines\.\n.*: {SHOWN + 5} bad lines"):
        load(path)


@pytest.mark.parametrize("write", [as_csv, as_parquet])
def test_misspelt_columns(folder: Path, write: Write) -> None:
    path = write(folder, [{"user": "u", "item": "a", "rating": 1, "timestamp": 5}])
    with pytest.raises(InputError, match="the columns are user, item, rating, timestamp: they must be"):
        load(path)


def test_other_faults(folder: Path) -> None:
    with pytest.raises(InputError, match=r"has none of interactions\.csv"):
        load(folder)
    odd = folder / "interactions.xlsx"
    odd.write_text("user\titem\n")
    with pytest.raises(InputError, match=r"neither \.csv"):
        load(odd)
    torn = folder / "interactions.parquet"
    torn.write_bytes(b"PAR1")
    with pytest.raises(InputError, match="not a readable parquet file"):
        load(torn)
    with pytest.raises(InputError, match=r"items file .*missing\.jsonl does not exist"):
        load(as_csv(folder, ROWS), folder / "missing.jsonl")


@pytest.mark.parametrize(
    ("time", "seconds"),
    [
        (0, 0),
        ("12", 12),
        (12.9, 12),
        ("1970-01-02T00:00:00Z", 86_400),
        ("1970-01-02 01:00:00+01:00", 86_400),
        ("1970-01-02T00:00:00", 86_400),
        ("2025-01-31", 1_738_281_600),
        (20250131, 1_738_281_600),
        (1_738_324_800_500, 1_738_324_800),
        ("1738324800500000", 1_738_324_800),
        (None, None),
        ("", None),
    ],
)
def test_times(time: object, seconds: int | None) -> None:
    row = {"user": 5, "item": 7, "rating": "4", "time": time}
    assert parse(row, CATALOG) == ("5", "7", 4.0, seconds)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"time": "yesterday"}, "'time' is neither seconds nor a date"),
        ({"time": 20251331}, "'time' is neither seconds nor a day"),
        ({"time": -1}, "'time' is negative"),
        ({"time": float("nan")}, "'time' is not a finite number"),
        ({"time": True}, "'time' is neither a number nor text"),
        ({"rating": 1e39}, "'rating' must be a number"),
        ({"rating": "1_0"}, "'rating' must be a number"),
        ({"user": ""}, "'user' must be an id"),
        ({"user": 1.5}, "'user' must be an id"),
        ({"item": None}, "'item' must be an id"),
        ({"rating": float("inf")}, "'rating' must be a number"),
        ({"rating": True}, "'rating' must be a number"),
    ],
)
def test_bad_values(change: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        parse(ROWS[0] | change, CATALOG)


def test_dates_in_parquet(folder: Path) -> None:
    rows = [row | {"time": datetime(1970, 1, 2, tzinfo=UTC)} for row in ROWS]
    assert load(as_parquet(folder, rows)).frame["time"].to_list() == [86_400] * 3


def test_columns_that_stand_twice(folder: Path) -> None:
    path = folder / "interactions.csv"
    path.write_text("user,item,rating,rating\nu,a,1,5\n")
    with pytest.raises(InputError, match=r"the columns are user, item, rating, rating: .* each once"):
        load(path)


def test_columns_of_decimals_and_days_in_parquet(folder: Path) -> None:
    path = folder / "interactions.parquet"
    frame = pl.DataFrame({"user": ["u"], "item": ["a"], "rating": ["4.5"], "time": ["2025-01-31"]})
    frame.with_columns(pl.col("rating").cast(pl.Decimal(4, 2)), pl.col("time").str.to_date()).write_parquet(path)
    assert load(path).frame.rows() == [(0, 0, 4.5, 1_738_281_600, None)]


@pytest.mark.parametrize("moment", [-1, 2**62])
def test_moments_beyond_the_calendar(folder: Path, moment: int) -> None:
    path = folder / "interactions.parquet"
    frame = pl.DataFrame({"user": ["u"], "item": ["a"], "rating": [4], "time": [moment]})
    frame.with_columns(pl.col("time").cast(pl.Datetime("ms"))).write_parquet(path)
    with pytest.raises(InputError, match=":1: key 'time' is neither seconds nor a date"):
        load(path)


def test_a_damaged_packed_file_is_one_sentence(folder: Path) -> None:
    path = folder / "interactions.csv.gz"
    whole = gzip.compress(b"user,item,rating\n" + b"u,a,4\n" * 99)
    path.write_bytes(whole[:-12])
    with pytest.raises(InputError, match="is damaged"):
        load(path)
