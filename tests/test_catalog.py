"""Catalogue: rows, counts, saving, and the title linker."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tacit.catalog import Catalog, normalise_title
from tacit.types import Dialogue, InputError, Item, Slate, Turn

TITLES = {
    "a": "The Godfather",
    "b": "Godfather (1991)",
    "c": "The Avengers (2012)",
    "d": "Avengers: Infinity War (2018)",
    "e": "It (2017)",
    "f": "It (1990)",
    "g": "Frozen (2013)",
    "h": "Amélie (2001)",
    "i": "300 (2006)",
    "j": "Get Out (2017)",
    "k": "Titanic (1997)",
    "l": "Morgan (2016)",
    "m": "Fast & Furious (2009)",
}


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return Catalog([Item(id, title, f"{title}. A frozen lake.") for id, title in TITLES.items()])


def linked(catalog: Catalog, text: str) -> list[tuple[str, str]]:
    return [(text[start:end], id) for start, end, id in catalog.link(text)]


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("I loved the godfather!", [("the godfather", "a")]),
        ("the Godfather (1991) is fine", [("Godfather (1991)", "b")]),
        ("see the Avengers: Infinity War (2018).", [("Avengers: Infinity War (2018)", "d")]),
        ("The Avengers", [("The Avengers", "c")]),
        ("It is good, it really is", []),
        ("have you seen It (1990) ?", [("It (1990)", "f")]),
        ('have you seen "It"?', [("It", "e")]),
        ("my feet are frozen", []),
        ("Have you seen Frozen?", [("Frozen", "g")]),
        ("Frozen feet hurt.", []),
        ("amelie and AMÉLIE (2001)", [("AMÉLIE (2001)", "h")]),
        ("300 people saw 300 (2006)", [("300 (2006)", "i")]),
        ("I have to get out of here", []),
        ("Morgan Freeman was in Titanic", [("Titanic", "k")]),
        ("fast and furious (2009), fast & furious", [("fast and furious (2009)", "m"), ("fast & furious", "m")]),
        ("Titanic (1953) is another film", []),
        ("", []),
    ],
)
def test_link(catalog: Catalog, text: str, want: list[tuple[str, str]]) -> None:
    assert linked(catalog, text) == want


def test_popularity_decides_between_equal_titles() -> None:
    items = [Item("old", "Heat (1986)", "Heat"), Item("new", "Heat (1995)", "Heat")]
    talk = [Dialogue("1", "u", (Turn("user", "Heat (1995)", ("new",)),))]
    assert linked(Catalog(items), "I like Heat") == [("Heat", "old")]
    assert linked(Catalog(items).with_counts(talk), "I like Heat") == [("Heat", "new")]


def test_counts_once_a_turn(catalog: Catalog) -> None:
    turns = (Turn("user", "", ("a", "a", "b")), Turn("agent", "", ("a",), Slate(("a", "c"))))
    counted = catalog.with_counts([Dialogue("1", "u", turns)])
    assert counted.counts[:4].tolist() == [2, 1, 1, 0]
    assert counted.counts.dtype == np.int64
    assert catalog.counts.sum() == 0
    with pytest.raises(ValueError, match="read-only"):
        counted.counts[0] = 1


def test_index_and_errors(catalog: Catalog) -> None:
    assert catalog.items[catalog.index("c")] is catalog["c"]
    assert "c" in catalog
    assert len(catalog) == len(TITLES)
    with pytest.raises(InputError, match="'zz' is not in the catalogue"):
        catalog.index("zz")
    with pytest.raises(InputError, match="'a' occurs twice"):
        Catalog([catalog["a"], catalog["a"]])
    with pytest.raises(InputError, match="empty"):
        Catalog([])


def test_save_and_load(catalog: Catalog, tmp_path: Path) -> None:
    counted = Catalog(catalog.items, range(len(catalog)))
    counted.save(tmp_path / "deep" / "items.jsonl")
    again = Catalog.load(tmp_path / "deep" / "items.jsonl")
    assert again.items == counted.items
    assert again.counts.tolist() == counted.counts.tolist()
    assert again.fingerprint() == catalog.fingerprint()
    other = Catalog([*catalog.items[:-1], Item("m", "Fast & Furious (2009)", "other text")])
    assert other.fingerprint() != catalog.fingerprint()


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"\xff\xfe", "not UTF-8"),
        (b"{", "Expecting"),
        (b"[]", "must be a JSON object"),
        (json.dumps({"id": "", "title": "x"}).encode(), "'id'"),
        (json.dumps({"id": "x"}).encode(), "'title'"),
        (json.dumps({"id": "x", "title": "x", "tittle": "y"}).encode(), "unknown key 'tittle'"),
        (json.dumps({"id": "x", "title": "x", "count": -1}).encode(), "'count'"),
        (json.dumps({"id": "x", "title": "x", "attributes": {"genre": "a"}}).encode(), "'genre'"),
        (json.dumps({"id": "x", "title": "x", "version": 2}).encode(), "'version'"),
    ],
)
def test_load_names_the_bad_line(tmp_path: Path, line: bytes, reason: str) -> None:
    path = tmp_path / "items.jsonl"
    path.write_bytes(b'{"id": "ok", "title": "Fine"}\n' + line + b"\n")
    with pytest.raises(InputError, match=r"items\.jsonl:2: .*" + reason):
        Catalog.load(path)


def test_load_missing_and_empty(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        Catalog.load(tmp_path / "none.jsonl")
    (tmp_path / "empty.jsonl").write_text("\n")
    with pytest.raises(InputError, match="is empty"):
        Catalog.load(tmp_path / "empty.jsonl")


def test_normalise_title() -> None:
    assert normalise_title("Y Tu Mamá También (2001)") == normalise_title("Y tu mama tambien  (2001)")


@pytest.mark.parametrize("mark", "'’ʼ´`＇")
def test_titles_are_linked_in_any_type(mark: str) -> None:
    """Spans point into the text as it was written, whatever became of it on the way."""
    catalog = Catalog([Item("a", "Ocean’s Eleven (2001)", ""), Item("b", "Spider-Man (2002)", "")])
    text = f"hm… “Ocean{mark}s\u00a0Eleven”,\u200b or Spider–Man\u3000(2002)?"
    spans = catalog.link(text)
    assert [(text[start:end], id) for start, end, id in spans] == [
        (f"Ocean{mark}s\u00a0Eleven", "a"),
        ("Spider–Man\u3000(2002)", "b"),
    ]
