"""What users say → what they wish: phrasings, negation and its scope, corrections, pronouns, other catalogues."""

from __future__ import annotations

import pytest
from wish_catalogs import books, films, talk

from tacit.catalog import Catalog
from tacit.data.items import make_item
from tacit.dialogue.policy.wishes.features import excluded
from tacit.dialogue.policy.wishes.state import WishReader
from tacit.types import Dialogue, Turn

FILMS, BOOKS = WishReader(films()), WishReader(books())
SHOWN = ("How about these?", "film-0", "film-1", "film-4")


def said(reader: WishReader, *turns: str | tuple[str, ...]) -> str:
    return "; ".join(reader.describe(reader.read(talk(reader.catalog, *turns))))


@pytest.mark.parametrize(
    ("text", "wishes"),
    [
        ("got any comedies from the eighties?", "wants: comedy, 1980–1989"),
        ("Something scary for tonight", "wants: horror"),
        ("no horror please", "not: horror"),
        ("NO HORROR PLEASE", "not: horror"),
        ("I don’t want anything scary", "not: horror"),
        ("i dont like horror, westerns or romance. a drama", "wants: drama; not: horror, western, romance"),
        ("no horror, a comedy", "wants: comedy; not: horror"),
        ("no horror and something funny", "wants: comedy; not: horror"),
        ("anything but romance", "not: romance"),
        ("a drama without Tom Vale", "wants: drama; not: Tom Vale"),
        ("westerns aren't my thing", "not: western"),
        ("war films are too sad", "not: war"),
        ("I can't get enough of horror", "wants: horror"),
        ("I haven't seen a good western in ages", "wants: western"),
        ("nothing wrong with a romance", "wants: romance"),
        ("I prefer comedies to dramas", "wants: comedy; not: drama"),
        ("a comedy or a western", "wants: comedy or western"),
        ("romcom", "wants: romance, comedy"),
        ("a horor film", "wants: horror"),
        ("late nineties sci fi", "wants: 1995–1999, sci-fi"),
        ("before 1975", "wants: up to 1974"),
        ("nothing before 1990", "wants: from 1990"),
        ("nothing from the 80's, comedy", "wants: up to 1979 or from 1990, comedy"),
        ("between 1990 and 1995", "wants: 1990–1995"),
        ("after 1980 but before 1990", "wants: 1981–1989"),
        ("from the 60s or 70s", "wants: 1960–1969 or 1970–1979"),
        ("directed by ida lund", "wants: Ida Lund"),
        ("with Tom Vale or Mia Frost", "wants: Tom Vale or Mia Frost"),
        ("for my six year old", "wants: for children; not: horror"),
        ("the kids are in bed, horror please", "wants: horror"),
        ("it was really funny and sad", ""),
        ("Do you like horror?", ""),
        ("hello, how are you", ""),
        ("something like Heartline (2016) but funny", "wants: like Heartline (2016), comedy"),
        ("a comedy that isnt a love story", "wants: comedy; not: romance"),
        ("he is mad about westerns", "wants: western"),
        ("a drama, bar the horror ones", "wants: drama; not: horror"),
        ("anyone but Tom Vale, a comedy", "wants: comedy; not: Tom Vale"),
        ("too old for cartoons, a drama", "wants: drama; not: animation"),
        ("I said no comedies, but now a comedy would do", "wants: comedy"),
        ("a comedy, and not a single romance", "wants: comedy; not: romance"),
        ("we had horror yesterday and comedy before, neither of these", "not: horror, comedy"),
        ("the actors were shouting", ""),
        ("I scare easily, a drama", "wants: drama; not: horror"),
        ("horror, but no horror comedies", "wants: horror; not: comedy"),
        ("no war or anything sad", "not: war, drama"),
        ("the last thing I want is romance", "not: romance"),
        ("something funny rather than something sad", "wants: comedy; not: drama"),
        ("my boyfriend likes action but I want romance", "wants: romance"),
        ("a non-romantic comedy", "wants: comedy; not: romance"),
        ("a comedy that isn't romantic", "wants: comedy; not: romance"),
        ("We loved Heartline (2016), what else is there?", "wants: like Heartline (2016); liked: Heartline (2016)"),
        ("a drama, not two left feet", "wants: drama; rejected: Two Left Feet (1984)"),
        ("musicals and westerns drive me up the wall, comedy", "wants: comedy; not: western"),
        ("Eddie loathes horror but I want a western", "wants: western; not: horror"),
        ("I loved Heartline (2016)", "liked: Heartline (2016)"),
        ("I've seen heartline and deep orbit", "seen: Heartline (2016), Deep Orbit (2017)"),
        ("I haven't seen Heartline (2016)", ""),
        ("Heartline (2016) was boring", "rejected: Heartline (2016)"),
        # people by a title
        ("anything with the guy from Heartline (2016)", "wants: the guy from Heartline (2016)"),
        ("by the director of deep orbit, no horror", "wants: the director of Deep Orbit (2017); not: horror"),
        ("a drama, but not by whoever made Heartline (2016)", "wants: drama; not: whoever made Heartline (2016)"),
        ("The girl in Heartline (2016) was great", "liked: Heartline (2016)"),
        ("Who was the actor in Heartline (2016)?", ""),
        # where a refusal ends, and what it leaves
        ("no romance no war just pure action", "wants: action; not: romance, war"),
        ("I just don't want any horror", "not: horror"),
        ("a comedy that isn't animated for the family", "wants: comedy, for children; not: animation, horror"),
        ("no horror or anything for kids", "not: horror, for children"),
        ("something scary but not too scary", "wants: horror"),
        ("something scary but no gore", "wants: horror"),
        ("an animated one for the kids but nothing by disney", "wants: animation, for children; not: horror"),
        ("something funny, nothing scary", "wants: comedy; not: horror"),
        ("I don't mind war but I can't stand westerns", "not: western"),
        ("I don't mind a western", "wants: western"),
        # ages of items, and of people
        ("a western, two decades old", "wants: western, 1991–2001"),
        ("a western that is at least thirty years old", "wants: western, up to 1986"),
        ("a western from 20 years ago", "wants: western, 1992–2000"),
        ("a western from ten years ago or less", "wants: western, from 2006"),
        ("I am 45 years old, a western", "wants: western"),
        ("I saw a lot of them ten years ago", ""),
        # more of what was liked
        ("Loved Heartline (2016). Anything similar?", "wants: like Heartline (2016); liked: Heartline (2016)"),
        (
            "i loved Heartline (2016), anything along those lines",
            "wants: like Heartline (2016); liked: Heartline (2016)",
        ),
        ("a drama, deep orbit i've seen", "wants: drama; seen: Deep Orbit (2017); liked: Deep Orbit (2017)"),
        # another kind than what was watched, and times told by titles
        ("we had three comedies this week, so anything else", "not: comedy"),
        ("my wife picked a romance yesterday. a western tonight", "wants: western"),
        ("from the same year as Iron Meridian (1994)", "wants: 1994"),
        ("a comedy older than Laugh Factory (1996)", "wants: comedy, up to 1995"),
        ("post Heartline (2016)", "wants: from 2017"),
        ("a comedy by Rex Holt, but not in front of the camera", "wants: comedy, Rex Holt"),
        ("I'd like a western", "wants: western"),
        ("my boss recommended a drama. I'd rather have a comedy, ninties", "wants: comedy, 1990–1999"),
        ("a western that Max Orr did not direct", "wants: western; not: Max Orr"),
        ("a drama where nobody sings and no one fights, no war", "wants: drama; not: action, war"),
        ("something older, eighties say", "wants: 1980–1989"),
        ("I'm off horror. A romance instead", "wants: romance; not: horror"),
        ("is it scary?", ""),
        ("is the second one a comedy?", ""),
        ("how old is it?", ""),
    ],
)
def test_one_turn(text: str, wishes: str) -> None:
    assert said(FILMS, text) == wishes


@pytest.mark.parametrize(
    ("answer", "wishes"),
    [
        ("seen it", "seen: Night Howls (1981)"),
        ("I've seen all of them", "seen: Night Howls (1981), Grave Laughter (1985), Dust and Spurs (1968)"),
        ("seen the first two", "seen: Night Howls (1981), Grave Laughter (1985)"),
        ("not the second one", "rejected: Grave Laughter (1985)"),
        ("None of those", "rejected: Night Howls (1981), Grave Laughter (1985), Dust and Spurs (1968)"),
        ("more like the last one", "wants: like Dust and Spurs (1968)"),
        ("night howls was awful", "rejected: Night Howls (1981)"),
        ("something newer", "wants: from 1986"),
        ("too old", "wants: from 1986"),
        ("too cheesy for us", "rejected: Night Howls (1981), Grave Laughter (1985), Dust and Spurs (1968)"),
        ("the second one sounds great, thanks", ""),
    ],
)
def test_words_that_point_at_what_was_shown(answer: str, wishes: str) -> None:
    assert said(FILMS, SHOWN, answer) == wishes


@pytest.mark.parametrize(
    ("turns", "wishes"),
    [
        (("no horror please", ("What then?",), "actually, horror is fine"), ""),
        (
            ("a comedy from the eighties", SHOWN, "forget the eighties, make it the nineties"),
            "wants: comedy, 1990–1999",
        ),
        (("a comedy from the eighties", SHOWN, "any decade is fine"), "wants: comedy"),
        (("a comedy from the eighties", SHOWN, "a western instead"), "wants: 1980–1989, western"),
        (("a comedy from the eighties", SHOWN, "with Tom Vale"), "wants: comedy, 1980–1989, Tom Vale"),
        (("horror from the eighties", SHOWN, "the eighties aren't a must"), "wants: horror"),
        (("90s action", SHOWN, "or 80s"), "wants: action, 1990–1999 or 1980–1989"),
        (("a comedy", SHOWN, "forget what I said. A western"), "wants: western"),
        (("a comedy", ("Sure?",), "scratch that, I want drama"), "wants: drama"),
        (("hi", ("Do you like horror movies?",), "not really"), "not: horror"),
        (("hi", ("Do you like horror movies?",), "yes!"), "wants: horror"),
    ],
)
def test_later_words_correct_earlier_ones(turns: tuple[str | tuple[str, ...], ...], wishes: str) -> None:
    assert said(FILMS, *turns) == wishes


@pytest.mark.parametrize(
    ("text", "wishes"),
    [
        ("some poetry, nothing scary", "wants: poetry; not: horror"),
        ("a whodunit under 200 pages", "wants: mystery, pages up to 200"),
        ("a novel by Mara Quill for less than 15 dollars", "wants: Mara Quill, price up to 15"),
        ("science fiction, at least 500 pages", "wants: science fiction, pages from 500"),
        ("a picture book for my daughter", "wants: for children; not: horror"),
        ("something from the fifties", "wants: 1950–1959"),
    ],
)
def test_a_catalogue_of_books(text: str, wishes: str) -> None:
    assert said(BOOKS, text) == wishes


@pytest.mark.parametrize(
    ("turns", "wishes"),
    [
        (("a fantasy, 300 pages tops",), "wants: fantasy, pages up to 300"),
        (("poetry, over 5 and under 10 dollars",), "wants: poetry, price 5–10"),
        (("between 10 and 15 euros",), "wants: price 10–15"),
        (("a book", ("This?", "book-2"), "a cheaper one?"), "wants: price under 7.99"),
        (("a book", ("These?", "book-0", "book-2"), "longer than the second"), "wants: pages over 190"),
        (("a short one, at most 100 pages",), "wants: pages up to 100"),
        (("a book", ("This?", "book-2"), "another by the same author"), "wants: maker Ledger of Bones"),
        (("a book", ("Do you know Theo Grant?",), "god no"), "not: Theo Grant"),
    ],
)
def test_numbers_and_people_against_what_was_shown(turns: tuple[str | tuple[str, ...], ...], wishes: str) -> None:
    assert said(BOOKS, *turns) == wishes


def test_short_first_names_and_short_films() -> None:
    people = [("Cold Harbour (1990)", "christopher vane", "william oake"), ("Late Train (1991)", "chris lorne", "")]
    catalog = Catalog(
        [
            make_item(
                f"film-{n}", title, {"genre": ["drama", "short"], "director": [director], "star": [star] * bool(star)}
            )
            for n, (title, director, star) in enumerate(people)
        ]
    )
    reader = WishReader(catalog)
    columns = {value: c for c, (_, value) in enumerate(reader.index.columns)}

    def people_of(text: str) -> list[frozenset[int]]:
        return [wish.part.columns for wish in reader.read(talk(catalog, text)).wanted if wish.part.kind == "person"]

    assert people_of("something by chris vane") == [frozenset({columns["christopher vane"]})]
    assert people_of("something with Will Oake") == [frozenset({columns["william oake"]})]
    assert people_of("something by christopher lorne") == [frozenset({columns["chris lorne"]})]
    assert people_of("something by bob vane") == []
    assert said(reader, "a short film") == "wants: short"
    assert said(reader, "a short film, under 90 minutes") == ""


def test_a_turn_asks_or_does_not() -> None:
    def asks(*turns: str | tuple[str, ...]) -> bool:
        return FILMS.read(talk(FILMS.catalog, *turns)).asks

    assert asks("a comedy please") and asks("hi", SHOWN, "not that one") and asks("anything else?")
    assert asks("hi", SHOWN, "seen it")
    assert not asks("hello") and not asks("a comedy", SHOWN, "thanks, that sounds great")
    assert not asks("a comedy", SHOWN)  # the agent spoke last


def test_a_catalogue_without_attributes_still_tells_what_was_seen() -> None:
    bare = Catalog([item for item in films() if item.id == "film-12"])
    reader = WishReader(bare)
    assert reader.describe(reader.read(talk(bare, "a comedy from 1980, I have seen untold"))) == ["seen: Untold"]


def test_a_work_that_was_named_is_out_of_reach_under_its_other_ids() -> None:
    """ReDial files some films twice, with their year and without."""
    titles = {"heat": "Heat", "heat-95": "Heat (1995)", "heat-86": "Heat (1986)", "other": "Other (1990)"}
    catalog = Catalog([make_item(id, title, {}) for id, title in titles.items()])
    reader = WishReader(catalog)

    def out(*named: str) -> set[str]:
        wishes = reader.read(Dialogue("d", "u", (Turn("user", "I loved it. Anything like it?", named),)))
        away = excluded(wishes, reader.index, 1)
        return {item.id for item, hidden in zip(catalog.items, away, strict=True) if hidden}

    assert out("heat-95") == {"heat"}  # the item that was named is masked as such
    assert out("heat") == {"heat-95", "heat-86"}  # which of them is meant is not known
    assert out("other") == set()
