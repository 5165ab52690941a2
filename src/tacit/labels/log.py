"""A log, or its export, as the label job reads it: an export, and in it only those who agree now, too."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import sqlalchemy as sa

from tacit.events.export import export, files
from tacit.events.store import Store, open_store
from tacit.events.tables import users
from tacit.run.files import write_parquet


@contextlib.contextmanager
def exported(source: str | Path, beside: Path) -> Iterator[Path]:
    """The folder of an export: ``source`` itself, or one made of the log there for so long, in ``beside``.

    An export says who had agreed when something was shown; a log also knows who has changed their mind.
    """
    if Path(source).is_dir():
        yield Path(source)
        return
    store = open_store(source)
    beside.mkdir(parents=True, exist_ok=True)
    try:
        with tempfile.TemporaryDirectory(prefix=".log-", dir=beside) as folder:
            export(store, folder)
            withdraw(Path(folder), changed_their_mind(store))
            yield Path(folder)
    finally:
        store.close()


def changed_their_mind(store: Store) -> list[str]:
    """Those who do not agree to training now, of those who are known."""
    with store.reading() as connection:
        return sorted(connection.scalars(sa.select(users.c.user).where(users.c.consent != "train")))


def withdraw(folder: Path, no_more: list[str]) -> None:
    """What these people were shown may not be trained on."""
    for path in files(folder, "exposures") if no_more else ():
        table = pl.read_parquet(path)
        theirs = pl.col("user").is_in(no_more)
        if table.select((theirs & (pl.col("consent") == "train")).any()).item():
            kept = pl.when(theirs).then(pl.lit("store")).otherwise("consent")
            write_parquet(path, table.with_columns(consent=kept))
