"""What a user says: real seekers' utterances from the training split, sorted by intent and mood, with slots to fill.

``{title}``, ``{genre}``, ``{genres}`` and ``{person}`` stand where the seeker named a film, a genre or a person. An
utterance that still names something after that (a capitalised word, a number, an ``@``) is left out: it would say what
our user does not mean. Templates speak only where the data has no utterance of that intent, mood and slots.
"""

from __future__ import annotations

import html
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field

import numpy as np

from tacit.catalog import Catalog
from tacit.types import Turn
from tacit.typography import plain_type

MOODS = ("negative", "neutral", "positive")
SLOTS = ("title", "genre", "genres", "person")
Key = tuple[str, str, tuple[str, ...]]  # intent, mood, slots in the order of SLOTS

# Where the wanted mood has no line: never the opposite one unless nothing else is left to say.
NEAREST: Mapping[str, tuple[str, ...]] = {
    "negative": ("negative", "neutral"),
    "neutral": MOODS,
    "positive": ("positive", "neutral"),
}
LEXICON_EDGE = 0.05  # VADER's own cut between neutral and the rest
GENRE_KEYS = ("genre", "genres", "category", "categories", "subject", "subjects")
PEOPLE_KEYS = ("director", "star", "actor", "cast", "author", "authors", "artist")
Rules = tuple[tuple[str, re.Pattern[str]], ...]  # the first pattern that matches names the intent

_GENRE_FORMS = {
    "comedy": ("comedy", "comedies"),
    "horror": ("horror", "horrors"),
    "action": ("action",),
    "drama": ("drama", "dramas"),
    "thriller": ("thriller", "thrillers"),
    "romance": ("romance", "romances"),
    "sci-fi": ("sci-fi", "sci fi", "scifi", "science fiction"),
    "animation": ("animated", "animation", "cartoons"),
    "adventure": ("adventure", "adventures"),
    "fantasy": ("fantasy",),
    "mystery": ("mystery", "mysteries"),
    "western": ("western", "westerns"),
    "musical": ("musical", "musicals"),
    "documentary": ("documentary", "documentaries"),
}
_PLURAL = {"comedy": "comedies", "documentary": "documentaries", "drama": "dramas", "thriller": "thrillers",
           "western": "westerns", "musical": "musicals", "mystery": "mysteries"}  # fmt: skip
_PLURALS = {"comedies", "horrors", "dramas", "thrillers", "romances", "cartoons", "mysteries", "westerns", "musicals",
            "documentaries"}  # fmt: skip
# Adjectives stand for a genre only before a noun: "a scary movie", but not "it was scary".
_ADJECTIVES = {"funny": "comedy", "scary": "horror", "romantic": "romance", "family": "family", "crime": "crime",
               "war": "war"}  # fmt: skip
_BAD = re.compile(r"@|\d|https?:|\b(turk|hit|submit|form|forms|button|worker|redial|movie id|mturk|bot|task)\b", re.I)
_NAMES = re.compile(r"(?<![.!?])\s(?!I\b|I'|\{)[A-Z]\w+")
_THIRD = re.compile(r"\b(you|your) (like|love|enjoy|looking|favou?rite|seen|want|into)\b|\bhave you\b|\bdo you\b", re.I)

FILM_RULES: Rules = tuple(
    (intent, re.compile(pattern, re.I))
    for intent, pattern in (
        ("accept", r"\b(i'?ll|i will|i'?m going to|i am going to|gonna|have to|think i'?ll) (have to |definitely |"
                   r"go |try and )?(watch|check|give|see|look|try|add|rent)\b|you('ve| have) convinced"),
        ("seen", r"\b(i'?ve|i have|already|i) (already )?(seen|saw|watched) (it|that|this|those|both|them|\{title\})"),
        ("bye", r"^\W*(ok(ay)?\W+)?(good ?bye|bye|goodnight|have a (good|great|nice))\b"),
        ("thanks", r"(?<!\bno )(?<!\bno, )\b(thank|thanks|thx|appreciate)\b"),
        ("more", r"\b(any|anything|something|some) (others?|else|more|different)\b|\banother (one|movie|film|sugg|rec)"
                 r"|\bother (suggestions|recommendations|movies|ideas)\b"),
        ("ask", r"(what|who)('s| is| was| are|s)? (it|that|that one|\{title\}|in it|in that|the plot|the movie)\b.*\?|"
                r"\b(is|was) (it|that|that one|\{title\}) .*\?|\bwhat is \{title\}|never (heard|seen).*\?"),
        ("critique", r"\b(not (really |a |much )?(interested|fan|my|into|for me|in the mood)|no,? thank(s| you)|"
                     r"(do|did)(n'?t| not) (really )?(like|care|enjoy|want|think)|boring|hated?|nope|pass on)\b"),
        ("praise", r"\b(sounds?|looks?) (really |pretty |very |so )?(good|great|interesting|fun|perfect|awesome|cool)"
                   r"|good (one|choice|suggestion|pick|recommendation|idea)|great (one|choice|suggestion|pick|idea)"
                   r"|want(ed)? to see (it|that|\{title\})|haven'?t seen (it|that|\{title\})"),
        ("prefer", r"\b(i|my)\b.*\b(like|love|loved|liked|enjoy|enjoyed|favou?rites?|prefer|fan of|into|looking for|"
                   r"in the mood|want)\b|\bsomething (like|similar)\b|\blooking for\b"),
    )
)  # fmt: skip
# Words that point back into somebody else's conversation.
_ANAPHORA = re.compile(
    r"\b(it|its|it's|that|that's|those|them|they|this|these|both|yes|yeah|yep|no|nope|not|he|she|him|his|her|too|one|"
    r"ones|also|mostly|either|sure|actually|though|but|same|me too|seen)\b", re.I)  # fmt: skip
# A film set against the one judged ("other than", "I like it more"): no verdict on the film named.
_CONTRAST = re.compile(
    r"\b(other than|more|better|older|original|instead|either of|not seen|haven'?t|don'?t care when)\b", re.I
)
_OPENING = re.compile(r"look|like|love|recommend|suggest|want|mood|favou?rite|enjoy|any good|find", re.I)

TEMPLATES: Mapping[str, tuple[str, ...]] = {
    "open": (
        "Hi, I am looking for a movie like {title}.",
        "Hello! I love {genres}. Can you recommend one?",
        "Hi, can you recommend a good movie?",
    ),
    "prefer": ("I really liked {title}.", "I enjoy {genres}.", "I like movies with {person}.", "I like good stories."),
    "dislike": ("I didn't like {title}.", "I am not a fan of {genres}.", "That is not what I want."),
    "critique": ("I didn't like {title}.", "I don't really like {genres}.", "No, that is not my kind of movie."),
    "seen": ("I have already seen {title}.", "I have seen that one already."),
    "ask": ("What is {title} about?", "What is it about?"),
    "more": ("Do you have anything else?", "Any other {genres}?"),
    "praise": ("{title} sounds good.", "That sounds interesting."),
    "accept": ("Great, I will watch {title}!", "I will check it out!"),
    "thanks": ("Thank you!",),
    "bye": ("Bye.",),
}


@dataclass(frozen=True)
class Line:
    """One thing to say: text with slots, its sentiment in [-1, 1] (slots masked), and whether a seeker said it."""

    text: str
    sentiment: float
    real: bool = True


@dataclass(frozen=True)
class Voice:
    """Words that are put into lines: ``nouns`` for items after a genre ("" says the genre alone), plurals of genres,
    the sentence for a user that can say nothing else, and the one for a user that was told gibberish."""

    nouns: str = "movies"
    unsure: str = "I am not sure."
    plurals: Mapping[str, str] = field(default_factory=lambda: dict(_PLURAL))
    puzzled: str = "That makes no sense to me."
    capital_genres: bool = False  # a genre of one word is written with a capital, as German nouns are

    def genre(self, genre: str) -> str:
        return "-".join(part.capitalize() for part in genre.split("-")) if self._is_noun(genre) else genre

    def plural(self, genre: str) -> str:
        """ "comedy" → "comedies", "horror" → "horror movies"."""
        return self.plurals.get(genre) or (f"{genre} {self.nouns}" if self.nouns else self.genre(genre))

    def _is_noun(self, genre: str) -> bool:
        return self.capital_genres and " " not in genre


class Speech:
    """Pools of lines by (intent, mood, slots), and the words to fill them with."""

    def __init__(self, pools: Mapping[Key, Sequence[Line]], voice: Voice | None = None) -> None:
        self.voice = voice or Voice()
        self.pools: dict[Key, tuple[Line, ...]] = {key: tuple(lines) for key, lines in sorted(pools.items())}
        self._cache: dict[tuple[str, str, frozenset[str], frozenset[str]], tuple[Line, ...]] = {}

    def choose(self, intent: str, mood: str, have: Set[str], need: Set[str], generator: np.random.Generator) -> Line:
        """A line of this intent, of this mood if there is one, that uses all slots of ``need`` and none beyond
        ``have``; ``need`` gives way before the intent does."""
        lines = self._fitting(intent, mood, frozenset(have), frozenset(need))
        return lines[int(generator.integers(len(lines)))]

    def _fitting(self, intent: str, mood: str, have: frozenset[str], need: frozenset[str]) -> tuple[Line, ...]:
        key = (intent, mood, have, need)
        if key not in self._cache:
            none = frozenset[str]()
            tries = ((need, (mood,)), (need, NEAREST[mood]), (none, NEAREST[mood]), (none, MOODS))
            pools = (self._pool(intent, near, have, needed) for needed, near in tries)
            self._cache[key] = next((lines for lines in pools if lines), ())
        if not self._cache[key]:
            raise ValueError(f"no utterance of intent {intent!r} for slots {sorted(have)}")
        return self._cache[key]

    def _pool(self, intent: str, near: Sequence[str], have: frozenset[str], need: frozenset[str]) -> tuple[Line, ...]:
        return tuple(
            line
            for (kind, feeling, slots), lines in self.pools.items()
            if kind == intent and feeling in near and need <= set(slots) <= have
            for line in lines
        )

    def to_json(self) -> list[list[object]]:
        return [
            [intent, mood, list(slots), [[line.text, line.sentiment, line.real] for line in lines]]
            for (intent, mood, slots), lines in self.pools.items()
        ]

    @classmethod
    def from_json(cls, rows: Sequence[Sequence[object]], voice: Voice | None = None) -> Speech:
        pools: dict[Key, list[Line]] = {}
        for intent, mood, slots, lines in rows:
            assert isinstance(slots, list) and isinstance(lines, list)
            pools[str(intent), str(mood), tuple(map(str, slots))] = [Line(t, float(s), bool(r)) for t, s, r in lines]
        return cls(pools, voice)


def mood_of(sentiment: float) -> str:
    return MOODS[int(np.sign(sentiment)) + 1] if abs(sentiment) > LEXICON_EDGE else "neutral"


def slots_of(text: str) -> tuple[str, ...]:
    return tuple(slot for slot in SLOTS if "{" + slot + "}" in text)


def masked(text: str) -> str:
    """Slots replaced by a word no lexicon scores: a title or a genre is no feeling."""
    return re.sub(r"\{\w+\}", "it", text)


def shared_people(catalog: Catalog) -> frozenset[str]:
    """Lower-case names of two words or more that at least two items carry (a rarer name would give its item away)."""
    count: dict[str, int] = defaultdict(int)
    for item in catalog.items:
        people = {name for key in PEOPLE_KEYS for name in item.attributes.get(key, ())}
        for name in people:
            count[name.lower()] += 1
    return frozenset(name for name, times in count.items() if times >= 2 and " " in name)


def slotted(turn: Turn, catalog: Catalog, people: frozenset[str], genres: GenreWords | None = None) -> str:
    """The turn's text with titles, people and genre words (those of films unless given) replaced by slots."""
    text = " ".join(plain_type(html.unescape(turn.text)).replace("{", "").replace("}", "").split())
    for item in sorted({plain_type(catalog[id].title) for id in turn.mentions}, key=len, reverse=True):
        text = text.replace(item, "{title}")
    words = text.lower()
    for name in _names_in(words, people):
        text = re.sub(rf"\b{re.escape(name)}\b", "{person}", text, flags=re.I)
    return (genres or FILM_GENRES).slot(text)


def speakable(text: str) -> bool:
    """Short enough, no leftover names, numbers or talk about the crowd-work task, at most one of each slot."""
    words = len(text.split())
    return (
        2 <= words <= 25
        and text.isascii()
        and all(text.count("{" + slot + "}") <= 1 for slot in SLOTS)
        and not ("{genre}" in text and "{genres}" in text)
        and not _BAD.search(text)
        and not _NAMES.search(text)
        and not _THIRD.search(text)
    )


def intent_of(text: str, place: int, rules: Rules = FILM_RULES) -> str | None:
    """The intent of a seeker's utterance, the ``place``-th it sent; None where no rule fits."""
    text = plain_type(text)
    points_back = _ANAPHORA.search(text) is not None
    if place <= 1 and _OPENING.search(text) and not points_back and not re.search(r"\b(thank|bye)", text, re.I):
        return "open"
    intent = next((intent for intent, rule in rules if rule.search(text)), None)
    if intent in ("critique", "dislike", "seen") and _CONTRAST.search(text):
        return None
    if intent == "critique" and not {"title"} & set(slots_of(text)) and {"genre", "genres"} & set(slots_of(text)):
        return "dislike"
    return None if intent == "prefer" and points_back else intent


@dataclass(frozen=True)
class GenreWords:
    """Which words name a genre."""

    always: re.Pattern[str]
    plurals: frozenset[str]  # of these, the ones for several items
    before_noun: re.Pattern[str] | None = None  # adjectives: "a scary movie", but not "it was scary"

    @classmethod
    def of(cls, words: Set[str], plurals: Set[str], nouns: Set[str]) -> GenreWords:
        """``nouns`` are what English calls the items; none for another language."""
        always = "|".join(sorted(map(re.escape, sorted(words)), key=len, reverse=True)) or "(?!)"
        before = rf"\b({'|'.join(_ADJECTIVES)})(?= ({'|'.join(sorted(nouns))})\b)" if nouns else None
        return cls(
            re.compile(rf"\b({always})\b", re.I), frozenset(plurals), re.compile(before, re.I) if before else None
        )

    def slot(self, text: str) -> str:
        text = self.always.sub(lambda match: "{genres}" if match.group().lower() in self.plurals else "{genre}", text)
        return self.before_noun.sub("{genre}", text) if self.before_noun else text


FILM_GENRES = GenreWords.of(
    {form for forms in _GENRE_FORMS.values() for form in forms},
    _PLURALS,
    {f"{noun}{s}" for noun in ("movie", "film", "flick") for s in ("", "s")},
)


def _names_in(text: str, people: frozenset[str]) -> list[str]:
    """Names of two or three words that occur in the lower-case text, longest first."""
    tokens = re.findall(r"[^\s,.!?]+", text)
    spans = (" ".join(tokens[i : i + size]) for size in (3, 2) for i in range(len(tokens) - size + 1))
    return [span for span in spans if span in people]
