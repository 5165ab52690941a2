"""A user's answer to what the agent asked: which of several, yes or no, and what shall stay away."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from tacit.dialogue.policy.wishes import cues
from tacit.dialogue.policy.wishes.attributes import Part
from tacit.dialogue.policy.wishes.edits import Edit, Op
from tacit.dialogue.policy.wishes.mark import Mark
from tacit.dialogue.policy.wishes.marks import Marker
from tacit.dialogue.policy.wishes.vocabulary import merged

_HIS = re.compile(
    r"\b(?:of|by|with|from|starring) (?:his|hers?|him|theirs?|them)\b"
    r"|\b(?:his|her|their) (?:films|movies|books|novels)\b"
)
_REFUSED = re.compile(  # "anything that you don't eat?", "what shall I leave out?"
    r"\b(?:any\w*|what|which|who|genres?|things?) (?:\w+ ){0,4}?(?:(?:you|they|he|she|we|i) (?:would )?"
    r"(?:do not|don't|can't|cannot|can not|won't|hates?|dislikes?|avoids?|rather not)|"
    r"(?:should i |shall i |to |i should )"
    r"(?:\w+ )?(?:avoid|exclude|leave out|skip|rule out|steer clear of)|off (?:the table|limits)|"
    r"not (?:in the mood|welcome))"
    r"|\b(?:want|like|wish|prefer|need)(?:ing)? to (?:avoid|exclude|leave out|skip|rule out)\b"
    r"|\b(?:any|do you have|are there) (?:\w+ ){0,2}(?:allerg\w+|dislikes?|no[ -]gos?|deal ?breakers?|exclusions?)\b"
)
_GOT = (
    r"^(?:(?:oh|well|hm+|um+|uh|i think|i guess|maybe|perhaps|probably|let us say|i would (?:say|prefer|like)|i prefer|"
    r"i want|definitely|the|then|,) )*"
)
_WHICH = re.compile(
    rf"{_GOT}(?P<which>former|latter|first|second|third|last|both|either|neither|any|none)"
    r"(?: (?:one|option|two|of (?:those|them|these|the two)|is fine|will do|please))*(?= ?[.,!;]|$)"
)
_PLACES = {"former": 0, "first": 0, "second": 1, "third": 2, "latter": -1, "last": -1}
_SHORT = 8  # words of an answer that names what shall stay away, and nothing else


class Answer:
    """The words of an answer, ``joined`` as ``marks`` leaves them, to what the agent ``asked``."""

    def __init__(self, marker: Marker, joined: str, asked: str) -> None:
        self.joined, self.asked = joined, asked
        self._marks, self._said = marker.marks(asked)

    def read(self, edits: Sequence[Edit]) -> list[Edit]:
        """What ``edits``, those of the answer's own words, become with what was asked."""
        if self.refuses(edits):
            return [replace(e, op="avoid") if e.op == "want" and e.part else e for e in edits]
        return [*edits, *self._meant(edits)]

    def refuses(self, edits: Sequence[Edit]) -> bool:
        """Whether bare words answer what shall stay away."""
        asks = "?" in self.asked and _REFUSED.search(self.asked.lower().replace("’", "'"))
        bare = len(self.joined.split()) <= _SHORT and not cues.NO.match(self.joined)
        return bool(asks) and bare and not re.search(r"\b(?:want|would like|love|like|looking)\b", self.joined)

    def _meant(self, edits: Sequence[Edit]) -> list[Edit]:
        which = _WHICH.match(self.joined) if "?" in self.asked else None
        options = self._options()
        if which is not None and len(options) > 1 and not any(e.part for e in edits):
            return _chosen(which["which"], options)
        op: Op | None = "avoid" if cues.NO.match(self.joined) else "want" if cues.YES.match(self.joined) else None
        people = [mark for mark in self._marks if mark.name == "person" and mark.parts]
        if op != "avoid" and _HIS.search(self.joined) and people:
            return [Edit("want", people[-1].parts[0])]
        if op is None or "?" not in self.asked or _REFUSED.search(self.asked.lower().replace("’", "'")):
            return []
        named = [mark for mark in self._marks if mark.name in ("kind", "person")]
        return [Edit(op, part, taste=True) for mark in named for part in mark.parts[:1]]

    def _options(self) -> list[Part]:
        """What the question lets choose between: "a comedy or a drama?"."""
        row = [mark for mark in self._marks if mark.name in ("kind", "person", "number", "topic", "or")]
        ors = [n for n, mark in enumerate(row) if mark.name == "or"]
        listed = [mark for mark in row if mark.name != "or" and mark.parts]
        return [mark.parts[0] for mark in listed] if ors and _alike(listed) else []


def _alike(marks: Sequence[Mark]) -> bool:
    return len({(mark.parts[0].kind, mark.parts[0].key) for mark in marks}) == 1


def _chosen(which: str, options: Sequence[Part]) -> list[Edit]:
    if which in ("either", "any"):
        return [Edit("want", merged(options), adds=True)]
    if which in ("neither", "none"):
        return [Edit("avoid", part) for part in options]
    if which == "both":
        return [Edit("want", part, adds=True) for part in options]
    place = _PLACES[which]
    return [Edit("want", options[place], adds=True)] if place < len(options) else []
