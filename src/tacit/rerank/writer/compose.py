"""Preference texts put together from facts: what a small writer learns to write before any feedback reaches it.

A text has one line for each of a few factors ("Genre: drawn to crime and film-noir, not to musicals"). Which factors,
how many, in which order, which of the user's traits, and whether titles are given as evidence is drawn anew each time,
so that several texts about one user say different true things and feedback can tell which of them help. Every word
about the user comes from the ratings that the prompt may show, all of them before the cut.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from tacit.data.ratings.table import Ratings
from tacit.rerank.lists.lists import Histories
from tacit.rerank.writer.facts import Facts, Terms
from tacit.rerank.writer.prompts import SHOWN, short_prompt, slotted, told
from tacit.types import InputError, Ints32

# The line of each kind begins with a factor's name of ``prompts.FACTORS``; lines of titles have names of their own.
NAMES = {
    "movies": {
        "genre": "Genre",
        "people": "Director/actors",
        "era": "Time period/country",
        "theme": "Plot/theme",
        "mood": "Mood/tone",
        "acclaim": "Critical acclaim/award",
    },
    "books": {
        "genre": "Genre",
        "people": "Author",
        "era": "Time period",
        "theme": "Theme",
        "mood": "Writing style",
        "acclaim": "Critical acclaim",
    },
}
TITLE_NAMES = {"favourites": "Favourites", "disappointments": "Disappointments", "lately": "Lately"}
_LINES = (4, 8)  # fewest and most lines of a text
_TITLES = 6  # most titles of a line of favourites or of the latest
_SPREAD = 0.3  # of the Gumbel noise beside log counts: 0 always names the strongest trait
_EVIDENCE = 0.4  # chance that a line names titles
_DISLIKES = 0.6  # chance that a line on likes also tells what is avoided
_LIKES = ("drawn to {}", "loves {}", "prefers {}", "enjoys {}")
_AVOIDS = ("avoids {}", "not {}", "cares little for {}")


@dataclass(frozen=True)
class Told:
    """The facts of the items that a text may speak of, oldest first, and how they were rated."""

    items: tuple[Facts, ...]
    ratings: tuple[float, ...]
    positive_above: float

    @property
    def liked(self) -> list[Facts]:
        return [facts for facts, r in zip(self.items, self.ratings, strict=True) if r > self.positive_above]

    @property
    def disliked(self) -> list[Facts]:
        return [facts for facts, r in zip(self.items, self.ratings, strict=True) if r <= self.positive_above]


def compose(
    facts: Sequence[Facts],
    ratings: Ratings,
    histories: Histories,
    user: int,
    generator: np.random.Generator,
    shown: int = SHOWN,
) -> str:
    """One text about ``user`` from the latest ``shown`` ratings before the cut; ``facts`` are ``item_facts`` by row."""
    items, stars = told(histories, user, shown)
    if not len(items):
        raise InputError(f"user {ratings.users[user]!r} has no rating before the cut: leave the user out.")
    past = Told(tuple(facts[i] for i in items), tuple(map(float, stars)), ratings.positive_above)
    draw = _Draw(generator)
    names = NAMES[ratings.domain] | TITLE_NAMES
    lines = [f"{names[kind]}: {line}." for kind, write in _WRITERS.items() if (line := write(past, draw))]
    order = generator.permutation(len(lines))[: generator.integers(_LINES[0], _LINES[1] + 1)]
    return "\n".join(lines[k] for k in order)


def examples(
    facts: Sequence[Facts],
    ratings: Ratings,
    histories: Histories,
    users: Iterable[int] | Ints32,
    each: int,
    seed: int,
    shown: int = SHOWN,
) -> list[tuple[str, str]]:
    """``each`` pairs (short prompt, text) for every one of ``users``, on which a small writer is trained.

    The texts point at the prompt's titles by number (``prompts.slotted``).
    A user's texts depend on ``seed`` and the user alone, not on who else is asked for.
    """
    pairs = []
    for user in map(int, users):
        prompt = short_prompt(ratings, histories, user, shown)
        generator = np.random.default_rng([seed, user])
        composed = (compose(facts, ratings, histories, user, generator, shown) for _ in range(each))
        pairs += [(prompt, slotted(prompt, text)) for text in composed]
    return pairs


class _Draw:
    """The random choices of one text."""

    def __init__(self, generator: np.random.Generator) -> None:
        self.generator = generator

    def chance(self, p: float) -> bool:
        return bool(self.generator.random() < p)

    def between(self, fewest: int, most: int) -> int:
        return int(self.generator.integers(fewest, most + 1))

    def phrase(self, phrases: Sequence[str], words: str) -> str:
        return phrases[int(self.generator.integers(len(phrases)))].format(words)

    def strongest(self, weights: dict[str, float], n: int) -> list[str]:
        """n keys without replacement, roughly by weight: the largest log weight + Gumbel noise first."""
        noise = self.generator.gumbel(scale=_SPREAD, size=len(weights))
        strength = {key: math.log(w) + g for (key, w), g in zip(weights.items(), noise, strict=True) if w > 0.0}
        return sorted(strength, key=lambda key: -strength[key])[:n]


def preferences(past: Told, terms: Callable[[Facts], Terms]) -> tuple[dict[str, float], dict[str, float]]:
    """How strongly the user likes and avoids each term: n⁺ (n⁺ + 1)/(n + 2), and the same with n⁻.

    n⁺ and n⁻ count the liked and disliked items with the term, n = n⁺ + n⁻; the fraction is Laplace's estimate of the
    share of liked ones. A term is avoided only if it is disliked at least as often as liked (n⁻ ≥ n⁺), and liked less
    often than the user's items on the whole.
    """
    plus = Counter(term for facts in past.liked for term in terms(facts))
    minus = Counter(term for facts in past.disliked for term in terms(facts))
    share = (len(past.liked) + 1) / (len(past.items) + 2)
    liked = {term: n * (n + 1) / (n + minus[term] + 2) for term, n in plus.items()}
    avoided = {
        term: n * (n + 1) / (n + plus[term] + 2)
        for term, n in minus.items()
        if n >= plus[term] and (plus[term] + 1) / (n + plus[term] + 2) < share
    }
    return liked, avoided


def _traits(past: Told, draw: _Draw, terms: Callable[[Facts], Terms], most: int, avoid: int, form: str = "{}") -> str:
    """ "drawn to crime and drama, such as Heat (1995), not musical": likes, perhaps with evidence, perhaps dislikes."""
    likes, avoids = preferences(past, terms)
    liked = draw.strongest(likes, draw.between(1, most))
    parts = (
        [draw.phrase(_LIKES, form.format(listed(liked))) + _evidence(past.liked, terms, liked, draw)] if liked else []
    )
    if avoid and draw.chance(_DISLIKES):
        avoided = draw.strongest({t: w for t, w in avoids.items() if t not in liked}, draw.between(1, avoid))
        parts += [draw.phrase(_AVOIDS, form.format(listed(avoided)))] if avoided else []
    return ", ".join(parts)


def _evidence(liked: Sequence[Facts], terms: Callable[[Facts], Terms], named: Sequence[str], draw: _Draw) -> str:
    if not draw.chance(_EVIDENCE):
        return ""
    titles = [facts.title for facts in liked if set(named) & set(terms(facts))]
    return f", such as {listed(_some(titles, draw.between(1, 2), draw))}"


def _genre(past: Told, draw: _Draw) -> str:
    return _traits(past, draw, lambda facts: facts.genres, most=4, avoid=2)


def _people(past: Told, draw: _Draw) -> str:
    """Directors and authors, and the two actors who are named first."""
    return _traits(past, draw, lambda facts: facts.makers + facts.actors[:2], most=4, avoid=0)


def _theme(past: Told, draw: _Draw) -> str:
    return _traits(past, draw, lambda facts: facts.themes, most=6, avoid=2)


def _mood(past: Told, draw: _Draw) -> str:
    return _traits(past, draw, lambda facts: facts.moods, most=3, avoid=1, form="{} ones")


def _era(past: Told, draw: _Draw) -> str:
    return _traits(past, draw, _period, most=3, avoid=1)


def _period(facts: Facts) -> Terms:
    decade = (f"the {facts.year // 10 * 10}s",) if facts.year else ()
    return decade + ((facts.language,) if facts.language else ())


def _acclaim(past: Told, draw: _Draw) -> str:
    """How widely seen the items are, and how the user rates: a mean more than half a star off the threshold is told."""
    widely, little = (sum(facts.seen == how for facts in past.items) / len(past.items) for how in ("widely", "little"))
    taste = "mostly well-known titles" if widely > 0.7 else "often little-known titles" if little > 0.1 else ""
    taste = taste or ("well-known and rarer titles" if widely + little > 0.0 else "")
    mean = sum(past.ratings) / len(past.ratings) - past.positive_above
    habit = "a generous rater" if mean > 1.0 else "a strict rater" if mean < 0.25 else "a fair rater"
    both = [part for part in (taste, habit) if part]
    return ", ".join(both if draw.chance(0.5) else both[:1])


def _favourites(past: Told, draw: _Draw) -> str:
    """Of the best-rated titles."""
    best = max(past.ratings)
    titles = [facts.title for facts, r in zip(past.items, past.ratings, strict=True) if r == best]
    return listed(_some(titles, draw.between(1, _TITLES), draw)) if best > past.positive_above else ""


def _disappointments(past: Told, draw: _Draw) -> str:
    """Of the worst-rated titles."""
    worst = min(past.ratings)
    titles = [facts.title for facts, r in zip(past.items, past.ratings, strict=True) if r == worst]
    return listed(_some(titles, draw.between(1, 3), draw)) if worst <= past.positive_above else ""


def _lately(past: Told, draw: _Draw) -> str:
    """The latest titles that were liked."""
    titles = [facts.title for facts in past.liked[-draw.between(1, _TITLES) :]]
    return listed(titles) if titles else ""


def _some(titles: Sequence[str], n: int, draw: _Draw) -> list[str]:
    return [titles[int(k)] for k in draw.generator.permutation(len(titles))[:n]]


def listed(words: Sequence[str]) -> str:
    """ "a", "a and b", "a, b and c"."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


_WRITERS: dict[str, Callable[[Told, _Draw], str]] = {
    "genre": _genre,
    "people": _people,
    "era": _era,
    "theme": _theme,
    "mood": _mood,
    "acclaim": _acclaim,
    "favourites": _favourites,
    "disappointments": _disappointments,
    "lately": _lately,
}
