"""A small invented world for the demo and the tests: films, people, users with tastes, and scripted dialogues.

Everything follows from one seed and is generated, not stored. A user's utility of a film is its taste for the film's
genres, plus a bonus for a favourite person, plus the film's quality, plus noise; the script's agent is only partly
good at guessing it, users react with the sentiment the utility deserves, answer more slowly when they are not taken
by an offer, and fill in ReDial's form (suggested, seen, liked) at the end. The utility itself leaves this file only
through what users say and do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TypeVar

import numpy as np

from tacit.catalog import Catalog
from tacit.data.dialogues import phrases
from tacit.data.items import make_item
from tacit.data.lines import keep, split
from tacit.types import Dialogue, Floats64, Item, ItemId, Judgement, Slate, Split, TestSet, Turn

N_ITEMS, N_TRAIN, N_TEST = 300, 600, 150
LIKED_ABOVE = 0.25  # utility above which a user likes a film
MAX_OFFERS = 4

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class World:
    catalog: Catalog
    train: tuple[Dialogue, ...]
    test: tuple[Dialogue, ...]


def load_training(seed: int, limit: float = 1.0) -> tuple[Catalog, Split]:
    world = generate(seed)
    parts = split(keep(world.train, limit, "the synthetic world"))
    return world.catalog.with_counts(parts.train), parts


def load_test(seed: int, limit: float = 1.0) -> TestSet:
    return TestSet(keep(generate(seed).test, limit, "the synthetic world"))


@lru_cache(maxsize=4)
def generate(seed: int) -> World:
    """The world of a seed; its test dialogues come from other users than its training dialogues."""
    generator = np.random.default_rng([seed, 0x7AC17])
    items, quality = _films(generator)
    genres = tuple(phrases.GENRES)
    has = np.array([[genre in item.attributes["genre"] for genre in genres] for item in items], dtype=np.float64)
    people = [(*item.attributes["star"], *item.attributes["director"]) for item in items]
    stage = _Stage(items, has, people, quality)
    dialogues = [_Script(stage, f"synthetic-{n}", generator).play() for n in range(N_TRAIN + N_TEST)]
    return World(Catalog(items), tuple(dialogues[:N_TRAIN]), tuple(dialogues[N_TRAIN:]))


def _films(generator: np.random.Generator) -> tuple[list[Item], Floats64]:
    """Films and their quality (standard normal, unitless)."""
    names = [f"{first} {last}" for first in phrases.FIRST for last in phrases.LAST]
    cast = generator.permutation(names)[:160].tolist()
    directors, actors = cast[:40], cast[40:]
    genres = list(phrases.GENRES)
    items: list[Item] = []
    taken: set[str] = set()
    while len(items) < N_ITEMS:
        main, side = generator.choice(len(genres), 2, replace=False)
        nouns, plots = phrases.GENRES[genres[main]]
        base = f"The {_pick(phrases.ADJECTIVES, generator)} {_pick(nouns, generator)}"
        if base in taken:
            continue
        taken.add(base)
        plot = f"In {_pick(phrases.PLACES, generator)}, {_pick(plots, generator)}."
        facts = {
            "genre": [genres[main], genres[side]] if generator.random() < 0.4 else [genres[main]],
            "director": [_pick(directors, generator)],
            "star": generator.permutation(actors)[:2].tolist(),
            "plot": plot,
        }
        year = int(generator.integers(1965, 2024))
        items.append(make_item(f"film-{len(items)}", f"{base} ({year})", facts))
    return items, generator.standard_normal(N_ITEMS)


@dataclass(frozen=True, slots=True)
class _Stage:
    items: list[Item]
    has: Floats64  # [n_items, n_genres], 1 where the film has the genre
    people: list[tuple[str, ...]]
    quality: Floats64  # [n_items]


class _Script:
    """One user and the dialogue it has with the scripted agent."""

    def __init__(self, stage: _Stage, id: str, generator: np.random.Generator) -> None:
        self.stage, self.id, self.generator = stage, id, generator
        taste: Floats64 = generator.normal(-0.4, 0.3, (stage.has.shape[1],))
        favourites = generator.choice(len(taste), 2, replace=False)
        taste[favourites] = generator.uniform(0.5, 1.0, (2,))
        self.genre = tuple(phrases.GENRES)[int(favourites[0])]
        self.idol = _pick([person for people in stage.people for person in people], generator)
        bonus = np.array([0.6 * (self.idol in people) for people in stage.people])
        mean_taste = stage.has @ taste / stage.has.sum(axis=1)
        noise = generator.normal(0, 0.1, (len(stage.items),))
        self.utility: Floats64 = mean_taste + bonus + 0.15 * stage.quality + noise
        self.turns: list[Turn] = []
        self.used: set[int] = set()
        self.judgements: dict[ItemId, Judgement] = {}
        self.clock = 0.0

    def play(self) -> Dialogue:
        first = self._open()
        if self.generator.random() < 0.35:
            self._say("agent", phrases.AGENT_ASKS, [first])
            self._say("user", phrases.USER_ANSWERS, [first])
        refused = 0
        for _ in range(MAX_OFFERS):
            shown = self._offer()
            liked, seen = self._react(shown)
            refused += not liked
            if liked and not seen and self.generator.random() < 0.6:
                self._say("user", phrases.USER_ACCEPTS, shown)
                break
            if refused >= 2 and self.generator.random() < 0.5:
                self._say("user", phrases.USER_LEAVES, shown)
                break
        self._say("agent", phrases.AGENT_CLOSES, [first])
        return Dialogue(self.id, f"user-{self.id}", tuple(self.turns), self.judgements)

    def _open(self) -> int:
        """Greetings, and the user names a film it likes: its row."""
        likes = np.exp(4 * self.utility + 0.8 * self.stage.quality)
        if (self.utility > LIKED_ABOVE).any():
            likes = likes * (self.utility > LIKED_ABOVE)
        first = int(self.generator.choice(len(likes), p=likes / likes.sum()))
        if self.generator.random() < 0.5:
            self._say("agent", phrases.AGENT_GREETS, [first])
        self._say("user", phrases.USER_OPENS, [first])
        self._judge(first, suggested=False, seen=True)
        if self.generator.random() < 0.4:
            self._say("user", phrases.USER_ADDS, [first])
        return first

    def _offer(self) -> list[int]:
        """The agent's slate: 65 % of the time guided by a noisy guess of the user's utility, else by quality."""
        guided = self.generator.random() < 0.65
        guess = self.utility + self.generator.normal(0, 0.25, (len(self.utility),))
        score = guess if guided else 0.5 * self.stage.quality + self.generator.gumbel(size=len(self.utility))
        ranked = [int(row) for row in np.argsort(-score) if int(row) not in self.used]
        size = int(self.generator.choice(3, p=[0.7, 0.2, 0.1])) + 1
        choices = (phrases.AGENT_OFFERS, phrases.AGENT_OFFERS_MORE, phrases.AGENT_OFFERS_THREE)[size - 1]
        self._say("agent", choices, ranked[:size])
        shown = ranked[:size]
        return sorted(shown, key=lambda row: -self.utility[row])

    def _react(self, shown: list[int]) -> tuple[bool, bool]:
        """The user speaks about the shown film it likes best: (liked, seen before)."""
        best = shown[0]
        seen = self.generator.random() < 0.2
        for row in shown:
            self._judge(row, suggested=True, seen=seen if row == best else self.generator.random() < 0.2)
        liked = bool(self.utility[best] > LIKED_ABOVE)
        if seen:
            self._say("user", phrases.USER_SEEN_LIKED if liked else phrases.USER_SEEN_DISLIKED, [best])
        else:
            self._say("user", phrases.USER_LIKES if liked else phrases.USER_DISLIKES, [best])
        return liked, seen

    def _judge(self, row: int, *, suggested: bool, seen: bool) -> None:
        self.judgements[self.stage.items[row].id] = Judgement(suggested, seen, bool(self.utility[row] > LIKED_ABOVE))

    def _say(self, speaker: str, choices: tuple[str, ...], rows: list[int]) -> None:
        """One utterance about the films in ``rows``: slots filled, mentions in the order they occur, clock moved on."""
        phrase = _pick(choices, self.generator)
        item = self.stage.items[rows[0]]
        slots: dict[str, int] = dict(zip(("title", "second", "third"), rows, strict=False))
        if "{other}" in phrase:
            wanted = -self.utility if "did not" in phrase else self.utility
            top = np.argsort(-wanted)[:20]
            slots["other"] = _pick([int(row) for row in top if int(row) not in self.used], self.generator)
            self._judge(slots["other"], suggested=False, seen=True)
        person = self.idol if speaker == "user" and len(self.used) <= 1 else item.attributes["star"][0]
        genre = self.genre if choices in (phrases.USER_OPENS, phrases.USER_ANSWERS) else item.attributes["genre"][0]
        titles = {name: self.stage.items[row].title for name, row in slots.items()}
        director = item.attributes["director"][0].title()
        text = phrase.format(**titles, person=person.title(), genre=genre, director=director)
        named = [
            slots[name] for name in sorted(slots, key=lambda name: phrase.find("{" + name)) if "{" + name in phrase
        ]
        self.used.update(named)
        mentions = tuple(self.stage.items[row].id for row in named)
        slate = Slate(mentions) if speaker == "agent" and mentions else None
        turn = Turn("user", text, mentions, time_s=self._tick(text, choices))
        self.turns.append(turn if speaker == "user" else replace(turn, speaker="agent", slate=slate))

    def _tick(self, text: str, choices: tuple[str, ...]) -> float:
        """Seconds since the start: a log-normal wait (longer before a refusal) and the time to type the text."""
        if self.turns:
            slow = 0.4 if choices in (phrases.USER_DISLIKES, phrases.USER_SEEN_DISLIKED, phrases.USER_LEAVES) else 0.0
            self.clock += float(np.exp(self.generator.normal(2.3 + slow, 0.6))) + 0.15 * len(text)
        return round(self.clock, 1)


def _pick(options: Sequence[T], generator: np.random.Generator) -> T:
    return options[int(generator.integers(len(options)))]
