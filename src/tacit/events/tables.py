"""The tables of a log, and how an old one becomes a new one: named migrations, forward only.

The first migration makes the tables as they stood in version 1; what comes later adds to them by statements of its own,
so that an old migration never changes its meaning.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Sequence
from typing import Any

import sqlalchemy as sa

from tacit.types import InputError

metadata = sa.MetaData()
# SQLite numbers rows by INTEGER PRIMARY KEY alone; AUTOINCREMENT never gives a number twice, which an export relies on.
_NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def _numbered(name: str, *columns: sa.Column[Any]) -> sa.Table:
    row = sa.Column("row", _NUMBER, primary_key=True, autoincrement=True)
    return sa.Table(name, metadata, row, *columns, sqlite_autoincrement=True)


def _id(name: str, unique: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.String(64), nullable=False, unique=unique, index=not unique)


def _time(name: str, index: bool = False) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, nullable=False, index=index)


exposures = _numbered(
    "exposures",
    _id("exposure_id", unique=True),
    _id("session_id"),
    _id("user"),
    sa.Column("consent", sa.String(16), nullable=False),
    _time("created_ms", index=True),
    sa.Column("record", sa.JSON, nullable=False),  # the rest of schema.Exposure
    sa.Column("seal", sa.String(64), nullable=False),  # keys.Keys.seal
)
deliveries = _numbered(
    "deliveries",
    _id("exposure_id", unique=True),
    _id("user"),
    _time("recv_ms", index=True),
    sa.Column("record", sa.JSON, nullable=False),
)
words = sa.Table(
    "words",
    metadata,
    sa.Column("exposure_id", sa.String(64), primary_key=True),
    _id("user"),
    _time("recv_ms", index=True),
    sa.Column("record", sa.JSON, nullable=False),
)
events = _numbered(
    "events",
    _id("event_id", unique=True),
    _id("exposure_id"),
    _id("user"),
    _time("recv_ms", index=True),
    sa.Column("record", sa.JSON, nullable=False),
)
users = sa.Table(
    "users",
    metadata,
    sa.Column("user", sa.String(64), primary_key=True),
    sa.Column("consent", sa.String(16), nullable=False),
    _time("since_ms"),
)
tombstones = sa.Table("tombstones", metadata, sa.Column("mark", sa.String(64), primary_key=True), _time("deleted_ms"))
state = sa.Table("state", metadata, sa.Column("name", sa.String(64), primary_key=True), sa.Column("value", sa.String))
schema_version = sa.Table(
    "schema_version", metadata, sa.Column("name", sa.String(64), primary_key=True), _time("applied_ms")
)

OF_A_USER = (events, words, deliveries, exposures, users)  # every table with rows about people
ERASURES, STORE_ID = "erasures", "store_id"  # names in ``state``


def _first_tables(connection: sa.Connection) -> None:
    metadata.create_all(connection, tables=[table for table in metadata.sorted_tables if table is not schema_version])
    connection.execute(state.insert(), [{"name": ERASURES, "value": "0"}])
    connection.execute(state.insert(), [{"name": STORE_ID, "value": secrets.token_hex(8)}])


Migration = tuple[str, Callable[[sa.Connection], None]]
MIGRATIONS: Sequence[Migration] = (("0001 tables", _first_tables),)
_LOCK = 0x7AC17  # of PostgreSQL's advisory locks


def migrate(engine: sa.Engine, migrations: Sequence[Migration] = MIGRATIONS) -> list[str]:
    """Apply, in one transaction and alone, what this log lacks; returns the names. A newer Tacit's log is refused."""
    names = [name for name, _ in migrations]
    with engine.connect().execution_options(reads=True) as connection:
        if _applied(connection, names) == names:
            return []  # without a lock: a reader must not wait for the writer
    with engine.begin() as connection:  # SQLite: BEGIN IMMEDIATE, one writer at a time
        if engine.dialect.name == "postgresql":
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
        applied = _applied(connection, names)
        schema_version.create(connection, checkfirst=True)
        missing = [(name, change) for name, change in migrations if name not in applied]
        for name, change in missing:
            change(connection)
            connection.execute(schema_version.insert(), [{"name": name, "applied_ms": int(time.time() * 1000)}])
    return [name for name, _ in missing]


def _applied(connection: sa.Connection, known: Sequence[str]) -> list[str]:
    """Those of ``known`` that a log has; ``InputError`` where it has more."""
    if not sa.inspect(connection).has_table(schema_version.name):
        return []
    applied = set(connection.scalars(sa.select(schema_version.c.name)))
    if newer := sorted(applied - set(known)):
        raise InputError(f"This log has the change {newer[0]!r}, which a newer Tacit made: update Tacit to read it.")
    return [name for name in known if name in applied]


def count_erasure(connection: sa.Connection) -> None:
    """One more erasure: the writers of all processes forget what they remember of exposures."""
    number = int(str(connection.scalar(sa.select(state.c.value).where(state.c.name == ERASURES))))
    connection.execute(state.update().where(state.c.name == ERASURES).values(value=str(number + 1)))
