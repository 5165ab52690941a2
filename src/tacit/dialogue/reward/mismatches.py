"""Turns that do not answer what was asked, made of real dialogues: what a turn that fits is told apart from."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from tacit.types import Dialogue, Floats64, Slate, Turn

# mismatched: from another dialogue, as long; misplaced: the same, from the same part of it; off_topic: of several such
# the farthest from what the user said; repeated, premature: an earlier, a later turn of this dialogue; echo: the
# user's own last words; contradicting: the real words, with what was shown or named before in place of their items.
KINDS = ("mismatched", "misplaced", "off_topic", "repeated", "premature", "echo", "contradicting")
DRAWS = 10  # of which off_topic takes the farthest
PART = 0.15  # of a conversation, that misplaced turns may be off

Vectors = Callable[[str], Floats64]


@dataclass(frozen=True)
class Place:
    """One agent turn after a user's: ``t`` is its index in ``dialogue``, whose speakers take turns."""

    dialogue: Dialogue
    t: int

    @property
    def context(self) -> Dialogue:
        return self.dialogue.before(self.t)

    @property
    def turn(self) -> Turn:
        return self.dialogue.turns[self.t]

    @property
    def part(self) -> float:
        return self.t / len(self.dialogue.turns)


def places(dialogues: Sequence[Dialogue]) -> list[Place]:
    """Every agent turn that answers a user's."""
    whole = [dialogue.merged() for dialogue in dialogues]
    return [Place(d, t) for d in whole for t in range(1, len(d.turns)) if d.turns[t].speaker == "agent"]


class WrongTurns:
    """``words`` counts those of a text as a reader of turns sees it, ``vectors`` embeds it."""

    def __init__(self, everywhere: Sequence[Place], words: Callable[[str], int], vectors: Vectors) -> None:
        self._words, self._vectors = words, vectors
        self._order = sorted(range(len(everywhere)), key=lambda k: words(everywhere[k].turn.text))
        self._lengths = [words(everywhere[k].turn.text) for k in self._order]
        self._places = everywhere

    def of(self, place: Place, generator: np.random.Generator) -> Iterator[tuple[str, Turn]]:
        """(kind, turn) of each of ``KINDS`` that can be made for this place."""
        others = self._as_long(place, generator)
        if others:
            yield "mismatched", others[0].turn
            near = [other for other in others if abs(other.part - place.part) <= PART]
            if near:
                yield "misplaced", near[-1].turn
            asked = self._vectors(place.dialogue.turns[place.t - 1].text)
            yield "off_topic", min(others[:DRAWS], key=lambda other: self._vectors(other.turn.text) @ asked).turn
        turns = place.dialogue.turns
        for kind, part in (("repeated", turns[: place.t]), ("premature", turns[place.t + 1 :])):
            agents = [turn for turn in part if turn.speaker == "agent"]
            if agents:
                yield kind, agents[int(generator.integers(len(agents)))]
        yield "echo", replace(turns[place.t - 1], speaker="agent")
        shown, past = place.turn.slate, place.context.mentioned()
        stale = [item for item in past if shown is not None and item not in shown.items]
        if shown is not None and stale:
            items = generator.choice(len(stale), size=min(len(stale), len(shown.items)), replace=False)
            yield "contradicting", replace(place.turn, slate=Slate(tuple(stale[int(k)] for k in items)))

    def _as_long(self, place: Place, generator: np.random.Generator) -> list[Place]:
        """Up to 2·``DRAWS`` places of other dialogues whose turn has as many words, or the nearest number to it."""
        n = self._words(place.turn.text)
        low, high = bisect_left(self._lengths, n), bisect_left(self._lengths, n + 1)
        if high - low < 2:  # alone with its length: its neighbours
            low, high = max(0, low - 2), min(len(self._lengths), high + 2)
        drawn = generator.integers(low, high, size=2 * DRAWS)
        found = (self._places[self._order[int(k)]] for k in drawn)
        return [other for other in found if other.dialogue.id != place.dialogue.id]
