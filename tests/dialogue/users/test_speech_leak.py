from __future__ import annotations

import json

import numpy as np
import pytest
from hidden_users import LeakError, audit, audit_dialogue

from tacit.catalog import Catalog
from tacit.dialogue.users.crowd import UserWorld
from tacit.dialogue.users.leak import auditor
from tacit.dialogue.users.speech import Speech, Voice, intent_of, mood_of, shared_people, slots_of, slotted, speakable
from tacit.types import Dialogue, Item, Slate, Turn


@pytest.fixture(scope="module")
def films() -> Catalog:
    return Catalog(
        [
            Item("1", "It (2017)", "", {"genre": ("horror",), "star": ("bill skar",)}),
            Item("2", "Toy Story (1995)", "", {"genre": ("animation",), "star": ("tom hanks", "tim allen")}),
            Item("3", "Toy Story 2 (1999)", "", {"genre": ("animation",), "star": ("tom hanks", "joan cusack")}),
            Item("4", "The Silence of the Lambs (1991)", "", {"genre": ("thriller",), "director": ("jonathan demme",)}),
        ]
    )


def test_titles_genres_and_shared_people_become_slots(films: Catalog) -> None:
    people = shared_people(films)
    assert people == {"tom hanks"}
    turn = Turn("user", "I loved Toy Story (1995) with Tom Hanks, any funny movies or horrors?", ("2",))
    assert slotted(turn, films, people) == "I loved {title} with {person}, any {genre} movies or {genres}?"
    typed = Turn("user", "I’m sure\u00a0that Toy\u00a0Story (1995)…", ("2",))
    assert slotted(typed, films, people) == "I'm sure that {title}..."
    assert slots_of("{genre} {title}") == ("title", "genre")


@pytest.mark.parametrize(
    ("text", "place", "intent"),
    [
        ("Hi, I'm looking for a movie like {title}", 0, "open"),
        ("I really liked {title}", 3, "prefer"),
        ("I liked that one too", 3, None),
        ("I don't like {genre} movies", 3, "dislike"),
        ("I didn't like {title}", 3, "critique"),
        ("I've seen {title}, it was great", 3, "seen"),
        ("What is {title} about?", 3, "ask"),
        ("Any other suggestions?", 3, "more"),
        ("That sounds good", 3, "praise"),
        ("I will watch {title} tonight", 3, "accept"),
        ("Thanks a lot", 3, "thanks"),
        ("No, thanks", 3, "critique"),
        ("no thank you", 3, "critique"),
        ("I’ll watch {title}", 3, "accept"),
        ("I don´t like {genre} movies", 3, "dislike"),
        ("I didnʼt like {title}", 3, "critique"),
        ("bye bye", 3, "bye"),
        ("hmm", 3, None),
    ],
)
def test_intents(text: str, place: int, intent: str | None) -> None:
    assert intent_of(text, place) == intent


def test_what_names_something_else_is_not_spoken() -> None:
    assert speakable("I really liked {title}")
    for bad in (
        "I like Seven Samurai",
        "see @1234 now",
        "how do I submit the form",
        "{title} and {title}",
        "ok",
        "Do you like it",
    ):
        assert not speakable(bad)


def test_lines_use_only_slots_at_hand_and_the_wanted_mood(world: UserWorld) -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        line = world.speech.choose("prefer", "positive", {"title"}, {"title"}, rng)
        assert slots_of(line.text) == ("title",)
        assert mood_of(line.sentiment) == "positive"
        assert not slots_of(world.speech.choose("more", "neutral", set(), set(), rng).text)
    with pytest.raises(ValueError, match="no utterance"):
        Speech({}).choose("open", "positive", set(), set(), rng)


def test_mined_lines_come_first_and_templates_fill_the_rest(world: UserWorld) -> None:
    assert {line.real for pool in world.speech.pools.values() for line in pool} == {True, False}
    opening = world.speech.pools["open", "positive", ("title", "genre")]
    assert [line.text for line in opening if line.real] == ["I am looking for a good {genre} movie like {title}"]


def test_speech_survives_json(world: UserWorld) -> None:
    assert Speech.from_json(json.loads(json.dumps(world.speech.to_json()))).pools == world.speech.pools


def test_genres_are_put_into_words() -> None:
    films, german = Voice(), Voice(nouns="", plurals={"krimi": "Krimis"}, capital_genres=True)
    assert (films.genre("comedy"), films.plural("comedy"), films.plural("horror")) == (
        "comedy",
        "comedies",
        "horror movies",
    )
    assert (german.genre("krimi"), german.plural("krimi")) == ("Krimi", "Krimis")
    assert (german.genre("science-fiction"), german.plural("graue literatur")) == ("Science-Fiction", "graue literatur")


def test_the_audit_finds_leaks(films: Catalog) -> None:
    find = auditor(films).find
    assert "exact" in (find("have you got Toy Story?", ["2"]) or "")
    assert "misspelt" in (find("maybe The Silense of the Lambs", ["4"]) or "")
    assert "only" in (find("something by Jonathan Demme", ["4"]) or "")
    assert "exact" in (find("I want It (2017)", ["1"]) or "")
    assert find("I like it, up to a point, with tom hanks", ["1", "2"]) is None


def test_what_is_said_openly_is_cut_out_first(films: Catalog) -> None:
    audit("I loved Toy Story 2 (1999)", ["2"], films, allowed=["3"])
    with pytest.raises(LeakError):
        audit("I loved Toy Story 2 (1999) and Toy Story (1995)", ["2"], films, allowed=["3"])


def test_a_dialogue_may_name_a_target_only_after_the_agent_did(films: Catalog) -> None:
    agent = Turn("agent", "Try Toy Story (1995)", ("2",), Slate(("2",)))
    user = Turn("user", "I like Toy Story (1995)", ("2",))
    audit_dialogue(Dialogue("d", "u", (agent, user)), ["2"], films)
    with pytest.raises(LeakError, match="own target"):
        audit_dialogue(Dialogue("d", "u", (user, agent)), ["2"], films)


def test_a_leak_in_other_type_is_one(films: Catalog) -> None:
    with pytest.raises(LeakError, match="The Silence of the Lambs"):
        audit("I want The\u00a0Silence of the\u200b Lambs", ["4"], films)
    assert auditor(films).find("I saw Toy\u00a0Story 2 (1999)", ["2"], allowed=["3"]) is None
