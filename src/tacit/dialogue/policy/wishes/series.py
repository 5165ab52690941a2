"""Series of works, by their titles: which are sequels, and which belong to the same series as another.

Titles tell it ("Toy Story", "Toy Story 3", "Star Wars: Episode IV ..."): what stands before a number, "Part Two" or a
colon, or is the whole title of an earlier work.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from functools import cached_property

import numpy as np

from tacit.dialogue.policy.wishes.attributes import AttributeIndex, Part, words

_NUMBERED = re.compile(
    r"^(?P<base>.+?)[ ,:-]+(?:(?P<part>part|chapter|vol(?:ume|\.)?|episode) )?"
    r"(?P<n>[2-9]|II|III|IV|V|VI|VII|VIII|IX|X|two|three|four|five)(?=:| -|,|$)",
    re.IGNORECASE,
)
_COUNT = {**{str(n): n for n in range(2, 10)}, "two": 2, "three": 3, "four": 4, "five": 5}
_COUNT |= {roman: n for n, roman in enumerate(("ii", "iii", "iv", "v", "vi", "vii", "viii", "ix", "x"), 2)}
_SUBTITLE = re.compile(r":\s| - ")


MOST_ITEMS = 200_000  # of a larger catalogue no series are told


class Series:
    """A catalogue's titles as series."""

    def __init__(self, index: AttributeIndex) -> None:
        self.index = index

    @cached_property
    def _bases(self) -> list[tuple[str, ...]]:
        """Of each item the words by which its series is known."""
        if len(self.index.catalog) > MOST_ITEMS:
            return []
        whole = [words(_undated(item.title)) for item in self.index.catalog.items]
        known = defaultdict(list)
        for row, said in enumerate(whole):
            known[said].append(row)
        begun = {said[:length] for said in known for length in range(2, len(said))}
        heads = known.keys() & begun  # "The Hunger Games", which others begin with
        return [said if said in heads else self._base(row, said, known) for row, said in enumerate(whole)]

    def _base(self, row: int, said: tuple[str, ...], known: dict[tuple[str, ...], list[int]]) -> tuple[str, ...]:
        for length in range(len(said) - 1, 1, -1):  # "The Matrix Reloaded", "Mission: Impossible Rogue Nation"
            if any(self._earlier(other, row) for other in known.get(said[:length], ())):
                return said[:length]
        title = _undated(self.index.catalog.items[row].title)
        numbered = _NUMBERED.match(title)
        if numbered and (numbered["part"] or words(numbered["base"]) in known or _COUNT[numbered["n"].lower()] == 2):
            said = words(numbered["base"])
        elif _SUBTITLE.search(title):
            said = words(_SUBTITLE.split(title)[0])
        return said

    def _earlier(self, first: int, second: int) -> bool:
        years = [self.index.number(str(self.index.year_key), row) for row in (first, second)] if self._dated else []
        return not years or None in years or years[0] < years[1]  # type: ignore[operator]

    @property
    def _dated(self) -> bool:
        return self.index.year_key is not None

    @cached_property
    def _members(self) -> dict[tuple[str, ...], list[int]]:
        members: dict[tuple[str, ...], list[int]] = defaultdict(list)
        for row, base in enumerate(self._bases):
            members[base].append(row)
        return members

    def number(self, row: int) -> int:
        """Of its series: as the title says, 1 where it says nothing."""
        found = _NUMBERED.match(_undated(self.index.catalog.items[row].title))
        return _COUNT[found["n"].lower()] if found else 1

    def names(self, row: int) -> bool:
        """Whether the title is that of the whole series."""
        title = words(_undated(self.index.catalog.items[row].title))
        return bool(self._bases) and self._bases[row] == title

    def others(self, rows: Sequence[int], later: bool = False) -> list[int]:
        """The other works of the series of ``rows``; ``later``: those that came after."""
        if not self._bases:
            return []
        titles = {words(_undated(self.index.catalog.items[row].title)) for row in rows}
        found = []
        for row in rows:
            for other in self._members[self._bases[row]]:
                same = words(_undated(self.index.catalog.items[other].title)) in titles
                if not same and (not later or self._after(row, other)):
                    found.append(other)
        return sorted(set(found))

    def _after(self, first: int, second: int) -> bool:
        numbers = self.number(first), self.number(second)
        return numbers[0] < numbers[1] if numbers[0] != numbers[1] else self._earlier(first, second)

    def part(self, rows: Sequence[int], later: bool) -> Part | None:
        """What "a sequel to" them, or "another" of them, asks for; None where the catalogue has none."""
        found = self.others(rows, later)
        if not found:
            return None
        title = self.index.catalog.items[rows[0]].title
        label = f"{'sequel to' if later else 'series of'} {title}"
        column = self.index.column_of("series", label, np.array(found, dtype=np.int64))
        return Part(label, "category", frozenset({column})) if column is not None else None

    @cached_property
    def sequels(self) -> Part | None:
        """All that are told by their titles: a number above one, or an earlier work of the same series."""
        found = [
            row
            for base, members in self._members.items()
            for row in members
            if (self.number(row) > 1 and words(_undated(self.index.catalog.items[row].title)) != base)
            or any(self._before(other, row) for other in members if other != row)
        ]
        if not found:
            return None
        column = self.index.column_of("series", "sequel", np.array(sorted(set(found)), dtype=np.int64))
        return Part("sequel", "category", frozenset({column})) if column is not None else None

    def _before(self, first: int, second: int) -> bool:
        years = [self.index.number(str(self.index.year_key), row) for row in (first, second)] if self._dated else []
        titles = [words(_undated(self.index.catalog.items[row].title)) for row in (first, second)]
        return titles[0] != titles[1] and bool(years) and None not in years and years[0] < years[1]  # type: ignore[operator]


def _undated(title: str) -> str:
    return title.split(" (")[0]
