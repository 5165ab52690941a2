"""Longer values by their last word: "boots" where the catalogue has hiking boots and rubber boots."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from tacit.dialogue.policy.wishes.attributes import Part, singular
from tacit.dialogue.policy.wishes.talk import NO_TOPIC

_SHORTEST = 3  # letters


class HeadNouns:
    """``values`` are those of categories, with their columns; a word that is a value by itself is none of these."""

    def __init__(self, values: Mapping[str, frozenset[int]]) -> None:
        alone = {singular(said) for said in values}
        self._ends: dict[str, dict[str, frozenset[int]]] = defaultdict(dict)
        for said, columns in values.items():
            last = singular(said.rpartition(" ")[2])
            if " " in said and len(last) >= _SHORTEST and last.isalpha() and not {last} & (NO_TOPIC | alone):
                self._ends[last][said] = columns

    def of(self, word: str) -> Part | None:
        """Any of the values that end in the word."""
        ending = self._ends.get(singular(word)) if word not in NO_TOPIC else None
        if not ending:
            return None
        return Part(" or ".join(ending), "category", frozenset().union(*ending.values()), exact=False)
