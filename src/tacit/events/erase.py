"""Deleting: a person, down to the bytes of the files; and whatever is older than it may be."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from tacit.events.keys import tombstone
from tacit.events.schema import DAY_MS
from tacit.events.store import Store
from tacit.events.tables import (
    OF_A_USER,
    count_erasure,
    deliveries,
    events,
    exposures,
    state,
    tombstones,
    words,
)
from tacit.run.limits import at_least
from tacit.types import InputError

_AGAIN = "end the other processes that use the log, or ask its server to delete, and give the command again."
RETAINED = "retained_ms"  # in ``state``: when the retention job last ended


@dataclass
class Retention:
    """Days that things are kept. Words are a person's; events, without them, are behaviour under a pseudonym."""

    words_days: int = at_least(1, default=30)
    events_days: int = at_least(1, default=180)


def delete_user(store: Store, user: str, now_ms: int) -> dict[str, int]:
    """Delete every row of a pseudonym and leave a tombstone that does not name it; rows by table.

    When it returns, SQLite's file and its WAL no longer hold a byte of them; PostgreSQL's tables are rewritten, while
    its own WAL and backups follow the database's settings. Doing it again does no harm, and ends what was cut short.
    """
    with store.engine.begin() as connection:
        deleted = _delete(connection, lambda table: table.c.user == user, OF_A_USER)
        mark = tombstone(user)
        if connection.scalar(sa.select(tombstones.c.mark).where(tombstones.c.mark == mark)) is None:
            connection.execute(tombstones.insert(), [{"mark": mark, "deleted_ms": now_ms}])
        count_erasure(connection)
    scrub(store)
    return deleted


def retain(store: Store, retention: Retention, now_ms: int) -> dict[str, int]:
    """Delete words, events and exposures past their days; rows by table. When it last ended stands in ``state``."""
    with store.engine.begin() as connection:
        before = now_ms - retention.words_days * DAY_MS
        deleted = _delete(connection, lambda table: table.c.recv_ms < before, (words,))
        before = now_ms - retention.events_days * DAY_MS
        old = sa.select(exposures.c.exposure_id).where(exposures.c.created_ms < before)
        for table in (events, deliveries, words):
            more = connection.execute(table.delete().where(table.c.exposure_id.in_(old))).rowcount
            deleted[table.name] = deleted.get(table.name, 0) + more
        deleted |= _delete(connection, lambda table: table.c.created_ms < before, (exposures,))
        connection.execute(state.delete().where(state.c.name == RETAINED))
        connection.execute(state.insert(), [{"name": RETAINED, "value": str(now_ms)}])
        count_erasure(connection)
    _empty_wal(store)
    return deleted


def scrub(store: Store) -> None:
    """Rewrite the files, so that nothing deleted is left in unused parts of them."""
    with store.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        if store.engine.dialect.name == "postgresql":
            for table in OF_A_USER:
                connection.exec_driver_sql(f'VACUUM (FULL) "{table.name}"')
            return
    _empty_wal(store)
    raw = store.engine.raw_connection()
    try:
        raw.cursor().execute("VACUUM")
    except sqlite3.OperationalError as error:
        raise InputError(f"The rows are deleted, but the file could not be rewritten ({error}): {_AGAIN}") from None
    finally:
        raw.close()
    _empty_wal(store)


def _empty_wal(store: Store) -> None:
    """Copy the write-ahead log into the file and cut it to nothing; InputError where a reader holds it."""
    if store.engine.dialect.name != "sqlite":
        return
    raw = store.engine.raw_connection()
    try:
        row = raw.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)")
        busy = (row.fetchone() if row is not None else (1,))[0]
    finally:
        raw.close()
    if busy:
        raise InputError(
            f"The rows are deleted, but a reader keeps old bytes of them in the write-ahead file: {_AGAIN}"
        )


def _delete(
    connection: sa.Connection, rows: Callable[[Any], sa.ColumnElement[bool]], tables: tuple[sa.Table, ...]
) -> dict[str, int]:
    return {table.name: connection.execute(table.delete().where(rows(table))).rowcount for table in tables}
