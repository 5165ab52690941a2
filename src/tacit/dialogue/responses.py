"""What a person did with each item that the logged agent showed: the one reading of it, for training and evaluation.

An agent's slate says what was offered. Whether it was wanted stands in the turn's feedback and in the dialogue's
judgements; where neither says it, nothing is assumed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from tacit.types import Dialogue, ItemId, Turn


@dataclass(frozen=True, slots=True)
class Response:
    """To one shown item; None = not observed."""

    clicked: bool | None = None
    accepted: bool | None = None
    liked: bool | None = None
    seen: bool | None = None  # known to the person before the dialogue

    @property
    def rejected(self) -> bool:
        """Disliked by the person's own word; or, where it gave none, not taken while taking was logged and not clicked.

        Not clicking alone rejects nothing: the item may not have been looked at.
        """
        if self.liked is not None:
            return not self.liked
        return self.accepted is False and not self.clicked


UNKNOWN = Response()


def responses(dialogue: Dialogue, t: int) -> dict[ItemId, Response]:
    """To every item that the agent turn ``t`` showed, in its order; empty where it showed none.

    ``clicked`` and ``accepted`` are of this turn, ``liked`` and ``seen`` the person's word on the item in the dialogue.
    """
    turn = dialogue.turns[t]
    if turn.slate is None:
        return {}
    clicked = turn.feedback.clicked if turn.feedback else None
    taken = _taken(dialogue, t)
    return {
        item: Response(
            clicked=None if clicked is None else item in clicked,
            accepted=None if taken is None else item in taken,
            liked=judged.liked if (judged := dialogue.judgements.get(item)) else None,
            seen=judged.seen if judged else None,
        )
        for item in dict.fromkeys(turn.slate.items)
    }


def _taken(dialogue: Dialogue, t: int) -> set[ItemId] | None:
    """The item of the slate that was taken, none of them, or None = not known.

    ``accepted`` is logged by turn. True is about the only item shown; of several, about the one that the person
    clicked, or the one that its next words name. Where more than one could be meant, nothing is known of any.
    """
    turn = dialogue.turns[t]
    if turn.slate is None or turn.feedback is None or turn.feedback.accepted is None:
        return None
    if not turn.feedback.accepted:
        return set()
    shown = set(turn.slate.items)
    for meant in (shown, shown & set(turn.feedback.clicked or ()), shown & _named_next(dialogue.turns[t + 1 :])):
        if len(meant) == 1:
            return meant
    return None


def _named_next(turns: Iterable[Turn]) -> set[ItemId]:
    """What the person names before the agent speaks again."""
    items: set[ItemId] = set()
    for turn in turns:
        if turn.speaker == "agent":
            break
        items.update(turn.mentions)
    return items
