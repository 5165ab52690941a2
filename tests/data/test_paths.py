"""The files that a config's data section names."""

from __future__ import annotations

from pathlib import Path

import pytest

from tacit.data.paths import data_path, items_path
from tacit.types import InputError


def test_a_path_must_be_given_and_exist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert data_path("~", "redial", "a folder") == tmp_path
    with pytest.raises(InputError, match=r"data\.path is not set: give a folder\.$"):
        data_path("", "redial", "a folder")
    with pytest.raises(InputError, match=r"data\.path .*gone does not exist: give the file or folder of the redial"):
        data_path("~/gone", "redial", "a folder")


def test_items_may_be_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert items_path("") is None and items_path("~/items.jsonl") == tmp_path / "items.jsonl"
