"""``tacit events``: results on stdout, what was done on stderr. No word of a person's is ever printed."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

from tacit.catalog import Catalog
from tacit.events import backup, check, dialogues, duck, erase, export, preferences, stats
from tacit.events.keys import Keys
from tacit.events.store import Store, open_store
from tacit.run.terminal import printable
from tacit.types import InputError


def export_log(
    where: str,
    parquet: Path | None,
    to: Path | None,
    items: Path | None,
    kto: Path | None = None,
    dpo: Path | None = None,
) -> None:
    if parquet is None and to is None and kto is None and dpo is None:
        raise InputError("Nothing to write: give --parquet FOLDER, or --dialogues, --kto or --dpo with a FILE.")
    store = open_store(where)
    if parquet is not None:
        written = export.export(store, parquet)
        _say(f"{parquet}: new " + ", ".join(f"{name} {count:,}" for name, count in written.items()))
    if to is not None:
        _export_dialogues(store, to, items)
    for file, write, what in ((kto, preferences.write_kto, "judged replies"), (dpo, preferences.write_dpo, "pairs")):
        if file is not None:
            _export_preferences(store, file, write, what)


def _export_preferences(store: Store, to: Path, write: Callable[[Store, Path, Counter[str]], int], what: str) -> None:
    left_out = Counter[str]()
    count = write(store, to, left_out)
    if count:
        _say(f"{to}: {count:,} {what}")
    for reason, number in sorted(left_out.items()):
        _say(f"left out: {number:,} {reason}")
    if not count:
        to.unlink()
        raise InputError(f"{to} was not written: the log has no {what}, with its words, of one who agreed to training.")


def _export_dialogues(store: Store, to: Path, items: Path | None) -> None:
    left_out = Counter[str]()
    count = dialogues.write(store, to, Catalog.load(items) if items else None, left_out)
    if count:
        _say(f"{to}: {count:,} dialogues")
    for reason, number in sorted(left_out.items()):
        _say(f"left out: {number:,} {reason}")
    if not count:
        to.unlink()
        raise InputError(
            f"{to} was not written: the log has no session, with its words, of one who agreed to training."
        )


def print_stats(source: str) -> None:
    folder = Path(source)
    if not folder.is_dir():
        found = stats.stats(stats.of_store(open_store(source)))
    elif find_spec("duckdb"):  # it counts more than fits into memory
        found = duck.stats(folder)
    else:
        found = stats.stats(stats.of_export(folder))
    for line in found.lines():
        print(printable(line))


def check_log(where: str, keys: Path | None, parquet: Path | None) -> int:
    """How many faults."""
    faults = 0
    for fault in check.check(open_store(where), Keys.load(keys) if keys else None, parquet):
        faults += 1
        print(printable(fault))
    _say("no fault" if not faults else f"{faults:,} faults")
    return faults


def delete_person(
    where: str, pseudonym: str | None, user: str | None, keys: Path | None, parquet: Path | None, files: list[Path]
) -> None:
    if (pseudonym is None) == (user is None):
        raise InputError("Name one person: a PSEUDONYM, or --user ID with --keys FOLDER.")
    if user is not None:
        if keys is None:
            raise InputError("--user needs --keys, the folder whose key makes pseudonyms.")
        pseudonym = Keys.load(keys).pseudonym(user)
    assert pseudonym is not None
    deleted = erase.delete_user(open_store(where), pseudonym, int(time.time() * 1000))
    _say("deleted from the log: " + ", ".join(f"{name} {count:,}" for name, count in deleted.items()))
    if parquet is not None:
        _say(f"deleted from {parquet}: {export.delete_user(parquet, pseudonym):,} rows")
    for path in files:
        _say(f"deleted from {path}: {dialogues.delete_user(path, pseudonym):,} dialogues")


def back_up(where: str, path: Path) -> None:
    backup.backup(open_store(where), path)
    _say(f"{path}: {path.stat().st_size:,} bytes")


def _say(line: str) -> None:
    print(printable(line), file=sys.stderr)
