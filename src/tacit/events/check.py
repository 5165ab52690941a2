"""Is the log whole: everything a reader will rely on, checked; one sentence a fault. Texts are never repeated."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import polars as pl
import sqlalchemy as sa

from tacit.events import schema
from tacit.events.export import MANIFEST, scan
from tacit.events.intake import SLACK_MS
from tacit.events.keys import Keys, same, tombstone
from tacit.events.rows import STREAMS
from tacit.events.schema import Exposure, longest_time
from tacit.events.store import EXPOSURE_COLUMNS, Store, event_of, unpack
from tacit.events.tables import STORE_ID, deliveries, events, exposures, tombstones, words
from tacit.run.files import read_json

ROWS = 10_000  # at a time


def check(store: Store, keys: Keys | None = None, export: Path | None = None) -> Iterator[str]:
    """Every fault of the log; with ``keys`` also what was changed after it was written, with ``export`` its files'."""
    yield from _file(store)
    yield from _orphans(store)
    yield from _exposures(store, keys)
    yield from _events(store)
    yield from _deleted(store)
    if export is not None:
        yield from _export(store, export)


def _file(store: Store) -> Iterator[str]:
    if store.engine.dialect.name == "sqlite":
        with store.reading() as connection:
            for line in connection.exec_driver_sql("PRAGMA quick_check").scalars():
                if line != "ok":
                    yield f"the file is damaged: {line}"


def _orphans(store: Store) -> Iterator[str]:
    known = sa.select(exposures.c.exposure_id)
    with store.reading() as connection:
        for table in (events, deliveries, words):
            lost = sa.select(table.c.exposure_id).where(table.c.exposure_id.not_in(known)).distinct()
            for name in connection.scalars(lost):
                yield f"{table.name} of exposure {name}: there is no such exposure"


def _exposures(store: Store, keys: Keys | None) -> Iterator[str]:
    for row in _rows(store, exposures):
        where = f"exposure {row.exposure_id}"
        try:
            exposure = unpack(Exposure, row, *EXPOSURE_COLUMNS)
            schema.check(exposure)
        except msgspec.ValidationError:
            yield f"{where}: it is not of version {schema.VERSION} of the schema"
            continue
        except ValueError as error:
            yield f"{where}: {error}"
        if keys is not None and not same(row.seal, keys.seal(exposure, row.consent)):
            yield f"{where}: its seal is broken: it was changed after it was written, or sealed with another key"


def _events(store: Store) -> Iterator[str]:
    known: dict[str, Exposure] = {}
    for row in _rows(store, events):
        where = f"event {row.event_id}"
        try:
            event = event_of(row)
        except msgspec.ValidationError:
            yield f"{where}: it is not of version {schema.VERSION} of the schema"
            continue
        if row.exposure_id not in known:
            known = _around(store, row.row)
        exposure = known.get(row.exposure_id)
        if exposure is None:
            continue  # an orphan, told already
        if event.item_id is not None and event.item_id not in {shown.item_id for shown in exposure.items}:
            yield f"{where}: its item was not shown"
        if not exposure.created_ms <= row.recv_ms <= exposure.expires_ms:
            yield f"{where}: it came before its exposure, or after that expired"
        if longest_time(event) > row.recv_ms - exposure.created_ms + SLACK_MS:
            yield f"{where}: it counts more time than had passed"


def _deleted(store: Store) -> Iterator[str]:
    with store.reading() as connection:
        deleted = {mark: deleted_ms for mark, deleted_ms in connection.execute(sa.select(tombstones))}
        if not deleted:
            return
        first = sa.func.min(exposures.c.created_ms)
        for user, since_ms in connection.execute(sa.select(exposures.c.user, first).group_by(exposures.c.user)):
            if since_ms <= deleted.get(tombstone(user), -1):
                yield f"user {user}: was deleted, and has older rows all the same: delete them again"


def _export(store: Store, folder: Path) -> Iterator[str]:
    with store.reading() as connection:
        deleted = set(connection.scalars(sa.select(tombstones.c.mark)))
    manifest = read_json(folder / MANIFEST, "make an export anew in an empty folder.")
    if manifest["store"] != store.value(STORE_ID):
        yield f"{folder}: it is the export of another log"
    for name in STREAMS:
        frame = scan(folder, name).select("row", "user").collect()
        if frame.height != frame["row"].n_unique():
            yield f"{folder}: it holds rows of {name} twice"
        beyond = frame.filter(pl.col("row") > manifest["done"][name]).height
        if beyond and manifest["pending"] is None:
            yield f"{folder}: it holds {beyond} rows of {name} that it does not know of"
        for user in frame["user"].unique().sort():
            if tombstone(user) in deleted:
                yield f"{folder}: {name} has rows of user {user}, who was deleted (unless they came back)"


def _rows(store: Store, table: sa.Table) -> Iterator[sa.Row[tuple[object, ...]]]:
    after = 0
    while True:
        query = sa.select(table).where(table.c.row > after).order_by(table.c.row).limit(ROWS)
        with store.reading() as connection:
            rows = connection.execute(query).all()
        if not rows:
            return
        yield from rows
        after = rows[-1].row


def _around(store: Store, row: int) -> dict[str, Exposure]:
    """The exposures of the next ``ROWS`` events."""
    some = sa.select(events.c.exposure_id).where(events.c.row >= row).order_by(events.c.row).limit(ROWS)
    found: dict[str, Exposure] = {}
    with store.reading() as connection:
        for shown in connection.execute(
            sa.select(exposures).where(exposures.c.exposure_id.in_(some.scalar_subquery()))
        ):
            try:
                found[shown.exposure_id] = unpack(Exposure, shown, *EXPOSURE_COLUMNS)
            except msgspec.ValidationError:
                continue  # told already
    return found
