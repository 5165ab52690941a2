"""The same counts as ``stats.stats`` of an export, by DuckDB: a log of any size, since it need not fit into memory."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from tacit.events.export import files, scan
from tacit.events.rows import STREAMS
from tacit.events.stats import Stats, day

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_EXPOSURES = """
SELECT count(*), count(DISTINCT session_id), count(DISTINCT "user"), min(created_ms), max(created_ms),
    count(*) FILTER (decision = 'recommend'), count(*) FILTER (bucket = 'explore'), count(*) FILTER (deterministic),
    coalesce(sum(len(items)), 0)::BIGINT
FROM exposures
"""
_DELIVERED = "SELECT count(DISTINCT exposure_id) FILTER (state = 'delivered') FROM deliveries"
_POLICIES = "SELECT policy_version, count(*) AS n FROM exposures GROUP BY 1 ORDER BY n DESC, 1"
_KINDS = "SELECT kind, count(*) AS n FROM events GROUP BY 1 ORDER BY n DESC, 1"
_OBSERVED = "SELECT count(DISTINCT exposure_id) FROM events"
_LOST = """
SELECT coalesce(sum(skipped), 0)::BIGINT
FROM (SELECT max(seq) - min(seq) + 1 - count(DISTINCT seq) AS skipped FROM events GROUP BY session_id)
"""
# A row an item of an exposure with time in view: the largest time, and what the last report says of its end.
_SEEN = """
SELECT count(*), median(visible_ms) FILTER (NOT censored), count(*) FILTER (censored)
FROM (
    SELECT max(visible_ms) AS visible_ms, arg_max(coalesce(censored, true), (seq, "row")) AS censored
    FROM events WHERE item_id IS NOT NULL AND visible_ms IS NOT NULL
    GROUP BY exposure_id, item_id HAVING max(visible_ms) > 0
)
"""
# polars' types, as DuckDB calls them
_TYPES = {"String": "VARCHAR", "Int64": "BIGINT", "Float64": "DOUBLE", "Boolean": "BOOLEAN"}
_TYPES |= {f"List({kind})": f"{name}[]" for kind, name in _TYPES.items()}


def stats(folder: Path) -> Stats:
    """``InputError`` where the folder is no export."""
    import duckdb

    with duckdb.connect() as database:
        for name in STREAMS:
            _view(database, folder, name)
        exposures, sessions, users, first, last, recommending, explored, deterministic, shown = _row(
            database, _EXPOSURES
        )
        (delivered,), (observed,), (lost,) = (_row(database, query) for query in (_DELIVERED, _OBSERVED, _LOST))
        seen, median_ms, censored = _row(database, _SEEN)
        policies, kinds = (dict(database.execute(query).fetchall()) for query in (_POLICIES, _KINDS))
    return Stats(
        exposures=exposures,
        sessions=sessions,
        users=users,
        first_day=day(first),
        last_day=day(last),
        policies=policies,
        delivered=delivered,
        undelivered=exposures - delivered,
        recommending=recommending,
        explored=explored,
        deterministic=deterministic,
        items_shown=shown,
        observed=observed,
        events=sum(kinds.values()),
        kinds=kinds,
        lost=lost,
        items_seen=seen,
        median_visible_s=None if median_ms is None else median_ms / 1000,
        censored=censored,
    )


def _view(database: DuckDBPyConnection, folder: Path, name: str) -> None:
    """A table of the export under its name; an empty one has its columns."""
    scan(folder, name)  # says what is no export
    found = [str(path) for path in files(folder, name)]
    if found:
        database.read_parquet(found, hive_partitioning=False).create_view(name)
    else:
        columns = ", ".join(f'"{column}" {_TYPES[str(kind)]}' for column, kind in STREAMS[name].columns.items())
        database.execute(f"CREATE TABLE {name} ({columns})")


def _row(database: DuckDBPyConnection, query: str) -> tuple[Any, ...]:
    found = database.execute(query).fetchone()
    assert found is not None
    return found
