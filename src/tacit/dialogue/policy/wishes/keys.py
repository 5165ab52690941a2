"""A catalogue's attributes by their own names: "same colour", "another brand", "three bedrooms", "easier"."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tacit.dialogue.policy.wishes.attributes import AttributeIndex, Part, singular, words
from tacit.dialogue.policy.wishes.lexicon import word_set
from tacit.dialogue.policy.wishes.spans import label

_SAME = re.compile(
    r"(?:(?:in|of|on|from|by|with|for) )?(?:(?:the|a|an|any|some) )?"
    r"(?P<which>same|identical|different|another|other|that|this) (?P<key>[a-z]+)(?!\w)"
)
_OTHER = ("different", "another", "other")
_SPELT = {"color": "colour", "favor": "favour", "theater": "theatre"}
# Names that are everyday words for anything: only "same" and "different" make them an attribute's.
_VAGUE = word_set("kind type style title name place time item thing sort series length price cost")
# The steps of what has an order, as catalogues file them, and what people say of less and of more.
_Words = tuple[tuple[frozenset[str], ...], frozenset[str], frozenset[str]]
SCALES: tuple[_Words, ...] = (
    (
        (
            word_set("easy simple beginner basic novice"),
            word_set("medium moderate intermediate average normal"),
            word_set("hard difficult advanced challenging expert demanding"),
        ),
        word_set("easier simpler"),
        word_set("harder trickier tougher"),
    ),
    ((word_set("mild"), word_set("medium"), word_set("hot spicy")), word_set("milder"), word_set("hotter spicier")),
    (
        (word_set("small mini compact"), word_set("medium"), word_set("large big"), word_set("xl extra-large huge")),
        word_set("smaller"),
        word_set("bigger larger roomier"),
    ),
    ((word_set("light"), word_set("medium"), word_set("heavy")), word_set("lighter"), word_set("heavier")),
    ((word_set("short"), word_set("medium"), word_set("long")), word_set("shorter"), word_set("longer")),
    ((word_set("slow"), word_set("medium moderate"), word_set("fast")), word_set("slower"), word_set("faster")),
)


@dataclass(frozen=True, slots=True)
class Scale:
    """A category's columns by their step, lowest first."""

    key: str
    steps: tuple[frozenset[int], ...]

    def beyond(self, direction: int, held: Iterable[int]) -> frozenset[int]:
        """The columns below (−1) or above (1) those ``held``; without any, all but the end that is farthest."""
        at = [n for n, columns in enumerate(self.steps) if columns & set(held)]
        if not at:
            kept = self.steps[:-1] if direction < 0 else self.steps[1:]
        else:
            kept = self.steps[: min(at)] if direction < 0 else self.steps[max(at) + 1 :]
        return frozenset().union(*kept)


class Keys:
    """Reads where a text names an attribute of one catalogue."""

    def __init__(self, index: AttributeIndex) -> None:
        self.index = index
        self._named: dict[str, str] = {}
        for key in index.kinds:
            said = words(key.replace("_", " "))
            for word in {said[-1], *(said if len(said) == 1 else ())} if said else ():
                self._named.setdefault(singular(_SPELT.get(word, word)), key)
        placed = tuple(_scales(index))
        self.scales = tuple(scale for scale, _ in placed)
        self._steps: dict[str, tuple[Scale, int]] = {}
        for scale, (groups, less, more) in placed:
            self._steps |= {word: (scale, -1) for word in less} | {word: (scale, 1) for word in more}
            for step, sign in (("less", -1), ("more", 1)):
                self._steps |= {f"{step} {word}": (scale, -sign) for word in groups[0]}
                self._steps |= {f"{step} {word}": (scale, sign) for word in groups[-1]}

    def key(self, word: str) -> str | None:
        return self._named.get(singular(_SPELT.get(word, word)))

    def same(self, joined: str, at: int) -> tuple[int, str, bool] | None:
        """Where "the same colour" at character ``at`` ends, the key it names, and whether another value is meant."""
        found = _SAME.match(joined, at)
        key = self.key(found["key"]) if found else None
        if found is None or key is None:
            return None
        points = found["which"] in ("that", "this") and singular(found["key"]) != found["key"]  # "that years ago"
        if points or (found["which"] not in ("same", "identical", "different") and singular(found["key"]) in _VAGUE):
            return None
        return found.end(), key, found["which"] in _OTHER

    def step(self, joined: str, at: int) -> tuple[int, Scale, int] | None:
        """ "Easier", "more difficult": where it ends, the scale and the direction."""
        first, _, rest = joined[at:].partition(" ")
        for said in (f"{first} {rest.partition(' ')[0]}", first):
            if said in self._steps:
                return at + len(said), *self._steps[said]
        return None

    def values(self, key: str, rows: Sequence[int]) -> Part | None:
        """What the items of ``rows`` have under ``key``, as a wish; None where they have nothing."""
        if key in self.index.numbers:
            known = [number for row in rows if (number := self.index.number(key, row)) is not None]
            if not known:
                return None
            span = (min(known), max(known))
            said = label(span) if key == self.index.year_key else f"{key} {label(span)}"
            return Part(said, "number", key=key, spans=(span,))
        held = frozenset(
            column
            for column, (name, _) in enumerate(self.index.columns)
            if name == key and any(self.index.holds(column, row) for row in rows)
        )
        said = " or ".join(self.index.columns[column][1] for column in sorted(held))
        return Part(said, self.index.kinds[key], held) if held else None


def _scales(index: AttributeIndex) -> Iterable[tuple[Scale, _Words]]:
    """The attributes all of whose values are steps of one scale, two steps at least."""
    values: dict[str, dict[str, int]] = {}
    for column, (key, value) in enumerate(index.columns):
        if index.kinds[key] == "category":
            values.setdefault(key, {})[" ".join(words(value))] = column
    for key, held in values.items():
        for said in SCALES:
            groups = said[0]
            steps = [frozenset(held[word] for word in group & held.keys()) for group in groups]
            if sum(map(bool, steps)) >= 2 and sum(map(len, steps)) == len(held):
                yield Scale(key, tuple(step for step in steps if step)), said
                break
