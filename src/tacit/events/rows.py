"""Rows of the log as flat tables, for files and for counting: one reader, whatever reads them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import polars as pl
import sqlalchemy as sa

from tacit.events.schema import Exposure
from tacit.events.store import EXPOSURE_COLUMNS, Store, unpack
from tacit.events.tables import deliveries, events, exposures

SHARDS = 16
_TEXT, _WHOLE, _REAL = pl.String(), pl.Int64(), pl.Float64()
EXPOSURES: dict[str, pl.DataType] = {
    "row": _WHOLE, "exposure_id": _TEXT, "session_id": _TEXT, "user": _TEXT, "consent": _TEXT, "turn": _WHOLE,
    "created_ms": _WHOLE, "policy_version": _TEXT, "bucket": _TEXT, "deterministic": pl.Boolean(), "epsilon": _REAL,
    "temperature": _REAL, "top_k": _WHOLE, "top_p": _REAL, "decision": _TEXT, "p_recommend": _REAL,
    "items": pl.List(pl.String()), "positions": pl.List(pl.Int64()), "probabilities": pl.List(pl.Float64()),
    "candidates": _WHOLE, "catalog_version": _TEXT, "mask_hash": _TEXT, "schema": _WHOLE,
}  # fmt: skip
DELIVERIES: dict[str, pl.DataType] = {
    "row": _WHOLE, "exposure_id": _TEXT, "session_id": _TEXT, "user": _TEXT, "recv_ms": _WHOLE, "state": _TEXT,
    "first_token_ms": _WHOLE, "last_token_ms": _WHOLE, "words": _WHOLE,
}  # fmt: skip
EVENTS: dict[str, pl.DataType] = {
    "row": _WHOLE, "event_id": _TEXT, "exposure_id": _TEXT, "session_id": _TEXT, "user": _TEXT, "recv_ms": _WHOLE,
    "kind": _TEXT, "item_id": _TEXT, "seq": _WHOLE, "mono_ms": _WHOLE, "client_ms": _WHOLE, "visible_ms": _WHOLE,
    "idle_ms": _WHOLE, "hidden_ms": _WHOLE, "latency_ms": _WHOLE, "max_ratio": _REAL, "scroll_depth": _REAL,
    "toggles": _WHOLE, "censored": pl.Boolean(), "reason": _TEXT, "value": _WHOLE, "against": _TEXT, "device": _TEXT,
    "schema": _WHOLE,
}  # fmt: skip


@dataclass(frozen=True)
class Stream:
    """A table that only grows, read by row number."""

    table: sa.Table
    columns: dict[str, pl.DataType]
    moment: str  # the column whose day a row belongs to


STREAMS = {
    "exposures": Stream(exposures, EXPOSURES, "created_ms"),
    "deliveries": Stream(deliveries, DELIVERIES, "recv_ms"),
    "events": Stream(events, EVENTS, "recv_ms"),
}


def batches(store: Store, name: str, after: int, size: int) -> Iterator[pl.DataFrame]:
    """Rows numbered above ``after`` in order, ``size`` at a time, up to what is committed now."""
    last = _last(store, STREAMS[name].table)
    while True:
        frame = _read(store, STREAMS[name], after, last, size)
        if not frame.height:
            return
        yield frame
        after = int(frame["row"][-1])


def with_partitions(frame: pl.DataFrame, moment: str) -> pl.DataFrame:
    """Two columns more: ``day`` (of the server's clock, UTC) and ``shard`` (by the session, which is in one alone)."""
    days = [datetime.fromtimestamp(ms / 1000, UTC).date().isoformat() for ms in frame[moment]]
    shards = [shard(session) for session in frame["session_id"]]
    return frame.with_columns(pl.Series("day", days, pl.String), pl.Series("shard", shards, pl.Int64))


def shard(session_id: str) -> int:
    return int(hashlib.sha256(session_id.encode()).hexdigest()[:8], 16) % SHARDS


def _last(store: Store, table: sa.Table) -> int:
    """The highest row number such that no lower one can still appear. SQLite has one writer at a time; PostgreSQL gives
    numbers out before a commit, so that the lock first waits for whoever holds one."""
    with store.reading() as connection:
        if store.engine.dialect.name == "postgresql":
            connection.exec_driver_sql(f'LOCK TABLE "{table.name}" IN SHARE MODE')
        return int(connection.scalar(sa.select(sa.func.max(table.c.row))) or 0)


def _read(store: Store, stream: Stream, after: int, last: int, size: int) -> pl.DataFrame:
    table = stream.table
    query: sa.Select[Any] = sa.select(table)
    if table is not exposures:
        session = sa.func.coalesce(exposures.c.session_id, table.c.exposure_id).label("session_id")
        joined = table.outerjoin(exposures, exposures.c.exposure_id == table.c.exposure_id)
        query = sa.select(table, session).select_from(joined)
    query = query.where(table.c.row > after, table.c.row <= last).order_by(table.c.row).limit(size)
    with store.reading() as connection:
        rows = [_flat(row) for row in connection.execute(query)]
    return pl.DataFrame(rows, schema=stream.columns, orient="row")


def _flat(row: sa.Row[Any]) -> dict[str, Any]:
    known = {"schema": 1, **{key: value for key, value in row._mapping.items() if key not in ("record", "seal")}}
    if "created_ms" not in known:
        return {**row.record, **known}
    exposure = unpack(Exposure, row, *EXPOSURE_COLUMNS)
    fields = {name: getattr(exposure, name) for name in exposure.__struct_fields__ if name != "items"}
    return {
        **fields,
        **known,
        "items": [shown.item_id for shown in exposure.items],
        "positions": [shown.position for shown in exposure.items],
        "probabilities": [shown.probability for shown in exposure.items],
    }
