from __future__ import annotations

import pytest

from tacit.catalog import Catalog
from tacit.dialogue.answers import asked, ignored
from tacit.dialogue.claims import Verdict, claims, count
from tacit.dialogue.fact_index import FactIndex
from tacit.types import Dialogue, Item, Slate, Turn


def film(id: str, title: str, genres: str, director: str, stars: str, year: str, plot: str = "") -> Item:
    lists = {"genre": genres, "director": director, "star": stars, "year": year}
    attributes = {key: tuple(value.split(", ")) for key, value in lists.items() if value}
    return Item(id, title, f"{title}. {plot}", attributes)


CATALOG = Catalog(
    [
        film("heat", "Heat (1995)", "crime, drama", "michael mann", "al pacino, robert de niro", "1995"),
        film("cast", "Cast Away (2000)", "adventure, drama, romance", "robert zemeckis", "tom hanks", "2000",
             "A courier is stranded on an island."),
        film("alien", "Alien (1979)", "horror, sci-fi", "ridley scott", "sigourney weaver", "1979"),
        film("toy", "Toy Story (1995)", "animation, comedy", "john lasseter", "tom hanks, tim allen", "1995"),
        film("bare", "Lost Reel", "", "", "", ""),
        Item("momo", "Momo", "Momo.", {"author": ("michael ende",), "genre": ("fantasy", "science fiction")}),
    ]
)  # fmt: skip
INDEX = FactIndex(CATALOG)
NOBODY = Dialogue("d", "u", ())


def say(text: str, *shown: str) -> Turn:
    return Turn("agent", text, tuple(shown), Slate(shown) if shown else None)


def after(*texts: str, shown: tuple[str, ...] = ()) -> Dialogue:
    turns = [Turn("agent", "Here.", shown, Slate(shown))] if shown else []
    return Dialogue("d", "u", (*turns, *(Turn("user", text) for text in texts)))


@pytest.mark.parametrize(
    ("text", "kind", "verdict"),
    [
        ("Heat (1995) came out in 1995.", "year", "supported"),
        ("Heat (1995) came out in 1996.", "year", "contradicted"),
        ("Heat (1995) is a 90s film.", "year", "supported"),
        ("Heat (1995) is a 1980's film.", "year", "contradicted"),
        ("It is from 1995.", "year", "supported"),
        ("Heat (1997) is great.", "year", "contradicted"),
        ("Heat (1997) is great.", "title", None),
        ("Heat (1995) has Al Pacino.", "person", "supported"),
        ("Heat (1995) has Tom Hanks.", "person", "unsupported"),
        ("Heat (1995), directed by Michael Mann.", "person", "supported"),
        ("Heat (1995), directed by Ridley Scott.", "person", "contradicted"),
        ("Ridley Scott directed Heat (1995).", "person", "contradicted"),
        ("Al Pacino directed it.", "person", "contradicted"),
        ("Heat (1995) is a crime film.", "genre", "supported"),
        ("Heat (1995) is a horror.", "genre", "contradicted"),
        ("It is no comedy.", "genre", "supported"),
        ("There's no drama in it.", "genre", "contradicted"),
        ("Heat (1995) is better than Cast Away (2000).", "title", None),
        ("You should see Cast Away (2000).", "title", "contradicted"),
        ("The Great Nothing (1999) is for you.", "title", "unsupported"),
        ("You may like A Town of Rain (1999).", "title", "unsupported"),
        ('Try "Nothing Much" (1999).', "title", "unsupported"),
        ("千と千尋 (2001)", "title", "unsupported"),
        ("(1995)", "title", None),
        ("(1995)", "year", "supported"),
        ("(1979)", "year", "contradicted"),
        ('"(1995)"', "title", None),
        ("It came out (1995).", "title", None),
        ("Yes (1995)!", "title", None),
        ("With Al Pacino (1995).", "title", None),
        ("Great film (1995), really.", "title", None),
        ("Comedy (1995)", "title", None),
        ('It is "great" (1995)', "title", None),
        ('A "King" of films.', "title", None),
        ('You feel "cast away" after it.', "title", None),
        ("The Great Nothing (1999) is for you.", "year", None),
        ("It is from the nineties.", "year", "supported"),
        ("It is from the Eighties.", "year", "contradicted"),
        ("Made 1990-1999.", "year", "supported"),
        ("Made 1996–99.", "year", "contradicted"),
        ("(1990s)", "year", "supported"),
    ],
)
def test_a_claim_about_heat(text: str, kind: str, verdict: Verdict | None) -> None:
    found = [claim for claim in claims(say(text, "heat"), NOBODY, INDEX) if claim.kind == kind]
    assert [claim.verdict for claim in found] == ([verdict] if verdict else [])


def test_a_list_as_long_as_the_longest_may_have_been_cut() -> None:
    assert [c.verdict for c in claims(say("A great comedy.", "cast"), NOBODY, INDEX)] == ["unsupported"]
    assert [c.verdict for c in claims(say("A great comedy.", "alien"), NOBODY, INDEX)] == ["contradicted"]


def test_what_the_catalogue_does_not_know_is_unsupported() -> None:
    text = "Lost Reel is a horror from 1950, directed by Ridley Scott, with Tom Hanks."
    assert count(claims(say(text, "bare"), NOBODY, INDEX)) == {"supported": 0, "unsupported": 4, "contradicted": 0}


def test_a_claim_is_about_the_title_beside_it() -> None:
    right = say("Heat (1995) with Al Pacino, or Alien (1979) with Sigourney Weaver.", "heat", "alien")
    wrong = say("Heat (1995) with Sigourney Weaver, or Alien (1979) with Al Pacino.", "heat", "alien")
    assert count(claims(right, NOBODY, INDEX))["supported"] == 2
    assert count(claims(wrong, NOBODY, INDEX)) == {"supported": 0, "unsupported": 2, "contradicted": 0}
    both = claims(say("Heat (1995) and Toy Story (1995). Both are from 1995.", "heat", "toy"), NOBODY, INDEX)
    assert [claim.items for claim in both] == [("heat", "toy")]


def test_tastes_and_questions_claim_nothing() -> None:
    for text in (
        "I saw it in 2005.",
        "If you like horror, try Heat (1995).",
        "Do you like comedies?",
        "I love Tom Hanks.",
        "Heat (1995)!",
    ):
        assert claims(say(text, "heat"), NOBODY, INDEX) == []


def test_one_word_is_no_title_beside_a_slate() -> None:
    assert [c.items for c in claims(say("Momo? It is a crime film.", "heat"), NOBODY, INDEX)] == [("heat",)]
    assert claims(say("Momo is a fantasy."), NOBODY, INDEX)[0].items == ("momo",)


def test_it_is_what_was_shown_before() -> None:
    context = after("Who directed it?", shown=("alien",))
    assert claims(say("Ridley Scott directed it."), context, INDEX)[0].items == ("alien",)
    assert claims(say("Michael Mann directed it."), context, INDEX)[0].verdict == "contradicted"


def test_books_too() -> None:
    assert [c.verdict for c in claims(say("Momo is sci-fi by Michael Ende.", "momo"), NOBODY, INDEX)] == [
        "supported",
        "supported",
    ]
    assert claims(say("It was written by Tom Hanks.", "momo"), NOBODY, INDEX)[0].verdict == "unsupported"
    assert claims(say("The author is Ridley Scott.", "momo"), NOBODY, INDEX)[0].verdict == "contradicted"


def test_text_without_words_claims_nothing_and_a_lone_year_is_one_of_what_is_shown() -> None:
    for text in ("", "...", "))((", "’“”", "\n\n"):
        assert claims(say(text, "heat"), NOBODY, INDEX) == claims(say(text), NOBODY, INDEX) == []
    assert claims(say("1995"), NOBODY, INDEX) == []
    assert [(claim.kind, claim.verdict) for claim in claims(say("1995", "heat"), NOBODY, INDEX)] == [
        ("year", "supported")
    ]


@pytest.mark.parametrize(
    ("question", "kind", "good", "bad"),
    [
        ("Who directed it?", "who", "Robert Zemeckis did.", "It is great."),
        ("Who is in Cast Away?", "who", "Tom Hanks.", "You will like it!"),
        ("When was it made?", "when", "In 2000.", "A while ago."),
        ("What is it about?", "about", "A courier on an island.", "Enjoy!"),
        ("What is it about?", "about", "It's about a man alone.", "How about another one?"),
        ("Why this one?", "why", "Because you asked for adventure.", "Bye."),
        ("Is it scary?", "other", "Not scary at all.", "Bye then."),
        ("I am looking for an adventure.", "wish", "What did you see last?", "Great weather."),
    ],
)
def test_what_is_asked_and_whether_it_is_taken_up(question: str, kind: str, good: str, bad: str) -> None:
    context = after(question, shown=("cast",))
    assert asked(context, INDEX) == kind
    for text, heard in ((good, False), (bad, True)):
        turn = say(text)
        assert ignored(turn, context, claims(turn, context, INDEX), INDEX) is heard


def test_a_slate_answers_a_wish_and_no_question_about_an_item() -> None:
    slate = say("Here you are.", "heat")
    assert not ignored(slate, after("Can you recommend a crime film?"), [], INDEX)
    assert not ignored(slate, after("I want a crime film."), [], INDEX)
    assert ignored(slate, after("Who directed it?", shown=("cast",)), [], INDEX)


def test_thanks_and_greetings_ask_for_nothing() -> None:
    for text in ("Thank you, bye!", "Hi", "Hello, how are you?", "ok", ""):
        assert asked(after(text), INDEX) is None
    assert asked(NOBODY, INDEX) is None
    assert not ignored(say("I don't know."), after("Who directed it?", shown=("cast",)), [], INDEX)
