"""Facts read off descriptions by rules of form."""

from __future__ import annotations

import gzip
import json

import numpy as np
import pytest
from places import DATA
from tiny_knowledge import DESCRIPTIONS, FILMS

from tacit.rerank.writer.facts import item_facts
from tacit.types import Item

HEAT, AIRPLANE, AMELIE, CASINO = item_facts(FILMS, DESCRIPTIONS)


def test_attributes_come_first() -> None:
    assert HEAT.genres == ("action", "crime") and HEAT.year == 1995 and HEAT.title == "Heat (1995)"
    book = Item("b", "Emma (Penguin Classics)", "", {"brand": ("jane austen",), "category": ("unknown category",)})
    (facts,) = item_facts([book], {})
    assert facts.makers == ("jane austen",) and facts.genres == () and facts.year is None
    assert (facts.actors, facts.themes, facts.moods, facts.language, facts.seen) == ((), (), (), "", "")
    (untold,) = item_facts([Item("m", "Alien (1979)", "")], {})
    assert untold.year == 1979


def test_people() -> None:
    assert HEAT.makers == ("Michael Mann",) and HEAT.actors == ("Al Pacino", "Robert De Niro")
    assert AIRPLANE.makers == ("Jim Abrahams", "David Zucker")
    assert AIRPLANE.actors == ("Robert Hays", "Leslie Nielsen")  # Ted Striker is a role
    assert AMELIE.makers == ("Jean-Pierre Jeunet",) and AMELIE.actors == ("Audrey Tautou",)


def test_a_title_is_no_person() -> None:
    films = [Item("1", "Mary Poppins (1964)", ""), Item("2", "Other (1970)", "")]
    told = {"2": "Other is a film starring Mary Poppins, Dick Van Dyke and Julie Andrews."}
    assert item_facts(films, told)[1].actors == ("Dick Van Dyke", "Julie Andrews")


def test_other_films_are_not_read() -> None:
    assert not any("Secret" in person for person in AIRPLANE.makers + AIRPLANE.actors)
    told = {
        "1": 'Heat is a film. It is like "The Thing" starring Kurt Russell, and Alien starring Tom Skerritt (1979).'
    }
    assert item_facts(FILMS[:1], told)[0].actors == ("Kurt Russell",)


def test_language() -> None:
    assert AMELIE.language == "French" and HEAT.language == ""


def test_themes_are_words_of_plots_rarest_first() -> None:
    assert HEAT.themes == ("crew", "detective", "robbery")  # robbery is told of two films
    assert CASINO.themes == ("gambler", "marriage", "robbery")
    assert AIRPLANE.themes == ("pilot",) and AMELIE.themes == ()


def test_moods_open_descriptions() -> None:
    assert HEAT.moods == CASINO.moods == ("gripping",)
    assert AIRPLANE.moods == ("silly",) and AMELIE.moods == ("charming",)


def test_how_widely_an_item_is_seen() -> None:
    counts = np.array([50, 3, 2, 1, 30, 20, 4, 5, 6, 7])
    films = [Item(str(k), f"Film {k}", "") for k in range(10)]
    seen = [facts.seen for facts in item_facts(films, {}, counts)]
    assert seen == ["widely", "little", "little", "little", "", "", "little", "little", "", ""]


def test_real_descriptions() -> None:
    path = DATA / "ml-1m" / "llm_item_descriptions_colakg.json.gz"
    if not path.is_file():
        pytest.skip(f"the item descriptions are not at {path}: set TACIT_DATA to the folder that holds ml-1m/")
    with gzip.open(path, "rt", encoding="utf-8") as file:
        told = json.load(file)
    facts = dict(zip(told, item_facts([Item(id, f"Film {id}", "") for id in told], told), strict=True))
    assert facts["1"].makers == ("John Lasseter",)
    assert facts["1"].actors == ("Tom Hanks", "Tim Allen", "Don Rickles", "Jim Varney")
    assert facts["6"].makers == ("Michael Mann",)
    assert sum(bool(f.makers) for f in facts.values()) > 3700
    assert sum(bool(f.actors) for f in facts.values()) > 3700
    assert sum(bool(f.themes) for f in facts.values()) > 2400
