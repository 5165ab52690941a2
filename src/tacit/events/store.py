"""The log: SQLite in one file by default, PostgreSQL by URL. Opening it, and reading it.

Only ``writer.Writer`` writes records; ``erase`` deletes them. A commit is on disk when it returns (WAL with synchronous
FULL; PostgreSQL's default), and what is deleted is overwritten (``secure_delete``).
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar, cast

import msgspec
import sqlalchemy as sa

from tacit.events.schema import Consent, Delivery, Event, Exposure, Words
from tacit.events.tables import deliveries, events, exposures, migrate, schema_version, state, tombstones, users, words
from tacit.run.files import says_when_unwritable
from tacit.types import InputError

CHUNK = 500  # names in one query: SQLite's oldest limit is 999
_PRAGMAS = ("journal_mode=WAL", "synchronous=FULL", "busy_timeout=5000", "secure_delete=ON")
_READS = {"reads": True}
R = TypeVar("R", bound=msgspec.Struct)


@dataclass(frozen=True)
class Record:
    """Everything logged of one exposure."""

    exposure: Exposure
    consent: Consent
    delivery: Delivery | None = None
    words: Words | None = None
    events: tuple[tuple[int, Event], ...] = ()  # (when it came in by the server's clock, event), as they came in


@dataclass(frozen=True)
class Store:
    engine: sa.Engine = field(repr=False)  # its URL may hold a password
    path: Path | None = None  # of an SQLite file

    def close(self) -> None:
        self.engine.dispose()

    def reading(self) -> sa.Connection:
        """A connection that never waits for the writer, nor keeps it waiting."""
        return self.engine.connect().execution_options(**_READS)

    def value(self, name: str) -> str:
        with self.reading() as connection:
            return str(connection.scalar(sa.select(state.c.value).where(state.c.name == name)))


def open_store(where: str | Path, create: bool = False) -> Store:
    """The log at a path (SQLite) or a URL, its tables brought up to date; ``create`` makes a missing file."""
    url, path = _address(str(where))
    if path is not None:
        _make_file(path) if create else _require_log(path)
    try:
        engine = sa.create_engine(
            url,
            pool_pre_ping=path is None,
            hide_parameters=True,  # what people wrote stands in no message of an error
            json_serializer=lambda value: msgspec.json.encode(value).decode("utf-8"),
            json_deserializer=msgspec.json.decode,
        )
    except ImportError as error:
        raise InputError(f"{error.name} is not installed: pip install 'tacit-rec[postgres]'.") from None
    if path is not None:
        _prepare_sqlite(engine)
    try:
        migrate(engine)
    except sa.exc.DBAPIError as error:
        engine.dispose()
        reason = str(error.orig).strip().splitlines()[0]
        raise InputError(f"{path or url.render_as_string()} is no log that can be opened ({reason}).") from None
    return Store(engine, path)


def _make_file(path: Path) -> None:
    """For this user alone: it will hold people's words."""
    with says_when_unwritable(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))


def _require_log(path: Path) -> None:
    """What is not a log is not made into one, nor touched, by reading it."""
    if not path.is_file():
        raise InputError(f"{path} does not exist: give the file, or the database's URL, of a log.")
    try:
        with contextlib.closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as connection:
            found = connection.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (schema_version.name,)).fetchone()
    except sqlite3.Error as error:
        raise InputError(f"{path} is no log that can be opened ({error}).") from None
    if found is None:
        raise InputError(f"{path} is no log: it has none of a log's tables.")


def _address(where: str) -> tuple[sa.URL, Path | None]:
    if "://" not in where:
        return sa.URL.create("sqlite", database=where), Path(where)
    try:
        url = sa.make_url(where)
    except (sa.exc.ArgumentError, ValueError):
        raise InputError("The log's URL cannot be read: write a path, or postgresql://user@host/database.") from None
    if url.drivername in ("postgresql", "postgres"):
        url = url.set(drivername="postgresql+psycopg")
    if url.drivername not in ("sqlite", "postgresql+psycopg") or (url.drivername == "sqlite" and not url.database):
        raise InputError("A log is kept in SQLite (a path) or PostgreSQL (postgresql://user@host/database) alone.")
    return url, Path(url.database or "") if url.drivername == "sqlite" else None


def _prepare_sqlite(engine: sa.Engine) -> None:
    """Transactions begin as we say: a writer takes its lock at once, since one that takes it later may be refused."""

    @sa.event.listens_for(engine, "connect")
    def _connect(connection: Any, _: Any) -> None:
        connection.isolation_level = None
        for pragma in _PRAGMAS:
            connection.execute(f"PRAGMA {pragma}")

    @sa.event.listens_for(engine, "begin")
    def _begin(connection: sa.Connection) -> None:
        reads = connection.get_execution_options().get("reads")
        connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")


def chunks(names: Iterable[str]) -> Iterator[Sequence[str]]:
    """Without repeats, ``CHUNK`` at a time."""
    unique = list(dict.fromkeys(names))
    for start in range(0, len(unique), CHUNK):
        yield unique[start : start + CHUNK]


def pack(struct: msgspec.Struct, *left_out: str) -> dict[str, Any]:
    """What stands in a ``record`` column: fields that are known, without those that have columns of their own."""
    row = cast(dict[str, Any], msgspec.to_builtins(struct))
    return {key: value for key, value in row.items() if value is not None and key not in left_out}


def unpack(kind: type[R], row: sa.Row[Any], *columns: str) -> R:
    return msgspec.convert({**row.record, **{name: getattr(row, name) for name in columns}}, kind)


def event_of(row: sa.Row[Any]) -> Event:
    """Its signature was of use on the way in alone, and is not stored."""
    return msgspec.convert(
        {"signature": "", **row.record, **{name: getattr(row, name) for name in EVENT_COLUMNS}}, Event
    )


EXPOSURE_COLUMNS = ("exposure_id", "session_id", "user", "created_ms")
EVENT_COLUMNS = ("event_id", "exposure_id")


def consent(connection: sa.Connection, user: str) -> Consent | None:
    """None: nothing about this person may be stored."""
    return cast("Consent | None", connection.scalar(sa.select(users.c.consent).where(users.c.user == user)))


def records(connection: sa.Connection, *where: sa.ColumnElement[bool]) -> list[Record]:
    """The exposures that fit ``where`` with all that is logged of them, by session and time."""
    order = (exposures.c.session_id, exposures.c.created_ms, exposures.c.row)
    shown = connection.execute(sa.select(exposures).where(*where).order_by(*order)).all()
    delivered: dict[str, Delivery] = {}
    texts: dict[str, Words] = {}
    seen: dict[str, list[tuple[int, Event]]] = {}
    for ids in chunks(row.exposure_id for row in shown):
        for row in connection.execute(sa.select(deliveries).where(deliveries.c.exposure_id.in_(ids))):
            delivered[row.exposure_id] = unpack(Delivery, row, "exposure_id")
        for row in connection.execute(sa.select(words).where(words.c.exposure_id.in_(ids))):
            texts[row.exposure_id] = unpack(Words, row, "exposure_id")
        for row in connection.execute(sa.select(events).where(events.c.exposure_id.in_(ids)).order_by(events.c.row)):
            seen.setdefault(row.exposure_id, []).append((row.recv_ms, event_of(row)))
    return [
        Record(
            unpack(Exposure, row, *EXPOSURE_COLUMNS),
            row.consent,
            delivered.get(row.exposure_id),
            texts.get(row.exposure_id),
            tuple(seen.get(row.exposure_id, ())),
        )
        for row in shown
    ]


def session(store: Store, session_id: str) -> list[Record]:
    with store.reading() as connection:
        return records(connection, exposures.c.session_id == session_id)


def past(store: Store, user: str, sessions: int, before_ms: int | None = None) -> list[list[Record]]:
    """A person's last sessions, the oldest first; with ``before_ms``, of those that had begun by then."""
    last = sa.func.max(exposures.c.created_ms)
    theirs = [exposures.c.user == user]
    theirs += [] if before_ms is None else [exposures.c.created_ms < before_ms]
    recent = sa.select(exposures.c.session_id).where(*theirs).group_by(exposures.c.session_id)
    with store.reading() as connection:
        names = list(connection.scalars(recent.order_by(last.desc()).limit(sessions)))
        return [records(connection, exposures.c.session_id == name) for name in reversed(names)]


def sessions(store: Store, consented: Consent | None = None) -> Iterator[list[Record]]:
    """Every session, by its id; with ``consented``, of users who agree to that much *now*, and did at the time."""
    kept: list[sa.ColumnElement[bool]] = []
    if consented is not None:
        agree = sa.select(users.c.user).where(users.c.consent == consented)
        kept = [exposures.c.user.in_(agree), exposures.c.consent == consented]
    with store.reading() as connection:
        names = list(connection.scalars(sa.select(exposures.c.session_id).where(*kept).distinct()))
        for some in chunks(sorted(names)):
            rows = records(connection, exposures.c.session_id.in_(some), *kept)
            by_session: dict[str, list[Record]] = {}
            for row in rows:
                by_session.setdefault(row.exposure.session_id, []).append(row)
            yield from by_session.values()


def user_data(store: Store, user: str) -> dict[str, Any]:
    """All that is stored about a pseudonym, as JSON can say it: what a person who asks is shown."""
    with store.reading() as connection:
        rows = records(connection, exposures.c.user == user)
        agreed = consent(connection, user)
    return {
        "user": user,
        "consent": agreed,
        "exposures": [
            {
                **pack(row.exposure),
                "consent": row.consent,
                "delivery": pack(row.delivery, "exposure_id") if row.delivery else None,
                "words": pack(row.words, "exposure_id") if row.words else None,
                "events": [{**pack(event, "signature"), "recv_ms": recv_ms} for recv_ms, event in row.events],
            }
            for row in rows
        ],
    }


def buried(store: Store) -> frozenset[str]:
    """The marks of deleted users (``keys.tombstone``): data sets made before must not be trained on with them."""
    with store.reading() as connection:
        return frozenset(connection.scalars(sa.select(tombstones.c.mark)))
