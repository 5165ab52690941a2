"""Marks → edits: what one turn of a user adds to the wishes, takes back, and says of titles."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from tacit.dialogue.policy.wishes import cues
from tacit.dialogue.policy.wishes.attributes import Part
from tacit.dialogue.policy.wishes.marks import Mark, Marker
from tacit.dialogue.policy.wishes.times import recent_or_old
from tacit.dialogue.policy.wishes.vocabulary import merged

# "It was funny" says something of a title; "something that is funny" and "it has to be funny" ask.
_COMMENT = re.compile(
    r"(?:^|[.,!?;] ?|\b(?:and|but|because|so|think|thought|guess|say|said|though|although|hear|heard|well|yeah|yes"
    r"|no) )"
    r"(?:(?:it|that|this|those|these|they|both|he|she|§\d+)(?: (?:one|movie|film|book))?)"
    r" (?:is|was|were|are|looks?|looked|sounds?|seems?|seemed|made me|makes me|had|has|did"
    r"|(?:does|did|do) not (?:seem|look|sound))"
    r"(?! (?:to|for)\b)(?: (?!too\b|want|need|something)\w+){0,4} ?$"
)
_OTHERS = re.compile(r"(?:^|[.!?;] )(?:my|he|she|they|his|her|everyone|everybody|the kids)\b[^.!?;]*$")
_BUT_I = re.compile(r" (?:i|we) (?:want|would|prefer|need|am|are|like|love|feel)\b")
_IN_IT = re.compile(r"^ (?:was|were)(?: also| so \w+)? in (?:it|that|this|those|§)")
_JUDGED = re.compile(r"(?:is|are|was|were|get|gets|feels?) (?:always |often |usually |just |way |a bit )*too $")
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
    soft: bool = False  # a release that refuses nothing


@dataclass(frozen=True, slots=True)
class Reading:
    edits: tuple[Edit, ...]
    asks: bool  # whether the turn asks for a recommendation
    replaces: bool  # whether what it asks for stands in place of what was asked before


class Reader:
    """Reads one turn at a time; ``shown`` are the item rows of the last slate, best first."""

    def __init__(self, marker: Marker) -> None:
        self.marker = marker

    def read(self, text: str, mentions: Sequence[str] = (), shown: Sequence[int] = (), asked: str = "") -> Reading:
        """``asked`` is what the agent said last: "yes" and "no" answer it."""
        named = (*mentions, *(self.marker.catalog.items[row].id for row in shown))
        marks, joined = self.marker.marks(text, named)
        scan = _Scan(self.marker, marks, joined, tuple(shown))
        edits = scan.run()
        if not any(e.part for e in edits) and asked and not shown:
            edits += self._answer(joined, asked)
        if not edits and shown and cues.NO.match(joined):
            edits.append(Edit("reject", rows=tuple(shown)))
        states = any(e.op in ("want", "avoid", "reject", "allow", "release") for e in edits)
        edits += _more_like(edits, joined, self.marker)
        again = bool(cues.ASKS_AGAIN.search(joined)) or (bool(shown) and any(e.op == "seen" for e in edits))
        return Reading(tuple(edits), states or again, bool(cues.REPLACES.search(joined)))

    def _answer(self, joined: str, asked: str) -> list[Edit]:
        """ "Do you like horror?" - "not really"."""
        op: Op | None = "avoid" if cues.NO.match(joined) else "want" if cues.YES.match(joined) else None
        if op is None or "?" not in asked:
            return []
        marks, _ = self.marker.marks(asked)
        return [
            Edit(op, part, taste=True) for mark in marks if mark.name in ("kind", "person") for part in mark.parts[:1]
        ]


def _more_like(edits: Sequence[Edit], joined: str, marker: Marker) -> list[Edit]:
    """ "We loved Alien, what else is there?": asked for nothing but more, what was liked is what to be like."""
    liked = tuple(row for e in edits if e.op == "liked" for row in e.rows)
    if not liked or any(e.part for e in edits) or not cues.ASKS_AGAIN.search(joined):
        return []
    label = " or ".join(marker.catalog.items[row].title for row in liked)
    return [Edit("want", Part(f"like {label}", "likeness", like=liked))]


class _Scan:
    """One pass over the marks. ``polarity`` is what the words so far say of what follows."""

    def __init__(self, marker: Marker, marks: list[Mark], joined: str, shown: tuple[int, ...]) -> None:
        self.marker, self.marks, self.joined, self.shown = marker, marks, joined, shown
        self.index = marker.vocabulary.index
        self.edits: list[Edit] = []
        self.clause = 0  # where the edits of this clause begin
        self.polarity: Op = "want"
        self.since = 0  # the end of the cue that set the polarity
        self.frame = ""  # seen, unseen, seen_all, sim, question
        self.taste = False
        self.too = False
        self.soft = self.non = False
        self.join = ""  # "or" or "and" since the last part
        self.last_title: tuple[int, ...] = ()
        self._object = False  # whether what was seen has been named
        self._now = 0  # where the mark at hand begins

    def run(self) -> list[Edit]:
        for n, mark in enumerate(self.marks):
            self._now = mark.start
            getattr(self, f"_{_HANDLER.get(mark.name, mark.name)}")(n, mark)
        self._close_frame(None)
        return self.edits

    def _fresh(self) -> None:
        self.polarity, self.frame, self.taste, self.too, self.join = "want", "", False, False, ""
        self.clause = len(self.edits)

    def _stop(self, n: int, mark: Mark) -> None:
        self._close_frame(n)
        asked = self.joined[mark.start : mark.end] == "?"
        self._fresh()
        if asked and n + 1 < len(self.marks) and self.marks[n + 1].name in ("bad", "not", "good"):
            self.clause = max(0, self.clause - 1)  # "horror? no thanks"

    def _sep(self, n: int, mark: Mark) -> None:
        if mark.text in ("please", "thanks") and n + 1 < len(self.marks) and self.marks[n + 1].name in ("or", "and"):
            return
        self._close_frame(n)
        if (
            mark.text in ("but", "though")
            and _BUT_I.match(self.joined[mark.end :])
            and _OTHERS.search(self.joined[: mark.start])
        ):
            self.edits[self.clause :] = [e for e in self.edits[self.clause :] if not (e.op == "want" and e.taste)]
        self._fresh()

    def _comma(self, n: int, mark: Mark) -> None:
        """A comma ends a refusal unless a list goes on: "no horror, war or drama"."""
        if self.polarity != "want" and self._list_goes_on(n):
            return
        if self.frame in ("seen", "seen_all", "sim", "unseen") and self._titles_go_on(n):
            return
        self._close_frame(n)
        taste, join = self.taste, self.join
        clause = self.clause
        self._fresh()
        self.taste, self.join, self.clause = taste, join or ",", clause

    def _list_goes_on(self, n: int) -> bool:
        """Whether bare parts follow, up to a last one after "or" or "and"."""
        parts = 0
        for at in range(n + 1, len(self.marks)):
            mark, gap = self.marks[at], self._gap(at)
            if mark.name in ("or", "and"):
                nxt = self.marks[at + 1] if at + 1 < len(self.marks) else None
                return (
                    nxt is not None
                    and nxt.name in ("kind", "person", "number", "title")
                    and (mark.name == "or" or parts > 0)
                    and self._gap(at + 1) <= 1
                )
            if mark.name == ",":
                continue
            if mark.name not in ("kind", "person", "number", "title") or gap > 1:
                return False
            parts += 1
        return False

    def _titles_go_on(self, n: int) -> bool:
        """Whether a title follows at once, or after "and"."""
        rest = [mark for mark in self.marks[n + 1 : n + 3] if mark.name not in ("and", "or")]
        return bool(rest) and rest[0].name == "title" and self._gap(self.marks.index(rest[0])) <= 2

    def _gap(self, at: int) -> int:
        """Words without a mark before mark ``at``."""
        before = self.marks[at - 1].end if at else 0
        return len(self.joined[before : self.marks[at].start].split())

    def _and(self, n: int, mark: Mark) -> None:
        following = self.marks[n + 1] if n + 1 < len(self.marks) else None
        if (
            following is not None
            and following.name in ("want", "taste", "like_verb", "lasting")
            and self._gap(n + 1) <= 1
        ):
            self._close_frame(n)
            self._fresh()
        self.join = "and"

    def _or(self, n: int, mark: Mark) -> None:
        self.join = "or"

    def _set(self, polarity: Op, mark: Mark) -> None:
        self.polarity, self.since = polarity, mark.end
        if self.frame in ("sim", "question", "seen", "seen_all"):
            self._close_frame(None)
            self.frame = ""

    def _not(self, n: int, mark: Mark) -> None:
        self._set("avoid", mark)
        self.taste = False

    _except = _not

    def _than(self, n: int, mark: Mark) -> None:
        """ "Comedy over drama", "I prefer comedies to dramas"."""
        sides = [m.name for m in self.marks[max(n - 1, 0) : n + 3] if m.name != "want"][:3]
        chosen = mark.text != "to" or "prefer" in self.joined
        if chosen and sides == ["kind", "than", "kind"] and self._gap(n) + self._gap(n + 1) <= 1:
            self._set("avoid", mark)

    def _faint(self, n: int, mark: Mark) -> None:
        """ "I scare easily"."""
        self.edits += [Edit("avoid", part, soft=True) for part in mark.parts]

    def _needless(self, n: int, mark: Mark) -> None:
        """ "The eighties aren't a must"."""
        for at in range(self.clause, len(self.edits)):
            if self.edits[at].op == "want" and self.edits[at].part:
                self.edits[at] = replace(self.edits[at], op="release", soft=True)

    def _non(self, n: int, mark: Mark) -> None:
        """ "A non-violent thriller": what follows at once, and nothing else."""
        following = self.marks[n + 1] if n + 1 < len(self.marks) else None
        self.too = self.non = following is not None and following.name == "kind" and self._gap(n + 1) == 0

    def _same(self, n: int, mark: Mark) -> None:
        """ "No horror, same with war"."""
        if self.edits and self.edits[-1].part:
            self._set(self.edits[-1].op, mark)

    def _allow(self, n: int, mark: Mark) -> None:
        self._set("allow", mark)

    def _release(self, n: int, mark: Mark) -> None:
        self._set("release", mark)
        self.soft = not mark.text.startswith(("forget", "scratch", "drop", "ignore", "disregard", "skip"))

    def _away(self, n: int, mark: Mark) -> None:
        """The children are in bed."""
        if self.marker.vocabulary.children:
            self.edits.append(Edit("release", self.marker.vocabulary.children, soft=True))

    def _lasting(self, n: int, mark: Mark) -> None:
        self._set("want", mark)

    def _any_key(self, n: int, mark: Mark) -> None:
        said = next(word for word in mark.text.split() if word not in ("the", "any", "whatever", "every", "from"))
        if n + 1 < len(self.marks) and self.marks[n + 1].name == "except" and self._gap(n + 1) == 0:
            return
        category = said in ("genre", "kind", "type", "style")
        self.edits.append(Edit("release", key="category" if category else self.index.year_key or "year"))

    def _reset(self, n: int, mark: Mark) -> None:
        self.edits.append(Edit("reset"))
        self._fresh()

    def _undo(self, n: int, mark: Mark) -> None:
        if self.edits:
            self.edits.clear()
        else:
            self.edits.append(Edit("undo"))
        self._fresh()

    def _question(self, n: int, mark: Mark) -> None:
        self.frame = "question"

    def _want(self, n: int, mark: Mark) -> None:
        if self.frame in ("seen", "seen_all", "sim"):
            self._close_frame(n)
            self.frame = ""
        if self.polarity == "avoid" and self.join == "or" and mark.text.startswith("any"):
            return  # "no war or anything sad"
        near = len(self.joined[self.since : mark.start].split()) <= 2
        if self.polarity == "avoid" and near and not self._parts_since():
            self.since = mark.end
            return
        self.polarity, self.taste = "want", False

    def _parts_since(self) -> bool:
        return any(
            m.start >= self.since and m.name in ("kind", "person", "number", "title")
            for m in self.marks
            if m.start < self._now
        )

    def _taste(self, n: int, mark: Mark) -> None:
        negative = (
            self.polarity == "avoid"
            and len(self.joined[self.since : mark.start].split()) <= 2
            and not self._parts_since()
        )
        if self.frame in ("seen", "sim"):
            self._close_frame(n)
        self.frame = ""
        if negative:
            self.since = mark.end
            return
        self.polarity, self.taste = "want", True

    _like_verb = _taste

    def _sim(self, n: int, mark: Mark) -> None:
        if mark.text in ("like", "more of") or mark.text.endswith(" like"):
            following = self.marks[n + 1] if n + 1 < len(self.marks) else None
            if following is None or self._gap(n + 1) > 1 or following.name not in ("title", "pron"):
                return
        self.frame = "sim"

    def _seen(self, n: int, mark: Mark) -> None:
        if self.frame == "question":
            return
        negative = self.polarity == "avoid" and len(self.joined[self.since : mark.start].split()) <= 2
        self._close_frame(n)
        self.frame, self.since = ("unseen" if negative else mark.name), mark.end
        self.polarity = "want"
        self._object = False

    _seen_all = _seen

    def _unseen(self, n: int, mark: Mark) -> None:
        self._close_frame(n)
        wish = mark.text.rsplit(" ", 1)[0].endswith(" to") and "yet" not in mark.text
        if wish:
            self._want(n, mark)
        else:
            self.frame, self.polarity, self.since = "unseen", "want", mark.end

    def _enough(self, n: int, mark: Mark) -> None:
        """ "not funny enough" asks for more of it."""
        if self.edits and self.edits[-1].op == "avoid" and len(self.edits) > self.clause:
            self.edits[-1] = replace(self.edits[-1], op="want")

    def _too(self, n: int, mark: Mark) -> None:
        self.too = True

    def _bad(self, n: int, mark: Mark) -> None:
        """What stands before in the clause is refused; "won't give me nightmares" refuses nothing."""
        if (
            self.polarity == "avoid"
            and len(self.joined[self.since : mark.start].split()) <= 1
            and not self._parts_since()
        ):
            return
        self._flip("want", "avoid")
        self._turn_titles(n, "reject")

    def _good(self, n: int, mark: Mark) -> None:
        """ "Horror is fine" allows it; "Tom Hanks is great" is a taste."""
        for at in range(self.clause, len(self.edits)):
            edit = self.edits[at]
            if edit.op == "want" and edit.part and edit.part.kind == "category" and not edit.taste:
                self.edits[at] = replace(edit, op="allow")
            elif edit.op == "want" and edit.part and edit.part.kind == "person":
                self.edits[at] = replace(edit, taste=True)

    def _flip(self, old: Op, new: Op) -> None:
        self.edits[self.clause :] = [
            replace(e, op=new) if e.op == old and e.part else e for e in self.edits[self.clause :]
        ]

    def _turn_titles(self, n: int, op: Op) -> None:
        rows = [row for m in self.marks[:n] if m.start >= self._clause_start(n) for row in self._rows_of(m)]
        if rows:
            self.edits = [e for e in self.edits if not (e.op == "liked" and set(e.rows) & set(rows))]
            self.edits.append(Edit(op, rows=tuple(dict.fromkeys(rows))))

    def _clause_start(self, n: int) -> int:
        stops = [m.end for m in self.marks[:n] if m.name in ("stop", "sep")]
        return max(stops, default=0)

    def _rows_of(self, mark: Mark) -> tuple[int, ...]:
        return mark.rows if mark.name == "title" else self._pointed(mark) if mark.name == "pron" else ()

    def _title(self, n: int, mark: Mark) -> None:
        self._object = True
        self.last_title = mark.rows
        self._about(mark.rows, self.joined[mark.end :].startswith(" ?"))

    def _pron(self, n: int, mark: Mark) -> None:
        rows = self._pointed(mark)
        if not rows:
            return
        relative = mark.text in ("that", "it", "this") and self.frame not in ("seen", "unseen", "sim", "seen_all")
        if relative and not (self.polarity == "avoid" and self._ends_soon(mark)):
            return
        self._object = True
        if not relative:
            self.last_title = rows[:1] if len(rows) == 1 else ()
        if mark.text.startswith(("none of", "neither of")):
            self.edits.append(Edit("reject", rows=rows))
        elif self.frame or self.polarity == "avoid" or (self.taste and not relative):
            self._about(rows, False)

    def _ends_soon(self, mark: Mark) -> bool:
        rest = self.joined[mark.end :].split()
        return not rest or rest[0] in (
            ".",
            ",",
            "!",
            "?",
            ";",
            "one",
            "please",
            "again",
            "either",
            "at",
            "and",
            "but",
            "movie",
            "film",
            "book",
        )

    def _pointed(self, mark: Mark) -> tuple[int, ...]:
        """The item rows that a pronoun means: of the last slate, or the title just named."""
        found = cues.CUE.match(mark.text)
        if found is None or (not self.shown and not self.last_title):
            return ()
        if found["nth"] or found["digit"]:
            many = cues.HOW_MANY.get(found["howmany"] or "", 1)
            if found["nth"] == "last":
                return self.shown[-many:]
            first = cues.ORDINAL[found["nth"] or found["digit"]]
            return self.shown[first : first + (many if first == 0 else 1)]
        if found["all"]:
            if "other" in mark.text:
                return self.shown[1:]
            return self.shown[:2] if mark.text.startswith("both") and len(self.shown) > 2 else self.shown
        return self.last_title or self.shown[:1]

    def _about(self, rows: tuple[int, ...], asked: bool) -> None:
        """A title or pronoun under what was said before it."""
        if self.frame == "question":
            return
        if self.frame in ("seen", "seen_all"):
            self.edits.append(Edit("seen", rows=rows))
        elif self.frame == "unseen":
            self.edits.append(Edit("unseen", rows=rows))
        elif self.polarity == "avoid":
            self.edits.append(Edit("reject", rows=rows))
        elif self.frame == "sim":
            label = " or ".join(self.index.catalog.items[row].title for row in rows)
            self._add("want", Part(f"like {label}", "likeness", like=rows))
        elif self.polarity == "want":
            self.edits.append(Edit("liked", rows=rows))

    def _close_frame(self, n: int | None) -> None:
        """ "Already seen" with nothing after it means what was just named, or all that was shown."""
        if self.frame == "seen" and not self._object:
            said = self.marks[: n if n is not None else len(self.marks)]
            before = [
                row for m in said if m.name in ("title", "pron") and m.end <= self.since for row in self._rows_of(m)
            ]
            words = self.joined[
                self.since : self.marks[n].start if n is not None and n < len(self.marks) else None
            ].split()
            rows = tuple(dict.fromkeys(before)) or (self.shown if len(words) <= 2 else ())
            if rows:
                self.edits.append(Edit("seen", rows=rows))
        self._object = False

    def _attribute(self, n: int, mark: Mark) -> None:
        if self.frame in ("question", "seen") or not mark.parts:
            return
        parts = mark.parts
        op = self.polarity
        if self.frame == "seen_all":
            op = "avoid"
        if mark.name == "number" and self.joined[: mark.start].rstrip().endswith(("born", "born in", "born in the")):
            return
        if not self.too and mark.text != "children" and self._comments(mark):
            return
        if self.too:
            op, self.too = "avoid", False
            if _JUDGED.search(self.joined[: mark.start]) and any(e.op == "want" for e in self.edits[self.clause :]):
                self._flip("want", "avoid")  # "war films are too sad"
                return
        if op != "want":
            parts, rest = parts[:1], parts[1:]
            if self.non:  # "a non-romantic comedy"
                self.edits += [Edit("want", part) for part in rest]
        self.non = False
        if mark.name == "number" and mark.relative and self._compared(mark):
            parts = (self._against(mark.relative, parts[0]),)
        if self.frame == "sim":
            self.frame = ""
        for part in parts:
            self._add(op, part)
        if mark.text == "children" and op == "want" and self.marker.vocabulary.children_avoid:
            self.edits.append(Edit("avoid", self.marker.vocabulary.children_avoid, soft=True))

    def _comments(self, mark: Mark) -> bool:
        """Whether the words only say something of a title; "that is not" goes on about what is wanted."""
        if self.polarity == "avoid" and re.search(r"\b(?:is|are) not\b[^.,;!?]*$", self.joined[: mark.start]):
            return False
        return bool(_COMMENT.search(self.joined[: mark.start]) or _IN_IT.match(self.joined[mark.end :]))

    def _compared(self, mark: Mark) -> bool:
        """Whether "older" or "newer" can compare with something shown or named."""
        word = self.joined[mark.start : mark.end].rsplit(" ", 1)[-1]
        return word in ("older", "newer") and bool(self.last_title or self.shown)

    def _against(self, relative: int, part: Part) -> Part:
        """Older or newer than all that was shown (or the title just named)."""
        years = [self.index.number(part.key, row) for row in (self.last_title or self.shown)]
        known = [year for year in years if year is not None]
        if not known:
            return part
        low, high = recent_or_old(self.index, relative > 0)
        if relative > 0:
            span = (max(known) + 1, high) if max(known) + 1 <= self.index.quantile(part.key, 0.99) else (low, high)
            return replace(part, spans=(span,), label=f"from {span[0]:g}")
        return replace(part, spans=((low, min(known) - 1),), label=f"up to {min(known) - 1:g}")

    def _add(self, op: Op, part: Part) -> None:
        """With "or" between two parts of one sort, either will do."""
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
            self.edits.append(Edit(op, part, taste=self.taste, either=either, soft=self.soft and op == "release"))
        self.join = ""


_HANDLER = {"kind": "attribute", "person": "attribute", "number": "attribute", ",": "comma"}
