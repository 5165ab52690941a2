"""kill -9 of a writer under load: three times here, twenty in `make soak`."""

from __future__ import annotations

from pathlib import Path

from log_kills import survive


def test_killed_while_it_writes(tmp_path: Path) -> None:
    assert survive(str(tmp_path / "log.sqlite"), tmp_path / "keys") > 100
