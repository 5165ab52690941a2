"""From a reaction to words: which intents a user voices, about which item, and the text with its slots filled."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from tacit.catalog import Catalog
from tacit.dialogue.users.leak import Auditor
from tacit.dialogue.users.people import People
from tacit.dialogue.users.speech import GENRE_KEYS, PEOPLE_KEYS, Line, Speech, shared_people
from tacit.dialogue.users.voices import KINDS, Voices
from tacit.types import Turn

AGAIN = 3  # draws in which a line already said is put back
PUZZLED = -0.3  # sentiment of one who was told gibberish: the lexicon's of the English words
TRIES = 6  # draws of an utterance before a plain one is said instead


@dataclass(frozen=True)
class Utterance:
    """One thing to voice: an intent, the mood to voice it in, and what may fill the slots."""

    intent: str
    mood: str
    title: int | None = None  # catalogue row
    genre: str | None = None
    person: str | None = None


@dataclass
class SpeakerState:
    """What one user has left to tell."""

    known: list[int]
    disliked: list[int]
    genres: list[str]
    avoided: list[str]
    people: list[str]
    last_sentiment: float = 0.0
    spoken: set[str] = field(default_factory=set)  # lines already said: nobody says one twice if there is another


@dataclass(frozen=True)
class Reply:
    text: str
    mentions: tuple[int, ...]
    sentiment: float


@dataclass
class ItemAttributes:
    """Genres and well-shared people of each item, and how common each genre is."""

    genres: list[tuple[str, ...]]
    people: list[tuple[str, ...]]
    share: Counter[str] = field(default_factory=Counter)

    @classmethod
    def of(cls, catalog: Catalog) -> ItemAttributes:
        shared = shared_people(catalog)
        genres, people = [], []
        for item in catalog.items:
            genres.append(tuple(g for key in GENRE_KEYS for g in item.attributes.get(key, ())))
            names = (n for key in PEOPLE_KEYS for n in item.attributes.get(key, ()))
            people.append(tuple(dict.fromkeys(name for name in names if name.lower() in shared)))
        counts = Counter(genre for row in genres for genre in row)
        return cls(genres, people, counts)


class Speaker:
    """Puts utterances into words. Shares nothing of a user's hidden state but what the utterance names."""

    def __init__(self, catalog: Catalog, speech: Speech, attributes: ItemAttributes, auditor: Auditor) -> None:
        self.catalog, self.speech, self.attributes, self.auditor = catalog, speech, attributes, auditor

    def speaker_state(self, people: People, user: int) -> SpeakerState:
        """What the user may tell: known items, its favourite and least favourite genres, people of known items."""
        liked = Counter(
            genre for row in (*people.known[user], *people.targets[user]) for genre in self.attributes.genres[row]
        )
        by_lift = sorted(liked, key=lambda genre: (-liked[genre] / self.attributes.share[genre] ** 0.5, genre))
        common = [genre for genre, _ in self.attributes.share.most_common(12)]
        names = [name for row in people.known[user] for name in self.attributes.people[row]]
        return SpeakerState(
            known=list(people.known[user]),
            disliked=list(people.disliked[user]),
            genres=by_lift[:3],
            avoided=[genre for genre in common if liked[genre] == 0][-3:],
            people=[name for name in dict.fromkeys(names) if "'" not in name][:3],
        )

    def say(
        self,
        speaker_state: SpeakerState,
        utterances: Sequence[Utterance],
        hidden: Sequence[str],
        mentioned: Sequence[str],
        generator: np.random.Generator,
    ) -> Reply:
        """The utterances in words that give no ``hidden`` item away. ``mentioned``: items named or shown so far."""
        parts, mentions, sentiments = [], [], []
        for utterance in utterances:
            named = [] if utterance.title is None else [self.catalog.items[utterance.title].id]
            for attempt in range(TRIES + 1):
                line = self._line(utterance, attempt < TRIES, generator)
                text = self._fill(line.text, utterance).strip()
                text = _sentence(text) if line.real else text
                if attempt < AGAIN and line.text in speaker_state.spoken:
                    continue
                if self.auditor.find(text, hidden, allowed=[*mentioned, *named]) is None:
                    break
            speaker_state.spoken.add(line.text)
            parts.append(text)
            sentiments.append(line.sentiment)
            if "{title}" in line.text and utterance.title is not None:
                mentions.append(utterance.title)
        return Reply(" ".join(parts), tuple(dict.fromkeys(mentions)), float(np.mean(sentiments)))

    def _line(self, utterance: Utterance, mined: bool, generator: np.random.Generator) -> Line:
        if not mined:
            return Line(self.speech.voice.unsure, 0.0, real=False)
        if utterance.intent == "puzzled":
            return Line(self.speech.voice.puzzled, PUZZLED, real=False)
        have = {name for name in ("title", "genre", "person") if getattr(utterance, name) is not None}
        need = {"title"} & have or {"genre"} & have or have
        if "genre" in have:
            have = have | {"genres"}
            if need == {"genre"} and generator.random() < 0.5:
                need = {"genres"}
        return self.speech.choose(utterance.intent, utterance.mood, have, need, generator)

    def _fill(self, text: str, utterance: Utterance) -> str:
        if utterance.title is not None:
            text = text.replace("{title}", self.catalog.items[utterance.title].title)
        if utterance.genre is not None:
            voice = self.speech.voice
            text = text.replace("{genres}", voice.plural(utterance.genre))
            text = text.replace("{genre}", voice.genre(utterance.genre))
        return text.replace("{person}", _name(utterance.person)) if utterance.person is not None else text


def utterances_for(
    speaker_state: SpeakerState,
    attributes: ItemAttributes,
    shown: Sequence[int],
    worth: Sequence[float],
    repeated: Sequence[bool],
    mood: float,
    asked: bool,
    generator: np.random.Generator,
    voices: Voices | None = None,
    before: int | None = None,
) -> list[Utterance]:
    """What a user who stays answers. ``shown``, ``worth``, ``repeated``: the cards it looked at, in order; ``before``:
    the film shown last, which it may come back to where none is shown now."""
    if voices is not None and (shown or before is not None):
        return _by_rates(speaker_state, attributes, shown, worth, repeated, mood, generator, voices, before)
    if not shown:
        pieces = 2 if asked and generator.random() < 0.5 else 1
        return [preference(speaker_state, generator) for _ in range(pieces)]
    best = int(np.argmax(worth))
    if repeated[best] or (repeated[0] and worth[best] < 0.6):
        at = best if repeated[best] else 0
        return [
            Utterance("seen", "positive" if mood > -0.3 else "neutral", title=shown[at]),
            _steer(speaker_state, generator),
        ]
    if worth[best] >= 0.6:
        kind = generator.random()
        if kind < 0.3:
            return [Utterance("ask", "neutral", title=shown[best])]
        praise = Utterance("praise", "positive", title=shown[best])
        return [praise, preference(speaker_state, generator)] if kind > 0.6 else [praise]
    worst = int(np.argmin(worth))
    if worth[worst] < 0.35:
        return _criticise(speaker_state, attributes, shown[worst], mood, generator)
    return [_steer(speaker_state, generator)]


def _by_rates(
    speaker_state: SpeakerState,
    attributes: ItemAttributes,
    shown: Sequence[int],
    worth: Sequence[float],
    repeated: Sequence[bool],
    mood: float,
    generator: np.random.Generator,
    voices: Voices,
    before: int | None,
) -> list[Utterance]:
    """As often as seekers do: of the best card, a critique of the worst, or of the film shown ``before``."""
    best = int(np.argmax(worth)) if shown else -1
    chances = voices.of_film(worth[best], repeated[best]) if shown else np.array(voices.earlier)
    kind = KINDS[int(np.searchsorted(np.cumsum(chances), generator.random() * chances.sum(), side="right"))]
    film = shown[best] if shown else before
    if kind == "praise":
        praise = Utterance("praise", "positive", title=film)
        return [praise, preference(speaker_state, generator)] if generator.random() < 0.5 else [praise]
    if kind == "ask":
        return [Utterance("ask", "neutral", title=film)]
    if kind == "seen":
        return [
            Utterance("seen", "positive" if mood > -0.3 else "neutral", title=film),
            _steer(speaker_state, generator),
        ]
    if kind == "critique":
        worst = shown[int(np.argmin(worth))] if shown else before
        assert worst is not None
        return _criticise(speaker_state, attributes, worst, mood, generator)
    return [_steer(speaker_state, generator)]


def _criticise(
    speaker_state: SpeakerState, attributes: ItemAttributes, film: int, mood: float, generator: np.random.Generator
) -> list[Utterance]:
    disliked = [genre for genre in attributes.genres[film] if genre in speaker_state.avoided]
    if disliked and generator.random() < 0.4:
        return [Utterance("dislike", "negative", genre=disliked[0]), _steer(speaker_state, generator)]
    mood_word = "negative" if mood < 0.2 or generator.random() < 0.7 else "neutral"
    return [Utterance("critique", mood_word, title=film), _steer(speaker_state, generator)]


def opening(speaker_state: SpeakerState, generator: np.random.Generator) -> list[Utterance]:
    """The first words: a liked film, a genre or a person, in the mixture real seekers use."""
    kind = generator.random()
    title = speaker_state.known.pop(0) if speaker_state.known and kind < 0.8 else None
    genre = speaker_state.genres[0] if speaker_state.genres and (kind < 0.25 or title is None) else None
    first = Utterance("open", "positive" if kind < 0.6 else "neutral", title=title, genre=genre)
    if title is not None and speaker_state.known and generator.random() < 0.5:
        return [first, Utterance("prefer", "positive", title=speaker_state.known.pop(0))]
    return [first]


def preference(speaker_state: SpeakerState, generator: np.random.Generator) -> Utterance:
    """A further piece of taste: mostly a liked film, else a genre, a person, or a film it did not like."""
    kind = generator.random()
    if speaker_state.disliked and kind > 0.92:
        return Utterance("critique", "negative", title=speaker_state.disliked.pop(0))
    if speaker_state.people and kind > 0.84:
        return Utterance("prefer", "positive", person=speaker_state.people.pop(0))
    if speaker_state.known and kind < 0.65:
        return Utterance("prefer", "positive", title=speaker_state.known.pop(0))
    if speaker_state.genres:
        return Utterance(
            "prefer", "positive", genre=speaker_state.genres[int(generator.integers(len(speaker_state.genres)))]
        )
    return Utterance("more", "neutral")


def _steer(speaker_state: SpeakerState, generator: np.random.Generator) -> Utterance:
    return preference(speaker_state, generator) if generator.random() < 0.7 else Utterance("more", "neutral")


def user_turn(reply: Reply, catalog: Catalog, time_s: float) -> Turn:
    return Turn("user", reply.text, tuple(catalog.items[row].id for row in reply.mentions), time_s=time_s)


def _sentence(text: str) -> str:
    return text if text[-1:] in ".!?)" else text + "."


def _name(person: str) -> str:
    return " ".join(word[:1].upper() + word[1:] for word in person.split())
