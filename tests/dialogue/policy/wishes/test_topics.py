"""Topics against the catalogue's own texts, and series by their titles."""

from __future__ import annotations

import pytest

from tacit.catalog import Catalog
from tacit.dialogue.policy.wishes.attributes import AttributeIndex
from tacit.dialogue.policy.wishes.series import Series
from tacit.dialogue.policy.wishes.state import Wishes, WishReader
from tacit.dialogue.policy.wishes.topics import MOST_ITEMS, Topics, base
from tacit.dialogue.policy.wishes.vocabulary import Vocabulary
from tacit.types import Dialogue, Item, Turn

_PLOTS = {
    "Mate in Nine (1990)": "A boy learns chess from a prisoner.",
    "The Deep Quiet (1999)": "A submarine crew loses its captain under the ice.",
    "Harbour Lights (2003)": "Two painters meet in Paris.",
    "Room at the Pines (1980)": "A haunted hotel keeps its guests.",
    "The Long March North (1985)": "Soldiers cross Vietnam on foot.",
    "Blue Harbour (1995)": "A diver finds a map.",
    "Blue Harbour 2 (1998)": "The diver comes back with sharks.",
    "Blue Harbour: The Return (2004)": "The last dive.",
    "Iron Vale (2001)": "A knight loses his way.",
    "Iron Vale Rising (2005)": "The knight finds it.",
    "Ford's Country (1950)": "Cattle and dust.",
}
_FILLING = [f"Plain Tale {chr(65 + n)}" for n in range(26)]
GENRES = {"The Deep Quiet (1999)": "war", "The Long March North (1985)": "war", "Room at the Pines (1980)": "horror"}


def item(n: int, title: str, plot: str) -> Item:
    people = {"director": ("hugo chess",)} if title.startswith("Iron") else {}
    year = {"year": (title[-5:-1],)} if title.endswith(")") else {}
    text = f"{title}. Directed by Hugo Chess. {plot}" if people else f"{title}. {plot}"
    return Item(f"i{n}", title, text, {"genre": (GENRES.get(title, "drama"),), **people, **year})


CATALOG = Catalog(
    [item(n, title, plot) for n, (title, plot) in enumerate([*_PLOTS.items(), *((t, "Days go by.") for t in _FILLING)])]
)
READER = WishReader(CATALOG)


def read(*texts: str) -> Wishes:
    turns = [Turn("user", text, tuple(dict.fromkeys(i for _, _, i in CATALOG.link(text)))) for text in texts]
    return READER.read(Dialogue("d", "u", tuple(turns)))


def held(wishes: Wishes, unwanted: bool = False) -> list[list[str]]:
    """Titles that have each thing that is wanted, or not."""
    rows = [READER.index.satisfied(w.part).nonzero()[0] for w in (wishes.unwanted if unwanted else wishes.wanted)]
    return [[CATALOG.items[row].title for row in found] for found in rows]


@pytest.mark.parametrize(
    ("said", "title"),
    [
        ("got a drama with sharks?", "Blue Harbour 2 (1998)"),
        ("sharks maybe?", "Blue Harbour 2 (1998)"),
        ("one that has a submarine at its heart", "The Deep Quiet (1999)"),
        ("there should be a submarine in it", "The Deep Quiet (1999)"),
        ("it's gotta be sharks", "Blue Harbour 2 (1998)"),
        ("my aunt is shark mad", "Blue Harbour 2 (1998)"),
        ("a film about chess please", "Mate in Nine (1990)"),
        ("got anything with chess in it?", "Mate in Nine (1990)"),
        ("a submarine movie", "The Deep Quiet (1999)"),
        ("something set in Paris", "Harbour Lights (2003)"),
        ("one about a haunted hotel", "Room at the Pines (1980)"),
        ("a documentary on Vietnam", "The Long March North (1985)"),
        ("movies where a knight is the hero", "Iron Vale (2001)"),
        ("I want more sharks", "Blue Harbour 2 (1998)"),
        ("how about chess", "Mate in Nine (1990)"),
        ("sharks!! we love them", "Blue Harbour 2 (1998)"),
        ("preferably vietnam", "The Long March North (1985)"),
        ("a film with painters", "Harbour Lights (2003)"),
        ("one where someone crosses Vietnam", "The Long March North (1985)"),
        ("something told from the prisoner side", "Mate in Nine (1990)"),
    ],
)
def test_a_topic_is_read_against_the_texts(said: str, title: str) -> None:
    wishes = read(said)
    assert wishes.asks and title in held(wishes)[-1] and len(held(wishes)[-1]) <= 2


def test_topics_joined_by_or_and_topics_met_in_part() -> None:
    either = held(read("anything about chess or painters?"))
    assert either == [["Mate in Nine (1990)", "Harbour Lights (2003)"]]
    (wish,) = read("a film about a prisoner under the ice").wanted
    told = READER.index.satisfied(wish.part)
    rows = {item.title: n for n, item in enumerate(CATALOG.items)}
    assert 0 < told[rows["Mate in Nine (1990)"]] < 1 and 0 < told[rows["The Deep Quiet (1999)"]] < 1
    assert (told == 1).sum() == 0  # no item has all of it


def test_a_later_topic_stands_in_place_of_an_earlier_one() -> None:
    assert held(read("a film about chess", "hmm, one about painters")) == [["Harbour Lights (2003)"]]


def test_a_thing_refused_in_a_kind_that_is_wanted() -> None:
    wishes = read("a war film, but no submarine")
    assert held(wishes)[0] == ["The Deep Quiet (1999)", "The Long March North (1985)"]
    assert held(wishes, unwanted=True) == [["The Deep Quiet (1999)"]]


@pytest.mark.parametrize(
    ("word", "form"),
    [
        ("kidnapped", "kidnap"), ("kidnapping", "kidnap"), ("racing", "race"), ("robbery", "rob"), ("mother", "mother"),
        ("killer", "kill"), ("zomby", "zombie"), ("superheroe", "superhero"), ("christmassy", "christma"),
        ("staring", "stare"), ("red", "red"), ("king", "king"), ("plane", "plane"),
    ],
)  # fmt: skip
def test_forms_of_a_word(word: str, form: str) -> None:
    known = {"kidnap", "race", "rob", "robbing", "moth", "kill", "killing", "zombie", "superhero", "christma", "star"}
    assert base(word, known | {"stare", "plan", "mother"}) == form


def test_a_refused_topic_is_out_and_the_rest_stays() -> None:
    wishes = read("a war film, but nothing about Vietnam")
    assert held(wishes) == [["The Deep Quiet (1999)", "The Long March North (1985)"]]
    assert held(wishes, unwanted=True) == [["The Long March North (1985)"]]


@pytest.mark.parametrize(
    "said",
    [
        "tell me about Paris", "something with a twist", "I don't care about sharks", "hello",
        "a film about xylophones", "a good movie", "what is it about?", "any suggestions?", "a movie with a friend",
    ],
)  # fmt: skip
def test_no_topic_is_none(said: str) -> None:
    assert not [w for w in read(said).wanted if w.part.label.startswith("about")]


def test_people_and_large_catalogues_have_no_topics() -> None:
    topics = Topics(Vocabulary(AttributeIndex(CATALOG)))
    assert topics.share("chess") == pytest.approx(1 / len(CATALOG))  # the plot, not Hugo Chess
    assert len(CATALOG) < MOST_ITEMS


def test_series_by_hand() -> None:
    series = Series(AttributeIndex(CATALOG))
    rows = {item.title: n for n, item in enumerate(CATALOG.items)}
    first, second, third = (rows[f"Blue Harbour{end}"] for end in (" (1995)", " 2 (1998)", ": The Return (2004)"))
    assert series.others([first]) == [second, third] and series.others([first], later=True) == [second, third]
    assert series.others([second]) == [first, third] and series.others([rows["Mate in Nine (1990)"]]) == []
    assert series.number(second) == 2 and series.number(third) == series.number(rows["Mate in Nine (1990)"]) == 1
    assert series.others([rows["Iron Vale (2001)"]]) == [rows["Iron Vale Rising (2005)"]]
    sequels = series.sequels
    assert sequels is not None
    found = series.index.satisfied(sequels).nonzero()[0].tolist()
    assert found == [second, third, rows["Iron Vale Rising (2005)"]]


def test_a_whole_series_and_one_of_it() -> None:
    wishes = read("a drama but not Blue Harbour (1995)")
    assert {CATALOG.items[row].title for row in wishes.rejected} == {
        "Blue Harbour (1995)", "Blue Harbour 2 (1998)", "Blue Harbour: The Return (2004)",
    }  # fmt: skip
    assert held(read("the second Blue Harbour please")) == [["Blue Harbour 2 (1998)"]]


def test_sequels_are_asked_for_and_refused() -> None:
    later = ["Blue Harbour 2 (1998)", "Blue Harbour: The Return (2004)"]
    assert held(read("is there a sequel to Blue Harbour (1995)?")) == [later]
    assert held(read("Blue Harbour (1995) was great, a sequel to it?")) == [later]
    assert held(read("another Iron Vale please")) == [["Iron Vale Rising (2005)"]]
    assert held(read("a drama, no sequels"), unwanted=True) == [[*later, "Iron Vale Rising (2005)"]]
