"""Opening a log: what it promises, what it refuses, how an old one becomes a new one."""

from __future__ import annotations

import contextlib
import sqlite3
import stat
import threading
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from tiny_log import START_MS, Log, exposure

from tacit.events.store import Store, open_store, past, session, sessions, user_data
from tacit.events.tables import MIGRATIONS, migrate, schema_version
from tacit.types import InputError


def test_a_commit_is_durable_and_what_is_deleted_is_overwritten(tmp_path: Path) -> None:
    store = open_store(tmp_path / "log.sqlite", create=True)
    with store.reading() as connection:
        found = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "secure_delete")
        }
    assert found == {"journal_mode": "wal", "synchronous": 2, "secure_delete": 1}
    assert stat.S_IMODE((tmp_path / "log.sqlite").stat().st_mode) == 0o600


@pytest.mark.parametrize("where", ["missing.sqlite", "sqlite:///missing.sqlite"])
def test_a_log_is_not_made_by_reading_it(where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="does not exist"):
        open_store(where)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "where", ["mysql://h/d", "what ever://", "postgresql://h:x/d", "postgresql+asyncpg://h/d", "sqlite://"]
)
def test_a_url_of_another_kind_is_refused(where: str) -> None:
    with pytest.raises(InputError):
        open_store(where)


def test_what_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(b"words of a person" * 100)
    with pytest.raises(InputError, match="is no log") as refusal:
        open_store(tmp_path / "log")
    assert "words of a person" not in str(refusal.value)


def test_what_is_another_programs_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "empty").write_bytes(b"")
    with contextlib.closing(sqlite3.connect(tmp_path / "other.sqlite")) as connection:
        connection.execute("CREATE TABLE theirs (x)")
    for name in ("empty", "other.sqlite"):
        before = (tmp_path / name).read_bytes()
        with pytest.raises(InputError, match="is no log"):
            open_store(tmp_path / name)
        assert (tmp_path / name).read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty", "other.sqlite"]


def test_a_reader_does_not_wait_for_a_writer(tmp_path: Path) -> None:
    store = open_store(tmp_path / "log.sqlite", create=True)
    with store.engine.begin(), open_store(tmp_path / "log.sqlite").reading() as reader:
        assert reader.scalar(sa.select(sa.func.count()).select_from(schema_version)) == len(MIGRATIONS)


def _names(store: Store) -> list[str]:
    with store.reading() as connection:
        return sorted(connection.scalars(sa.select(schema_version.c.name)))


def test_a_change_is_made_once_in_order_and_never_back(tmp_path: Path) -> None:
    store = open_store(tmp_path / "log.sqlite", create=True)
    done = list[str]()
    more = (
        *MIGRATIONS,
        ("0002 a column", lambda c: (done.append("2"), c.exec_driver_sql("ALTER TABLE users ADD note TEXT"))[0]),
        ("0003 an index", lambda c: done.append("3")),
    )
    assert migrate(store.engine, more) == ["0002 a column", "0003 an index"] and done == ["2", "3"]
    assert migrate(store.engine, more) == [] and done == ["2", "3"]
    with pytest.raises(InputError, match=r"0002 a column.*newer"):
        open_store(tmp_path / "log.sqlite")


def test_a_change_that_fails_leaves_the_log_as_it_was(tmp_path: Path) -> None:
    store = open_store(tmp_path / "log.sqlite", create=True)

    def broken(connection: sa.Connection) -> None:
        connection.exec_driver_sql("CREATE TABLE half (x)")
        raise RuntimeError

    with pytest.raises(RuntimeError):
        migrate(store.engine, (*MIGRATIONS, ("0002 broken", broken)))
    assert "half" not in sa.inspect(store.engine).get_table_names()
    assert _names(store) == [name for name, _ in MIGRATIONS]


def test_many_that_open_a_new_log_at_once_make_its_tables_once(tmp_path: Path) -> None:
    failures = list[Any]()

    def run() -> None:
        try:
            open_store(tmp_path / "log.sqlite", create=True).close()
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=run) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == [] and _names(open_store(tmp_path / "log.sqlite")) == [name for name, _ in MIGRATIONS]


def test_sessions_and_the_past_of_a_person(tmp_path: Path) -> None:
    with Log(tmp_path) as log:
        for k, (name, user) in enumerate([("s3", "u1"), ("s1", "u1"), ("s2", "u2"), ("s1", "u1"), ("s4", "u1")]):
            created = START_MS + 10_000 * k
            log.show(exposure(f"x{k}", session_id=name, user=user, turn=k, created_ms=created))
        log.writer.consent("u2", "store").result()
        ids = [[record.exposure.exposure_id for record in one] for one in sessions(log.store)]
        assert ids == [["x1", "x3"], ["x2"], ["x0"], ["x4"]]
        assert [one[0].exposure.session_id for one in sessions(log.store, "train")] == ["s1", "s3", "s4"]
        assert [one[0].exposure.session_id for one in past(log.store, "u1", 2)] == ["s1", "s4"]
        assert session(log.store, "nobody") == [] and past(log.store, "nobody", 3) == []


def test_all_that_is_stored_of_a_person(tmp_path: Path) -> None:
    with Log(tmp_path) as log:
        shown = log.show(exposure())
        log.send(log.event(shown))
        log.show(exposure("x2", user="u2", session_id="s2"))
        data = user_data(log.store, "u1")
    assert data["consent"] == "train"
    (one,) = data["exposures"]
    assert one["words"]["asked"] == "Something like Heat?" and one["delivery"]["state"] == "delivered"
    assert [(event["kind"], event["item_id"]) for event in one["events"]] == [("click", "a")]
    assert "signature" not in one["events"][0]


def test_the_url_never_shows(tmp_path: Path) -> None:
    store = open_store(tmp_path / "log.sqlite", create=True)
    assert "log.sqlite" not in repr(store.engine.url) or "engine" not in repr(store)
