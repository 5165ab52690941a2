"""What a user wishes, by all of the turns so far: kept from turn to turn, corrected by later words."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import lru_cache

from tacit.catalog import Catalog
from tacit.dialogue.policy.wishes.attributes import ABOUT, AttributeIndex, Part
from tacit.dialogue.policy.wishes.edits import Edit, Reading
from tacit.dialogue.policy.wishes.marks import Marker
from tacit.dialogue.policy.wishes.reader import Reader
from tacit.dialogue.policy.wishes.shift import Keys, carried
from tacit.dialogue.policy.wishes.spans import complement, intersect, labelled
from tacit.dialogue.policy.wishes.vocabulary import Vocabulary, merged
from tacit.types import Dialogue, ItemId


@dataclass(frozen=True, slots=True)
class Wish:
    """``turn`` counts the turns that wished anything, from 0; ``taste`` is what was said to be liked, not asked for."""

    part: Part
    turn: int
    taste: bool = False
    receded: bool = False  # went with an earlier wish, in place of which another stands
    implied: bool = False  # not said, but gone with what was


@dataclass(frozen=True, slots=True)
class Wishes:
    """The state of a dialogue, in rows of the catalogue. ``asks``: the last user turn asks for a recommendation."""

    wanted: tuple[Wish, ...] = ()
    unwanted: tuple[Wish, ...] = ()
    seen: frozenset[int] = field(default_factory=frozenset)
    rejected: frozenset[int] = field(default_factory=frozenset)
    liked: tuple[int, ...] = ()
    twins: frozenset[int] = field(default_factory=frozenset)  # works that the user named, under their other ids
    turn: int = -1  # the last that wished anything
    asks: bool = False
    leaves: bool = False  # the last user turn takes what was shown, thanks, or says goodbye

    @property
    def current(self) -> tuple[Wish, ...]:
        """What is wanted now."""
        return tuple(wish for wish in self.wanted if not wish.receded)

    def __bool__(self) -> bool:
        return bool(self.wanted or self.unwanted or self.seen or self.rejected or self.liked or self.twins)


class WishReader:
    """Reads the wishes of dialogues against one catalogue; what was read of a turn or a prefix is kept."""

    def __init__(self, catalog: Catalog) -> None:
        self.catalog = catalog
        self.index = AttributeIndex(catalog)
        marker = Marker(catalog, Vocabulary(self.index))
        self._reader, self._titles = Reader(marker), marker.titles
        self._reading = lru_cache(maxsize=32768)(self._reader.read)
        self._after = lru_cache(maxsize=32768)(self._step)

    def __deepcopy__(self, memo: object) -> WishReader:
        """It learns nothing: copies of a policy share it."""
        return self

    def forget(self) -> None:
        """What was read."""
        self._reading.cache_clear()
        self._after.cache_clear()

    def read(self, context: Dialogue) -> Wishes:
        """The wishes after all turns of ``context``."""
        state, asked, offered = Wishes(), "", False
        shown: tuple[ItemId, ...] = ()
        for turn in context.turns:
            if turn.speaker == "user":
                state = self._after(state, turn.text, turn.mentions, shown, asked, offered)
                asked = ""
            else:
                asked, offered = turn.text, turn.slate is not None or bool(turn.mentions)
                if turn.slate is not None:
                    shown = turn.slate.items
                elif turn.mentions:
                    shown = turn.mentions
        last = context.turns[-1] if context.turns else None
        return state if last is None or last.speaker == "user" else replace(state, asks=False, leaves=False)

    def asked_of(self, text: str) -> list[Part]:
        """The kinds, people, numbers and topics that a question about an item names: "is it scary?"."""
        marks, _ = self._reader.marker.marks(text)
        return [mark.parts[0] for mark in marks if mark.name in ("kind", "person", "number", "topic") and mark.parts]

    def describe(self, wishes: Wishes) -> list[str]:
        """What is wished, in lines for people: "wants: comedy, 1980–1989", "not: horror", "seen: Alien (1979)"."""

        def titles(rows: Iterable[int]) -> str:
            return ", ".join(self.catalog.items[row].title for row in sorted(rows))

        def labels(said: Iterable[Wish]) -> str:
            return ", ".join(dict.fromkeys(wish.part.label for wish in said))

        lines = [
            ("wants", labels(wishes.current)),
            ("not", labels(wishes.unwanted)),
            ("before", labels(wish for wish in wishes.wanted if wish.receded)),
            ("seen", titles(wishes.seen)),
            ("rejected", titles(wishes.rejected)),
            ("liked", titles(wishes.liked)),
        ]
        return [f"{name}: {said}" for name, said in lines if said]

    def _step(
        self,
        state: Wishes,
        text: str,
        mentions: tuple[ItemId, ...],
        shown: tuple[ItemId, ...],
        asked: str,
        offered: bool,
    ) -> Wishes:
        rows = tuple(self.catalog.index(item) for item in shown)
        reading = self._reading(text, mentions, rows, asked, offered)
        after = apply(state, reading, self._keys, self.index.year_key)
        named = {self.catalog.index(item) for item in mentions}
        twins = state.twins | (self._with_twins(named) - named)
        seen, rejected = self._with_twins(after.seen), self._with_twins(after.rejected)
        return replace(after, seen=seen, rejected=rejected, twins=twins)

    def _keys(self, part: Part) -> frozenset[str]:
        return frozenset(self.index.columns[column][0] for column in part.columns)

    def _with_twins(self, rows: Iterable[int]) -> frozenset[int]:
        return frozenset(twin for row in rows for twin in self._titles.twins(row))


def apply(state: Wishes, reading: Reading, keys: Keys, year_key: str | None) -> Wishes:
    """The state after one more user turn."""
    corrects = reading.shift == "corrects"
    turn = state.turn + any(edit.part is not None for edit in reading.edits)
    edits = _settled(reading.edits, corrects)
    wanted, unwanted = carried(state.wanted, state.unwanted, edits, reading.shift, keys)
    ledger = _Ledger(replace(state, wanted=tuple(wanted), unwanted=tuple(unwanted)), turn, corrects, year_key)
    for edit in edits:
        ledger.take(edit)
    return Wishes(
        wanted=tuple(ledger.wanted),
        unwanted=tuple(ledger.unwanted),
        seen=frozenset(ledger.seen),
        rejected=frozenset(ledger.rejected),
        liked=tuple(row for row in dict.fromkeys(ledger.liked) if row not in ledger.rejected),
        turn=turn,
        asks=reading.asks,
        leaves=reading.leaves,
    )


def _settled(edits: Iterable[Edit], corrects: bool) -> list[Edit]:
    """Within a turn what is asked for by the catalogue's own word outweighs its refusal: "a comedy, nothing silly",
    "horror, but no horror comedies"."""
    edits = list(edits)
    asked = frozenset[int]()
    if not corrects:
        asked = asked.union(
            *(e.part.columns for e in edits if e.op == "want" and e.part and e.part.exact and not e.taste)
        )
    wanted = frozenset[int]().union(*(e.part.columns for e in edits if e.op == "want" and e.part))
    others = [e for e in edits if e.op == "want" and e.part and not e.taste and not corrects]
    exact = frozenset[int]().union(*(e.part.columns for e in edits if e.op == "want" and e.part and e.part.exact))
    settled: list[Edit] = []
    for edit in edits:
        if edit.op == "avoid" and edit.part and edit.part.columns:
            spread = len(edit.part.columns) > 1
            over = wanted if spread or edit.soft else asked if edit.part.exact else exact
            if not edit.part.exact:  # in another word for it: "something scary but no gore"
                same = (e.part.columns for e in others if e.part and e.said != edit.said)
                over = over.union(*(columns for columns in same if columns == edit.part.columns))
            part = edit.part.less(over)
            if part is not None:
                settled.append(replace(edit, part=part))
        elif not (edit.op == "want" and edit.part and _refused_by_name(edit.part, edits) and not corrects):
            settled.append(edit)
    return settled


def _refused_by_name(part: Part, edits: Iterable[Edit]) -> bool:
    """Whether a turn asks in another word for what it refuses by the catalogue's own: "no horror, something spooky"."""
    refused = (e.part for e in edits if e.op == "avoid" and e.part and e.part.exact and not (e.soft or e.implied))
    return not part.exact and bool(part.columns) and any(part.columns <= other.columns for other in refused)


class _Ledger:
    """The state while the edits of one turn are taken into it."""

    def __init__(self, state: Wishes, turn: int, corrects: bool, year_key: str | None) -> None:
        self.year_key = year_key
        self.wanted, self.unwanted = list(state.wanted), list(state.unwanted)
        self.seen, self.rejected, self.liked = set(state.seen), set(state.rejected), list(state.liked)
        self.turn, self.corrects = turn, corrects

    def take(self, edit: Edit) -> None:
        getattr(self, f"_{edit.op}")(edit)

    def _want(self, edit: Edit) -> None:
        part = edit.part
        assert part is not None
        if part.kind == "number":
            self._number(part, edit.taste, edit.either)
            return
        earlier = next((w for w in reversed(self.wanted) if w.part.kind == part.kind), None)
        if edit.either and earlier is not None:
            self.wanted.remove(earlier)
            self.wanted.append(Wish(merged((earlier.part, part)), self.turn, edit.taste))
            return
        if self.corrects:
            self.wanted = [w for w in self.wanted if w.turn == self.turn or w.part.kind != part.kind]
        self.unwanted = _without(self.unwanted, part)
        if part.label.startswith(ABOUT) and not edit.taste:  # another topic stands in place of an earlier turn's
            self.wanted = [w for w in self.wanted if w.turn == self.turn or not w.part.label.startswith(ABOUT)]
        same = [w for w in self.wanted if part.columns and w.part.columns == part.columns and w.turn == self.turn]
        taste = edit.taste and all(w.taste for w in same)
        part = next((w.part for w in same if w.part.exact), part)
        self.wanted = [
            w for w in self.wanted if w.part != part and not (part.columns and w.part.columns == part.columns)
        ]
        self.wanted.append(Wish(part, self.turn, taste))

    def _number(self, part: Part, taste: bool, either: bool) -> None:
        """A later turn's span stands in place of an earlier one's; within a turn bounds meet and decades add up."""
        now = [
            w
            for w in self.wanted
            if w.part.kind == "number" and w.part.key == part.key and (either or w.turn == self.turn)
        ]
        if any(w.part.exact > part.exact for w in now):
            return  # "a light one, at most 500 grams": the number tells
        now = [w for w in now if w.part.exact >= part.exact]
        spans = part.spans
        for wish in now:
            both = intersect(wish.part.spans, spans)
            open_ended = all(s[0] == float("-inf") or s[1] == float("inf") for s in (*wish.part.spans, *spans))
            spans = both if both and (open_ended or both in (spans, wish.part.spans)) else (*wish.part.spans, *spans)
        self.wanted = [w for w in self.wanted if not (w.part.kind == "number" and w.part.key == part.key)]
        label = part.label if spans == part.spans else labelled(part, spans)
        self.wanted.append(Wish(replace(part, spans=spans, label=label), self.turn, taste))

    def _avoid(self, edit: Edit) -> None:
        part = edit.part
        assert part is not None
        if part.kind == "number":
            outside = complement(part.spans, step=1.0 if part.key == self.year_key else 0.0)
            known = [w for w in self.wanted if w.part.kind == "number" and w.part.key == part.key]
            for wish in known:
                outside = intersect(wish.part.spans, outside) or outside
            self.wanted = [w for w in self.wanted if w not in known]
            self.wanted.append(Wish(replace(part, spans=outside, label=labelled(part, outside)), self.turn))
            return
        if part.kind == "likeness":
            self.rejected |= set(part.like)
            return
        part = replace(part, partly=())  # some of its words refuse nothing
        self.wanted = _without(self.wanted, part)
        self.unwanted = [w for w in self.unwanted if w.part != part] + [Wish(part, self.turn, implied=edit.implied)]

    def _allow(self, edit: Edit) -> None:
        """What was refused is no longer; what never was is wanted."""
        part = edit.part
        assert part is not None
        if part.kind == "number" or not any(w.part.columns & part.columns for w in self.unwanted):
            if not edit.soft:
                self._want(edit)
        else:
            self.unwanted = _without(self.unwanted, part)

    def _release(self, edit: Edit) -> None:
        """ "Forget the eighties": what was wanted or refused is neither. What was neither is meant as a refusal."""
        part = edit.part
        if part is None:
            self.wanted = [
                w for w in self.wanted if edit.key not in (w.part.kind, w.part.key) or w.part.label.startswith(ABOUT)
            ]
            return
        if part.kind == "number":
            self.wanted = [w for w in self.wanted if w.part.key != part.key]
            return
        held = any(w.part.columns & part.columns for w in (*self.wanted, *self.unwanted))
        if not held and not edit.soft:
            self._avoid(edit)
        self.wanted, self.unwanted = (
            _without(self.wanted, part),
            _without(self.unwanted, part) if held else self.unwanted,
        )

    def _seen(self, edit: Edit) -> None:
        self.seen |= set(edit.rows)

    def _unseen(self, edit: Edit) -> None:
        self.seen -= set(edit.rows)

    def _reject(self, edit: Edit) -> None:
        self.rejected |= set(edit.rows)

    def _liked(self, edit: Edit) -> None:
        self.rejected -= set(edit.rows)
        self.liked += edit.rows

    def _reset(self, edit: Edit) -> None:
        self.wanted, self.unwanted, self.liked = [], [], []

    def _undo(self, edit: Edit) -> None:
        """What the last turn that wished anything had added goes."""
        turns = [w.turn for w in (*self.wanted, *self.unwanted)]
        last = max(turns, default=-1)
        self.wanted = [w for w in self.wanted if w.turn != last]
        self.unwanted = [w for w in self.unwanted if w.turn != last]


def _without(wishes: list[Wish], part: Part) -> list[Wish]:
    """Less the columns of ``part``; a wish of which nothing is left is gone."""
    kept: list[Wish] = []
    for wish in wishes:
        if not wish.part.columns & part.columns:
            kept.append(wish)
        elif (left := wish.part.less(part.columns)) is not None:
            kept.append(replace(wish, part=left))
    return kept
