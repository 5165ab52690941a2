"""The leak audit: a simulated user may never give away what it would love most before the agent has found it.

A recommender learns nothing worth knowing from users who name their targets (iEvaLM's chat script handed the unfiltered
text to the recommender). The audit reads the text the policy receives and looks for a target by exact title, by
misspelt title, and by an attribute that no other item of the catalogue has.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from functools import lru_cache

from rapidfuzz import fuzz

from tacit.catalog import Catalog, normalise_title
from tacit.types import ItemId
from tacit.typography import plain_type

FUZZY = 92.0  # rapidfuzz partial ratio from which a title counts as said
FUZZY_LETTERS = 8  # shorter titles are compared exactly only
PEOPLE = frozenset({"director", "writer", "star", "actor", "cast", "author", "people"})
_YEAR = re.compile(r"\s*\((\d{4})\)\s*$")


class Auditor:
    """Finds hidden targets in text. Attributes are counted once for the catalogue."""

    def __init__(self, catalog: Catalog) -> None:
        self.catalog = catalog
        holders = Counter(value for item in catalog.items for value in _values(item.attributes))
        self._unique = {
            item.id: tuple(v for v in _values(item.attributes) if holders[v] == 1) for item in catalog.items
        }

    def find(self, text: str, targets: Iterable[ItemId], allowed: Iterable[ItemId] = ()) -> str | None:
        """What leaks, as a short sentence, or None. ``allowed`` items are mentioned openly; their titles are cut out
        first, so that "Toy Story 2" said openly does not count as a leak of "Toy Story"."""
        text = plain_type(text)
        for id in sorted(allowed, key=lambda id: -len(self.catalog[id].title)):
            for written in _written(self.catalog[id].title):
                text = written.sub(" ", text)
        plain = f" {normalise_title(text)} "
        linked = {_forms(self.catalog[id].title)[1] for _, _, id in self.catalog.link(text)}
        for id in targets:
            title = plain_type(self.catalog[id].title)
            short, bare, dated = _forms(title)
            if bare in linked or (dated and title.lower() in text.lower()) or (_telling(bare) and f" {bare} " in plain):
                return f"the exact title {short!r}"
            long = len(bare) >= FUZZY_LETTERS and " " in bare and len(plain) >= len(bare)
            if long and fuzz.partial_ratio(bare, plain, score_cutoff=FUZZY) >= FUZZY:
                return f"the title {short!r}, misspelt"
            for value in self._unique[id]:
                if f" {value} " in plain:
                    return f"{value!r}, which only {title!r} has"
        return None


@lru_cache(maxsize=4)
def auditor(catalog: Catalog) -> Auditor:
    return Auditor(catalog)


def _values(attributes: Mapping[str, tuple[str, ...]]) -> set[str]:
    """Attribute values worth looking for; a person's name needs two words ("common" is also a musician)."""
    return {
        plain
        for name, values in attributes.items()
        if name != "year"
        for plain in map(normalise_title, values)
        if len(plain) >= 4 and (" " in plain or name not in PEOPLE)
    }


@lru_cache(maxsize=65536)
def _forms(title: str) -> tuple[str, str, bool]:
    """(title without year, the same normalised, whether it had a year)."""
    short = _YEAR.sub("", title).strip()
    return short, normalise_title(short), short != title.strip()


@lru_cache(maxsize=65536)
def _telling(bare: str) -> bool:
    """A title of one short common-looking word ("It", "Up", "Home") says nothing by itself."""
    return " " in bare and len(bare) >= 6


@lru_cache(maxsize=16384)
def _written(title: str) -> tuple[re.Pattern[str], ...]:
    """How an openly mentioned title may be written. Kept: Python itself keeps 512 patterns, fewer than titles are,
    and to compile them again and again took a tenth of a rollout."""
    short, bare, _ = _forms(title := plain_type(title))
    forms = (title, short) if _telling(bare) else (title,)
    return tuple(re.compile(re.escape(form), re.IGNORECASE) for form in forms)
