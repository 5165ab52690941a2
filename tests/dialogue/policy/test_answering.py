"""Questions about shown items, answered from the catalogue in the policy's own turn."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from ppo_fakes import tiny_policy

from tacit.catalog import Catalog
from tacit.dialogue.claims import claims, count
from tacit.dialogue.fact_index import FactIndex
from tacit.dialogue.policy.act import act
from tacit.dialogue.policy.answering import answer, question
from tacit.dialogue.policy.scoring import evaluate
from tacit.dialogue.policy.wishes.attributes import Part
from tacit.types import Dialogue, Item, Slate, Turn


def item(id: str, title: str, text: str = "", **facts: str) -> Item:
    return Item(id, title, text or title, {key: tuple(value.split(", ")) for key, value in facts.items()})


CATALOG = Catalog(
    [
        item("heat", "Heat (1995)", genre="crime, drama", director="michael mann", star="al pacino, val kilmer"),
        item("alien", "Alien (1979)", "Alien (1979). A crew meets a hungry stranger in deep space.",
             genre="horror", director="ridley scott", star="sigourney weaver"),
        item("momo", "Momo", genre="fantasy", author="michael ende", year="1973", pages="288", language="german"),
        item("bare", "Lost Reel"),
    ]
)  # fmt: skip


def after(text: str, *mentions: str, said: str = "How about Heat (1995)?") -> Dialogue:
    shown = Turn("agent", said, ("alien", "heat", "momo"), Slate(("alien", "heat", "momo")))
    return Dialogue("d", "u", (Turn("user", "hi"), shown, Turn("user", text, mentions)))


def told(context: Dialogue, room: int = 200) -> str | None:
    met = {"heat": ["crime", "1990–1999"]}
    return answer(context, CATALOG, lambda item: met.get(item, []), lambda text: len(text) <= room)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("Who directed it?", "Michael Mann directed Heat (1995)."),
        ("cool, who's the director", "Michael Mann directed Heat (1995)."),
        ("Who is in it?", "Al Pacino and Val Kilmer are in Heat (1995)."),
        ("who stars in the first one?", "Sigourney Weaver is in Alien (1979)."),
        ("Who wrote the third one?", "Michael Ende wrote Momo (1973)."),
        ("Who directed the last one?", "I don't know who directed Momo (1973)."),
        ("When did it come out?", "Heat (1995) is from 1995."),
        ("what year was it", "Heat (1995) is from 1995."),
        ("What's the first one about?", "Alien (1979): A crew meets a hungry stranger in deep space."),
        ("What is it about?", "Heat (1995) is crime and drama, by Michael Mann, with Al Pacino and Val Kilmer. "
         "I don't know its plot."),
        ("What genre is it?", "Heat (1995) is crime and drama."),
        ("What kind of movie is that?", "Heat (1995) is crime and drama."),
        ("Why this one?", "You asked for crime and 1990–1999, and Heat (1995) has it: crime and drama, 1995."),
        ("Who directed them?", "Michael Mann directed Heat (1995). Ridley Scott directed Alien (1979)."),
        ("Who directed the fourth one?", None),
        ("Who do you like?", None),
        ("What kind of films do you like?", None),
        ("What about something else?", None),
        ("Something about who directed it is odd", "Michael Mann directed Heat (1995)."),
        ("I want a comedy", None),
        ("", None),
    ],
)  # fmt: skip
def test_what_is_asked_of_what_was_shown(said: str, expected: str | None) -> None:
    assert told(after(said)) == expected


KINDS = {"scary": "horror", "crime": "crime"}


def holds(text: str, item: str) -> list[tuple[Part, bool]]:
    """The reader's part, by hand: a kind or a person that the question names, and whether the item has it."""
    of = {value: key for key, values in CATALOG[item].attributes.items() for value in values}
    kinds = [(Part(kind, "category"), kind in of) for word, kind in KINDS.items() if word in text.lower()]
    people = [(Part("Val Kilmer", "person"), "val kilmer" in of)] if "Kilmer" in text else []
    return kinds + people


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("is it scary?", "Not that I know. Heat (1995) is crime and drama."),
        ("Is the first one scary?", "Yes. Alien (1979) is horror."),
        ("ok, is the 1st scary", "Yes. Alien (1979) is horror."),
        ("is it a crime film", "Yes. Heat (1995) is crime and drama."),
        ("is Val Kilmer in it?", "Yes. Al Pacino and Val Kilmer are in Heat (1995)."),
        ("is Val Kilmer in the first one?", "Not that I know. Sigourney Weaver is in Alien (1979)."),
        ("is it any fun?", None),
        ("Is it possible to get something scary?", None),
        ("do you like scary films?", None),
        ("how long is it?", "I don't know how long Heat (1995) is."),
        ("How long is the third one", "Momo (1973): 288 pages."),
        ("how many pages does the last one have?", "Momo (1973): 288 pages."),
        ("what language is the third one in?", "Momo (1973): language german."),
        ("what language do you speak?", None),
        ("what year is the second one", "Heat (1995) is from 1995."),
        ("who wrote number 3", "Michael Ende wrote Momo (1973)."),
        ("which one is the oldest?", "Momo (1973) is the oldest."),
        ("which of them is the newest", "Heat (1995) is the newest."),
        ("Which is the shortest?", "Momo (1973) is the shortest, as far as I know."),
        ("which is the cheapest?", "I don't know that of any of them."),
        ("which one is scary?", "Alien (1979)."),
        ("which of those is a love story", None),
        ("why?", "You asked for nothing that Heat (1995) has by the catalogue: crime and drama, 1995."),
        (
            "is the first one any good?",
            "I cannot judge that. Alien (1979): A crew meets a hungry stranger in deep space.",
        ),
        (
            "compare the first and the third",
            "Alien (1979): A crew meets a hungry stranger in deep space. "
            "Momo (1973) is fantasy, by Michael Ende. I don't know its plot.",
        ),
    ],
)
def test_yes_or_no_lengths_and_other_attributes(said: str, expected: str | None) -> None:
    found = answer(after(said), CATALOG, lambda item: [], lambda text: True, holds)
    assert found == expected


def test_it_is_what_the_last_answer_was_about_though_other_items_were_shown_with_it() -> None:
    """The catalogue's answer is given in a turn of its own, which may show a new slate."""
    first = after("Why this one?")
    answered = Turn("agent", told(first) or "", ("momo", "bare"), Slate(("momo", "bare")))
    again = Dialogue("d", "u", (*first.turns, answered, Turn("user", "Who directed it?")))
    assert told(again) == "Michael Mann directed Heat (1995)."
    second = Dialogue("d", "u", (*first.turns, answered, Turn("user", "Who wrote the first one?")))
    assert told(second) == "Michael Ende wrote Momo (1973)."


def test_a_named_title_is_meant_and_nothing_shown_answers_nothing() -> None:
    assert told(after("Who directed Alien?", "alien")) == "Ridley Scott directed Alien (1979)."
    assert told(after("Who directed Lost Reel?", "bare")) == "I don't know who directed Lost Reel."
    assert told(Dialogue("d", "u", (Turn("user", "Who directed it?"),))) is None
    assert told(Dialogue("d", "u", (*after("Who directed it?").turns, Turn("agent", "Hm.")))) is None


def test_an_answer_is_cut_to_its_room_or_left_out() -> None:
    asked = after("What's the first one about?")
    assert told(asked, 40) == "Alien (1979): A crew meets a hungry ..."
    assert told(after("Who directed them?"), 40) == "Michael Mann directed Heat (1995)."
    assert told(after("Who directed it?"), 10) is None


def test_no_answer_contradicts_the_catalogue() -> None:
    index = FactIndex(CATALOG)
    for asked in (
        "Who directed them?",
        "Who is in them?",
        "When was it made?",
        "What are they about?",
        "Which genre is it?",
    ):
        context = after(asked)
        text = told(context)
        found = claims(Turn("agent", text or ""), context, index)
        assert count(found)["contradicted"] == 0, (text, found)


def test_a_question_of_the_persons_own_view_is_none() -> None:
    for text in ("What year do you like?", "Who are you?", "What is it about you?", "what would you watch", "why not"):
        assert question(text) is None


def test_a_given_reply_is_neither_drawn_nor_learnt_from() -> None:
    policy = tiny_policy(reply=60).eval()
    policy.layout.lengths = replace(policy.layout.lengths, prompt=20)
    first = policy.catalog.items[0]
    shown = Turn("agent", "this", (first.id,), Slate((first.id,)))
    asks = Dialogue("a", "u", (shown, Turn("user", "what kind of film is it?")))
    talks = Dialogue("b", "u", (Turn("user", "a film please"),))
    for contexts in ([asks], [asks, talks, asks]):
        samples = act(policy, contexts, torch.Generator().manual_seed(0))
        given = samples[0]
        assert sum(given.sampled) == 1 and given.finished and first.title in given.text
        assert given.text == answer(asks, policy.catalog, lambda item: [], lambda text: True)
        with torch.no_grad():
            again = evaluate(policy, contexts, samples)
        assert again.token_mask.sum(1).tolist() == [sum(sample.sampled) for sample in samples]
        for row, sample in enumerate(samples):
            scored = again.token_logprobs[row, : len(sample.tokens)]
            assert scored.tolist() == pytest.approx(list(sample.logprobs), abs=1e-4)
    free = [act(policy, [asks], torch.Generator().manual_seed(seed))[0] for seed in range(8)]
    assert not any(sample.slate for sample in free)  # an answer stands alone
    also = Dialogue("c", "u", (shown, Turn("user", "what kind of film is it? and something else please")))
    leaves = Dialogue("d", "u", (shown, Turn("user", "thanks, I'll watch the first one")))
    assert (
        policy.shows_nothing(leaves)
        and policy.shows_nothing(asks)
        and not policy.shows_nothing(talks)
        and not policy.shows_nothing(also)
    )
    policy.config.answers = "model"
    assert sum(act(policy, [asks], torch.Generator().manual_seed(0))[0].sampled) > 1
