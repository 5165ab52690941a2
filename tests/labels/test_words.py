"""Sentiment and relevance off the words of a log, by hand."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_log import START_MS, Log, exposure

from tacit.catalog import Catalog
from tacit.labels.build import build, manifest, read_labels
from tacit.labels.constants import Constants
from tacit.labels.log import exported
from tacit.labels.settings import LabelSettings
from tacit.labels.words import cosine, read_words, shift
from tacit.types import InputError, Item

CATALOG = Catalog((Item("a", "Alpha", "north"), Item("b", "Beta", "east")))
LATER = START_MS + 10**8


class Compass:
    """ "north" and "east" stand upright on each other; all else lies between."""

    def encode(self, texts: Sequence[str]) -> torch.Tensor:
        known = {"north": [1.0, 0.0], "east": [0.0, 1.0]}
        return torch.tensor([known.get(text, [1.0, 1.0]) for text in texts])


class Length:
    id = "length"

    def __call__(self, texts: Sequence[str]) -> list[float]:
        return [min(len(text) / 10, 1.0) for text in texts]


def test_a_turn_is_felt_by_what_is_said_next_and_met_by_what_is_shown(tmp_path: Path) -> None:
    with Log(tmp_path) as log:
        log.show(exposure("x1"), asked="north")
        log.show(exposure("x2", turn=1, created_ms=START_MS + 5000), asked="yes")
        words = read_words(log.store, CATALOG, Compass(), "compass", Length(), LATER)
        early = read_words(log.store, CATALOG, Compass(), "compass", Length(), START_MS)
    first, second = words.turns.sort("exposure_id").rows()
    assert first == ("x1", pytest.approx(0.3 - 0.5), pytest.approx(0.5))  # cosines 1 and 0
    assert second[:2] == ("x2", None)
    assert dict(zip(*words.items.filter(exposure_id="x1").select("item_id", "relevance"), strict=True)) == {
        "a": 1.0,
        "b": 0.0,
    }
    assert early.turns.rows() == [("x1", None, 0.5)]  # what was said next was not known yet
    assert words.source == "length, compass"


def test_words_are_a_part_of_the_version(tmp_path: Path) -> None:
    with Log(tmp_path) as log:
        shown = log.show(exposure("x1"), asked="north")
        log.send(log.event(shown, "visible", visible_ms=500, censored=False))
        words = read_words(log.store, CATALOG, Compass(), "compass", Length(), LATER)
    with exported(tmp_path / "log.sqlite", tmp_path) as folder:
        for name, given in (("with", words), ("without", None)):
            build(folder, tmp_path / name, LabelSettings(), LATER, words=given)
        with pytest.raises(InputError, match="with words"):
            build(folder, tmp_path / "again", LabelSettings(), LATER, Constants.load(tmp_path / "with"))
    assert manifest(tmp_path / "with").label_fn != manifest(tmp_path / "without").label_fn
    item = read_labels(tmp_path / "with").sort("position").collect().row(0, named=True)
    assert (item["engagement"], item["relevance"]) == (0.0, 1.0)
    assert item["reward"] == pytest.approx((0.5 * -1 + 0.25 * 1) / 0.75, abs=1e-6)
    assert read_labels(tmp_path / "without").collect()["relevance"].null_count() == 2


def test_formulas() -> None:
    assert shift([0.2, 0.4], 0.5) == pytest.approx(0.2)
    assert shift([], 0.5) is None and shift([0.2], None) is None
    assert cosine(np.array([1.0, 0.0]), np.array([[2.0, 0.0], [0.0, 0.0], [-1.0, 1.0]])) == pytest.approx(
        [1, 0, -(0.5**0.5)]
    )
