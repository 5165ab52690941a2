"""A logged user as a user: in the contexts of its own dialogues, each item is worth what that person did with it.

A policy acts where the logged agent acted. What it shows is graded rank by rank: an item that this agent named there,
or later in the dialogue, by the person's answer to it (``dialogue.responses``); every other item 0, since nobody knows.
A published dialogue and a session of one's own log are read alike: both are ``Dialogue``s.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tacit.catalog import Catalog
from tacit.dialogue.responses import Response, responses
from tacit.types import Dialogue, ItemId


@dataclass
class Grades:
    """What an answer is worth: the first that holds of disliked, liked, rejected, named, and ``seen`` besides."""

    liked: float = 1.0
    named: float = 0.5  # shown, and no word on it
    disliked: float = -1.0
    rejected: float = -0.5  # own logs: not taken where taking is logged, and not clicked
    seen: float = 0.0  # added where the person knew it already

    def of(self, response: Response) -> float:
        """Of one item. Published forms say liked and seen; own logs clicks and acceptance."""
        if response.liked is not None:
            worth = self.liked if response.liked else self.disliked
        elif response.accepted or response.clicked:
            worth = self.liked
        else:
            worth = self.rejected if response.rejected else self.named
        return worth + self.seen * bool(response.seen)


@dataclass(frozen=True, slots=True)
class Replayed:
    """A context and what its person did with the items that it did not know of yet. ``rows`` are catalogue rows.

    ``now``: the items that the logged agent named in this very turn, which is what imitation learns.
    """

    context: Dialogue
    rows: tuple[int, ...]
    gains: tuple[float, ...]
    now: tuple[bool, ...]
    dialogue: str = ""

    @property
    def user(self) -> str:
        return self.context.user

    def rewards(self, slate: Sequence[int]) -> list[float]:
        """Of each rank of a slate of catalogue rows."""
        known = dict(zip(self.rows, self.gains, strict=True))
        return [known.get(row, 0.0) for row in slate]


def replayed(dialogues: Sequence[Dialogue], catalog: Catalog, grades: Grades) -> list[Replayed]:
    """Every agent turn that showed an item after something was said, with the outcomes of it and of later turns.

    An item named before the turn, by either side, is left out: a slate never holds it.
    """
    found = []
    for dialogue in dialogues:
        worth = _worth(dialogue, grades)
        for t, given in worth.items():
            context = dialogue.before(t)
            if not any(turn.text.strip() or turn.mentions for turn in context.turns):
                continue
            named = set(context.mentioned())
            gains = dict[ItemId, float]()
            for u in (turn for turn in worth if turn >= t):
                for item, gain in worth[u].items():
                    if item not in named:
                        gains.setdefault(item, gain)  # of one shown twice, the first answer from here
            if gains:
                rows = tuple(catalog.index(item) for item in gains)
                now = tuple(item in given for item in gains)
                found.append(Replayed(context, rows, tuple(gains.values()), now, dialogue.id))
    return found


def _worth(dialogue: Dialogue, grades: Grades) -> Mapping[int, Mapping[ItemId, float]]:
    """Turn → item → gain, for each agent turn with a slate, in order."""
    shows = [t for t, turn in enumerate(dialogue.turns) if turn.speaker == "agent" and turn.slate]
    return {t: {item: grades.of(answer) for item, answer in responses(dialogue, t).items()} for t in shows}
