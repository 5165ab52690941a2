"""The cases of a run file, a gold item each, and the slices that they fall into."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl

from tacit.catalog import Catalog
from tacit.metrics.persons import Persons, persons
from tacit.referee.form import RESPONSES, Context, RunFile
from tacit.types import Bools, Ints64

TURNS = (5, 10, 20)  # where the slices by turn are cut: messages before the one that is counted


@dataclass(frozen=True, slots=True)
class Case:
    """One gold item of one context. ``row``: the context's line; ``gold`` and ``mentioned`` are catalogue rows."""

    row: int
    place: str
    gold: int
    mentioned: tuple[int, ...]


@dataclass(frozen=True)
class Cases:
    """All cases of a run file, in the order of its lines, with its contexts and its catalogue."""

    found: tuple[Case, ...]
    contexts: tuple[Context, ...]
    catalog: Catalog
    dataset: str

    @cached_property
    def rows(self) -> Ints64:
        """The context of each case [n]."""
        return np.array([case.row for case in self.found], dtype=np.int64)

    @cached_property
    def keys(self) -> tuple[tuple[str, str], ...]:
        """(context id, gold item id) of each case: what makes cases of two run files the same."""
        return tuple((case.place, self.catalog.items[case.gold].id) for case in self.found)

    @cached_property
    def groups(self) -> list[list[Case]]:
        """Cases by context: those of one context stand together."""
        grouped: dict[int, list[Case]] = {}
        for case in self.found:
            grouped.setdefault(case.row, []).append(case)
        return list(grouped.values())

    @cached_property
    def people(self) -> Persons:
        """Whose each case is, and what they are called: dialogues, where not every context says the person."""
        contexts = [self.contexts[case.row] for case in self.found]
        table = pl.DataFrame({"dialogue": [context.dialogue for context in contexts]})
        if all(context.person is not None for context in contexts):
            table = table.with_columns(pl.Series("user", [context.person for context in contexts], dtype=pl.String))
        return persons([table], self.dataset)

    @cached_property
    def slices(self) -> dict[str, Bools]:
        """Slice → which cases are in it [n]; those of which nothing is known, or nothing is in them, are left out."""
        repeated = np.array([case.gold in case.mentioned for case in self.found], dtype=bool)
        everything = {"all": np.ones(len(self.found), dtype=bool), "new": ~repeated, "repeated": repeated}
        everything |= self._answered() | self._by_turn() | self._by_popularity()
        return {name: mask for name, mask in everything.items() if name == "all" or mask.any()}

    def _answered(self) -> dict[str, Bools]:
        """``liked`` and ``not liked`` and so on, where the file says it of any gold item."""
        found: dict[str, Bools] = {}
        for name in RESPONSES:
            said = [self.contexts[row].responses.get(name, {}).get(item) for row, (_, item) in self._row_and_key()]
            found |= {name: np.array([value is True for value in said], dtype=bool)}
            found |= {f"not {name}": np.array([value is False for value in said], dtype=bool)}
        return found

    def _row_and_key(self) -> list[tuple[int, tuple[str, str]]]:
        return list(zip(self.rows.tolist(), self.keys, strict=True))

    def _by_turn(self) -> dict[str, Bools]:
        turns = np.array([self.contexts[case.row].turn for case in self.found], dtype=np.int64)
        bounds = (0, *TURNS)
        names = [f"turns {low}-{high - 1}" for low, high in zip(bounds, TURNS, strict=False)] + [f"turns {TURNS[-1]}+"]
        bins = np.digitize(turns, TURNS)
        return {name: bins == k for k, name in enumerate(names)}

    def _by_popularity(self) -> dict[str, Bools]:
        """The most named items that together hold a third of the training mentions (head), the next third, the rest;
        and ``unseen``, which no training dialogue names. Nothing where the file has no counts."""
        counts = self.catalog.counts
        if not counts.any():
            return {}
        levels, places, sizes = np.unique(counts, return_inverse=True, return_counts=True)
        mentions = levels * sizes
        before = (counts.sum() - np.cumsum(mentions))[places]  # mentions of items named more often
        third = np.minimum(3 * before // counts.sum(), 2)
        golds = np.array([case.gold for case in self.found], dtype=np.int64)
        names = ("head", "middle", "tail")
        return {name: third[golds] == k for k, name in enumerate(names)} | {"unseen": counts[golds] == 0}


def cases(run: RunFile) -> Cases:
    """Cases of every context that has gold; of a run with candidate lists, the same."""
    found = tuple(
        Case(row, context.id, run.catalog.index(item), tuple(map(run.catalog.index, context.mentioned)))
        for row, context in enumerate(run.contexts)
        for item in context.gold
    )
    return Cases(found, run.contexts, run.catalog, run.dataset)


def same_cases(one: Cases, other: Cases) -> Ints64 | None:
    """For each case of ``one`` its place in ``other``; None where they do not hold the same cases."""
    places: Mapping[tuple[str, str], int] = {key: place for place, key in enumerate(other.keys)}
    if len(one.keys) != len(other.keys) or any(key not in places for key in one.keys):
        return None
    return np.array([places[key] for key in one.keys], dtype=np.int64)
