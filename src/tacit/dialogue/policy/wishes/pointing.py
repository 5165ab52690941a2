"""Titles and the words that point at them ("the second one"): seen, rejected, liked, or to be like."""

from __future__ import annotations

import math
import re
from dataclasses import replace

import numpy as np

from tacit.dialogue.policy.wishes import cues
from tacit.dialogue.policy.wishes.attributes import ON_SCREEN, Part, words
from tacit.dialogue.policy.wishes.clause import Clause
from tacit.dialogue.policy.wishes.edits import Edit, Op
from tacit.dialogue.policy.wishes.mark import Mark
from tacit.dialogue.policy.wishes.spans import label
from tacit.dialogue.policy.wishes.titles import NO_TITLE
from tacit.dialogue.policy.wishes.vocabulary import merged

_LATER = re.compile(r"\bsequel|follow|next|continuation|came|comes?\b|happen|later|after|new|part (?:two|three|2|3)")
_YEAR_OF = re.compile(
    r"\b(?:(?P<same>(?:(?:from|in|of) )?(?:the )?same year (?:as|that)|(?:from|in) the year of)|"
    r"(?P<before>pre|before|prior to|older than|earlier than|predates|predating)|"
    r"(?P<after>post|after|since|newer than|later than|more recent than))(?: the)? $"
)
_ANY_OF = re.compile(r"(either|any|each|both|them)(?: of (?:them|those|these))?$")
_WITH_THEM = re.compile(r"\b(?:with|by|from|starring|featuring|of) $")
_REFUSES_THAT = re.compile(r"\b(?:not (?:want|like|need|fancy|enjoy|feel like)|hates?|no|not|off|of) $")
_NAME = 2  # words of a title that is somebody's name
_ALL_BEFORE = re.compile(r"\b(?:all|both|every)(?: of)?(?: the| those)?(?: \w+)? $")
_ALL_AFTER = re.compile(r" (?:ones|movies|films|books|series|franchise|trilogy|saga|parts|both|all)\b")


class Pointing(Clause):
    """A title means what the words around it say: ``frame`` is "seen", "unseen", "seen_all", "sim", "role",
    "series" or "question"."""

    def _title(self, n: int, mark: Mark) -> None:
        if not self.frame and self._dated(mark):
            return
        self._object = True
        self.last_title = mark.rows
        whole = _ALL_BEFORE.search(self.joined[: mark.start]) or _ALL_AFTER.match(self.joined[mark.end :])
        self._about(mark.rows, all_of_it=whole is not None, named="(" not in mark.text)

    def _dated(self, mark: Mark) -> bool:
        """ "From the same year as Heat", "older than Heat": the title only tells when."""
        said = _YEAR_OF.search(self.joined[: mark.start])
        key = self.index.year_key
        years = [self.index.number(key, row) for row in mark.rows] if said and key else []
        known = [year for year in years if year is not None]
        if not said or not key or not known:
            return False
        spans = {"same": (min(known), max(known)), "before": (-math.inf, min(known) - 1)}
        span = spans[said.lastgroup] if said.lastgroup in spans else (max(known) + 1, math.inf)
        self._add(self.polarity, Part(label(span), "number", key=key, spans=(span,)))
        return True

    def _pron(self, n: int, mark: Mark) -> None:
        rows = self._pointed(mark)
        found = cues.CUE.match(mark.text)
        if self._of_people(mark):
            return
        if self.nth_of and self.join == "or" and found and found["nth"] in cues.ORDINAL:
            series, nth = self.marker.series, cues.ORDINAL[found["nth"]] + 1
            named = tuple(row for row in (*self.nth_of, *series.others(self.nth_of)) if series.number(row) == nth)
            if named:
                self._add("want", self._part_of(named))
            return
        if not rows:
            self._not_that(mark)
            return
        relative = mark.text in ("that", "it", "this") and self.frame not in (
            "seen",
            "unseen",
            "sim",
            "seen_all",
            "role",
            "series",
        )
        if relative and not (self.polarity == "avoid" and self._ends_soon(mark)):
            return
        self._object = True
        if not relative:
            self.last_title = rows[:1] if len(rows) == 1 else ()
        if mark.text.startswith(("none of", "neither of")):
            self.edits.append(Edit("reject", rows=rows))
        elif self.frame or self.polarity == "avoid" or (self.taste and not relative):
            self._about(rows)

    def _not_that(self, mark: Mark) -> None:
        """ "My daughter recommended horror, but I don't want that": with nothing shown, what was said last."""
        said = [n for n, edit in enumerate(self.edits) if edit.part]
        bare = _REFUSES_THAT.search(self.joined[: mark.start]) and not self._parts_since() and self._ends_soon(mark)
        wanted = bool(said) and self.edits[said[-1]].op == "want"
        if self.polarity == "avoid" and wanted and bare and mark.text in ("that", "it", "those", "them"):
            self.edits[said[-1]] = replace(self.edits[said[-1]], op="avoid")

    def _of_people(self, mark: Mark) -> bool:
        """ "My wife likes Ada Brook and Lee Marsh, is there one with either of them?": the people just named."""
        said = _ANY_OF.match(mark.text)
        people = [e for e in self.edits if e.op == "want" and e.part and e.part.kind == "person"]
        if said is None or len(people) < 2 or not _WITH_THEM.search(self.joined[: mark.start]):
            return False
        self.edits = [e for e in self.edits if e not in people]
        parts = [e.part for e in people[-2:] if e.part]
        self.edits += [Edit("want", part) for part in (parts if said[1] in ("both", "them") else [merged(parts)])]
        return True

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

    def _rows_of(self, mark: Mark) -> tuple[int, ...]:
        return mark.rows if mark.name == "title" else self._pointed(mark) if mark.name == "pron" else ()

    def _part_of(self, rows: tuple[int, ...]) -> Part:
        """These works themselves, as what is asked for."""
        label = " or ".join(self.index.catalog.items[row].title for row in rows)
        column = self.index.column_of("series", label, np.array(sorted(rows), dtype=np.int64))
        columns = frozenset() if column is None else frozenset({column})
        return Part(label, "category", columns)

    def _whole(self, rows: tuple[int, ...], named: bool = False) -> tuple[int, ...]:
        """With the rest of the series that they give its name ("no Star Wars"), and, of what was ``named`` without a
        year, with all whose text has a name that is the whole title ("no Batman")."""
        series, topics = self.marker.series, self.marker.topics.topics
        found = [*rows, *series.others([row for row in rows if series.names(row)])]
        for row in rows if named else ():
            name = [w for w in words(self.index.catalog.items[row].title.split(" (")[0]) if w not in NO_TITLE]
            if 0 < len(name) <= _NAME and all(topics.proper(word) for word in name):
                part = topics.part(name)
                found += np.flatnonzero(self.index.satisfied(part) >= 1.0).tolist() if part else ()
        return tuple(dict.fromkeys(found))

    def _about(self, rows: tuple[int, ...], all_of_it: bool = False, named: bool = False) -> None:
        """A title or pronoun under what was said before it; ``all_of_it``: the whole series was named; ``named``: by
        a title without its year."""
        if self.frame == "question":
            return
        if self.frame == "role":
            self.frame = ""
            self._people_of(rows)
        elif self.frame == "series":
            self.frame = ""
            part = self.marker.series.part(rows, later=_LATER.search(self.role) is not None)
            if part is not None:
                self._add(self.polarity, part)
            else:
                self.edits.append(Edit("liked", rows=rows))
        elif self.frame in ("seen", "seen_all", "told"):
            whole = self.frame == "seen_all" or all_of_it
            self.edits.append(Edit("seen", rows=self._whole(rows, named) if whole else rows))
        elif self.frame == "unseen":
            self.edits.append(Edit("unseen", rows=rows))
        elif self.polarity == "avoid":
            self.edits.append(Edit("reject", rows=self._whole(rows, named)))
        elif self.frame == "sim":
            label = " or ".join(self.index.catalog.items[row].title for row in rows)
            self._add("want", Part(f"like {label}", "likeness", like=rows), adds=set(rows) <= set(self.shown))
        elif self.polarity == "want":
            self.edits.append(Edit("liked", rows=rows))

    def _people_of(self, rows: tuple[int, ...]) -> None:
        """ "The guy from Heat", "whoever directed it": those people, any of whom will do."""
        known = frozenset[int]().union(*(self.index.people(row) for row in rows))
        if not known:
            known = known.union(*(self.index.people(row) for row in self.marker.titles.same(rows)))
        keys = {column: self.index.columns[column][0] for column in known}
        if re.search(r"director|directed|filmmaker|made\b|maker", self.role):
            columns = frozenset(c for c, key in keys.items() if key.startswith("director"))
        elif re.search(r"wrote|author|writer", self.role):
            columns = frozenset(c for c, key in keys.items() if key not in ON_SCREEN and not key.startswith("director"))
        else:
            columns = frozenset(c for c, key in keys.items() if key in ON_SCREEN)
        if not columns and "maker" in self.role:
            columns = frozenset(c for c, key in keys.items() if key not in ON_SCREEN)
        if columns:
            title = self.index.catalog.items[rows[0]].title
            self._add(self.polarity, Part(f"{self.role} {title}", "person", columns))

    def _turn_titles(self, n: int, op: Op) -> None:
        rows = [row for m in self.marks[:n] if m.start >= self._clause_start(n) for row in self._rows_of(m)]
        if rows:
            self.edits = [e for e in self.edits if not (e.op == "liked" and set(e.rows) & set(rows))]
            self.edits.append(Edit(op, rows=tuple(dict.fromkeys(rows))))

    def _set(self, polarity: Op, mark: Mark) -> None:
        self.polarity, self.since = polarity, mark.end
        if self.frame in ("sim", "question", "seen", "seen_all", "told"):
            self._close_frame(None)
            self.frame = ""

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
