"""Texts about users, one or several of each, and how a run folder keeps them."""

from __future__ import annotations

import json
from pathlib import Path

from tacit.run.files import atomic_write, read_json, says_when_damaged

Texts = dict[int, tuple[str, ...]]  # by user; several about one are read alone, and their vectors are averaged

_BETWEEN = "\n\n* * *\n\n"


def save_texts(folder: Path, texts: Texts) -> None:
    """``texts.json``: a list of texts for each user."""
    atomic_write(folder / "texts.json", json.dumps(texts, ensure_ascii=False, indent=0) + "\n")


def load_texts(folder: Path) -> Texts:
    """What ``save_texts`` wrote."""
    path, remedy = folder / "texts.json", f"delete {folder} to write the texts again; those in the cache are kept."
    with says_when_damaged(path, remedy):
        return {int(user): _several(texts) for user, texts in read_json(path, remedy).items()}


def _several(stored: str | list[str]) -> tuple[str, ...]:
    """Run folders made before texts were lists hold one string a user, several texts joined by a line of stars."""
    return tuple(stored.split(_BETWEEN) if isinstance(stored, str) else stored)
