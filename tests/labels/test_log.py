"""From a store to labels, by the command; whoever agrees no longer has none."""

from __future__ import annotations

from pathlib import Path

import pytest
from tiny_log import START_MS, Log, exposure
from typer.testing import CliRunner

from tacit.cli.labels import milliseconds
from tacit.cli.main import app
from tacit.events.schema import DAY_MS
from tacit.labels.build import manifest, read_labels
from tacit.types import InputError


def filled(folder: Path) -> Path:
    with Log(folder) as log:
        for name in ("one", "two"):
            shown = log.show(exposure(f"x-{name}", session_id=name, user=f"user-{name}"))
            log.send(log.event(shown), log.event(shown, "visible", visible_ms=1500, censored=False))
        log.writer.consent("user-two", "store").result()
    return folder / "log.sqlite"


def test_the_labels_of_a_store(tmp_path: Path) -> None:
    log, out = filled(tmp_path), tmp_path / "labels"
    later = "2026-09-23T00:00:00Z"
    done = CliRunner().invoke(app, ["labels", str(log), "--out", str(out), "--as-of", later])
    assert done.exit_code == 0, done.output
    assert "1 turns and 2 items" in done.output
    assert set(read_labels(out).collect()["session_id"]) == {"one"}
    rows = read_labels(out).sort("position").collect().to_dicts()
    assert [(row["item_id"], row["engagement"], row["flags"]) for row in rows] == [
        ("a", 1.0, ""),
        ("b", None, "not_seen"),
    ]
    assert manifest(out).left_out["without consent to training"] == 1
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.startswith(".log-")) == []
    again = tmp_path / "again"
    more = CliRunner().invoke(app, ["labels", "make", str(log), "window_s=60", "--out", str(again), "--as-of", later])
    assert more.exit_code == 0 and manifest(again).window_s == 60.0


def test_what_was_not_known_yet_is_left_out(tmp_path: Path) -> None:
    log = filled(tmp_path)
    done = CliRunner().invoke(
        app, ["labels", str(log), "--out", str(tmp_path / "l"), "--as-of", str(START_MS + 60_000)]
    )
    assert done.exit_code == 0 and "0 turns and 0 items" in done.output
    assert manifest(tmp_path / "l").left_out["not mature yet"] == 1


def test_bad_input_is_told_in_a_sentence(tmp_path: Path) -> None:
    log = str(filled(tmp_path))
    out = ["--out", str(tmp_path / "l")]
    for given in (
        ["window_s=-1"],
        ["winow_s=1"],
        ["--as-of", "yesterday"],
        ["window_s=1", "--constants", str(tmp_path)],
    ):
        assert CliRunner().invoke(app, ["labels", log, *out, *given]).exit_code == 2, given
    assert CliRunner().invoke(app, ["labels", str(tmp_path / "none.sqlite"), *out]).exit_code == 2
    assert milliseconds("2026-09-22T00:00:00Z") == 1_790_035_200_000 == milliseconds("1790035200000")
    assert milliseconds(None) > START_MS - 400 * DAY_MS
    with pytest.raises(InputError, match="empty"):
        milliseconds(" ")
