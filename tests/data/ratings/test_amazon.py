"""Amazon Books: a small folder in the official format, the core, the fast reader beside its twin, cleaning."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny_amazon import DAY, metadata, review, write

from tacit.data.ratings import amazon
from tacit.data.ratings.amazon import core, load, read_reviews, read_slowly
from tacit.data.ratings.amazon_items import book, clean
from tacit.types import InputError

# (2, 2)-core: C has one review, so item 3 keeps one and falls; A and B keep items 1 and 2.
REVIEWS = [
    review("C", "3", 5.0, 1),
    review("B", "1", 5.0, 9),
    review("A", "1", 4.0, 3),
    review("A", "2", None, 3),
    review("A", "2", 5.0, 2),
    review("B", "2", 1.0, 8),
    review("A", "3", 2.0, 1),
]
METADATA = [
    metadata("2", "Dune &amp; Sand", "Visit Amazon's Frank Herbert Page", ["Books", "Science Fiction &amp; Fantasy"]),
    metadata("9", "Not rated", "Nobody", ["Books", "Travel"]),
    metadata("3", "Outside the core", "Nobody", ["Books", "Travel"]),
    metadata("1", "First record", "", []),
    metadata("1", "Cien años de soledad", "", []),
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path / "Books_5.json.gz", REVIEWS)
    write(tmp_path / "meta_Books.json.gz", METADATA)
    return tmp_path


def test_small_folder(folder: Path) -> None:
    ratings = load(folder, user_core=2, item_core=2)
    assert ratings.users == ("B", "A")  # as they first appear in the file
    assert [item.id for item in ratings.items] == ["2", "1"]  # in the order of the metadata
    assert ratings.frame.rows() == [
        (0, 1, 5.0, 9 * DAY, None),
        (1, 1, 4.0, 3 * DAY, None),
        (1, 0, 5.0, 2 * DAY, None),
        (0, 0, 1.0, 8 * DAY, None),
    ]
    assert (ratings.name, ratings.domain, ratings.positive_above) == ("amazon-books", "books", 4.0)
    dune, cien = ratings.items
    assert dune.title == "Dune & Sand"
    assert dune.text == "Dune & Sand. Science Fiction & Fantasy. Written by Frank Herbert."
    assert dune.attributes == {
        "brand": ("visit amazon's frank herbert page",),
        "category": ("science fiction & fantasy",),
        "author": ("frank herbert",),
    }
    assert cien.title == "Cien años de soledad"
    assert cien.attributes == {"brand": ("unknown brand",), "category": ("unknown category",)}


def test_items_without_metadata_are_left_out_after_the_core(folder: Path) -> None:
    write(folder / "meta_Books.json.gz", METADATA[:3])
    ratings = load(folder, user_core=2, item_core=2)
    assert [item.id for item in ratings.items] == ["2"]
    assert ratings.frame.height == 2


def test_missing_files_and_empty_core(folder: Path) -> None:
    with pytest.raises(InputError, match=r"no \(60, 40\)-core"):
        load(folder)
    (folder / "Books_5.json.gz").unlink()
    with pytest.raises(InputError, match=r"neither Books_5\.json\.gz nor Books_5\.json"):
        load(folder, 2, 2)


def test_blocks_of_any_size_read_the_same(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = folder / "Books_5.json.gz"
    whole = read_reviews(path)
    assert len(whole) == 6
    assert whole.users == ("C", "B", "A")
    plain = folder / "Books_5.json"
    plain.write_bytes(gzip.decompress(path.read_bytes()).rstrip(b"\n"))
    monkeypatch.setattr(amazon, "BLOCK", 100)  # less than a line
    for again in (read_reviews(path), read_reviews(plain)):
        assert (again.users, again.items) == (whole.users, whole.items)
        for field in ("user", "item", "stars", "time"):
            np.testing.assert_array_equal(getattr(again, field), getattr(whole, field))


def test_slow_twin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(amazon, "read_slowly")  # so that the fast reader cannot lean on it
    rng = np.random.default_rng(0)
    rows = [
        review(f"U{rng.integers(50)}", f"{rng.integers(30):010d}", stars, int(rng.integers(9000, 18000)))
        for stars in rng.choice([None, 1.0, 3.5, 5.0], 500).tolist()
    ]
    block = "\n".join(json.dumps(row) for row in rows).encode()
    fast = amazon._reviews(block, 1, Path("f"))
    assert fast.height == sum("overall" in row for row in rows)
    assert fast.equals(read_slowly(block, 1, Path("f")))


def test_half_a_character_in_a_text_does_not_stop_the_reading(tmp_path: Path) -> None:
    path = tmp_path / "Books_5.json.gz"
    write(path, [review("A", "1", 5.0, 1), json.dumps(review("A", "2", 4.0, 1)).replace("Good", "Cut \\ud83d")])
    assert read_reviews(path).stars.tolist() == [5.0, 4.0]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", r"Books_5\.json\.gz:3: not JSON"),
        ("[1]", r"Books_5\.json\.gz:3: not a JSON object"),
        (json.dumps({"asin": "1", "overall": 5.0, "unixReviewTime": 1}), ":3: key reviewerID is missing"),
        (json.dumps({"reviewerID": "A", "asin": "1", "overall": 5.0}), ":3: key unixReviewTime is missing"),
        (json.dumps(review("A", "1", 5.0, 1, overall="5.0")), ":3: key overall is missing or of a wrong kind"),
        (json.dumps(review("A", "1", 6.0, 1)), ":3: key overall is 6.0, not from 1 to 5 stars"),
        (json.dumps(review("A", "1", -1.0, 1)), ":3: key overall is -1.0, not from 1 to 5 stars"),
        (json.dumps(review("A", "1", float("nan"), 1)), ":3: key overall is nan, not from 1 to 5 stars"),
        (json.dumps(review("A", "1", 5.0, -1)), ":3: key unixReviewTime is negative"),
        (json.dumps(review("A", "1", 5.0, 10**30)), ":3: key unixReviewTime is no time"),
        (json.dumps(review("A", "1", 5.0, 10**7)), ":3: key unixReviewTime is written as milliseconds|no time"),
        ("{'asin': '1', 'overall': 5.0}", ":3: a Python literal, as in Amazon's 2014 release"),
        ('{"a":' * 10**5, ":3: not JSON"),
    ],
)
def test_bad_lines_are_named(tmp_path: Path, line: str, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "Books_5.json.gz"
    write(path, [review("A", "1", 5.0, 1), "", line, review("A", "2", 5.0, 1)])
    for block in (100, amazon.BLOCK):
        monkeypatch.setattr(amazon, "BLOCK", block)
        with pytest.raises(InputError, match=message):
            read_reviews(path)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("reviews_Books_5.json.gz", "holds reviews_Books_5.json of Amazon's 2014 release"),
        ("Books.jsonl.gz", r"holds Books.jsonl of Amazon's 2023 release.*user \(its user_id\), item \(parent_asin\)"),
    ],
)
def test_other_releases_are_named(tmp_path: Path, name: str, message: str) -> None:
    write(tmp_path / name, [])
    write(tmp_path / "meta_Books.json.gz", METADATA)
    with pytest.raises(InputError, match=message):
        load(tmp_path, 2, 2)


def test_reviews_of_2023_are_named(folder: Path) -> None:
    row = {"user_id": "A", "parent_asin": "1", "rating": 5.0, "timestamp": 1_678_000_000_000}
    write(folder / "Books_5.json.gz", [row, row])
    with pytest.raises(InputError, match=r":1: .*2023 release\. Write interactions\.jsonl.*data\.name=own"):
        load(folder, 2, 2)


def test_metadata_of_2023_is_named(folder: Path) -> None:
    write(folder / "meta_Books.json.gz", [{"parent_asin": "1", "title": "Dune", "main_category": "Books"}])
    with pytest.raises(InputError, match="metadata of Amazon's 2023 release"):
        load(folder, 2, 2)


def test_markup_is_no_title() -> None:
    for raw, title in (("<b>Dune</b> &amp;amp; Sand", "Dune & Sand"), ("var t = getTime(); <span>", "untitled book 1")):
        read = book("1", {"title": raw, "categories": [["Books", "Travel"]]})
        assert read is not None and read.title == title and read.attributes["category"] == ("travel",)


def test_damaged_and_empty_files(folder: Path) -> None:
    path = folder / "Books_5.json.gz"
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(InputError, match="is damaged"):
        read_reviews(path)
    write(path, [review("A", "1", None, 1)])
    with pytest.raises(InputError, match="no reviews with stars"):
        read_reviews(path)


def one_at_a_time(pairs: list[tuple[int, int]], user_core: int, item_core: int) -> list[tuple[int, int]]:
    """The core by removing one user or item that falls short, and counting anew."""
    while True:
        users, items = Counter(user for user, _ in pairs), Counter(item for _, item in pairs)
        short_user = next((user for user, n in users.items() if n < user_core), None)
        short_item = next((item for item, n in items.items() if n < item_core), None)
        if short_user is None and short_item is None:
            return pairs
        by_user = short_user is not None
        pairs = [pair for pair in pairs if (pair[0] != short_user if by_user else pair[1] != short_item)]


@given(st.lists(st.tuples(st.integers(0, 7), st.integers(0, 7)), max_size=60), st.integers(0, 5), st.integers(0, 5))
def test_core_is_that_of_the_slow_way(pairs: list[tuple[int, int]], user_core: int, item_core: int) -> None:
    table = np.array(pairs, np.int32).reshape(-1, 2)
    rows = core(table[:, 0], table[:, 1], user_core, item_core)
    assert [pairs[row] for row in rows] == one_at_a_time(pairs, user_core, item_core)


def test_core_by_hand() -> None:
    # User 1 has one review only; without it item 1 has one, and user 0 keeps two reviews of item 0.
    user, item = np.array([0, 0, 0, 1], np.int32), np.array([0, 0, 1, 1], np.int32)
    assert core(user, item, 2, 2).tolist() == [0, 1]
    assert core(user, item, 1, 2).tolist() == [0, 1, 2, 3]
    assert core(user, item, 4, 1).tolist() == []


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("The “Hobbit”…  or\nThere &amp;amp; Back", 'The "Hobbit" or There & Back'),
        ("A – B &quot;C&quot; ®", 'A - B "C"'),
        ("Ab", None),
        ("1984", None),  # no letter
        ("Cien años", None),
        ("", None),
        ("word " * 40, ("word " * 29).strip()),  # 150 characters end in a space; the last word goes, as in KAR
        ("Title, " + "x" * 200, "Title"),
        ("x" * 200, None),
    ],
)
def test_clean(text: str, cleaned: str | None) -> None:
    assert clean(text) == cleaned


def test_books_with_odd_records() -> None:
    assert book("1", {"title": "EMINEM SHOW"}) is None
    bare = book("1", {"title": "", "brand": None, "category": "Books"})
    assert bare is not None
    assert (bare.title, bare.text) == ("untitled book 1", "untitled book 1.")
    short = book("2", {"title": "It", "brand": "King", "category": ["Books", " Horror "]})
    assert short is not None
    assert (short.title, short.text) == ("It", "It. Horror. Written by King.")
    assert short.attributes == {"brand": ("king",), "category": ("horror",), "author": ("king",)}
