"""Words related by WordNet, what they are read for, and words that no rule reads."""

from __future__ import annotations

import pytest
from wish_catalogs import films, talk
from wish_shops import goods

from tacit.catalog import Catalog
from tacit.dialogue.policy.wishes.sorts import Sorts
from tacit.dialogue.policy.wishes.state import WishReader
from tacit.dialogue.policy.wishes.wordnet import FAMILY, NARROWER, SYNONYM, lemma_of, related, tangible
from tacit.types import Dialogue, Item, Turn

GOODS = WishReader(goods())
FILMS = WishReader(films())
_PLOTS = ("A dog finds its way home.", "Corsairs board a merchant ship.", "An attorney defends her brother.", "Rain.")
_PLOTS += ("A young woman in Paris waits.", "Bears.", "Nothing happens.", "Nobody comes.", "Days go by.", "A wall.")
TALES = Catalog(
    [Item(f"t{n}", f"Tale {n}", f"Tale {n}. {plot}", {"genre": ("drama",)}) for n, plot in enumerate(_PLOTS)]
)
READER = WishReader(TALES)


def said(reader: WishReader, *texts: str) -> str:
    return "; ".join(reader.describe(reader.read(talk(reader.catalog, *texts))))


def best(text: str) -> str:
    """The text of the item that has most of the last thing wanted; "" where none has."""
    wishes = READER.read(Dialogue("d", "u", (Turn("user", text),)))
    if not wishes.wanted:
        return ""
    held = READER.index.satisfied(wishes.wanted[-1].part)
    return TALES.items[int(held.argmax())].text.split(". ", 1)[1] if held.any() else ""


def test_relations_and_how_far_they_tell() -> None:
    assert related("piracy")["pirate"] == FAMILY and related("lawyer")["attorney"] == SYNONYM
    assert related("dog")["poodle"] == NARROWER and related("french")["france"] == FAMILY
    assert related("paris") and "france" not in related("paris")  # a part does not tell of its whole
    assert 0.0 < related("scandinavian")["swedish"] < FAMILY
    assert related("qwertz") == {} and all(0.0 < worth < 1.0 for worth in related("boats").values())


def test_plurals_are_found_and_words_that_can_be_touched_told_apart() -> None:
    assert lemma_of("road maps") == "road map" and lemma_of("zzz") is None
    assert tangible("submarines") and tangible("nurse") and not tangible("wow") and not tangible("zzz")


@pytest.mark.parametrize(
    ("text", "plot"),
    [
        ("a film about canines", _PLOTS[0]),
        ("got anything about pirates?", _PLOTS[1]),
        ("courtroom stuff, something with lawyers", _PLOTS[2]),
        ("set in France", _PLOTS[4]),
        ("something with a female lead", _PLOTS[4]),
        ("a nautical film please", _PLOTS[1] if "ship" in related("nautical") else ""),
    ],
)
def test_a_topic_is_met_in_part_by_other_words_for_it(text: str, plot: str) -> None:
    assert best(text) == plot


@pytest.mark.parametrize(
    ("text", "wishes"),
    [
        ("a rucksack under 100 euros", "wants: backpack, price up to 100"),
        ("no rucksacks please, a tent", "wants: tent; not: backpack"),
        ("got a parka?", "wants: about parka, jacket"),  # jackets, those that say so first
        ("a jacket, but no parka", "wants: jacket; not: about parka"),  # and no jacket is refused with them
        ("I need footwear", "wants: boot or shoe"),
        ("a crimson jacket", "wants: red, jacket"),
        ("a bag", "wants: sleeping bag or backpack"),
    ],
)
def test_other_words_for_what_a_catalogue_files(text: str, wishes: str) -> None:
    assert said(GOODS, text) == wishes


def test_a_sort_is_the_nearest_value_and_never_an_act_or_a_state() -> None:
    sorts = Sorts({"lamp": frozenset({0}), "running shoe": frozenset({2}), "action": frozenset({3})})
    assert sorts.of("torch").part.columns == {0}
    assert sorts.of("sneakers").part.columns == {2}  # where there are no shoes but those
    assert sorts.of("rescue") is None and sorts.of("movie") is None and sorts.of("qwertz") is None


@pytest.mark.parametrize(
    ("text", "wishes"),
    [
        ("a less confusing comedy", "wants: comedy"),
        ("a less scary comedy", "wants: comedy; not: horror"),
        ("less romance", "not: romance"),
    ],
)
def test_less_refuses_one_quality(text: str, wishes: str) -> None:
    assert said(FILMS, text) == wishes


def test_unread_words_are_a_hint_where_something_is_asked_for() -> None:
    wishes = READER.read(talk(TALES, "I need a drama, bears and all"))
    hints = [wish.part.hint for wish in wishes.wanted]
    assert hints == [True, False] or hints == [False, False]
    assert not READER.read(talk(TALES, "thanks, my attorney loved it")).wanted
