"""Wishes made from a catalogue's own attributes: templates over combinations that some item has."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from tacit.catalog import Catalog
from tacit.dialogue.evaluate.wish_lists import Case, Facts, make_case
from tacit.dialogue.policy.wishes.attributes import ON_SCREEN, AttributeIndex
from tacit.types import Item

Row = dict[str, Any]
_COMMON = 10  # items that share a value from which it is asked for
_TRIES = 60  # draws for one wish before its template is given up


@dataclass(frozen=True)
class _Asked:
    """One item, and what a template may ask of it; ``None`` where the item lacks it."""

    item: Item
    index: AttributeIndex
    common: dict[str, list[str]]  # of each key, the values that are worth asking for
    dice: np.random.Generator

    def kinds(self) -> tuple[str, list[str]] | None:
        for key, kind in self.index.kinds.items():
            held = [value for value in self.item.attributes.get(key, ()) if value in self.common.get(key, ())]
            if kind == "category" and held:
                return key, [str(value) for value in self.dice.permutation(held)]
        return None

    def lacking(self, key: str) -> str | None:
        """A value of ``key`` that the item does not have."""
        others = [value for value in self.common[key] if value not in self.item.attributes[key]]
        return str(self.dice.choice(others)) if others else None

    def person(self) -> tuple[str, str] | None:
        keys = [key for key, kind in self.index.kinds.items() if kind == "person" and self.item.attributes.get(key)]
        if not keys:
            return None
        key = str(self.dice.choice(keys))
        return key, str(self.dice.choice(self.item.attributes[key]))

    def year(self) -> int | None:
        key = self.index.year_key
        held = self.item.attributes.get(key, ()) if key else ()
        return int(held[0][:4]) if held and held[0][:4].isdigit() else None


def generate(catalog: Catalog, n: int, seed: int) -> list[Case]:
    """``n`` wishes, the templates in turn; fewer where the catalogue has too little to ask for.

    An item is drawn for each (in proportion to √(1 + count)), and asked for by what it has, so that something satisfies
    every wish. The titles and values are the catalogue's, the words around them are these templates'.
    """
    dice = np.random.default_rng([seed, 0x317])
    index = AttributeIndex(catalog)
    common: dict[str, list[str]] = {}
    for (key, value), rows in zip(index.columns, index.rows, strict=True):
        if index.kinds[key] == "category" and len(rows) >= _COMMON:
            common.setdefault(key, []).append(value)
    weights = np.sqrt(1.0 + catalog.counts)
    weights = weights / weights.sum()
    facts = Facts(catalog)
    cases: list[Case] = []
    for number in range(n):
        for _ in range(_TRIES):
            item = catalog.items[int(dice.choice(len(catalog), p=weights))]
            row = TEMPLATES[number % len(TEMPLATES)](_Asked(item, index, common, dice))
            case = make_case({"id": f"g{number:03d}", **row}, facts) if row else None
            if case is not None and case.satisfies.any():
                cases.append(case)
                break
    return cases


def _kind(facts: _Asked) -> Row | None:
    if not (found := facts.kinds()):
        return None
    key, (a, *_) = found
    said = _pick(facts, "I am looking for {a}", "something {a} please", "got any good {a}?", "{a}")
    return {"turns": [said.format(a=a)], "want": [{key: [a]}]}


def _kind_and_decade(facts: _Asked) -> Row | None:
    year, found = facts.year(), facts.kinds()
    if not found or year is None or year < 1930:
        return None
    key, (a, *_) = found
    decade = year // 10 * 10
    short = f"{decade % 100}s" if decade < 2000 else f"{decade}s"
    said = _pick(facts, "{a} from the {d}", "do you have some {d} {a}", "I want {a} that was made in the {d}")
    return {"turns": [said.format(a=a, d=short)], "want": [{key: [a]}, {_year(facts): [decade, decade + 9]}]}


def _kind_without(facts: _Asked) -> Row | None:
    if not (found := facts.kinds()) or not (b := facts.lacking(found[0])):
        return None
    key, (a, *_) = found
    saying = ("{a}, but no {b}", "no {b} please. I like {a}", "I don't like {b}, show me {a}", "{a} without {b}")
    said = _pick(facts, *saying)
    return {"turns": [said.format(a=a, b=b)], "want": [{key: [a]}], "avoid": [{key: [b]}]}


def _two_kinds(facts: _Asked) -> Row | None:
    found = facts.kinds()
    if not found or len(found[1]) < 2:
        return None
    key, (a, b, *_) = found
    said = _pick(facts, "something that is both {a} and {b}", "{a} and {b} in one", "a mix of {a} and {b}")
    return {"turns": [said.format(a=a, b=b)], "want": [{key: [a]}, {key: [b]}]}


def _either_kind(facts: _Asked) -> Row | None:
    if not (found := facts.kinds()) or not (b := facts.lacking(found[0])):
        return None
    key, (a, *_) = found
    said = _pick(facts, "{a} or {b}, I don't mind which", "either {a} or {b}")
    return {"turns": [said.format(a=a, b=b)], "want": [{key: [a, b]}]}


def _person(facts: _Asked) -> Row | None:
    if not (found := facts.person()):
        return None
    key, name = found
    said = _pick(facts, "anything {by} {p}", "have you got something {by} {p}?", "I want to see something {by} {p}")
    return {"turns": [said.format(by=_by(key), p=name.title())], "want": [{key: [name]}]}


def _person_and_kind(facts: _Asked) -> Row | None:
    person, kinds = facts.person(), facts.kinds()
    if not person or not kinds:
        return None
    (who, name), (key, (a, *_)) = person, kinds
    said = _pick(facts, "{a} {by} {p}", "something {by} {p}, {a} if possible")
    return {"turns": [said.format(a=a, by=_by(who), p=name.title())], "want": [{who: [name]}, {key: [a]}]}


def _years(facts: _Asked) -> Row | None:
    year, found = facts.year(), facts.kinds()
    if not found or year is None or year < 1930:
        return None
    key, (a, *_) = found
    after = bool(facts.dice.random() < 0.5)
    bound = year - int(facts.dice.integers(1, 6)) if after else year + int(facts.dice.integers(1, 6))
    said = f"{a} made after {bound}" if after else f"{a}, it has to be from before {bound}"
    span = [bound + 1, 9999] if after else [0, bound - 1]
    return {"turns": [said], "want": [{key: [a]}, {_year(facts): span}]}


def _seen(facts: _Asked) -> Row | None:
    if not (found := facts.kinds()):
        return None
    key, (a, *_) = found
    title = facts.item.title
    said = _pick(facts, "I have seen {t}. More {a} please", "{a}, but I already watched {t}", "{a}, not {t}")
    return {"turns": [said.format(a=a, t=title)], "want": [{key: [a]}], "avoid_items": [title]}


def _corrected(facts: _Asked) -> Row | None:
    year, found = facts.year(), facts.kinds()
    if not found or year is None or not 1940 <= year < 2000 or not (b := facts.lacking(found[0])):
        return None
    key, (a, *_) = found
    decade = year // 10 * 10
    other = 1990 if decade != 1990 else 1980
    if facts.dice.random() < 0.5:
        first, then = f"{other % 100}s", f"{decade % 100}s"
        turns = [f"{a} from the {first}", {"text": "Any special wish?"}, f"forget the {first}, make it the {then}"]
        return {"turns": turns, "want": [{key: [a]}, {_year(facts): [decade, decade + 9]}]}
    turns = [f"I want {b}", {"text": "Sure?"}, f"no, {a} instead"]
    return {"turns": turns, "want": [{key: [a]}]}


TEMPLATES: tuple[Callable[[_Asked], Row | None], ...] = (
    _kind,
    _kind_and_decade,
    _kind_without,
    _two_kinds,
    _either_kind,
    _person,
    _person_and_kind,
    _years,
    _seen,
    _corrected,
)


def _pick(facts: _Asked, *said: str) -> str:
    return said[int(facts.dice.integers(len(said)))]


def _year(facts: _Asked) -> str:
    return str(facts.index.year_key)


def _by(key: str) -> str:
    return "with" if key in ON_SCREEN else "directed by" if key.startswith("director") else "by"
