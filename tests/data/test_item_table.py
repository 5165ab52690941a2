"""A catalogue from a table: every kind of file gives the same items; what is wrong is named by row and column."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner

from tacit.catalog import Catalog
from tacit.cli.main import app
from tacit.data import item_table
from tacit.serve.items import read_changes
from tacit.types import InputError

TABLE = pl.DataFrame(
    {
        "movieId": [1, 2],
        "title": ["Alpha Road (1999)", "Beta Hill"],
        "genres": ["Noir|Crime", ""],
        "released": ["1999-05-01", "2001"],
        "maker": ["Ann Lee", None],
        "votes": [12.0, None],
        "price": [1.5, 2.5],
    }
)
COLUMNS = {"id": "movieId", "genre": "genres", "year": "released", "brand": "maker", "count": "votes"}


def test_csv_json_lines_and_parquet_give_the_same_items(tmp_path: Path) -> None:
    TABLE.write_csv(tmp_path / "x.csv")
    TABLE.write_ndjson(tmp_path / "x.jsonl")
    TABLE.write_parquet(tmp_path / "x.parquet")
    lists = TABLE.with_columns(genres=pl.col("genres").str.split("|"), released=pl.Series([1999, 2001]))
    lists.write_parquet(tmp_path / "lists.parquet")
    for name in ("x.csv", "x.jsonl", "x.parquet", "lists.parquet"):
        dropped: Counter[str] = Counter()
        found = item_table.read(tmp_path / name, COLUMNS, "|", dropped)
        assert [count for _, count in found] == [12, 0]
        first, second = (item for item, _ in found)
        assert (first.id, first.title, second.title) == ("1", "Alpha Road (1999)", "Beta Hill")
        assert first.text == "Alpha Road (1999). Noir, Crime. Brand: Ann Lee."
        assert first.attributes == {"genre": ("noir", "crime"), "year": ("1999",), "brand": ("ann lee",)}
        assert (second.text, second.attributes) == ("Beta Hill (2001).", {"year": ("2001",)})
        assert dropped == {"column 'price' (--map takes it)": 1}


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("1,,9,2", r"x\.csv:2: column name must be text or a whole number, and not empty"),
        ("1,Alpha,soon,2", r"x\.csv:2: column made must be a year of four digits"),
        ("1,Alpha,1999,-1", r"x\.csv:2: column count must be a whole number of at least 0"),
        ("1,Alpha,1999", r"x\.csv:2: 3 fields where the header names 4"),
        ("1,Alpha,1999,2\n1,Beta,1999,2", r"x\.csv:3: column id has '1' twice, in row 2 before"),
        ("1,Alpha,soon,2\n2,,1999,2", r"x\.csv:3: column name must be text"),
    ],
)
def test_bad_rows_are_named_with_their_column(tmp_path: Path, row: str, reason: str) -> None:
    (tmp_path / "x.csv").write_text(f"id,name,made,count\n{row}\n")
    with pytest.raises(InputError, match=reason):
        item_table.read(tmp_path / "x.csv", {"title": "name", "year": "made"}, "|", Counter())


def test_columns_that_are_not_there(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("id,name\n1,Alpha\n")
    with pytest.raises(InputError, match="no column is title: give --map title=COLUMN; it has id, name"):
        item_table.read(tmp_path / "x.csv", {}, "|", Counter())
    with pytest.raises(InputError, match="there is no column 'titel'"):
        item_table.read(tmp_path / "x.csv", {"title": "titel"}, "|", Counter())
    (tmp_path / "twice.csv").write_text("id,id\n1,Alpha\n")
    with pytest.raises(InputError, match="two columns are called id"):
        item_table.read(tmp_path / "twice.csv", {}, "|", Counter())


def test_the_command_writes_an_items_file_or_items_for_a_served_policy(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("sku;name;tags\nm1;Alpha Road;old, dark\n")
    maps = ["--map", "id=sku", "--map", "title=name", "--map", "tag=tags", "--separator", ","]
    done = CliRunner().invoke(app, ["data", "items", str(tmp_path / "x.csv"), str(tmp_path / "items.jsonl"), *maps])
    assert (done.exit_code, done.stdout) == (0, f"{tmp_path / 'items.jsonl'}: 1 items\n")
    (item,) = Catalog.load(tmp_path / "items.jsonl")
    assert item.attributes == {"tag": ("old", "dark")}
    CliRunner().invoke(app, ["data", "items", str(tmp_path / "x.csv"), str(tmp_path / "added.json"), *maps])
    assert read_changes((tmp_path / "added.json").read_bytes()).items() == [item]
    assert json.loads((tmp_path / "added.json").read_text()).keys() == {"added"}
    wrong = CliRunner().invoke(
        app, ["data", "items", str(tmp_path / "x.csv"), str(tmp_path / "o.jsonl"), "--map", "id"]
    )
    assert wrong.exit_code == 2 and "write NAME=VALUE" in wrong.stderr
    (tmp_path / "bad.csv").write_text("id,title\n,Alpha\n2,\n")
    bad = CliRunner().invoke(app, ["data", "items", str(tmp_path / "bad.csv"), str(tmp_path / "o.jsonl")])
    assert bad.exit_code == 2 and len(bad.stderr.splitlines()) == 3
