"""Counts by hand, from the store and from its export alike; every kind of fault that `check` must find."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from tiny_log import START_MS, Log, exposure
from typer.testing import CliRunner

from tacit.cli.main import app
from tacit.events import duck
from tacit.events.check import check
from tacit.events.erase import delete_user
from tacit.events.export import export, files
from tacit.events.schema import DAY_MS, Shown
from tacit.events.stats import Stats, of_export, of_store, stats
from tacit.events.tables import deliveries, events, exposures, words


def run(*args: str | Path) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, ["events", *map(str, args)])
    return result.exit_code, result.stdout, result.stderr


def fill(log: Log) -> None:
    one = log.show(exposure())
    log.clock.now_ms += 10_000
    reports = [("a", 1000, False), ("a", 3000, False), ("b", 500, False), ("b", 9000, True)]
    log.send(*(log.event(one, "visible", item, visible_ms=ms, censored=cut) for item, ms, cut in reports))
    log.send(log.event(one), log.event(one, seq=9))  # 6, 7 and 8 were lost
    greedy = (Shown("c", 1, 1.0),)
    created = START_MS + DAY_MS
    log.show(
        exposure("x2", user="u2", session_id="s2", created_ms=created, expires_ms=created + DAY_MS,
                 policy_version="p2", deterministic=True, p_recommend=1.0, items=greedy)
    )  # fmt: skip
    created += 1
    log.writer.expose(
        exposure("x3", user="u2", session_id="s2", turn=1, created_ms=created, expires_ms=created + DAY_MS,
                 bucket="explore", decision="reply", items=())
    ).result()  # fmt: skip


def by_duckdb(folder: Path) -> Stats:
    pytest.importorskip("duckdb", reason="DuckDB is not installed: pip install 'tacit-rec[duckdb]'")
    return duck.stats(folder)


def test_counts_by_hand_from_the_store_and_from_the_export(tmp_path: Path) -> None:
    with Log(tmp_path) as log:
        fill(log)
        export(log.store, tmp_path / "export")
        found = stats(of_store(log.store))
    assert found == Stats(
        exposures=3, sessions=2, users=2, first_day="2026-09-21", last_day="2026-09-22",
        policies={"p1": 2, "p2": 1}, delivered=2, undelivered=1, recommending=2, explored=1, deterministic=1,
        items_shown=3, observed=1, events=6, kinds={"visible": 4, "click": 2}, lost=3,
        items_seen=2, median_visible_s=3.0, censored=1,
    )  # fmt: skip
    assert stats(of_export(tmp_path / "export")) == found
    assert by_duckdb(tmp_path / "export") == found
    code, said, _ = run("stats", tmp_path / "export")
    assert code == 0 and (0, said, "") == run("stats", tmp_path / "log.sqlite")
    assert said.splitlines()[0] == "3 exposures in 2 sessions of 2 users, 2026-09-21 to 2026-09-22"


def test_counts_of_an_empty_log(tmp_path: Path) -> None:
    with Log(tmp_path) as log:
        export(log.store, tmp_path / "export")
        assert stats(of_store(log.store)) == stats(of_export(tmp_path / "export")) == by_duckdb(tmp_path / "export")
        assert next(stats(of_store(log.store)).lines()) == "0 exposures in 0 sessions of 0 users"


SPOILT: list[tuple[str, sa.Table, dict[str, Any], dict[str, Any]]] = [  # fault, table, columns, fields of the record
    ("its seal is broken", exposures, {}, {"p_recommend": 0.9}),
    ("its seal is broken", exposures, {"consent": "store"}, {}),
    ("not of version 1", exposures, {}, {"schema": 2}),
    ("not of version 1", events, {}, {"kind": "purchase"}),
    ("has none", exposures, {}, {"decision": "reply"}),
    ("its item was not shown", events, {}, {"item_id": "z"}),
    ("more time than had passed", events, {}, {"hidden_ms": 10**8}),
    ("before its exposure", events, {"recv_ms": START_MS - 1}, {}),
    ("events of exposure x1: there is no such", exposures, {"exposure_id": "q"}, {}),
    ("words of exposure q", words, {"exposure_id": "q"}, {}),
    ("deliveries of exposure q", deliveries, {"exposure_id": "q"}, {}),
]


def spoil(log: Log, table: sa.Table, columns: dict[str, Any], fields: dict[str, Any]) -> None:
    with log.store.engine.begin() as connection:
        record = connection.scalar(sa.select(table.c.record))
        connection.execute(table.update().values(record={**record, **fields}, **columns))


@pytest.mark.parametrize(("fault", "table", "columns", "fields"), SPOILT)
def test_a_fault_is_found_and_a_whole_log_has_none(
    fault: str, table: sa.Table, columns: dict[str, Any], fields: dict[str, Any], tmp_path: Path
) -> None:
    with Log(tmp_path) as log:
        shown = log.show(exposure(), asked="canary")
        log.send(log.event(shown))
        assert list(check(log.store, log.keys)) == []
        spoil(log, table, columns, fields)
        found = list(check(log.store, log.keys))
    assert any(fault in line for line in found) and not any("canary" in line for line in found)
    code, said, error = run("check", tmp_path / "log.sqlite", "--keys", tmp_path / "keys")
    assert (code, said.splitlines()) == (1, found) and error.endswith(f"{len(found)} faults\n")


def test_what_an_export_holds_twice_or_should_not(tmp_path: Path) -> None:
    out = tmp_path / "export"
    with Log(tmp_path) as log:
        log.send(log.event(log.show(exposure())))
        export(log.store, out)
        assert run("check", log.where, "--keys", tmp_path / "keys", "--parquet", out)[:2] == (0, "")
        delete_user(log.store, "u1", START_MS)
        assert any("who was deleted" in line for line in check(log.store, None, out))
        (path,) = files(out, "events")
        path.with_name("copy.parquet").write_bytes(path.read_bytes())
        assert any("rows of events twice" in line for line in check(log.store, None, out))


def test_rows_of_a_deleted_user_that_came_back_late(tmp_path: Path) -> None:
    with Log(tmp_path) as log:
        delete_user(log.store, "u1", START_MS + 1)
        log.show(exposure())
        assert any("was deleted" in line for line in check(log.store))
    with Log(tmp_path / "b") as log:
        delete_user(log.store, "u1", START_MS - 1)
        log.show(exposure())
        assert list(check(log.store)) == []


def test_delete_user_by_the_command(tmp_path: Path) -> None:
    with Log(tmp_path) as log:
        log.show(exposure(user=log.keys.pseudonym("jane@example.org")))
        export(log.store, tmp_path / "export")
    place = (tmp_path / "log.sqlite", "--parquet", tmp_path / "export")
    code, said, error = run("delete-user", *place, "--user", "jane@example.org", "--keys", tmp_path / "keys")
    assert (code, said) == (0, "") and "exposures 1" in error and "2 rows" in error
    assert run("delete-user", *place)[0] == 2
    assert run("delete-user", *place, "p", "--user", "jane")[0] == 2
    assert run("delete-user", *place, "--user", "jane")[0] == 2


def test_bad_words_to_the_commands(tmp_path: Path) -> None:
    assert run("stats", tmp_path / "none.sqlite")[0] == 2
    assert run("stats", tmp_path)[0] == 2
    with Log(tmp_path):
        pass
    assert run("export", tmp_path / "log.sqlite")[0] == 2
    code, _, error = run("export", tmp_path / "log.sqlite", "--dialogues", tmp_path / "train.jsonl")
    assert code == 2 and "was not written" in error and not (tmp_path / "train.jsonl").exists()


def test_duckdb_and_polars_count_alike(tmp_path: Path) -> None:
    """Reports that tie, that are null, that end open; two batches of a day."""
    chance = random.Random(0)
    with Log(tmp_path) as log:
        for batch in range(2):
            for number in range(8):
                shown = log.show(
                    exposure(f"x{batch}-{number}", session_id=f"s{number % 3}", policy_version=f"p{number % 2}")
                )
                log.clock.now_ms += 60_000
                for _ in range(chance.randint(0, 6)):
                    ms, cut = chance.choice(
                        [(None, None), (0, True), (chance.randint(1, 50_000), chance.random() < 0.5)]
                    )
                    more = {} if ms is None else {"visible_ms": ms, "censored": cut}
                    item = chance.choice(["a", "b", None])
                    log.send(log.event(shown, "visible", item, seq=chance.choice([0, 1, 2, 9]), **more))
            export(log.store, tmp_path / "export")
        found = stats(of_store(log.store))
    assert found.items_seen > 5 and found.censored and found.lost
    assert by_duckdb(tmp_path / "export") == found == stats(of_export(tmp_path / "export"))
