"""Ways of speaking that occur with any catalogue: each rule by hand on films and on something else."""

from __future__ import annotations

from pathlib import Path

import pytest
from wish_catalogs import films, talk
from wish_shops import goods

from tacit.catalog import Catalog
from tacit.dialogue.policy.wishes.state import WishReader
from tacit.types import Item

FIXTURES = Path(__file__).parents[3] / "fixtures"
_CARS = [  # name, kind, seats, doors, gearbox, price of a day, size
    ("Pico", "hatchback", "4", "3", "manual", "35", "small"),
    ("Larder", "van", "9", "5", "manual", "95", "large"),
    ("Marquis", "saloon", "5", "4", "automatic", "60", "medium"),
    ("Drover", "estate", "5", "5", "automatic", "70", "medium"),
]
_CAR_KEYS = ("kind", "seats", "doors", "gearbox", "price_per_day", "size")
CARS = Catalog(
    [
        Item(f"car-{n}", name, f"{name}.", {key: (value,) for key, value in zip(_CAR_KEYS, facts, strict=True)})
        for n, (name, *facts) in enumerate(_CARS)
    ]
)
READERS = {
    "films": WishReader(films()),
    "goods": WishReader(goods()),
    "recipes": WishReader(Catalog.load(FIXTURES / "ordinary-recipes.jsonl")),
    "albums": WishReader(Catalog.load(FIXTURES / "ordinary-albums.jsonl")),
    "cars": WishReader(CARS),
}


def said(of: str, *turns: str | tuple[str, ...]) -> str:
    """What is wished after the last turn. An agent's turn is its words and the titles that it shows."""
    reader = READERS[of]
    ids = {item.title: item.id for item in reader.catalog.items}
    shown = (turn if isinstance(turn, str) else (turn[0], *(ids[title] for title in turn[1:])) for turn in turns)
    return "; ".join(reader.describe(reader.read(talk(reader.catalog, *shown))))


@pytest.mark.parametrize(
    ("of", "text", "wishes"),
    [
        # what goes with an exception that opens a wish is wanted
        ("films", "anything but horror with Tom Vale", "wants: Tom Vale; not: horror"),
        ("films", "anything except comedies from the 80s", "wants: 1980–1989; not: comedy"),
        ("recipes", "anything but soup for winter", "wants: winter; not: soup"),
        ("albums", "everything except jazz from Germany", "wants: germany; not: jazz"),
        ("films", "no comedies with Tom Vale", "not: comedy, Tom Vale"),
        ("recipes", "no desserts with chocolate", "not: dessert, chocolate"),
        ("films", "a drama, but nothing other than the ones with Mia Frost", "wants: drama; not: Mia Frost"),
        # a condition on a refusal
        ("films", "no horror unless it's funny", "not: horror"),
        ("recipes", "no chicken unless it's quick", "not: chicken"),
        # what goes and what stays
        ("films", "the comedy can stay, the romance has to go", "wants: comedy; not: romance"),
        ("films", "Tom Vale can stay, Mia Frost must go", "wants: Tom Vale; not: Mia Frost"),
        ("recipes", "lose the chicken, keep it italian", "wants: italian; not: chicken"),
        ("recipes", "swap the chicken for tofu", "wants: tofu; not: chicken"),
        ("films", "replace the horror with comedy", "wants: comedy; not: horror"),
        # no refusal at all
        ("films", "it's not that I dislike romance, I'd just like action", "wants: action"),
        ("albums", "not that I mind jazz, but tonight metal", "wants: metal"),
        # in another word than what is refused by its own
        ("films", "no horror, something spooky but funny", "wants: comedy; not: horror"),
        ("films", "I can't decide between a comedy and a thriller", "wants: comedy, thriller"),
        ("films", "if you don't have westerns, a war film", "wants: western or war"),
        ("recipes", "if there are no salads, a soup", "wants: salad or soup"),
        ("recipes", "a soup if you don't have salads", "wants: soup or salad"),
        ("films", "as little romance as possible, lots of action", "wants: action; not: romance"),
        ("films", "I've had my fill of westerns, a drama", "wants: drama; not: western"),
        ("recipes", "we have eaten enough chicken", "not: chicken"),
        ("films", "all comedies except the romantic ones", "wants: comedy; not: romance"),
        ("goods", "any colour but black", "not: black"),
        ("recipes", "any cuisine but thai", "not: thai"),
        ("recipes", "for somebody who can't eat gluten", "wants: gluten-free"),
        ("recipes", "without dairy, with fish", "wants: dairy-free, fish"),
        ("albums", "do you have albums with saxophone on them?", "wants: about saxophone"),
        ("films", "we've been watching nothing but westerns", ""),
        # what was, and is no wish
        ("films", "I grew up watching westerns. These days I prefer sci-fi", "wants: sci-fi"),
        ("films", "I used to love horror, but now I'm more into dramas", "wants: drama"),
        ("recipes", "Last week I made a thai curry, which was good. This time something italian", "wants: italian"),
        ("recipes", "I cooked chicken yesterday so no chicken", "not: chicken"),
        ("goods", "we bought a tent there. a jacket now", "wants: jacket"),
        # under a heading
        ("films", "must haves: action. must nots: romance, war", "wants: action; not: romance, war"),
        ("recipes", "avoid: fish, pork. vegan if possible", "wants: vegan; not: fish, pork"),
        # told of people
        ("recipes", "I'm not vegetarian, but no beef", "not: beef"),
        ("films", "we are not action people, a drama", "wants: drama"),
        ("films", "my daughter recommended horror but I don't want that", "not: horror"),
        ("films", "a comedy without romance in it", "wants: comedy; not: romance"),
        (
            "films",
            "my wife likes Tom Vale and Mia Frost, is there one with either of them?",
            "wants: Tom Vale or Mia Frost",
        ),
        ("films", "I don't only watch horror", "wants: horror"),
        ("albums", "I don't always listen to jazz", "wants: jazz"),
        # pictures part sentences
        ("recipes", "no fish 😅 something italian", "wants: italian; not: fish"),
        ("films", "no horror 😱😱 a western", "wants: western; not: horror"),
        ("films", "🎬 western 🤠", "wants: western"),
        # numbers
        ("recipes", "it shouldn't take more than an hour", "wants: minutes up to 60"),
        ("films", "nothing newer than 1990", "wants: up to 1990"),
        ("films", "released in or after 1994", "wants: from 1994"),
        ("films", "nothing older than me, I'm born in 1990", "wants: from 1990"),
        ("films", "made after I was born (1992)", "wants: from 1993"),
        ("films", "from this millennium", "wants: from 2000"),
        ("goods", "I can spend 200 on a tent", "wants: price up to 200, tent"),
        ("goods", "a tent, 200€ max", "wants: tent, price up to 200"),
        ("goods", "no more than 100 on a backpack", "wants: price up to 100, backpack"),
        ("goods", "a jacket for around 160", "wants: jacket, price 136–184"),
        ("cars", "a car for seven people", "wants: seats from 7"),
        ("cars", "there are six of us", "wants: seats from 6"),
        ("cars", "5 doors, automatic", "wants: doors 5, automatic"),
        ("cars", "at least 4 doors", "wants: doors from 4"),
        ("cars", "seats 5 or more", "wants: seats from 5"),
        ("cars", "for 3 days, a van", "wants: van"),
        ("films", "we are six people, a comedy", "wants: comedy"),
        ("cars", "something smaller", "wants: small or medium"),
        ("recipes", "something simpler", "wants: easy or medium"),
    ],
)
def test_in_one_turn(of: str, text: str, wishes: str) -> None:
    assert said(of, text) == wishes


@pytest.mark.parametrize(
    ("of", "asked", "answer", "wishes"),
    [
        ("films", "Do you prefer comedies or dramas?", "the latter", "wants: drama"),
        ("films", "Do you prefer comedies or dramas?", "the first one please", "wants: comedy"),
        ("films", "Do you prefer comedies or dramas?", "either", "wants: comedy or drama"),
        ("films", "A comedy or a drama?", "neither", "not: comedy, drama"),
        ("recipes", "Are you looking for a starter or a main?", "the second", "wants: main"),
        ("recipes", "italian, thai or indian?", "hmm, the last one", "wants: indian"),
        ("cars", "Manual or automatic?", "the latter", "wants: automatic"),
        ("films", "Do you like horror?", "I hate it", "not: horror"),
        ("films", "Do you like horror?", "love it", "wants: horror"),
        ("albums", "Shall it be jazz?", "rather not", "not: jazz"),
        ("albums", "Are you in the mood for jazz?", "exactly", "wants: jazz"),
        # what shall stay away
        ("recipes", "Is there anything you don't eat?", "pork and fish", "not: pork, fish"),
        ("recipes", "Anything I should leave out?", "no, I eat everything", ""),
        ("films", "Any genres you don't like?", "horror and war", "not: horror, war"),
        ("films", "Is there anything that you'd like to avoid?", "romance", "not: romance"),
        ("films", "Any genres you don't like?", "no", ""),
        ("films", "Any genres you don't like?", "not really, I'd love a comedy", "wants: comedy"),
        ("films", "Don't you like horror?", "yes", "wants: horror"),
        ("films", "Which genre?", "the second best thing is comedy", "wants: comedy"),
    ],
)
def test_an_answer(of: str, asked: str, answer: str, wishes: str) -> None:
    assert said(of, "hi", (asked,), answer) == wishes


@pytest.mark.parametrize(
    ("of", "title", "answer", "wishes"),
    [
        # the same and another, by the attribute's own name
        ("albums", "Velvet Tollbooth", "same label", "wants: bluebarn"),
        ("albums", "Velvet Tollbooth", "another on that label", "wants: bluebarn"),
        ("albums", "Velvet Tollbooth", "from the same country but newer", "wants: united states, from 1963"),
        ("goods", "Norrvik Dome 2", "in another color", "not: green"),
        ("goods", "Norrvik Dome 2", "same brand, but a jacket", "wants: norrvik, jacket"),
        ("goods", "Norrvik Dome 2", "no other brand please", "wants: norrvik"),
        ("recipes", "Coq au Vin", "same cuisine but vegetarian", "wants: french, vegetarian"),
        ("films", "Iron Meridian (1994)", "same director but a thriller", "wants: rex holt, thriller"),
        ("films", "Iron Meridian (1994)", "from the same year", "wants: 1994"),
        ("films", "Iron Meridian (1994)", "I watched that years ago", "seen: Iron Meridian (1994)"),
        # steps of a scale
        ("recipes", "Coq au Vin", "easier please", "wants: easy or medium"),
        ("recipes", "Coq au Vin", "something less difficult", "wants: easy or medium"),
        ("recipes", "Coq au Vin", "that's a bit hard for me", "not: hard"),
        ("films", "Night Howls (1981)", "a bit scary for us", "not: horror"),
        ("cars", "Marquis", "a bigger one", "wants: large"),
        ("cars", "Larder", "smaller", "wants: small or medium"),
        # money
        ("goods", "Norrvik Dome 2", "a bit pricey", "wants: price under 189"),
        ("cars", "Larder", "out of our budget", "wants: price_per_day under 95"),
        # what was seen, and when
        ("films", "Night Howls (1981)", "done that", "seen: Night Howls (1981)"),
        ("films", "Night Howls (1981)", "Yes, last year.", ""),
    ],
)
def test_words_against_what_was_shown(of: str, title: str, answer: str, wishes: str) -> None:
    assert said(of, "hi", ("How about this?", title), answer) == wishes


def test_a_name_that_is_refused_is_refused_in_every_title_and_text() -> None:
    plots = {
        "Hexa (1989)": "Hexa guards the city.",
        "The Long Night (2008)": "Years later Hexa meets her match.",
        "Harbour (1990)": "A boat comes home.",
        "Quiet Years (1991)": "Nothing happens, and slowly.",
    } | {f"Plain Tale {n}": "Days go by." for n in range(20)}
    catalog = Catalog(
        [
            Item(f"i{n}", title, f"{title}. {plot}", {"genre": ("drama",)})
            for n, (title, plot) in enumerate(plots.items())
        ]
    )
    reader = WishReader(catalog)

    def rejected(text: str) -> list[str]:
        return [catalog.items[row].title for row in sorted(reader.read(talk(catalog, text)).rejected)]

    assert rejected("a drama, but no Hexa") == ["Hexa (1989)", "The Long Night (2008)"]
    assert rejected("a drama, but not Hexa (1989)") == ["Hexa (1989)"]  # the year tells which is meant
    assert rejected("a drama, but not Harbour") == ["Harbour (1990)"]
