"""The words at hand while a turn is read: what was said so far of what follows, and the edits of the clause."""

from __future__ import annotations

import re
from dataclasses import replace

from tacit.dialogue.policy.wishes.attributes import Part
from tacit.dialogue.policy.wishes.edits import Edit, Op
from tacit.dialogue.policy.wishes.mark import Mark
from tacit.dialogue.policy.wishes.marks import Marker
from tacit.dialogue.policy.wishes.vocabulary import merged


class Clause:
    """``polarity`` is what the words so far say of what follows; a stop makes all of it fresh."""

    def __init__(self, marker: Marker, marks: list[Mark], joined: str, shown: tuple[int, ...], asked: str) -> None:
        self.marker, self.marks, self.joined, self.shown = marker, marks, joined, shown
        self.asked = asked  # what the agent said before
        self.index = marker.vocabulary.index
        self.edits: list[Edit] = []
        self.clause = 0  # where the edits of this clause begin
        self.polarity: Op = "want"
        self.since = 0  # the end of the cue that set the polarity
        self.frame = ""  # seen, unseen, seen_all, sim, role, question
        self.role = ""  # the words before a title that mean its people: "the director of"
        self.taste = False
        self.too = False
        self.back: re.Pattern[str] | None = None  # the words after which what follows is wanted again
        self.degree = False  # after "less" it is but one quality that is refused
        self.soft = self.non = False
        self.fallback = False  # what comes now will do in place of what comes next
        self.headed = False  # a list of what is refused, after a colon
        self.join = ""  # "or" or "and" since the last part
        self.last_title: tuple[int, ...] = ()
        self.nth_of: tuple[int, ...] = ()  # the title of "the third Rush Hour", for "or the second"
        self.told: list[Part] = []  # kinds of what was watched of late
        self._object = False  # whether what was seen has been named
        self._now = 0  # where the mark at hand begins

    def _fresh(self) -> None:
        self.polarity, self.frame, self.taste, self.too, self.join = "want", "", False, False, ""
        self.degree, self.back, self.headed, self.fallback = False, None, False, False
        self.clause = len(self.edits)

    def _gap(self, at: int) -> int:
        """Words without a mark before mark ``at``."""
        before = self.marks[at - 1].end if at else 0
        return len(self.joined[before : self.marks[at].start].split())

    def _parts_since(self) -> bool:
        return any(
            m.start >= self.since and m.name in ("kind", "person", "number", "title", "topic")
            for m in self.marks
            if m.start < self._now
        )

    def _clause_start(self, n: int) -> int:
        stops = [m.end for m in self.marks[:n] if m.name in ("stop", "sep")]
        return max(stops, default=0)

    def _flip(self, old: Op, new: Op) -> None:
        self.edits[self.clause :] = [
            replace(e, op=new) if e.op == old and e.part else e for e in self.edits[self.clause :]
        ]

    def _add(self, op: Op, part: Part, said: str = "", adds: bool = False) -> None:
        """With "or" between two parts of one sort, either will do; ``adds``: it goes on with an earlier wish."""
        last = self.edits[-1] if len(self.edits) > self.clause else None
        if (
            self.join == "or"
            and last
            and last.op == op == "want"
            and last.part
            and last.part.kind == part.kind
            and last.part.key == part.key
        ):
            self.edits[-1] = replace(last, part=merged((last.part, part)))
        else:
            either = self.join == "or" and not self.edits
            soft = self.soft and op in ("release", "allow")
            self.edits.append(Edit(op, part, taste=self.taste, either=either, adds=adds, soft=soft, said=said))
        self.join = ""
