"""Texts of a run folder: as they are written now, and as they were before."""

from __future__ import annotations

import json
from pathlib import Path

from tacit.rerank.writer.texts import load_texts, save_texts


def test_texts_come_back(tmp_path: Path) -> None:
    texts = {3: ("war films",), 10: ("Amélie", "", "two\n\nparagraphs"), 4: ("",)}
    save_texts(tmp_path, texts)
    assert load_texts(tmp_path) == texts


def test_a_folder_with_one_string_a_user_still_opens(tmp_path: Path) -> None:
    """Several texts stood in one string, a line of three stars between them."""
    old = {"3": "war films", "10": "love\n\n* * *\n\nold comedies", "4": ""}
    (tmp_path / "texts.json").write_text(json.dumps(old))
    assert load_texts(tmp_path) == {3: ("war films",), 10: ("love", "old comedies"), 4: ("",)}
