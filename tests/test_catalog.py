"""Catalogue: rows, counts, saving, and the title linker."""

from __future__ import annotations

import gzip
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


def test_items_may_be_gzipped_marked_and_hold_nulls(tmp_path: Path) -> None:
    line = b'{"id": "a", "title": "Heat", "text": null, "attributes": {"genre": null}, "count": null}\n'
    (tmp_path / "bom.jsonl").write_bytes(b"\xef\xbb\xbf" + line)
    (tmp_path / "items.jsonl.gz").write_bytes(gzip.compress(line))
    for name in ("bom.jsonl", "items.jsonl.gz"):
        assert Catalog.load(tmp_path / name).items == (Item("a", "Heat", "Heat"),)
    for bad, reason in ((b"[" * 100_000, "nested too deeply"), (b'{"id": "\\ud800"}', "stands alone")):
        (tmp_path / "bad.jsonl").write_bytes(line + bad)
        with pytest.raises(InputError, match=rf"bad\.jsonl:2: .*{reason}"):
            Catalog.load(tmp_path / "bad.jsonl")
    (tmp_path / "twice.jsonl").write_bytes(line + line)
    with pytest.raises(InputError, match=r"twice\.jsonl:2: item id 'a' occurs twice, in line 1 before"):
        Catalog.load(tmp_path / "twice.jsonl")


GERMAN_TITLES = {
    "schwarm": "Der Schwarm",
    "verwandlung": "Die Verwandlung",
    "boot": "Das Boot (1973)",
    "haus": "Das Haus",
    "liebe": "Liebe",
    "momo": "Momo",
    "krieg": "Krieg und Frieden",
    "huette": "Die Hütte",
    "strasse": "Ein Mann von der Straße",
    "es": "Es",
}


@pytest.fixture(scope="module")
def german() -> Catalog:
    plot = "Ein Mann kommt in ein Haus und sucht das Boot. Dort ist ein Haus mit einem Boot, und er findet es nicht."
    return Catalog([Item(id, title, f"{title}. {plot}") for id, title in GERMAN_TITLES.items()])


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("Ich suche ein Buch wie „Der Schwarm“.", [("Der Schwarm", "schwarm")]),
        (
            "Der Schwarm hat mir gefallen, die Verwandlung auch.",
            [("Der Schwarm", "schwarm"), ("die Verwandlung", "verwandlung")],
        ),
        ("Ich habe den Schwarm gelesen.", [("den Schwarm", "schwarm")]),
        ("In der Verwandlung wacht er auf.", [("der Verwandlung", "verwandlung")]),
        ("ich mochte der schwarm", [("der schwarm", "schwarm")]),
        ("Das Haus ist groß, und das Haus ist alt.", []),
        ("Ich mag Das Haus.", [("Das Haus", "haus")]),
        ("Ich mag »Das Haus«.", [("Das Haus", "haus")]),
        ("Das Boot (1973)?", [("Das Boot (1973)", "boot")]),
        ("Ich suche etwas über Liebe.", []),
        ("Kennen Sie „Liebe“?", [("Liebe", "liebe")]),
        ("Kennen Sie ‚Liebe‘?", [("Liebe", "liebe")]),
        ("Es geht um ein Buch, das Momo heißt.", [("Momo", "momo")]),
        ("Das Buch Momo fand ich gut.", [("Momo", "momo")]),
        ("Krieg und Frieden ist lang.", [("Krieg und Frieden", "krieg")]),
        (
            "Die Huette, die Hütte und die Hu\u0308tte",
            [("Die Huette", "huette"), ("die Hütte", "huette"), ("die Hu\u0308tte", "huette")],
        ),
        ("Kennst du Ein Mann von der Strasse?", [("Ein Mann von der Strasse", "strasse")]),
    ],
)
def test_link_in_german(german: Catalog, text: str, want: list[tuple[str, str]]) -> None:
    assert linked(german, text) == want


def test_a_small_catalogue_borrows_common_words() -> None:
    books = Catalog([Item("h", "Home", "Home. By a river."), Item("d", "Dracula", "Dracula. A count buys it.")])
    assert linked(books, "Home is where I read. Dracula was fun.") == [("Dracula", "d")]
    assert linked(books, "I loved Home") == [("Home", "h")]


def test_german_titles_described_in_english_are_linked_as_german_ones() -> None:
    titles = [
        "Der Schwarm",
        "Liebe",
        *(f"Das Buch der {word} und der Mond" for word in ["Tage", "Wege", "Meere", "Berge"]),
    ]
    titles += [f"Ein {word} für den Sommer" for word in ("Garten", "Hund", "Lied")]
    shop = Catalog(
        [Item(title, title, "The story of a man and the sea that is told by his brother.") for title in titles]
    )
    assert linked(shop, "Ich suche etwas über Liebe wie den Schwarm.") == [("den Schwarm", "Der Schwarm")]


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
