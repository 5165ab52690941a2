"""A copy made while the log is written is a whole log; put in its place, it is the log, and exported anew."""

from __future__ import annotations

import shutil
import stat
from pathlib import Path

import pytest
from tiny_log import Log, exposure
from typer.testing import CliRunner

from tacit.cli.main import app
from tacit.events.backup import backup
from tacit.events.check import check
from tacit.events.export import export
from tacit.events.intake import Caller
from tacit.events.store import open_store, session
from tacit.types import InputError


def test_a_copy_while_it_is_written_is_restored(tmp_path: Path) -> None:
    copy = tmp_path / "copies" / "log.sqlite"
    with Log(tmp_path) as log:
        shown = log.show(exposure())
        log.send(log.event(shown))
        going_on = [log.writer.submit(Caller(), [log.event(shown)]) for _ in range(50)]
        backup(log.store, copy)
        assert all(future.result()[0].status == "accepted" for future in going_on)
        log.send(log.event(shown, event_id="after"))
        export(log.store, tmp_path / "export")
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600 and [path.name for path in copy.parent.iterdir()] == [copy.name]
    for path in tmp_path.glob("log.sqlite*"):
        path.unlink()
    shutil.copy(copy, tmp_path / "log.sqlite")
    with Log(tmp_path) as restored:
        with pytest.raises(InputError, match="before a copy was restored"):
            export(restored.store, tmp_path / "export")
        assert list(check(restored.store, restored.keys)) == []
        names = [event.event_id for _, event in session(restored.store, "s1")[0].events]
        assert names[0] == "e1" and "after" not in names and len(names) == len(set(names))
        restored.clock.now_ms += 3000
        assert restored.send(restored.event(shown, event_id="e1"), restored.event(shown, event_id="after")) == [
            "duplicate",
            "accepted",
        ]


def test_a_copy_takes_the_place_of_an_older_one_or_none_at_all(tmp_path: Path) -> None:
    with Log(tmp_path) as log:
        backup(log.store, tmp_path / "copy")
        log.show(exposure())
        words = ["events", "backup", str(log.where), str(tmp_path / "copy")]
        assert CliRunner().invoke(app, words).exit_code == 0
        assert len(session(open_store(tmp_path / "copy"), "s1")) == 1
        (tmp_path / "file").write_text("")
        with pytest.raises(InputError, match="cannot be written"):
            backup(log.store, tmp_path / "file" / "copy")
