"""What a catalogue knows of an item, in words: for the model that speaks of it, for ``/why``, and to check replies.

Read off the item's own attributes and text, of any domain: films, books, songs, whatever else.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from tacit.types import Item
from tacit.typography import plain_type

GENRE_KEYS = ("genre", "genres", "category", "categories", "subject", "subjects", "style", "styles")
CREATOR_KEYS = (
    *("director", "directors", "author", "authors", "artist", "artists", "composer", "band", "creator", "creators"),
    *("developer", "developers", "designer", "designers"),
)
WRITER_KEYS = ("writer", "writers")
CAST_KEYS = ("star", "stars", "actor", "actors", "actress", "cast", "narrator", "performer", "performers")
PEOPLE_KEYS = (*CREATOR_KEYS, *CAST_KEYS, *WRITER_KEYS)
YEAR_KEYS = ("year", "release_year", "published", "publication_year", "release_date")
SAID = {"director": "directed by", "author": "by", "artist": "by", "writer": "written by", "star": "starring"}
TELLING = 3  # words that no attribute has: a sentence with as many says something of the plot
FEWEST = 4  # words of a plot that is cut
NAMED = 3  # people of one role, and genres, that a line names
_TITLE_YEAR = re.compile(r"\s*\((\d{4})\)\s*$")
_YEAR = re.compile(r"(?<!\d)(\d{4})(?!\d)")
_SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[^\W\d_a-z]|[\"'(\d])")
_WORD = re.compile(r"\w+")
_FILLING = re.compile(r"directed|written|starring|stars|by|and|with|the|an?|of|in|from|film|movie|book|song")


@dataclass(frozen=True, slots=True)
class Facts:
    """``people`` and ``other``: attribute → values, in the catalogue's order; ``plot``: one sentence, "" if none."""

    title: str
    year: int | None = None
    genres: tuple[str, ...] = ()
    people: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    other: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    plot: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        """Everybody who had a part in it."""
        return tuple(dict.fromkeys(name for names in self.people.values() for name in names))

    @property
    def headline(self) -> str:
        """The title, with the year where it does not end in one."""
        return self.title if self.year is None or _TITLE_YEAR.search(self.title) else f"{self.title} ({self.year})"

    def pieces(self, genres: bool = True) -> Iterator[str]:
        """Short statements, the most telling first: kinds, then people by role, the rest, and the plot."""
        if self.genres and genres:
            yield ", ".join(self.genres[:NAMED])
        for key, names in self.people.items():
            yield f"{SAID.get(key.removesuffix('s'), f'{_words(key)}:')} {', '.join(names[:NAMED])}"
        for key, values in self.other.items():
            yield f"{_words(key)}: {', '.join(values[:NAMED])}"
        if self.plot:
            yield self.plot

    def line(self, fits: Callable[[str], bool] = lambda line: True) -> str:
        """One line: the headline, then as many pieces, in their order, as ``fits`` still holds of; the plot may be cut
        after a word. The headline alone is always given."""
        line, joint = self.headline, ": "
        for piece in self.pieces():
            longer = line + joint + piece
            if not fits(longer):
                longer = cut(line + joint, piece, fits) if piece == self.plot else ""
            if longer:
                line, joint = longer, "; "
        return line


def facts(item: Item) -> Facts:
    """The item's facts. Names are written as in its text, else with capitals."""
    text = plain_type(item.text)
    people = {key: _named(item.attributes[key], text) for key in PEOPLE_KEYS if item.attributes.get(key)}
    genres = tuple(dict.fromkeys(genre for key in GENRE_KEYS for genre in item.attributes.get(key, ()) if genre))
    known = {*GENRE_KEYS, *PEOPLE_KEYS, *YEAR_KEYS}
    other = {key: values for key, values in item.attributes.items() if values and key not in known}
    year = year_of(item)
    told = [item.title, *genres, *(name for names in people.values() for name in names), str(year or "")]
    told += [value for values in other.values() for value in values]
    return Facts(item.title, year, genres, people, other, _plot(text, told))


def year_of(item: Item) -> int | None:
    """From an attribute, else from parentheses at the end of the title; None where neither tells."""
    for key in YEAR_KEYS:
        for value in item.attributes.get(key, ()):
            if found := _YEAR.search(value):
                return int(found.group(1))
    found = _TITLE_YEAR.search(item.title)
    return int(found.group(1)) if found else None


def _named(names: tuple[str, ...], text: str) -> tuple[str, ...]:
    """Attributes are lower-case: the spelling of the text where it has the name."""
    lower = text.lower()
    spelt = []
    for name in dict.fromkeys(plain_type(name) for name in names if name):
        at = lower.find(name) if len(lower) == len(text) else -1
        spelt.append(text[at : at + len(name)] if at >= 0 else " ".join(w[:1].upper() + w[1:] for w in name.split()))
    return tuple(spelt)


def _plot(text: str, told: list[str]) -> str:
    """The first sentence that says more than title, year, kinds and people."""
    known = {word for value in told for word in _WORD.findall(plain_type(value).lower())}
    for sentence in _SENTENCE.split(text):
        words = [word for word in _WORD.findall(sentence.lower()) if not word.isdigit()]
        if sum(word not in known and not _FILLING.fullmatch(word) for word in words) >= TELLING:
            return sentence.strip()
    return ""


def cut(start: str, plot: str, fits: Callable[[str], bool]) -> str:
    """The plot's first words, as many as fit; "" where fewer than FEWEST do. Fewer words fit where more do."""
    words = plot.split()

    def cut(count: int) -> str:
        return start + " ".join(words[:count]).rstrip(",;:") + " ..."

    most = bisect_left(range(FEWEST, len(words)), True, key=lambda count: not fits(cut(count))) + FEWEST - 1
    return cut(most) if most >= FEWEST else ""


def _words(key: str) -> str:
    return key.replace("_", " ")
