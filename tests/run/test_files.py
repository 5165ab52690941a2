"""Files are written whole or not at all."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from tacit.run.files import write_parquet


def test_a_table_comes_back_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    table = pl.DataFrame({"a": [1, None], "b": [["x"], []]})
    write_parquet(tmp_path / "new" / "t.parquet", table)
    assert pl.read_parquet(tmp_path / "new" / "t.parquet").equals(table)
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["t.parquet"]


def test_a_table_that_cannot_be_written_leaves_the_old_one(tmp_path: Path) -> None:
    class Broken(pl.DataFrame):
        def write_parquet(self, file: object, **settings: object) -> None:  # type: ignore[override]
            raise RuntimeError("half")

    path = tmp_path / "t.parquet"
    write_parquet(path, pl.DataFrame({"a": [1]}))
    with pytest.raises(RuntimeError, match="half"):
        write_parquet(path, Broken({"a": [2]}))
    assert pl.read_parquet(path)["a"].to_list() == [1] and len(list(tmp_path.iterdir())) == 1
