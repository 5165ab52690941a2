"""What a reader finds in a user's turn: a title, an attribute, a number, or a cue."""

from __future__ import annotations

from dataclasses import dataclass

from tacit.dialogue.policy.wishes.attributes import Part


@dataclass(frozen=True, slots=True)
class Mark:
    """``name`` is a cue's, or "kind", "number", "person", "title", "and", "or", "," or "stop"; ``start`` and ``end``
    are places in the joined words. ``thing`` is the topic that a kind's word names: "zombies"."""

    name: str
    start: int
    end: int
    parts: tuple[Part, ...] = ()
    rows: tuple[int, ...] = ()
    text: str = ""
    relative: int = 0
    thing: Part | None = None
