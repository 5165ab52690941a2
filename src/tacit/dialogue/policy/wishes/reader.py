"""Marks → edits: what one turn of a user adds to the wishes, takes back, and says of titles."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from tacit.dialogue.policy.wishes import cues
from tacit.dialogue.policy.wishes.answers import Answer
from tacit.dialogue.policy.wishes.attributes import ABOUT, Part
from tacit.dialogue.policy.wishes.bounds import Bounds
from tacit.dialogue.policy.wishes.edits import Edit, Reading
from tacit.dialogue.policy.wishes.marks import Marker
from tacit.dialogue.policy.wishes.polarity import Polarity
from tacit.dialogue.policy.wishes.shift import shift
from tacit.dialogue.policy.wishes.values import Values

_NARROWS = re.compile(  # an agent's question within a wish: "comedy or drama?", "from which era?"
    r"\b(?:or|which|whom?|whose|where|when|how (?:long|old|much|many|big|far)|any (?:particular|special|favou?rite|"
    r"preferred|preference)|(?:what|any) (?:kind|sort|type|period|era|decade|age|size|colou?r|budget|price|length|"
    r"language|mood|style))\b[^?]*\?"
)


class Reader:
    """Reads one turn at a time; ``shown`` are the item rows of the last slate, best first."""

    def __init__(self, marker: Marker) -> None:
        self.marker = marker

    def read(
        self,
        text: str,
        mentions: Sequence[str] = (),
        shown: Sequence[int] = (),
        asked: str = "",
        offered: bool = False,
    ) -> Reading:
        """``asked`` is what the agent said last: "yes" and "no" answer it where it ``offered`` nothing."""
        named = (*mentions, *(self.marker.catalog.items[row].id for row in shown))
        marks, joined = self.marker.marks(text, named)
        scan = _Scan(self.marker, marks, joined, tuple(shown), asked)
        edits = scan.run()
        if asked and not offered:
            said = {e.part.kind for e in edits if e.part and not e.part.label.startswith(ABOUT)}
            answered = Answer(self.marker, joined, asked).read(edits)
            edits = [e for n, e in enumerate(answered) if n < len(edits) or (e.part and e.part.kind not in said)]
        if not edits and shown and (cues.NO.match(joined) or cues.DISMISSES.match(joined)):
            edits.append(Edit("reject", rows=tuple(shown)))
        if not any(e.part and e.op in ("want", "avoid") for e in edits):
            edits = [replace(e, soft=False) if e.op == "allow" else e for e in edits]  # "I don't mind a comedy" asks
        states = any(e.op in ("want", "avoid", "reject", "allow", "release") for e in edits)
        edits += _more_like(edits, joined, self.marker, shown)
        again = bool(cues.ASKS_AGAIN.search(joined) or cues.ASKS.search(joined)) or (
            bool(shown) and any(e.op == "seen" for e in edits)
        )
        wishes = any(e.part and e.op == "want" for e in edits)
        asks = states or again
        how = shift(joined, wishes)
        if (
            how == "goes on" and not offered and _NARROWS.search(asked.lower())
        ):  # an answer goes on with what was asked about
            edits = [replace(e, adds=True) if e.op == "want" else e for e in edits]
        leaves = not asks and "?" not in joined and bool(cues.LEAVES.search(joined))
        return Reading(tuple(edits), asks, how, leaves)


def _more_like(edits: Sequence[Edit], joined: str, marker: Marker, shown: Sequence[int]) -> list[Edit]:
    """ "We loved Alien, what else is there?": asked for nothing but more, what was liked is what to be like."""
    liked = tuple(row for e in edits if e.op == "liked" for row in e.rows)
    asks = any(e.part and e.op == "want" and not e.taste for e in edits)
    if not liked or asks or not cues.ASKS_AGAIN.search(joined):
        return []
    label = " or ".join(marker.catalog.items[row].title for row in liked)
    return [Edit("want", Part(f"like {label}", "likeness", like=liked), adds=set(liked) <= set(shown))]


class _Scan(Bounds, Polarity, Values):
    """One pass over the marks: each is read by the method of its name."""

    def run(self) -> list[Edit]:
        for n, mark in enumerate(self.marks):  # which a mark may change ahead of itself
            self._now = mark.start
            getattr(self, f"_{_HANDLER.get(mark.name, mark.name)}")(n, mark)
        self._close_frame(None)
        return self.edits


_HANDLER = {"kind": "attribute", "person": "attribute", "number": "attribute", "topic": "attribute", ",": "comma"}
