"""Kinds, people and numbers: under what the words before say, they are wanted, refused, allowed, or only remarked."""

from __future__ import annotations

import math
import re
from dataclasses import replace

from tacit.dialogue.policy.wishes.attributes import Part, singular
from tacit.dialogue.policy.wishes.cues import ORDINAL
from tacit.dialogue.policy.wishes.edits import Edit
from tacit.dialogue.policy.wishes.lexicon import BRANDS, SEASONS, THINGS
from tacit.dialogue.policy.wishes.mark import Mark
from tacit.dialogue.policy.wishes.pointing import Pointing
from tacit.dialogue.policy.wishes.quantities import TOO_DEAR
from tacit.dialogue.policy.wishes.shift import adds
from tacit.dialogue.policy.wishes.years import recent_or_old

# "It was funny" says something of a title; "something that is funny" and "it has to be funny" ask.
_COMMENT = re.compile(
    r"(?:^|[.,!?;] ?|\b(?:and|but|because|so|think|thought|guess|say|said|though|although|hear|heard|well|yeah|yes"
    r"|no) )"
    r"(?:(?:it|that|this|those|these|they|both|he|she|§\d+)(?: (?:one|movie|film|book))?)"
    r" (?:is|was|were|are|looks?|looked|sounds?|seems?|seemed|made me|makes me|had|has|did"
    r"|(?:does|did|do) not (?:seem|look|sound))"
    r"(?! (?:to|for|mad|crazy|nuts|into|obsessed|keen)\b)(?: (?!too\b|want|need|something)\w+){0,4} ?$"
)
_IN_IT = re.compile(r"^ (?:was|were)(?: also| so \w+)? in (?:it|that|this|those|§)")
_JUDGED = re.compile(r"(?:is|are|was|were|get|gets|feels?) (?:always |often |usually |just |way |a bit )*too $")


_THAN_NTH = re.compile(r" than the (first|second|third|fourth|fifth)\b")
_MORE = 1.001  # from which a price or a weight is another
_SPENT = re.compile(r" (?:[$€£]|\w+)? ?(?:on|for) (?:an?|the|some|my|our)\b")
_NOT_TOO = re.compile(r"\bnot (?:too|so|that|all that|overly|as|terribly) $")


class Values(Pointing):
    """What a value of an attribute does where it stands."""

    def _attribute(self, n: int, mark: Mark) -> None:
        if self.frame in ("told", "seen") and mark.parts:
            self.told.append(mark.parts[0])
        if self.frame in ("question", "seen", "told") or not mark.parts:
            return
        parts = mark.parts
        if self.back and self.polarity == "avoid" and self._parts_since() and self._leads_back(mark):
            self._set("want", mark)
            self.back = None
        if self.degree and n:
            if self._gap(n) or self.marks[n - 1].name != "not":
                self.polarity = "want"  # "a less confusing thriller", "a less scary thriller"
            self.degree = self.marks[n - 1].name == "not" and not self._gap(n)
        op = self.polarity
        if self.frame == "seen_all":
            op = "avoid"
        if mark.name == "number" and self.joined[: mark.start].rstrip().endswith(("born", "born in", "born in the")):
            return
        if not self.too and mark.text != "children" and self._comments(mark):
            return
        if _NOT_TOO.search(self.joined[: mark.start]) and self._asked_for(parts[0]):
            self.too = False  # "something scary, but not too scary"
            return
        if op == "avoid" and self._for_whom(mark):
            op = "want"
        if self.too and op == "want" and mark.relative and self.shown:  # "too old": newer than what was shown
            self.too = False
            parts = (self._against(-mark.relative, parts[0], ""),)
        elif self.too:
            op, self.too = "avoid", False
            if _JUDGED.search(self.joined[: mark.start]) and any(e.op == "want" for e in self.edits[self.clause :]):
                self._flip("want", "avoid")  # "war films are too sad"
                return
        beside = False  # whether the kind only stands beside a thing in it
        if mark.thing and (op == "avoid" or (op == "want" and mark.text not in BRANDS)):
            if op == "avoid":
                parts = (mark.thing,)
            else:
                first = any(singular(word) in THINGS for word in mark.text.split())
                join, taste, self.taste = self.join, self.taste, self.taste or not first
                self._add("want", mark.thing, self.joined[mark.start : mark.end])  # "tennis or golf"
                self.taste, self.join = taste, "" if first else join
                beside = first
        if op != "want":
            parts, rest = parts[:1], parts[1:]
            if self.non:  # "a non-romantic comedy"
                self.edits += [Edit("want", part) for part in rest]
        self.non = False
        if mark.name == "number" and mark.relative and self._compared(mark):
            parts = (self._against(mark.relative, parts[0], self.joined[mark.start : mark.end]),)
        if self.frame == "sim":
            self.frame = ""
        self.taste, taste = self.taste or beside, self.taste
        said = self.joined[mark.start : mark.end]
        more = adds(self.joined[: mark.start], said)
        for part in parts:
            self._add(op, part, said, more)
        if op == "avoid" and mark.name == "number" and _SPENT.match(self.joined[mark.end :]):
            self._set("want", mark)  # "no more than 100 on a tent": the number is what is refused
        self.taste = taste
        if mark.text == "children" and op == "want" and self.marker.vocabulary.children_avoid:
            self.edits.append(Edit("avoid", self.marker.vocabulary.children_avoid, soft=True, implied=True))

    def _free(self, n: int, mark: Mark) -> None:
        """ "Somebody who can not eat gluten": what is free of it."""
        if self.polarity == "avoid" and self.frame not in ("question", "seen", "told"):
            self._add("want", mark.parts[0])

    def _same_key(self, n: int, mark: Mark) -> None:
        """ "The same colour", "another brand": the value that what was shown, or named, has."""
        following = self.marks[n + 1] if n + 1 < len(self.marks) else None
        named = following is not None and following.name == "title" and self._gap(n + 1) <= 1
        rows = (
            following.rows if named and following else self.last_title or self.shown[: 1 if mark.relative > 0 else None]
        )
        part = self.marker.keys.values(mark.text, rows) if rows else None
        far = len(self.joined[self.since : mark.start].split()) > 2  # "I did not know that it was the same director"
        far = far and self.polarity == "avoid"
        if part is None or far or self.frame in ("question", "seen", "told"):
            return
        if named and following:  # "by the same director as Heat"
            self.marks[n + 1] = Mark(",", following.start, following.end)
        other = mark.relative < 0
        twice = other and self.polarity == "avoid"  # "no other colour"
        self._add("want" if twice else "avoid" if other else self.polarity, part, adds=True)

    def _step(self, n: int, mark: Mark) -> None:
        """ "Easier", "less difficult": than what was shown."""
        scale = next(scale for scale in self.marker.keys.scales if scale.key == mark.text)
        rows = self.last_title or self.shown
        held = {c for columns in scale.steps for c in columns if any(self.index.holds(c, row) for row in rows)}
        columns = scale.beyond(mark.relative, held)
        if columns and self.polarity != "avoid" and self.frame not in ("question", "seen", "told"):
            said = " or ".join(self.index.columns[column][1] for column in sorted(columns))
            self._add("want", Part(said, "category", columns), adds=True)

    def _leads_back(self, mark: Mark) -> bool:
        """Whether the words before a mark, or those with which it begins ("from the eighties"), lead back to what is
        wanted."""
        first = self.joined.find(" ", mark.start, mark.end) + 1
        said = self.joined[: mark.start], self.joined[: first or mark.start]
        return self.back is not None and any(self.back.search(before) for before in said)

    def _asked_for(self, part: Part) -> bool:
        return any(e.op == "want" and e.part and e.part.columns == part.columns for e in self.edits)

    def _for_whom(self, mark: Mark) -> bool:
        """ "One that isn't animated for the kids": something else is refused."""
        said = mark.text == "children" and self.joined.startswith("for ", mark.start)
        return said and self.join != "or" and self._parts_since()

    def _comments(self, mark: Mark) -> bool:
        """Whether the words only say something of a title; "that is not" goes on about what is wanted."""
        if mark.name == "topic" and mark.text in SEASONS:
            return False  # "it's nearly christmas"
        if self.polarity == "avoid" and re.search(r"\b(?:is|are) not\b[^.,;!?]*$", self.joined[: mark.start]):
            return False
        return bool(_COMMENT.search(self.joined[: mark.start]) or _IN_IT.match(self.joined[mark.end :]))

    def _compared(self, mark: Mark) -> bool:
        """Whether "older", "newer" or "cheaper" can compare with something shown or named."""
        said = self.joined[mark.start : mark.end].split(" than ")[0]
        compares = said.rsplit(" ", 1)[-1].endswith("er") or said in ("more expensive", "less expensive", *TOO_DEAR)
        return compares and bool(self.last_title or self.shown)

    def _against(self, relative: int, part: Part, said: str) -> Part:
        """Older or newer, or less or more of another number, than all that was shown (or the title just named)."""
        rows = self.last_title or self.shown
        if (nth := _THAN_NTH.search(said)) and ORDINAL[nth[1]] < len(self.shown):
            rows = (self.shown[ORDINAL[nth[1]]],)
        numbers = [self.index.number(part.key, row) for row in rows]
        known = [number for number in numbers if number is not None]
        if not known:
            return part
        if part.key != self.index.year_key:
            span = (max(known) * _MORE, math.inf) if relative > 0 else (-math.inf, min(known) / _MORE)
            told = f"over {max(known):g}" if relative > 0 else f"under {min(known):g}"
            return replace(part, spans=(span,), label=f"{part.key} {told}")
        low, high = recent_or_old(self.index, relative > 0)
        if relative > 0:
            span = (max(known) + 1, high) if max(known) + 1 <= self.index.quantile(part.key, 0.99) else (low, high)
            return replace(part, spans=(span,), label=f"from {span[0]:g}")
        return replace(part, spans=((low, min(known) - 1),), label=f"up to {min(known) - 1:g}")
