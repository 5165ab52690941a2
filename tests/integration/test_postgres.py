"""The log in PostgreSQL: the same code, the same promises. A private cluster, started and stopped here."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
import sqlalchemy as sa
from log_kills import by_signal, survive
from postgres_cluster import Cluster, binaries, cluster
from tiny_log import START_MS, Log, exposure

from tacit.events.check import check
from tacit.events.erase import Retention
from tacit.events.export import export, scan
from tacit.events.keys import tombstone
from tacit.events.rows import batches
from tacit.events.schema import DAY_MS
from tacit.events.stats import of_export, of_store, stats
from tacit.events.store import buried, open_store, session, user_data
from tacit.events.tables import metadata
from tacit.events.writer import Unwritable

pytestmark = pytest.mark.integration
psycopg = pytest.importorskip("psycopg", reason="psycopg is not installed: pip install 'tacit-rec[postgres]'")


@pytest.fixture(scope="module")
def server() -> Iterator[Cluster]:
    bin = binaries()
    if bin is None:
        pytest.skip("PostgreSQL is not installed (Debian: apt-get install postgresql)")
    with cluster(bin) as running:
        yield running


@pytest.fixture
def url(server: Cluster) -> str:
    engine = open_store(server.url).engine
    metadata.drop_all(engine)
    engine.dispose()
    return server.url


def test_the_log_is_written_read_counted_checked_and_exported(url: str, tmp_path: Path) -> None:
    with Log(tmp_path, url) as log:
        shown = log.show(exposure())
        event = log.event(shown, "visible", visible_ms=1500, censored=False)
        assert log.send(event, event, log.event(shown, item="c")) == ["accepted", "duplicate", "unknown_item"]
        (record,) = session(log.store, "s1")
        assert record.exposure == shown and [one.visible_ms for _, one in record.events] == [1500]
        assert list(check(log.store, log.keys)) == []
        assert export(log.store, tmp_path / "export") == {"exposures": 1, "deliveries": 1, "events": 1}
        assert stats(of_store(log.store)) == stats(of_export(tmp_path / "export"))
        log.send(log.event(shown))
        assert export(log.store, tmp_path / "export") == {"exposures": 0, "deliveries": 0, "events": 1}
        assert scan(tmp_path / "export", "events").collect().height == 2
    with Log(tmp_path, url) as again:
        again.clock.now_ms += 3000
        assert again.send(event) == ["duplicate"]


def test_a_person_is_deleted_and_old_rows_go(url: str, tmp_path: Path) -> None:
    with Log(tmp_path, url) as log:
        log.send(log.event(log.show(exposure(user="canary"), asked="canary words")))
        log.show(exposure("x2", user="u2", session_id="s2"))
        assert log.writer.delete_user("canary").result()["events"] == 1
        assert user_data(log.store, "canary") == {"user": "canary", "consent": None, "exposures": []}
        assert buried(log.store) == {tombstone("canary")}
        log.clock.now_ms = START_MS + 200 * DAY_MS
        assert log.writer.retain(Retention()).result()["exposures"] == 1


def test_many_that_open_a_new_log_at_once_make_its_tables_once(url: str) -> None:
    failures = list[Exception]()

    def run() -> None:
        try:
            open_store(url).close()
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=run) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_an_export_waits_for_numbers_that_are_given_out_and_not_committed(url: str, tmp_path: Path) -> None:
    """Two servers write: 1 is taken first and committed last. An export that reads 2 at once would never see 1."""
    with Log(tmp_path, url) as log:
        shown = log.show(exposure())
        first = log.store.engine.connect()
        slow = first.begin()
        row = {"exposure_id": "x1", "user": "u1", "recv_ms": START_MS, "record": {"kind": "click", "seq": 0}}
        table = metadata.tables["events"]
        first.execute(sa.insert(table), [{**row, "event_id": "slow"}])
        log.send(log.event(shown))
        threading.Timer(0.3, slow.commit).start()
        found = pl.concat(batches(log.store, "events", 0, 10))
        first.close()
    assert found["event_id"].to_list() == ["slow", "e1"]


def test_killed_while_it_writes(url: str, tmp_path: Path) -> None:
    assert survive(url, tmp_path / "keys") > 100


def test_the_database_dies_and_comes_again(server: Cluster, url: str, tmp_path: Path) -> None:
    """``pg_ctl stop -m immediate`` is a crash: it recovers from its own log."""

    def crash(process: subprocess.Popen[str]) -> None:
        server.stop("immediate")
        by_signal(process)
        server.start()

    assert survive(url, tmp_path / "keys", 2, crash) > 100


def test_a_writer_goes_on_when_the_database_is_back(server: Cluster, url: str, tmp_path: Path) -> None:
    with Log(tmp_path, url) as log:
        shown = log.show(exposure())
        server.stop("immediate")
        with pytest.raises(Unwritable):
            log.send(log.event(shown))
        server.start()
        assert log.send(log.event(shown, event_id="e1")) == ["accepted"]
