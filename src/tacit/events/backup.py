"""A copy of the log while it is written to."""

from __future__ import annotations

import contextlib
import os
import secrets
import sqlite3
from pathlib import Path

from tacit.events.store import Store
from tacit.events.tables import STORE_ID
from tacit.run.files import says_when_unwritable, sync_file, sync_folder
from tacit.types import InputError


def backup(store: Store, path: str | Path) -> None:
    """The log as it was at one moment, as a file that ``open_store`` opens; an older file there is replaced when all of
    the new one is on disk. To restore: stop the server, remove the log's ``-wal`` and ``-shm`` files, put the copy in
    the log's place.
    """
    path = Path(path)
    if store.path is None:
        raise InputError("A log in PostgreSQL is copied by PostgreSQL: pg_dump, or its own backups.")
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    with says_when_unwritable(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        part.unlink(missing_ok=True)
        os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        try:
            raw = store.engine.raw_connection()
            try:
                raw.cursor().execute("VACUUM INTO ?", (str(part),))
            finally:
                raw.close()
            _rename(part)
            sync_file(part)
            os.replace(part, path)
        finally:
            part.unlink(missing_ok=True)
        sync_folder(path.parent)


def _rename(part: Path) -> None:
    """A copy is another log to an export: put in the first one's place, it will give row numbers out again."""
    with contextlib.closing(sqlite3.connect(part)) as connection, connection:
        connection.execute("UPDATE state SET value = ? WHERE name = ?", (secrets.token_hex(8), STORE_ID))
