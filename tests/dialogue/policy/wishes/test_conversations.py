"""Conversations of three to five turns, and what is wished after each, known by hand: what goes on, what stands in
place of what, what recedes, and what outlives a change of subject."""

from __future__ import annotations

import pytest
from wish_catalogs import books, films, talk

from tacit.dialogue.policy.wishes.state import WishReader

READERS = {"films": WishReader(films()), "books": WishReader(books())}

# (catalogue, [(what the agent showed before, what the user says, the state after it) ...])
CONVERSATIONS: dict[str, tuple[str, list[tuple[tuple[str, ...], str, str]]]] = {
    "a wish is refined, and a refusal stays": (
        "films",
        [
            ((), "hi there, a comedy would be nice", "wants: comedy"),
            (("film-11",), "older, from the eighties", "wants: comedy, 1980–1989"),
            (("film-2",), "seen it. nothing with Lee Marsh please",
             "wants: comedy, 1980–1989; not: Lee Marsh; seen: Two Left Feet (1984)"),
            (("film-1",), "perfect, thanks!",
             "wants: comedy, 1980–1989; not: Lee Marsh; seen: Two Left Feet (1984)"),
        ],
    ),
    "date night comes after the thriller": (
        "films",
        [
            ((), "nineties thriller, no war", "wants: 1990–1999, thriller; not: war"),
            (("film-7",), "seen that one", "wants: 1990–1999, thriller; not: war; seen: The Long Con (1999)"),
            ((), "ok, now something for date night", "wants: romance; not: war; seen: The Long Con (1999)"),
            (("film-9",), "a bit older", "wants: romance, up to 2015; not: war; seen: The Long Con (1999)"),
        ],
    ),
    "the children are served, then the grown-ups": (
        "films",
        [
            ((), "something for my kids", "wants: for children; not: horror"),
            (("film-6",), "they loved it! that's them sorted. now a horror film for us", "wants: horror"),
            (("film-0",), "too old", "wants: horror, from 1982"),
        ],
    ),
    "another kind stands in place of the first, and its decade recedes": (
        "films",
        [
            ((), "I'd like a western from the sixties", "wants: western, 1960–1969"),
            (("film-4",), "hmm. how about a sci-fi movie", "wants: sci-fi; before: 1960–1969"),
            (("film-5",), "with Mia Frost", "wants: sci-fi, Mia Frost; before: 1960–1969"),
            (("film-10",), "and from this century", "wants: sci-fi, Mia Frost, from 2000"),
        ],
    ),
    "a correction swaps one thing and keeps the rest": (
        "films",
        [
            ((), "an eighties horror film", "wants: 1980–1989, horror"),
            (("film-0",), "actually, make it the nineties", "wants: horror, 1990–1999"),
            ((), "no wait, I meant a comedy", "wants: 1990–1999, comedy"),
            (("film-11",), "forget the nineties", "wants: comedy"),
        ],
    ),
    "a title is the centre of another wish": (
        "films",
        [
            ((), "a war drama please, nothing by Ida Lund", "wants: war, drama; not: Ida Lund"),
            (("film-8",), "I loved Deep Orbit (2017). Anything like it?",
             "wants: like Deep Orbit (2017); not: Ida Lund; liked: Deep Orbit (2017)"),
            (("film-5",), "but funnier",
             "wants: like Deep Orbit (2017), comedy; not: Ida Lund; liked: Deep Orbit (2017)"),
        ],
    ),
    "what was shown may be more of": (
        "films",
        [
            ((), "a comedy from the eighties", "wants: comedy, 1980–1989"),
            (("film-1", "film-2"), "more like the second one",
             "wants: comedy, 1980–1989, like Two Left Feet (1984)"),
            (("film-11",), "not that one",
             "wants: comedy, 1980–1989, like Two Left Feet (1984); rejected: Laugh Factory (1996)"),
        ],
    ),
    "what was refused is allowed later": (
        "films",
        [
            ((), "no horror and no romance", "not: horror, romance"),
            ((), "a comedy", "wants: comedy; not: horror, romance"),
            (("film-11",), "actually, horror is fine", "wants: comedy; not: romance"),
            ((), "start over", ""),
        ],
    ),
    "tastes recede where something else is asked for": (
        "films",
        [
            ((), "I love westerns and I adore Tom Vale", "wants: western, Tom Vale"),
            (("film-4",), "I've seen it, something else?",
             "wants: western, Tom Vale; seen: Dust and Spurs (1968)"),
            ((), "then a drama please", "wants: drama; before: western, Tom Vale; seen: Dust and Spurs (1968)"),
        ],
    ),
    "books: pages and price go on with the wish": (
        "books",
        [
            ((), "a whodunit, 200 pages at most", "wants: mystery, pages up to 200"),
            (("book-2",), "got it already. by the same author?",
             "wants: mystery, pages up to 200, maker Ledger of Bones; seen: Ledger of Bones"),
            ((), "a cheaper one",
             "wants: mystery, pages up to 200, maker Ledger of Bones, price under 7.99; "
             "seen: Ledger of Bones"),
        ],
    ),
    "books: a present for a child, then poems for oneself": (
        "books",
        [
            ((), "a book for my niece, she is five", "wants: for children; not: horror"),
            (("book-5",), "lovely. next, something for me: poetry", "wants: poetry"),
            (("book-3",), "read that one", "wants: poetry; seen: Verse for Winter"),
            ((), "a fantasy then", "wants: fantasy; seen: Verse for Winter"),
        ],
    ),
    "books: neither the first nor its author": (
        "books",
        [
            ((), "any science fiction or horror?", "wants: science fiction or horror"),
            (("book-4", "book-6"), "not the first one", "wants: science fiction or horror; rejected: Engines of Glass"),
            ((), "and nothing by Theo Grant",
             "wants: science fiction or horror; not: Theo Grant; rejected: Engines of Glass"),
            ((), "something completely different", "not: Theo Grant; rejected: Engines of Glass"),
        ],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CONVERSATIONS)
def test_what_is_wished_after_each_turn(name: str) -> None:
    catalogue, exchanges = CONVERSATIONS[name]
    reader = READERS[catalogue]
    turns: list[str | tuple[str, ...]] = []
    found, expected = [], []
    for shown, said, state in exchanges:
        turns += [("These?", *shown)] if shown else [("Yes?",)] if turns else []
        turns.append(said)
        found.append("; ".join(reader.describe(reader.read(talk(reader.catalog, *turns)))))
        expected.append(state)
    assert found == expected
