"""Deletion down to the bytes, and retention."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import polars as pl
import pytest
import sqlalchemy as sa
from tiny_log import START_MS, Log, exposure

from tacit.events import dialogues, erase, export
from tacit.events.erase import RETAINED, Retention
from tacit.events.intake import Caller, NoConsent
from tacit.events.keys import tombstone
from tacit.events.schema import DAY_MS, Shown
from tacit.events.store import buried, open_store, session
from tacit.events.tables import OF_A_USER
from tacit.types import InputError

CANARIES = ("canary-user", "canary-session", "canary-exposure", "canary asked", "canary said", "canary-item")


def fill(log: Log, others: int = 16) -> None:
    """One person between many, so that their rows share pages with those of others."""
    for k in range(others):
        if k == others // 2:
            items = (Shown("canary-item", 1, 0.5),)
            ids = {"session_id": CANARIES[1], "user": CANARIES[0]}
            shown = log.show(exposure(CANARIES[2], items=items, **ids), asked=CANARIES[3], said=CANARIES[4])
            log.send(log.event(shown, item="canary-item"), log.event(shown, "seen_it", "canary-item"))
        log.send(log.event(log.show(exposure(f"x{k}", session_id=f"s{k}", user=f"u{k % 7}"), asked="other words")))


def holding(folder: Path) -> list[str]:
    """Files in which any of the canaries stands, in raw bytes or in a Parquet column."""
    found = []
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            content = path.read_bytes()
            if path.suffix == ".parquet":
                content += str(pl.read_parquet(path).rows()).encode()
            found += [path.name] if any(word.encode() in content for word in CANARIES) else []
    return found


def test_nothing_is_left_of_a_deleted_person(tmp_path: Path) -> None:
    with Log(tmp_path) as log:
        fill(log)
        export.export(log.store, tmp_path / "export")
        dialogues.write(log.store, tmp_path / "train.jsonl", None, Counter())
        assert len(holding(tmp_path)) >= 3
        before = pl.read_parquet(list(export.files(tmp_path / "export", "events"))).height
        deleted = log.writer.delete_user("canary-user").result()
        assert deleted == {"events": 2, "words": 1, "deliveries": 1, "exposures": 1, "users": 1}
        assert export.delete_user(tmp_path / "export", "canary-user") == 4
        assert dialogues.delete_user(tmp_path / "train.jsonl", "canary-user") == 1
        assert holding(tmp_path) == []  # while the log is open, its write-ahead file included
        assert pl.read_parquet(list(export.files(tmp_path / "export", "events"))).height == before - 2
        assert buried(log.store) == {tombstone("canary-user")}
        assert len((tmp_path / "train.jsonl").read_text().splitlines()) == 16
        again = log.writer.delete_user("canary-user").result()
        assert set(again.values()) == {0} and len(buried(log.store)) == 1
    assert holding(tmp_path) == []


def test_after_it_nothing_of_the_person_is_taken_in(tmp_path: Path) -> None:
    """Also where another process deleted, and the writer still had the exposure in memory."""
    with Log(tmp_path) as log:
        shown = log.show(exposure())
        other = open_store(log.where)
        erase.delete_user(other, "u1", START_MS)
        other.close()
        assert log.send(log.event(shown), caller=Caller("u1", "s1")) == ["unknown_exposure"]
        with pytest.raises(NoConsent):
            log.writer.expose(exposure("x2")).result()
        assert log.send(log.event(log.show(exposure("x3")))) == ["accepted"]  # consented anew


def test_a_reader_that_holds_old_bytes_is_said(tmp_path: Path) -> None:
    with Log(tmp_path) as log:
        sa.event.listen(log.store.engine, "checkout", lambda raw, *_: raw.execute("PRAGMA busy_timeout=50"))
        log.show(exposure())
        with log.store.reading() as reader:
            reader.scalar(sa.select(OF_A_USER[0].c.row))
            with pytest.raises(InputError, match="end the other processes"):
                log.writer.delete_user("u1").result()
        assert log.writer.delete_user("u1").result()["exposures"] == 0


def test_retention_by_day(tmp_path: Path) -> None:
    """Words go after 30 days, the rest after 180; what is younger stays."""
    with Log(tmp_path) as log:
        for k, days in enumerate((0, 160, 195)):
            created = START_MS + days * DAY_MS
            shown = log.show(exposure(f"x{k}", session_id=f"s{k}", created_ms=created, expires_ms=created + DAY_MS))
            log.send(log.event(shown))
        log.clock.now_ms = START_MS + 200 * DAY_MS
        deleted = log.writer.retain(Retention()).result()
        assert deleted == {"words": 2, "events": 1, "deliveries": 1, "exposures": 1}
        assert log.store.value(RETAINED) == str(log.clock.now_ms)
        assert session(log.store, "s0") == []
        (old,), (young,) = session(log.store, "s1"), session(log.store, "s2")
        assert old.words is None and len(old.events) == 1
        assert young.words is not None
