from __future__ import annotations

import pytest

from tacit.data.dialogues import synthetic
from tacit.dialogue.policy.facts import facts, year_of
from tacit.types import Item

HEAT = Item(
    "m",
    "Heat (1995)",
    "Heat (1995). Crime, drama. Directed by Michael Mann. Starring Al Pacino, Robert De Niro. "
    "A group of thieves start to feel the heat from police. It ends badly.",
    {
        "genre": ("crime", "drama"),
        "director": ("michael mann",),
        "star": ("al pacino", "robert de niro"),
        "year": ("1995",),
    },
)


def test_a_films_facts() -> None:
    known = facts(HEAT)
    assert (known.title, known.year, known.genres) == ("Heat (1995)", 1995, ("crime", "drama"))
    assert known.people == {"director": ("Michael Mann",), "star": ("Al Pacino", "Robert De Niro")}
    assert known.names == ("Michael Mann", "Al Pacino", "Robert De Niro")
    assert known.plot == "A group of thieves start to feel the heat from police."


def test_the_line_holds_what_fits_the_most_telling_first() -> None:
    known = facts(HEAT)
    whole = (
        "Heat (1995): crime, drama; directed by Michael Mann; starring Al Pacino, Robert De Niro; "
        "A group of thieves start to feel the heat from police."
    )
    assert known.line() == whole
    assert known.line(lambda line: len(line) <= 60) == "Heat (1995): crime, drama; directed by Michael Mann"
    cut = known.line(lambda line: len(line.split()) <= 19)
    assert cut == "Heat (1995): crime, drama; directed by Michael Mann; starring Al Pacino, Robert De Niro; " + (
        "A group of thieves ..."
    )
    assert known.line(lambda line: False) == "Heat (1995)"


def test_books_and_things_of_other_domains() -> None:
    book = Item("b", "Momo", "", {"authors": ("michael ende",), "subjects": ("fantasy",), "published": ("1973-01-01",)})
    assert facts(book).line() == "Momo (1973): fantasy; by Michael Ende"
    bar = Item("r", "Chez Nous", "Chez Nous.", {"cuisine": ("french",), "price_range": ("cheap",)})
    assert facts(bar).line() == "Chez Nous: cuisine: french; price range: cheap"
    bare = facts(Item("x", "Nothing", "Nothing."))
    assert bare.line() == "Nothing" and bare.year is None and bare.names == () and bare.plot == ""


def test_the_year_stands_in_an_attribute_or_at_the_end_of_the_title() -> None:
    assert year_of(Item("a", "1984", "", {"year": ("1949",)})) == 1949
    assert year_of(Item("a", "Dune (1984)", "")) == 1984
    assert year_of(Item("a", "2001: A Space Odyssey", "")) is None
    assert year_of(Item("a", "X", "", {"year": ("unknown",)})) is None


def test_every_item_of_the_invented_world_has_all_of_them() -> None:
    for item in synthetic.generate(0).catalog.items:
        known = facts(item)
        assert known.year and known.genres and known.people["director"] and known.plot in item.text and known.plot


@pytest.mark.parametrize("words", range(10, 26))
def test_the_plot_is_cut_after_as_many_words_as_fit(words: int) -> None:
    line = facts(HEAT).line(lambda line: len(line.split()) <= words)
    plot = facts(HEAT).plot.split()  # eleven words; fourteen stand before it
    room = words - 14
    told = line.split("Niro; ")[1].split() if "Niro; " in line else []
    assert told == (plot if room >= len(plot) else [*plot[: room - 1], "..."] if room - 1 >= 4 else [])
