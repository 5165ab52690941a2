"""What the users of other data say: books, German, and what nobody foresaw."""

from __future__ import annotations

import re
from pathlib import Path

import bookshops
import numpy as np
import pytest

from tacit.catalog import Catalog
from tacit.data.dialogues import logs
from tacit.dialogue.users import events
from tacit.dialogue.users.crowd import UsersConfig, UserWorld
from tacit.dialogue.users.domains import ANYTHING, BOOKS, FILMS, domain_of
from tacit.dialogue.users.mining import mine
from tacit.dialogue.users.phrases import INTENTS, Phrases
from tacit.dialogue.users.speech import FILM_RULES, TEMPLATES, intent_of, slots_of
from tacit.dialogue.users.taste import TasteConfig
from tacit.types import Dialogue, Feedback, InputError, Item, Judgement, Slate, Turn

FILM_WORDS = re.compile(r"\b(movies?|films?|flicks?|watch(ed)?|seen)\b", re.I)


def shop(language: str, folder: Path) -> tuple[Catalog, list[Dialogue]]:
    catalog, split = logs.load_training(bookshops.write(language, folder), None)
    return catalog, [*split.train, *split.valid]


@pytest.fixture(scope="module")
def books(tmp_path_factory: pytest.TempPathFactory) -> tuple[Catalog, list[Dialogue]]:
    return shop("english", tmp_path_factory.mktemp("english"))


@pytest.fixture(scope="module")
def german(tmp_path_factory: pytest.TempPathFactory) -> tuple[Catalog, list[Dialogue]]:
    return shop("german", tmp_path_factory.mktemp("german"))


def said(catalog: Catalog, dialogues: list[Dialogue], phrases: str = "") -> list[str]:
    """What 40 simulated users say to a recommender that shows three random items twice."""
    config = UsersConfig(taste=TasteConfig(factors=8, iterations=4), phrases=phrases)
    crowd = UserWorld.fit(catalog, dialogues, config, seed=0).start(40, np.random.default_rng(0))
    rng = np.random.default_rng(1)
    for _ in range(2):
        slates = [tuple(catalog.items[row].id for row in rng.choice(len(catalog), 3, replace=False)) for _ in range(40)]
        crowd.step(
            [Turn("agent", "Well?", (), Slate(s)) if a else None for s, a in zip(slates, crowd.active, strict=True)]
        )
    return [turn.text for dialogue in crowd.dialogues for turn in dialogue.turns if turn.speaker == "user"]


def test_readers_of_books_do_not_speak_of_films(books: tuple[Catalog, list[Dialogue]]) -> None:
    catalog, dialogues = books
    phrases = Phrases.of(catalog, dialogues)
    assert (phrases.language, phrases.domain.name, phrases.remarks("vader")) == ("English", "books", [])
    assert any("movie" in turn.text for dialogue in dialogues for turn in dialogue.turns)  # somebody did
    texts = said(catalog, dialogues)
    assert len(texts) > 60
    assert [text for text in texts if FILM_WORDS.search(text)] == []
    assert any("book" in text for text in texts)


def test_genres_are_the_catalogues_own(books: tuple[Catalog, list[Dialogue]]) -> None:
    catalog, dialogues = books
    pools = mine(catalog, dialogues, np.random.default_rng(0), Phrases.of(catalog, dialogues)).pools
    lines = {line.text for pool in pools.values() for line in pool if line.real}
    assert "Hello, can you suggest a good {genre} novel?" in lines
    assert "I will read {title} tonight!" in {line.text for line in pools["accept", "neutral", ("title",)]}


def test_german_without_a_file_speaks_lines_of_the_data_and_signs(german: tuple[Catalog, list[Dialogue]]) -> None:
    catalog, dialogues = german
    phrases = Phrases.of(catalog, dialogues)
    language, sentiment = phrases.remarks("vader")
    assert "look German" in language and "users.phrases=FILE" in language
    assert "signals.sentiment=<classifier>" in sentiment
    assert phrases.remarks("some/classifier") == [language]
    pools = mine(catalog, dialogues, np.random.default_rng(0), phrases).pools
    assert "{title} lese ich heute Abend!" in {line.text for line in pools["accept", "positive", ("title",)]}
    assert "Das ist leider nichts für mich." in {line.text for line in pools["critique", "negative", ()]}
    texts = said(catalog, dialogues)
    english = {line for lines in TEMPLATES.values() for line in lines if not slots_of(line)}
    assert not english & set(texts)
    assert [text for text in texts if FILM_WORDS.search(text)] == []
    assert any("Krimi" in text for text in texts)  # a genre is a noun


def test_german_with_a_file_speaks_german(german: tuple[Catalog, list[Dialogue]]) -> None:
    catalog, dialogues = german
    phrases = Phrases.of(catalog, dialogues, "german")
    assert len(phrases.remarks("some/classifier")) == 1
    assert phrases.voice.plural("krimi") == "Krimis"
    texts = said(catalog, dialogues, "german")
    assert not any(sign in text for text in texts for sign in (":-", "…"))
    assert any("hat mir sehr gefallen" in text for text in texts)


def test_every_intent_has_something_to_say_in_every_language(german: tuple[Catalog, list[Dialogue]]) -> None:
    catalog, dialogues = german
    for file in ("", "german"):
        speech = mine(catalog, dialogues[:1], np.random.default_rng(0), Phrases.of(catalog, dialogues, file))
        for intent in INTENTS:
            assert not slots_of(speech.choose(intent, "neutral", set(), set(), np.random.default_rng(0)).text)


def test_a_world_keeps_its_words(german: tuple[Catalog, list[Dialogue]], tmp_path: Path) -> None:
    catalog, dialogues = german
    world = UserWorld.fit(catalog, dialogues, UsersConfig(phrases="german"), seed=0)
    world.save(tmp_path)
    assert UserWorld.load(tmp_path, catalog).speech.voice == world.speech.voice


def test_the_domain_is_what_the_texts_name_most() -> None:
    assert domain_of(["a movie", "films and films", "that flick", "a film", "a book"]) is FILMS
    assert domain_of(["ein Roman, zwei Romane"] * 3 + ["der Film"]) is BOOKS
    assert domain_of(["a sofa"] * 50 + ["one movie"]) is ANYTHING
    assert domain_of(["a sofa"], ["genre", "author", "author", "director"]) is BOOKS


def test_rules_and_templates_for_another_domain() -> None:
    rules = tuple((intent, re.compile(BOOKS.adapt_rule(rule.pattern), rule.flags)) for intent, rule in FILM_RULES)
    assert intent_of("I will read {title} tonight", 3, rules) == "accept"
    assert intent_of("I've read {title} already", 3, rules) == "seen"
    assert intent_of("Do you have other books?", 3, rules) == "more"
    assert intent_of("I will read {title} tonight", 3) is None
    assert BOOKS.adapt("I like movies with {person}.") == "I like books by {person}."
    for lines in TEMPLATES.values():
        for line in lines:
            assert not FILM_WORDS.search(ANYTHING.adapt(line))
    assert BOOKS.is_foreign("the movie was bad") and not FILMS.is_foreign("the book was better")


def test_meanings_by_events() -> None:
    user = lambda text, *mentions: Turn("user", text, mentions)  # noqa: E731
    offer = lambda item, **seen: Turn("agent", "?", (item,), Slate((item,)), Feedback(**seen))  # noqa: E731
    judged = {"a": Judgement(liked=True), "b": Judgement(liked=False), "c": Judgement(seen=True, liked=False)}
    turns = (
        user("hallo", "a"),
        user("und a", "a"),
        offer("b", clicked=()),
        user("b nicht", "b"),
        user("nein"),
        user("was noch?"),
        offer("c", clicked=()),
        user("c kenne ich", "c"),
        user("c?", "c"),
        offer("d", clicked=("d",)),
        user("d ist gut", "d"),
        user("hm"),
        offer("e", accepted=True),
        user("e nehme ich", "e"),
        user("danke"),
    )
    intents = [(turn.text, intent) for turn, intent, _ in events.meanings(Dialogue("1", "u", turns, judged))]
    assert intents == [
        ("hallo", "open"),
        ("und a", "prefer"),
        ("b nicht", "critique"),
        ("nein", "critique"),
        ("was noch?", "more"),
        ("c kenne ich", "seen"),
        ("c?", "ask"),
        ("d ist gut", "praise"),
        ("e nehme ich", "accept"),
        ("danke", "thanks"),
    ]


def test_a_name_that_one_dialogue_alone_has_is_not_spoken() -> None:
    catalog = Catalog(
        [
            Item("1", "Momo", "Momo. Ein Kind hört zu, und die Zeit ist nicht mehr da für den Mann."),
            Item("2", "Limit", "Limit."),
        ]
    )
    talk = "Ich suche etwas wie Momo, das ich mit {} lesen kann."
    names = ["Annegret", "Kindern", "Kindern", "Burkhard"]
    dialogues = [Dialogue(str(k), "u", (Turn("user", talk.format(name), ("1",)),)) for k, name in enumerate(names * 2)]
    dialogues[4:] = dialogues[5:7]
    speech = mine(catalog, dialogues, np.random.default_rng(0), Phrases.of(catalog, dialogues))
    assert [line.text for line in speech.pools["open", "neutral", ("title",)] if line.real] == [
        talk.format("Kindern").replace("Momo", "{title}")
    ]


def test_a_common_word_that_is_a_title_is_not_spoken() -> None:
    plot = "Ein Mann sucht etwas und findet es nicht, und das ist auch für ihn gut."
    catalog = Catalog([Item("1", "Ruhm", f"Ruhm. {plot}"), Item("2", "Limit", f"Limit. {plot}")])
    lines = ["Ich suche etwas für den Abend.", "Ich suche Ruhm für den Abend."] * 4
    dialogues = [
        Dialogue(
            str(k), "u", (Turn("user", text), Turn("agent", "", ("2",), Slate(("2",))), Turn("user", "Limit", ("2",)))
        )
        for k, text in enumerate(lines)
    ]
    speech = mine(catalog, dialogues, np.random.default_rng(0), Phrases.of(catalog, dialogues))
    assert [line.text for line in speech.pools["open", "neutral", ()] if line.real] == lines[:1]


def test_a_language_without_spaces_is_spoken_too() -> None:
    catalog = Catalog([Item("1", "雪国", "雪国"), Item("2", "こころ", "こころ")])
    dialogues = [Dialogue(str(k), "u", (Turn("user", "雪国のような本を探しています", ("1",)),)) for k in range(30)]
    detected = Phrases.of(catalog, dialogues)
    speech = mine(catalog, dialogues, np.random.default_rng(0), detected)
    assert [line.text for line in speech.pools["open", "neutral", ("title",)] if line.real] == [
        "{title}のような本を探しています"
    ]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("- a list", "must hold the keys"),
        ("langauge: German", "not 'langauge'"),
        ("intents: {accept: '('}", r"intents\.accept is no regular expression"),
        ("intents: {agree: a}", r"intents\.agree is no intent: choose among open"),
        ("templates: {open: Hallo}", r"templates\.open must be a list of sentences"),
        ("templates: {open: ['{book}?']}", r"templates\.open has the slot \{book\}"),
        ("genres: {krimi: 3}", r"genres\.krimi must be a genre and its plural"),
        ("genres: [krimi]", "genres must be a mapping"),
        ("domain: wine", "domain must be one of films, books"),
        ("language: ''", "language must be a text"),
        ("a: [", "is no YAML"),
    ],
)
def test_a_bad_phrase_file_is_one_sentence(
    books: tuple[Catalog, list[Dialogue]], tmp_path: Path, content: str, reason: str
) -> None:
    file = tmp_path / "phrases.yaml"
    file.write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match=f"users.phrases: .*{reason}"):
        Phrases.of(*books, str(file))
    with pytest.raises(InputError, match="cannot be read"):
        Phrases.of(*books, str(tmp_path / "none.yaml"))
