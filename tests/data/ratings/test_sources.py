"""The one door: names, paths, and which settings reach which source."""

from __future__ import annotations

from pathlib import Path

import pytest

from tacit.catalog import Catalog
from tacit.data.ratings.sources import RatingsConfig, load_ratings
from tacit.types import InputError, Item


def own(folder: Path) -> RatingsConfig:
    Catalog([Item("a", "Emma", "Emma")]).save(folder / "books.jsonl")
    (folder / "interactions.csv").write_text("user,item,rating\nu,a,4\n")
    return RatingsConfig("own", str(folder), str(folder / "books.jsonl"), domain="books")


def test_own(tmp_path: Path) -> None:
    config = own(tmp_path)
    ratings = load_ratings(config)
    assert (ratings.name, ratings.domain, ratings.positive_above) == ("own", "books", 3.0)
    config.positive_above = 4
    assert load_ratings(config).positive_above == 4
    config.domain = "songs"
    with pytest.raises(InputError, match=r"data\.domain is 'songs': choose one of movies, books"):
        load_ratings(config)


def test_core_settings_reach_amazon(tmp_path: Path) -> None:
    review = '{"overall": 5.0, "reviewerID": "A", "asin": "1", "unixReviewTime": 86400}\n'
    (tmp_path / "Books_5.json").write_text(review * 2)
    (tmp_path / "meta_Books.json").write_text('{"asin": "1", "title": "Emma", "brand": "", "category": []}\n')
    config = RatingsConfig("amazon-books", str(tmp_path), user_core=2, item_core=2)
    assert load_ratings(config).positive_above == 4.0
    config.item_core = 3
    with pytest.raises(InputError, match=r"no \(2, 3\)-core"):
        load_ratings(config)


def test_wrong_settings(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"data\.name is 'ml-10m': choose one of ml-1m, ml-100k, amazon-books, own"):
        load_ratings(RatingsConfig("ml-10m", str(tmp_path)))
    with pytest.raises(InputError, match=r"data\.path is not set: give the folder of the ml-1m data"):
        load_ratings(RatingsConfig())
    with pytest.raises(InputError, match="does not exist"):
        load_ratings(RatingsConfig("ml-100k", str(tmp_path / "nowhere")))
    for name, missing in (("ml-1m", r"movies\.dat"), ("ml-100k", r"u\.item"), ("amazon-books", "meta_Books")):
        with pytest.raises(InputError, match=missing):
            load_ratings(RatingsConfig(name, str(tmp_path)))
