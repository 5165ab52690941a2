"""How far a word reaches: stops, commas, "and", "or" and "but" between the parts of a turn."""

from __future__ import annotations

import re

from tacit.dialogue.policy.wishes.mark import Mark
from tacit.dialogue.policy.wishes.pointing import Pointing

_OTHERS = re.compile(r"(?:^|[.!?;] )(?:my|he|she|they|his|her|everyone|everybody|the kids)\b[^.!?;]*$")
_BUT_I = re.compile(r" (?:i|we) (?:want|would|prefer|need|am|are|like|love|feel)\b")
_LISTED = ("kind", "person", "number", "title", "topic", "or", "and", ",")


class Bounds(Pointing):
    """One method a mark that ends a clause, or goes on with a list."""

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
        if self.joined[mark.start] == ":" and self.polarity == "avoid" and not self._parts_since():
            self.headed = True  # "avoid: horror, war"
            return
        if self.polarity != "want" and (self.headed or self._list_goes_on(n)):
            return
        if self.frame in ("seen", "seen_all", "sim", "unseen") and self._titles_go_on(n):
            return
        self._close_frame(n)
        taste, join = self.taste, "or" if self.fallback else self.join
        clause = self.clause
        self._fresh()
        self.taste, self.join, self.clause = taste, join or ",", clause

    def _list_goes_on(self, n: int) -> bool:
        """Whether bare parts follow, up to a last one after "or" or "and"."""
        rest = next((mark.name for mark in self.marks[n + 1 :] if mark.name not in _LISTED), "")
        if rest == "good":  # "no plastic, glass or steel would be nicer"
            return False
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
