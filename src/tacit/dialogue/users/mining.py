"""From the training dialogues to ``Speech``: seekers' sentences with slots, sorted by intent and mood."""

from __future__ import annotations

import logging
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from tacit.catalog import Catalog, normalise_title
from tacit.dialogue.users import events
from tacit.dialogue.users.phrases import INTENT_MOOD, Phrases
from tacit.dialogue.users.speech import (
    SLOTS,
    Key,
    Line,
    Speech,
    intent_of,
    masked,
    mood_of,
    shared_people,
    slots_of,
    slotted,
    speakable,
)
from tacit.text.sentiment import Vader
from tacit.types import Dialogue, Turn

log = logging.getLogger("tacit")

POOL = 300  # utterances kept for one key
ENOUGH = 3  # fewer lines than this would be heard again and again
FEW_SORTED = 0.05  # of the users' messages: when fewer are of use, it is said
Meant = tuple[str, str, str]  # intent, text with slots, mood

_NOT_SAID = re.compile(r"@|\d|https?:")
_WORD = re.compile(r"[^\W\d_]+")
_INSIDE = re.compile(r"(?<![.!?…\n])\s[\"„“»‚'(]?([^\W\d_]+)")  # words that open no sentence


def mine(catalog: Catalog, train: Sequence[Dialogue], generator: np.random.Generator, phrases: Phrases) -> Speech:
    """Sort the seekers' utterances of the training split; keep at most POOL of a kind, drawn at random."""
    people = shared_people(catalog)
    if phrases.rules is not None and phrases.english:
        meant = _by_english_words(catalog, train, phrases, people)
    else:
        meant = _elsewhere(catalog, train, phrases, people)
    moods: dict[tuple[str, str], str] = {}
    sorted_messages = 0
    for intent, text, mood in meant:
        moods.setdefault((intent, text), mood)
        sorted_messages += 1
    mined: dict[Key, list[Line]] = defaultdict(list)
    for (intent, text), (score, mood) in zip(moods, _scores(moods, phrases), strict=True):
        mined[intent, mood, slots_of(text)].append(Line(text, round(score, 4)))
    pools = {key: _some(lines, generator) for key, lines in sorted(mined.items())}
    _say_how_many(len(moods), sorted_messages, train, phrases)
    return Speech(_with_templates(pools, phrases), phrases.voice)


def _by_english_words(
    catalog: Catalog, train: Sequence[Dialogue], phrases: Phrases, people: frozenset[str]
) -> Iterator[Meant]:
    rules = phrases.rules or ()
    for dialogue in train:
        for place, turn in enumerate(t for t in dialogue.turns if t.speaker == "user"):
            text = slotted(turn, catalog, people, phrases.genres)
            intent = intent_of(text, place, rules) if speakable(text) and not phrases.domain.is_foreign(text) else None
            if intent:
                yield intent, text, ""


def _elsewhere(
    catalog: Catalog, train: Sequence[Dialogue], phrases: Phrases, people: frozenset[str]
) -> Iterator[Meant]:
    """By the words of a phrase file, else by events. A capitalised word that one dialogue alone has may be a name, and
    one that is a title ("Ruhm") may mean it."""
    common = _common_capitals(train)
    titles = {normalise_title(item.title) for item in catalog.items}
    for dialogue in train:
        for turn, intent, mood in _turns(dialogue, phrases):
            text = slotted(_linked(turn, catalog), catalog, people, phrases.genres)
            if phrases.rules is not None:
                intent = next((name for name, rule in phrases.rules if rule.search(text)), "")
                mood = INTENT_MOOD.get(intent, "")
            named = _capitals(text) - common or titles & {normalise_title(word) for word in _WORD.findall(text)}
            if intent and not named and _sayable(text) and not phrases.domain.is_foreign(text):
                yield intent, text, mood


def _turns(dialogue: Dialogue, phrases: Phrases) -> Iterator[tuple[Turn, str, str]]:
    if phrases.rules is None:
        return events.meanings(dialogue)
    return ((turn, "", "") for turn in dialogue.turns if turn.speaker == "user")


def _linked(turn: Turn, catalog: Catalog) -> Turn:
    """The turn with every title found in its text written as in the catalogue, and mentioned."""
    text, mentions = turn.text, list(turn.mentions)
    for start, end, item in reversed(catalog.link(text)):
        text = text[:start] + catalog[item].title + text[end:]
        mentions.append(item)
    return Turn("user", text, tuple(dict.fromkeys(mentions)))


def _common_capitals(train: Sequence[Dialogue]) -> frozenset[str]:
    """Words with a capital inside sentences of two dialogues or more: where nouns have one, nouns and no names."""
    spoken = (" ".join(t.text for t in dialogue.turns if t.speaker == "user") for dialogue in train)
    count = Counter(word for text in spoken for word in _capitals(text))
    return frozenset(word for word, times in count.items() if times > 1)


def _capitals(text: str) -> set[str]:
    return {word for word in _INSIDE.findall(text) if word[0].isupper()}


def _sayable(text: str) -> bool:
    """``speakable`` for a language whose words are not known, and which may write no spaces."""
    words = len(text.split())
    return (
        (2 <= words <= 25 or (words == 1 and not text.isascii() and len(text) <= 60))
        and all(text.count("{" + slot + "}") <= 1 for slot in SLOTS)
        and not _NOT_SAID.search(text)
    )


def _scores(moods: Mapping[tuple[str, str], str], phrases: Phrases) -> list[tuple[float, str]]:
    """(sentiment, mood) of each line: English by the lexicon, else by what the line is for."""
    if not phrases.english:
        return [(events.MOOD_SENTIMENT[mood], mood) for mood in moods.values()]
    return [(score, mood_of(score)) for score in Vader()([masked(text) for _, text in moods])]


def _some(lines: list[Line], generator: np.random.Generator) -> list[Line]:
    if len(lines) <= POOL:
        return lines
    return [lines[i] for i in sorted(generator.choice(len(lines), size=POOL, replace=False).tolist())]


def _with_templates(mined: Mapping[Key, Sequence[Line]], phrases: Phrases) -> dict[Key, list[Line]]:
    """The mined pools, with templates added where a kind has fewer than ENOUGH lines of its own."""
    pools = {key: list(lines) for key, lines in mined.items()}
    moods = {(intent, text): INTENT_MOOD[intent] for intent, texts in phrases.templates.items() for text in texts}
    for (intent, text), (score, mood) in zip(moods, _scores(moods, phrases), strict=True):
        key = intent, mood, slots_of(text)
        if len(mined.get(key, ())) < ENOUGH:
            pools.setdefault(key, []).append(Line(text, round(score, 4), real=False))
    return pools


def _say_how_many(lines: int, messages: int, train: Sequence[Dialogue], phrases: Phrases) -> None:
    turns = sum(turn.speaker == "user" for dialogue in train for turn in dialogue.turns)
    about = phrases.domain.name or "things"
    log.info("prepare: simulated users speak %d lines out of %d messages, about %s", lines, turns, about)
    if messages < FEW_SORTED * turns:
        log.warning(
            "prepare: only %d of %d messages fit a pattern, so simulated users mostly speak templates; "
            "users.phrases=FILE gives other patterns (docs/data.md has an example)",
            *(messages, turns),
        )
