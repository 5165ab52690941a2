"""What one turn of a user changes: the wishes it adds and takes back, and what it says of titles."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tacit.dialogue.policy.wishes.attributes import Part
from tacit.dialogue.policy.wishes.shift import Shift

Op = Literal["want", "avoid", "allow", "release", "seen", "unseen", "reject", "liked", "reset", "undo"]


@dataclass(frozen=True, slots=True)
class Edit:
    """One change. ``key`` of a release names the sort that is set free ("year", "category"); ``taste`` marks what a
    user said to like, beside what was asked for."""

    op: Op
    part: Part | None = None
    rows: tuple[int, ...] = ()
    key: str = ""
    taste: bool = False
    either: bool = False  # beside what was wanted before: "or the seventies"
    adds: bool = False  # goes on with what was wished before: "funnier", "with some romance"
    implied: bool = False  # not said: with "for the kids" goes "no horror"
    soft: bool = False  # a release that refuses nothing, an allowance that asks for nothing
    said: str = ""  # the words for it


@dataclass(frozen=True, slots=True)
class Reading:
    edits: tuple[Edit, ...]
    asks: bool  # whether the turn asks for a recommendation
    shift: Shift  # how it stands to what was wished before
    leaves: bool = False  # whether it only takes what was shown, thanks, or says goodbye
