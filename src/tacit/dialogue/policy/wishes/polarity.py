"""The small words that turn what follows, or what went before: refusing, asking, allowing, taking back."""

from __future__ import annotations

import re
from dataclasses import replace

from tacit.dialogue.policy.wishes.attributes import Part, words
from tacit.dialogue.policy.wishes.cues import ORDINAL
from tacit.dialogue.policy.wishes.edits import Edit
from tacit.dialogue.policy.wishes.mark import Mark
from tacit.dialogue.policy.wishes.pointing import Pointing

_ASKED_PEOPLE = re.compile(r"\b(?:with|by|starring|featuring|having|from|of|want|more) $")
_OF_AGENT = re.compile(r"\b(?:this|that|same) \w+$| (?:him|her)$|^(?:did|has|have|does) ")
_DOES = re.compile(r"(?:did|has|have|does) ")
_SELF = re.compile(r"\b(?:i am|we are|he is|she is|they are|am|are) not(?: a| an)?$")
_WHATEVER = ("any", "every", "all", "whatever")
_GOES_WITH = re.compile(r"\b(?:with|by|from|starring|featuring|for|under|over|in|set in|on|about)(?: (?:the|an?))? $")
_SWAPPED = re.compile(r"\b(?:for|with|by)(?: (?:the|an?|some|something))? $")
_POINTS = re.compile(r" (?:him|her)$|^(?:did|has|have|does) ")
_TOLD = re.compile(r" (?:movie |film |book )?(?:is|was|are|were|did|does|had|has|looks?|made|makes)\b")


class Polarity(Pointing):
    """One method a cue (``cues``), by its name."""

    def _want(self, n: int, mark: Mark) -> None:
        if self.frame == "told" and mark.start - self.since <= 1:
            return  # "had some horror"
        if self.frame in ("seen", "seen_all", "sim", "told"):
            self._close_frame(n)
            self.frame = ""
        if self.polarity == "avoid" and self.join == "or" and mark.text.startswith("any"):
            return  # "no war or anything sad"
        near = len(self.joined[self.since : mark.start].split()) <= 2
        if self.polarity == "avoid" and near and not self._parts_since():
            self.since = mark.end
            return
        self.polarity, self.taste = "want", False

    def _not(self, n: int, mark: Mark) -> None:
        following = self.marks[n + 1] if n + 1 < len(self.marks) else None
        if following and following.name == "kind" and not self._gap(n + 1) and _SELF.search(self.joined[: mark.end]):
            self.marks[n + 1] = Mark(",", following.start, following.end)  # "we are not vegetarian": told of people
            return
        self._set("avoid", mark)
        self.taste, self.degree = False, mark.text == "less"

    def _except(self, n: int, mark: Mark) -> None:
        """ "Anything but horror with Ada Brook": where nothing was asked for before, what goes with the exception is
        wanted. "Something funny, but no westerns with Lee Marsh" refuses both."""
        self._not(n, mark)
        opens = not any(e.op == "want" and e.part for e in self.edits[self.clause :])
        self.back = _GOES_WITH if opens and mark.text.startswith(_WHATEVER) else None

    def _swap(self, n: int, mark: Mark) -> None:
        """ "Swap the chicken for tofu"."""
        self._set("avoid", mark)
        self.taste, self.back = False, _SWAPPED

    def _unless(self, n: int, mark: Mark) -> None:
        """ "No horror, unless it is funny": what is refused without a condition suits in any case."""
        self._close_frame(n)
        self.frame = "question"

    def _fallback(self, n: int, mark: Mark) -> None:
        """ "If you have no westerns, a war film": either will do."""
        asked = any(e.op == "want" and e.part for e in self.edits[self.clause :])
        self._set("want", mark)
        self.join, self.fallback = "or" if asked else self.join, not asked and mark.text.startswith("if")

    def _stays(self, n: int, mark: Mark) -> None:
        """ "The western can stay, the romance has to go"."""
        self._flip("avoid", "want")
        self._fresh()

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

    def _allow(self, n: int, mark: Mark) -> None:
        self._set("allow", mark)
        self.soft = not mark.text.startswith(("nothing wrong", "open to"))

    def _just(self, n: int, mark: Mark) -> None:
        """ "No romance no drama just action"."""
        if self.polarity == "avoid" and self._parts_since():
            self._set("want", mark)

    def _role_of(self, n: int, mark: Mark) -> None:
        """ "With the guy from Heat"; "the girl in that movie was a cutie" only tells."""
        following = self.marks[n + 1] if n + 1 < len(self.marks) else None
        if following is None or following.name not in ("title", "pron") or self._gap(n + 1) > 1:
            return
        if self.frame == "question":  # "who was the actor in it?"
            return
        asked = following.name == "title" or _ASKED_PEOPLE.search(self.joined[: mark.start])
        if asked and not _TOLD.match(self.joined[following.end :]):
            self._close_frame(n)
            self.frame, self.role = "role", mark.text

    def _by_same(self, n: int, mark: Mark) -> None:
        """ "Another by her": the people of what was shown or named."""
        rows = self.last_title or self.shown[:1]
        people = [e for e in self.edits if e.part and e.part.kind == "person"]
        if people and _POINTS.search(mark.text):  # "I love Brad Pitt. More with him", "What else did he make?"
            self.edits[self.edits.index(people[-1])] = replace(people[-1], op="want", taste=False)
        elif self.asked and _OF_AGENT.search(mark.text) and (named := self._named_by_agent()):
            self._add("want", named)
        elif (
            rows and self.frame not in ("question", "seen") and not mark.text.startswith(("did", "has", "have", "does"))
        ):
            self.role = "actor" if mark.text.startswith(("with", "starring")) else "maker"
            self._people_of(rows)

    def _named_by_agent(self) -> Part | None:
        """ "That is Liar Liar with Jim Carrey." - "another with this actor"."""
        marks, _ = self.marker.marks(self.asked)
        return next((m.parts[0] for m in reversed(marks) if m.name == "person" and m.parts), None)

    def _not_in_it(self, n: int, mark: Mark) -> None:
        """ "Clint Eastwood, but not in front of the camera": the part that a person shall not have."""
        people = [e for e in self.edits if e.part and e.part.kind == "person" and e.op == "want"]
        whole = self.marker.vocabulary.name(words(people[-1].part.label)) if people and people[-1].part else None
        if whole:
            label = people[-1].part.label if people[-1].part else ""
            maker, screen = (self.marker.vocabulary.person(whole, role, label) for role in ("maker", "screen"))
            self.edits[self.edits.index(people[-1])] = replace(people[-1], part=maker)
            if not maker.columns & screen.columns:
                self.edits.append(Edit("avoid", replace(screen, label=f"{label} on screen")))

    def _not_by(self, n: int, mark: Mark) -> None:
        """ "A western that Tarantino did not direct"."""
        last = self.edits[-1] if len(self.edits) > self.clause else None
        if last is not None and last.op == "want" and last.part and last.part.kind == "person":
            self.edits[-1] = replace(last, op="avoid")
        else:
            self._not(n, mark)

    def _none_of(self, n: int, mark: Mark) -> None:
        """What was shown; with nothing shown, what was just said: "a drama yesterday, a thriller today, neither of
        these"."""
        if self.shown:
            self.edits.append(Edit("reject", rows=self.shown))
        else:
            self.edits = [replace(e, op="avoid") if e.op == "want" and e.part else e for e in self.edits]
            self._else(n, mark)

    def _told(self, n: int, mark: Mark) -> None:
        """ "We had three comedies this week": what was watched is no wish."""
        if self.polarity == "want" and self.frame != "question":
            self._close_frame(n)
            self.frame, self.since = "told", mark.end

    def _else(self, n: int, mark: Mark) -> None:
        """ "Three comedies this week, so anything else": not what was told of."""
        self.edits += [Edit("avoid", part) for part in self.told]
        self.told.clear()
        if self.frame == "told":
            self.frame = ""
        self._want(n, mark)

    def _reported(self, n: int, mark: Mark) -> None:
        """ "I said no comedies, but ..." tells what was said before."""
        self.frame = "question"

    def _sequel_of(self, n: int, mark: Mark) -> None:
        """ "A sequel to Jaws", "another Star Wars"."""
        if self.frame != "seen":
            self.frame, self.role = "series", mark.text

    def _nth_of(self, n: int, mark: Mark) -> None:
        """ "The second Toy Story"."""
        following = self.marks[n + 1]
        if following.name == "title":
            nth = ORDINAL[mark.text.rsplit(" ", 1)[-1]] + 1
            series = self.marker.series
            rows = tuple(row for row in series.others(following.rows) if series.number(row) == nth)
            if rows and self.polarity == "want" and not self.frame and not self.taste:
                self.nth_of = following.rows
                self._add("want", self._part_of(rows))
                self.marks[n + 1] = Mark(",", following.start, following.end)
            elif rows:
                self.marks[n + 1] = replace(following, rows=rows)

    def _release(self, n: int, mark: Mark) -> None:
        self._set("release", mark)
        self.soft = not mark.text.startswith(("forget", "scratch", "drop", "ignore", "disregard", "skip"))

    def _lasting(self, n: int, mark: Mark) -> None:
        self._set("want", mark)

    def _non(self, n: int, mark: Mark) -> None:
        """ "A non-violent thriller": what follows at once, and nothing else."""
        following = self.marks[n + 1] if n + 1 < len(self.marks) else None
        self.too = self.non = following is not None and following.name == "kind" and self._gap(n + 1) == 0

    def _same(self, n: int, mark: Mark) -> None:
        """ "No horror, same with war"."""
        if self.edits and self.edits[-1].part:
            self._set(self.edits[-1].op, mark)

    def _than(self, n: int, mark: Mark) -> None:
        """ "Comedy over drama", "I prefer comedies to dramas"."""
        before = [m.name for m in self.marks[:n] if m.name != "want"][-1:]
        sides = [*before, "than", *(m.name for m in self.marks[n + 1 : n + 3] if m.name != "want")][:3]
        chosen = mark.text != "to" or "prefer" in self.joined
        if chosen and sides == ["kind", "than", "kind"] and self._gap(n) + self._gap(n + 1) <= 1:
            self._set("avoid", mark)

    def _too(self, n: int, mark: Mark) -> None:
        self.too = True

    def _enough(self, n: int, mark: Mark) -> None:
        """ "not funny enough" asks for more of it."""
        last = self.marks[n - 1] if n else None
        of_it = last is not None and last.name == "kind" and not self._gap(n)
        if of_it and self.edits and self.edits[-1].op == "avoid" and len(self.edits) > self.clause:
            self.edits[-1] = replace(self.edits[-1], op="want")

    def _bad(self, n: int, mark: Mark) -> None:
        """What stands before in the clause is refused; "won't give me nightmares" refuses nothing."""
        if (
            self.polarity == "avoid"
            and len(self.joined[self.since : mark.start].split()) <= 1
            and not self._parts_since()
        ):
            return
        if self.polarity == "avoid" and self._parts_since():
            return  # "more of his, but not that one, it is rubbish"
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

    def _needless(self, n: int, mark: Mark) -> None:
        """ "The eighties aren't a must"."""
        for at in range(self.clause, len(self.edits)):
            if self.edits[at].op == "want" and self.edits[at].part:
                self.edits[at] = replace(self.edits[at], op="release", soft=True)

    def _faint(self, n: int, mark: Mark) -> None:
        """ "I scare easily"."""
        self.edits += [Edit("avoid", part, soft=True) for part in mark.parts]

    def _grown(self, n: int, mark: Mark) -> None:
        """ "An animated film, but for adults"."""
        if self.marker.vocabulary.children:
            self.edits.append(Edit("avoid", self.marker.vocabulary.children))

    def _away(self, n: int, mark: Mark) -> None:
        """The children are in bed."""
        if self.marker.vocabulary.children:
            self.edits.append(Edit("release", self.marker.vocabulary.children, soft=True))

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
