"""The Parquet export: each row once, whatever is appended, cut short or done again."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest
from tiny_log import START_MS, Log, exposure

from tacit.events import export as module
from tacit.events.export import MANIFEST, export, files, retain, scan
from tacit.events.rows import EVENTS, STREAMS, shard
from tacit.events.schema import DAY_MS
from tacit.types import InputError

NONE = {"exposures": 0, "deliveries": 0, "events": 0}


def more(log: Log, name: str, clicks: int, day: int = 0) -> None:
    created = START_MS + day * DAY_MS
    shown = log.show(exposure(f"x-{name}", session_id=name, created_ms=created, expires_ms=created + DAY_MS))
    log.send(*(log.event(shown) for _ in range(clicks)))


def ids(folder: Path, name: str = "events", column: str = "event_id") -> list[str]:
    return sorted(scan(folder, name).collect()[column])


def test_a_second_batch_of_a_day_does_not_overwrite_the_first(tmp_path: Path) -> None:
    """What polars and pyarrow do by default: their files are named by a counter that begins anew."""
    out = tmp_path / "export"
    with Log(tmp_path) as log:
        more(log, "s1", clicks=3)
        assert export(log.store, out) == {"exposures": 1, "deliveries": 1, "events": 3}
        more(log, "s2", clicks=2)
        log.send(log.event(exposure("x-s1", session_id="s1", created_ms=START_MS, expires_ms=START_MS + DAY_MS)))
        assert export(log.store, out) == {"exposures": 1, "deliveries": 1, "events": 3}
        assert export(log.store, out) == NONE
    assert ids(out) == [f"e{k}" for k in range(1, 7)]
    assert ids(out, "exposures", "exposure_id") == ["x-s1", "x-s2"]


def test_parted_by_the_days_of_the_server_and_a_hash_of_the_session(tmp_path: Path) -> None:
    out = tmp_path / "export"
    with Log(tmp_path) as log:
        more(log, "s1", clicks=1)
        more(log, "s2", clicks=1, day=1)
        export(log.store, out)
    found = {str(path.relative_to(out).parent) for path in files(out, "events")}
    assert found == {
        f"events/day=2026-09-21/shard={shard('s1'):02d}",
        f"events/day=2026-09-22/shard={shard('s2'):02d}",
    }
    table = pl.scan_parquet(out / "events" / "**" / "*.parquet", hive_partitioning=True).sort("row").collect()
    assert [str(day) for day in table["day"]] == ["2026-09-21", "2026-09-22"]


def test_columns_and_values(tmp_path: Path) -> None:
    """Null where nothing was observed, 0 where zero was; probabilities whole; no words."""
    out = tmp_path / "export"
    with Log(tmp_path) as log:
        shown = log.show(exposure())
        log.send(log.event(shown, "visible", visible_ms=0, censored=False))
        export(log.store, out)
    event = scan(out, "events").collect().row(0, named=True)
    assert list(event) == list(EVENTS)
    assert (event["visible_ms"], event["censored"], event["idle_ms"]) == (0, False, None)
    row = scan(out, "exposures").collect().row(0, named=True)
    assert (row["items"], row["positions"], row["probabilities"]) == (["a", "b"], [1, 2], [0.5, 0.25])
    assert (row["p_recommend"], row["consent"], row["bucket"]) == (0.8, "train", "policy")
    assert not any(b"Heat" in path.read_bytes() for path in files(out))


@pytest.mark.parametrize("stop", range(1, 9))
def test_cut_short_at_any_write_it_goes_on_and_holds_each_row_once(
    stop: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It dies in the n-th write of a file, before or after it, with more rows in the log when it goes on."""
    out = tmp_path / "export"
    with Log(tmp_path) as log:
        for k in range(4):
            more(log, f"s{k}", clicks=2)
        writes = 0

        def dying(path: Path, table: pl.DataFrame) -> None:
            nonlocal writes
            writes += 1
            if writes == stop and stop % 2:
                raise KeyboardInterrupt
            write(path, table)
            if writes == stop:
                raise KeyboardInterrupt

        write = module.write_parquet
        with monkeypatch.context() as patch:
            patch.setattr(module, "write_parquet", dying)
            with pytest.raises(KeyboardInterrupt):
                export(log.store, out, rows=3)
        more(log, "late", clicks=1)
        export(log.store, out, rows=3)
    assert ids(out) == sorted(f"e{k}" for k in range(1, 10))
    assert len(ids(out, "exposures", "exposure_id")) == len(ids(out, "deliveries", "exposure_id")) == 5
    assert json.loads((out / MANIFEST).read_text())["pending"] is None


def test_one_log_a_folder(tmp_path: Path) -> None:
    out = tmp_path / "export"
    with Log(tmp_path / "a") as log, Log(tmp_path / "b") as other:
        more(log, "s1", clicks=1)
        export(log.store, out)
        with pytest.raises(InputError, match="another log"):
            export(other.store, out)
        (out / MANIFEST).unlink()
        with pytest.raises(InputError, match=r"no export\.json"):
            export(log.store, out)


def test_days_past_their_time_are_removed(tmp_path: Path) -> None:
    out = tmp_path / "export"
    with Log(tmp_path) as log:
        more(log, "s1", clicks=1)
        more(log, "s2", clicks=1, day=1)
        export(log.store, out)
        assert retain(out, "2026-09-22") == len(STREAMS)
        assert ids(out) == ["e2"] and export(log.store, out) == NONE


def test_an_empty_log(tmp_path: Path) -> None:
    with Log(tmp_path) as log:
        assert export(log.store, tmp_path / "export") == NONE
    assert scan(tmp_path / "export", "events").collect().height == 0
    with pytest.raises(InputError, match="no export of a log"):
        scan(tmp_path, "events")
