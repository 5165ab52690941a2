"""The pipeline of conversations: a run goes on with the validation it was prepared with."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from tacit.data.dialogues.sources import DataConfig
from tacit.pipelines import dialogue
from tacit.run.folder import Stage


@pytest.mark.parametrize(
    ("card", "by"),
    [
        (None, "dialogue"),  # runs of before the card
        ({"items": 3}, "dialogue"),  # runs of before its line
        ({"split by": "dialogue"}, "dialogue"),
        ({"split by": "user"}, "user"),
    ],
)
def test_a_run_of_before_validation_by_seeker_keeps_its_own(tmp_path: Path, card: object, by: str) -> None:
    run = SimpleNamespace(folder=tmp_path, stage=lambda name: Stage(name, tmp_path / name))
    fresh = DataConfig("redial", "somewhere")
    assert dialogue._as_prepared(run, fresh).split == "auto", "nothing is prepared yet"  # type: ignore[arg-type]
    (tmp_path / "prepare").mkdir()
    (tmp_path / "prepare" / "done.json").write_text("{}")
    if card is not None:
        (tmp_path / "prepare" / "data.json").write_text(json.dumps(card))
    assert dialogue._as_prepared(run, fresh) == DataConfig("redial", "somewhere", split=by)  # type: ignore[arg-type]
    logs = DataConfig("logs", "somewhere")
    assert dialogue._as_prepared(run, logs) == logs  # type: ignore[arg-type]
