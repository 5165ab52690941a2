"""What an item is about, where no attribute tells: the words of a wish against those of the catalogue's own texts.

"A film about chess", "something set in Paris", "a submarine movie": an item meets it whose text (its plot, mostly)
holds all of the words, in any of their forms ("kidnaps", "kidnapped", "kidnapping"), and meets it in part by some of
them. Its people do not count: a film by John Ford is not about him. Where a wish names topics, ``topic_marks`` tells.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property, lru_cache

import numpy as np

from tacit.dialogue.policy.wishes.attributes import ABOUT, PEOPLE, Part, singular, words
from tacit.dialogue.policy.wishes.vocabulary import Vocabulary, merged
from tacit.types import Ints64

MOST_ITEMS = 200_000  # of a larger catalogue no text is read
COMMON = 0.1  # of the items: a word that more of them have tells nothing
RARE = 0.02  # of the items that may have a word that nothing but its place makes a topic
FEW = 3  # items, of a small catalogue
PARTLY = 0.8  # what an item is worth that has some of the words, times their share of what all tell

_PAIR = re.compile(r"(?<=[a-z,] )([A-Z][a-z]+)(?= ([A-Z][a-z]+))")  # not where a sentence begins
_VOWELS = frozenset("aeiouy")
# Other words for a topic: any of these will do.
ALIASES: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("christmas", "xmas", "christmas time", "christmastime"), ("christmas", "santa")),
    **dict.fromkeys(("festive", "holiday season"), ("christmas", "santa")),
    **dict.fromkeys(
        ("world war ii", "world war two", "world war 2", "wwii", "ww2", "second world war"),
        ("world war ii", "wwii", "second world war"),
    ),
    **dict.fromkeys(
        ("world war i", "world war one", "world war 1", "wwi", "ww1", "first world war", "great war"),
        ("world war i", "wwi", "first world war"),
    ),
    **dict.fromkeys(("vietnam", "vietnam war"), ("vietnam",)),
    **dict.fromkeys(("new york", "new york city", "nyc", "manhattan"), ("new york", "manhattan")),
    "outer space": ("space",),
    **dict.fromkeys(("courtroom", "court room", "legal"), ("courtroom", "trial", "jury", "lawyer", "court")),
    **dict.fromkeys(("ancient rome", "rome", "roman", "romans"), ("rome", "roman")),
    **dict.fromkeys(("ancient greece", "greece", "greek", "greeks"), ("greece", "greek")),
    **dict.fromkeys(("ancient egypt", "egypt", "egyptian", "egyptians"), ("egypt", "egyptian")),
} | {
    said: (place, people)
    for place, people in (
        ("france", "french"), ("japan", "japanese"), ("germany", "german"), ("italy", "italian"),
        ("spain", "spanish"), ("russia", "russian"), ("china", "chinese"), ("ireland", "irish"),
        ("scotland", "scottish"), ("mexico", "mexican"), ("india", "indian"), ("korea", "korean"),
        ("africa", "african"), ("australia", "australian"), ("sweden", "swedish"), ("norway", "norwegian"),
    )
    for said in (place, people)
}  # fmt: skip


class Topics:
    """The words of a catalogue's texts, read when a topic is first asked for."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.vocabulary, self.index = vocabulary, vocabulary.index
        self._family = lru_cache(maxsize=16384)(self._holding_any_form)

    @cached_property
    def _rows(self) -> dict[str, Ints64]:
        """Word, singular → the rows of the items whose text has it."""
        found: dict[str, list[int]] = defaultdict(list)
        items = self.index.catalog.items
        for row, item in enumerate(items if len(items) <= MOST_ITEMS else ()):
            people = {word for key in PEOPLE for name in item.attributes.get(key, ()) for word in words(name)}
            for word in {singular(word) for word in words(item.text) if word not in people}:
                found[word].append(row)
        return {word: np.array(rows, dtype=np.int64) for word, rows in found.items()}

    @cached_property
    def _forms(self) -> dict[str, list[str]]:
        """Base form → the words of the texts that are forms of it."""
        forms: dict[str, list[str]] = defaultdict(list)
        for word in self._rows:
            forms[base(word, self._rows)].append(word)
        return forms

    def rows(self, word: str) -> Ints64:
        """The items whose text has the word in any of its forms, ascending."""
        found: Ints64 = self._family(singular(word))
        return found

    def _holding_any_form(self, word: str) -> Ints64:
        forms = self._forms.get(base(word, self._rows), [])
        if not forms and word not in self._rows:  # "spiderman"
            for at in range(3, len(word) - 2):
                if word[:at] in self._rows and word[at:] in self._rows:
                    both = np.intersect1d(self._rows[word[:at]], self._rows[word[at:]])
                    if len(both) >= FEW:
                        return both
        held = [self._rows[form] for form in forms or [word] if form in self._rows]
        return np.unique(np.concatenate(held)) if held else np.zeros(0, dtype=np.int64)

    def share(self, word: str) -> float:
        return len(self.rows(word)) / max(self.index.n_items, 1)

    def __contains__(self, word: str) -> bool:
        return singular(word) in self._rows

    def rare(self, word: str) -> bool:
        """Whether the texts have the word itself, and few enough of them any form of it."""
        return word in self and 0 < self.share(word) <= max(RARE, FEW / self.index.n_items)

    def proper(self, word: str) -> bool:
        """Whether the texts have the word as a name alone, never in lower case, and not as a person's ("Batman")."""
        names = self.vocabulary
        if any(form in names.everyday for form in self._forms.get(base(singular(word), self._rows), ())):
            return False
        return word not in names.everyday and word not in names.first_names and word not in names.surnames

    @cached_property
    def names(self) -> frozenset[tuple[str, str]]:
        """Pairs of words that the texts write with capitals side by side: "New York"."""
        items = self.index.catalog.items
        found = (_PAIR.findall(item.text) for item in (items if len(items) <= MOST_ITEMS else ()))
        return frozenset((first.lower(), second.lower()) for pairs in found for first, second in pairs)

    def part(self, said: Sequence[str]) -> Part | None:
        """Items whose text has all of the words; those that have some of them meet it in part."""
        others = [self._one(words(other)) for other in ALIASES.get(" ".join(said), ())]
        found = [part for part in others if part is not None]
        return merged(found) if found else self._one(said)

    def _one(self, said: Sequence[str]) -> Part | None:
        telling = [word for word in dict.fromkeys(said) if 0 < self.share(word) <= COMMON]
        if not telling:
            return None
        all_of, rows = " ".join(telling), self._holding(telling)
        column = self.index.column_of("text", all_of, rows)
        if column is None:
            return None
        pairs = tuple(self._each(telling)) if len(telling) > 1 else ()
        return Part(
            f"{ABOUT}{all_of}",
            "category",
            frozenset({column}),
            partly=(pairs,) if pairs else (),
            tells=min(1.0, math.log(max(len(rows), 1) / self.index.n_items) / math.log(RARE)),
        )

    def _each(self, said: Sequence[str]) -> Iterator[tuple[int, float]]:
        """A column a word, weighted by what it tells: −log of its share."""
        told = {word: -math.log(self.share(word)) for word in said}
        for word in said:
            column = self.index.column_of("text", word, self.rows(word))
            if column is not None:
                yield column, PARTLY * told[word] / sum(told.values())

    def _holding(self, said: Sequence[str]) -> Ints64:
        rows = self.rows(said[0])
        for word in said[1:]:
            rows = np.intersect1d(rows, self.rows(word), assume_unique=True)
        return rows


def base(word: str, known: Iterable[str]) -> str:
    """The form that a verb's forms and its nouns share, among the words that are ``known``: kidnapped and kidnapping →
    kidnap, robbery → rob, racing → race; a word in -er only where the -ing form is known too (killer, not mother)."""
    if word.endswith("y") and f"{word[:-1]}ie" in known:  # zombies, of which ``singular`` makes "zomby"
        return f"{word[:-1]}ie"
    if word.endswith("oe") and word[:-1] in known:  # superheroes
        return word[:-1]
    if word.endswith("y") and word not in known:  # Christmassy
        stem = next((stem for stem in map(singular, (word[:-1], word[:-2])) if stem in known), None)
        if stem:
            return stem
    for ending in ("ing", "ed", "ery", "er"):
        rest = word[: -len(ending)]
        if not word.endswith(ending) or len(rest) < 3 or not _VOWELS & set(rest):
            continue
        doubled = rest[-1] == rest[-2] and rest[-1] not in "aeiouls"
        options = [rest[:-1]] if doubled else [f"{rest}e"] if _short(rest) else [rest, f"{rest}e", rest[:-1]]
        found = next((option for option in options if option in known and len(option) > 2), None)
        if ending in ("er", "ery"):
            if found and (f"{rest}ing" in known or f"{rest[:-1]}ing" in known):
                return found
        elif found or ending == "ing":
            return found or options[0]
    return word


def _short(rest: str) -> bool:
    """One vowel between consonants, as in "star": "staring" is of "stare"."""
    vowels = [letter in _VOWELS for letter in rest]
    return sum(vowels) == 1 and not vowels[-1] and vowels[-2] and rest[-1] not in "wx"
