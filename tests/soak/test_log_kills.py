"""kill -9 of a writer of the log under load, many times, on SQLite and on PostgreSQL."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from log_kills import survive
from postgres_cluster import binaries, cluster

KILLS = int(os.environ.get("TACIT_SOAK_KILLS", "20"))
SEED = int(os.environ.get("TACIT_SOAK_SEED", "0") or 0)


def test_on_sqlite(tmp_path: Path) -> None:
    print(
        f"{survive(str(tmp_path / 'log.sqlite'), tmp_path / 'keys', KILLS, seed=SEED):,} acknowledged, all there once"
    )


def test_on_postgresql(tmp_path: Path) -> None:
    pytest.importorskip("psycopg", reason="psycopg is not installed: pip install 'tacit-rec[postgres]'")
    bin = binaries()
    if bin is None:
        pytest.skip("PostgreSQL is not installed (Debian: apt-get install postgresql)")
    with cluster(bin) as server:
        print(f"{survive(server.url, tmp_path / 'keys', KILLS, seed=SEED):,} acknowledged, all there once")
