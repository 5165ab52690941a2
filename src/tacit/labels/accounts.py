"""Accounts with more sessions than one may count for: the cap on what a single account can teach.

It stops few accounts with many sessions. It does not stop many accounts with few, which a gate must notice by what a
policy does.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import polars as pl

from tacit.events.rows import shard
from tacit.run.files import write_parquet

NAME = "accounts"
COLUMNS = {"user": pl.String(), "sessions": pl.Int64()}


def above_cap(exposures: pl.LazyFrame, cap: int, as_of: int) -> pl.DataFrame:
    """(user, sessions) of those above ``cap``, by name; what no training may read does not count."""
    return (
        exposures.filter((pl.col("created_ms") <= as_of) & (pl.col("consent") == "train"))
        .group_by("user")
        .agg(sessions=pl.col("session_id").n_unique().cast(pl.Int64))
        .filter(pl.col("sessions") > cap)
        .sort("user")
        .collect(engine="streaming")
    )


def digest(accounts: pl.DataFrame) -> str:
    lines = (f"{user}\t{sessions}\n" for user, sessions in accounts.sort("user").iter_rows())
    whole = hashlib.sha256()
    for line in lines:
        whole.update(line.encode())
    return whole.hexdigest()


def save(folder: Path, accounts: pl.DataFrame, day: str) -> None:
    """In files laid out as an export's, so that a person is deleted from them by the same command."""
    shards = pl.Series("shard", [shard(user) for user in accounts["user"]], pl.Int64)
    for (number,), part in accounts.with_columns(shards).partition_by(["shard"], as_dict=True).items():
        write_parquet(folder / NAME / f"day={day}" / f"shard={number:02d}" / "part.parquet", part.drop("shard"))


def load(folder: Path) -> pl.DataFrame:
    found = sorted(folder.glob(f"{NAME}/day=*/shard=*/*.parquet"))
    empty = pl.DataFrame(schema=COLUMNS)
    return pl.concat([empty, *(pl.read_parquet(path) for path in found)]).sort("user")
