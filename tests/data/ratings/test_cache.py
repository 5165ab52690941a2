"""Ratings kept on disk: the same again without reading the sources, and never those of other files or settings."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tiny_knowledge import world

from tacit.data.ratings import amazon
from tacit.data.ratings.cache import kept, version
from tacit.data.ratings.sources import RatingsConfig, load_ratings
from tacit.data.ratings.table import Ratings
from tacit.types import InputError


def same(one: Ratings, other: Ratings) -> bool:
    rest = [{name: value for name, value in vars(each).items() if name != "frame"} for each in (one, other)]
    return rest[0] == rest[1] and one.frame.equals(other.frame) and one.frame.schema == other.frame.schema


def never() -> Ratings:
    raise AssertionError("the sources were read")


def test_what_was_read_once_comes_back(tmp_path: Path) -> None:
    """With everything that ratings can hold: profiles, descriptions, accents, ranks that are unknown."""
    ratings, _ = world()
    assert same(kept(tmp_path / "a", {"seed": 1}, lambda: ratings), ratings)
    assert same(kept(tmp_path / "a", {"seed": 1}, never), ratings)
    with pytest.raises(AssertionError, match="were read"):
        kept(tmp_path / "a", {"seed": 2}, never)
    assert same(kept(tmp_path / "a", {"seed": 1}, never), ratings)  # a reading that fails costs nothing


@pytest.mark.parametrize("name", ["ratings.parquet", "ratings.json"])
def test_damage_is_read_over(tmp_path: Path, name: str) -> None:
    ratings, _ = world()
    kept(tmp_path / "a", {}, lambda: ratings)
    for damage in (b"", (tmp_path / "a" / name).read_bytes()[:-9]):
        (tmp_path / "a" / name).write_bytes(damage)
        assert same(kept(tmp_path / "a", {}, lambda: ratings), ratings)
        assert same(kept(tmp_path / "a", {}, never), ratings)


def test_a_file_that_changed_is_another_version(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_text("a")
    before = version(path)
    os.utime(path, ns=(0, 1))
    assert version(path) != before


def test_amazon_is_read_once_for_its_files_and_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    review = '{"overall": 5.0, "reviewerID": "A", "asin": "1", "unixReviewTime": 86400}\n'
    (tmp_path / "Books_5.json").write_text(review * 2)
    (tmp_path / "meta_Books.json").write_text('{"asin": "1", "title": "Emma", "brand": "", "category": []}\n')
    config = RatingsConfig("amazon-books", str(tmp_path), user_core=2, item_core=2)
    first = load_ratings(config, tmp_path / "cache")
    with monkeypatch.context() as patch:
        patch.setattr(amazon, "read_reviews", lambda path: never())
        assert same(load_ratings(config, tmp_path / "cache"), first)
        config.positive_above = 3.0
        with pytest.raises(AssertionError, match="were read"):
            load_ratings(config, tmp_path / "cache")
    assert load_ratings(config, tmp_path / "cache").positive_above == 3.0
    (tmp_path / "Books_5.json").write_text(review * 3)
    assert load_ratings(config, tmp_path / "cache").frame.height == 3
    (tmp_path / "Books_5.json").unlink()
    with pytest.raises(InputError, match="neither"):
        load_ratings(config, tmp_path / "cache")
