"""Values by their last word, and one quality that is refused by "less"."""

from __future__ import annotations

import pytest
from wish_catalogs import films, talk
from wish_shops import goods

from tacit.dialogue.policy.wishes.head_nouns import HeadNouns
from tacit.dialogue.policy.wishes.state import WishReader

GOODS = WishReader(goods())
FILMS = WishReader(films())


def said(reader: WishReader, *texts: str) -> str:
    return "; ".join(reader.describe(reader.read(talk(reader.catalog, *texts))))


def test_a_last_word_stands_for_all_the_values_that_end_in_it() -> None:
    nouns = HeadNouns({"hiking boots": frozenset({0}), "rubber boots": frozenset({1}), "lamp": frozenset({2})})
    boots = nouns.of("boots")
    assert boots is not None and boots.columns == {0, 1} and boots.label == "hiking boots or rubber boots"
    assert nouns.of("boot") == boots and nouns.of("lamp") is None and nouns.of("hiking") is None


def test_a_value_by_itself_is_not_taken_for_longer_ones_and_small_words_for_none() -> None:
    nouns = HeadNouns({"thriller": frozenset({0}), "legal thriller": frozenset({1}), "low budget": frozenset({2})})
    assert nouns.of("thriller") is None and nouns.of("budget") is None


def test_a_bag_is_any_of_the_bags() -> None:
    assert said(GOODS, "a bag") == "wants: sleeping bag"


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
