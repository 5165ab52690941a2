"""What a catalogue knows of its items, as an index: attribute value → items, number → items, and words for them.

Everything is read off the catalogue: which keys hold numbers, people or kinds, and how each value is written.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Literal

import numpy as np

from tacit.catalog import Catalog
from tacit.dialogue.policy.wishes.lexicon import word_set
from tacit.types import Bools, Floats32, Ints64, Item
from tacit.typography import plain_type

Kind = Literal["category", "person", "number", "likeness"]

PEOPLE = word_set(
    "star stars actor actors actress cast director directors writer writers author authors artist artists composer "
    "illustrator narrator creator creators singer performer performers designer designers producer musician band"
)
ON_SCREEN = word_set("star stars actor actors actress cast singer performer performers narrator")
YEARS = word_set("year years release_year released published publication_year date release_date first_published")
_NUMBER = re.compile(r"^\s*[$€£]?\s*(-?\d+(?:[.,]\d+)?)\s*\w{0,8}\s*$")
_DATE = re.compile(r"^\s*(\d{4})(?:-\d{2}(?:-\d{2})?)?\s*$")
_TITLE_YEAR = re.compile(r"\((\d{4})\)\s*$")
_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)*")
_NUMERIC_SHARE = 0.9  # of a key's values that read as numbers
_PERSON_SHARE = 0.5  # of a key's values that look like names, where the key's own name does not tell
MOST_MADE = 20_000  # columns that are no attribute's
ABOUT = "about "  # with which the label of a topic begins
FOR_CHILDREN = "for children"  # the label of what suits them
MOST_PARTLY = 0.9  # of a thing that an item has in part
DOMINANT = 3.0  # a name means the key, or the person, that holds this many times as many items as the next


@dataclass(frozen=True, slots=True)
class Part:
    """One thing an item has or lacks: any of ``columns``, a number of ``key`` in any of ``spans``, or likeness to any
    of the item rows ``like``. ``exact`` tells a catalogue's own word from a synonym. ``partly`` are alternatives: an
    item without any of ``columns`` has as much of the thing as its (column, weight) pairs sum to, never all. ``tells``
    is what a topic weighs: less where many texts have its words."""

    label: str
    kind: Kind
    columns: frozenset[int] = frozenset()
    key: str = ""
    spans: tuple[tuple[float, float], ...] = ()
    like: tuple[int, ...] = ()
    exact: bool = True
    partly: tuple[tuple[tuple[int, float], ...], ...] = ()
    tells: float = 1.0

    def less(self, columns: frozenset[int]) -> Part | None:
        """Without these columns; None when nothing is left."""
        left = self.columns - columns
        return replace(self, columns=left) if left else None


def words(text: str) -> tuple[str, ...]:
    """Lower-case words without accents and marks; a hyphen parts words, a dot inside initials does not show."""
    plain = unicodedata.normalize("NFKD", plain_type(text).lower())
    plain = "".join(c for c in plain if not unicodedata.combining(c))
    return tuple(w.replace("'", "") for w in _WORD.findall(plain))


def singular(word: str) -> str:
    """A plain guess: comedies → comedy, thrillers → thriller; short words and -ss stay."""
    if len(word) > 4 and word.endswith("ies"):
        return word[:-3] + "y"
    if len(word) > 4 and word.endswith(("ches", "shes", "xes", "sses")):
        return word[:-2]
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")) else word


def said_key(key: str) -> str:
    """The word of a numeric attribute's name that people say: "max_players" → player, "price_per_day" → price."""
    said = key.replace("_", " ").split() or [key]
    return singular(said[0] if "per" in said else said[-1])


class AttributeIndex:
    """Columns are (key, value) pairs; ``rows[c]`` are the item rows that hold column ``c``, ascending."""

    def __init__(self, catalog: Catalog) -> None:
        self.catalog, self.n_items = catalog, len(catalog)
        values: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
        for row, item in enumerate(catalog.items):
            for key, listed in item.attributes.items():
                for value in dict.fromkeys(listed):
                    values[key][value].append(row)
        years = next((key for key in values if key in YEARS), "year")
        for row, item in enumerate(catalog.items):
            if years not in item.attributes and (found := _TITLE_YEAR.search(item.title)):
                values[years][found.group(1)].append(row)
        self.kinds: dict[str, Kind] = {key: _kind(key, held) for key, held in values.items()}
        self.columns: list[tuple[str, str]] = []
        self.rows: list[Ints64] = []
        self.numbers: dict[str, Floats32] = {}
        self._made: dict[tuple[str, str], int] = {}
        for key, held in values.items():
            if self.kinds[key] == "number":
                self.numbers[key] = _numbers(held, self.n_items)
                continue
            for value, rows in held.items():
                self.columns.append((key, value))
                self.rows.append(np.array(rows, dtype=np.int64))
        self.year_key = next((key for key in self.numbers if key in YEARS), None) or next(
            (key for key, v in self.numbers.items() if _like_years(v)), None
        )
        self._satisfied = lru_cache(maxsize=max(16, 50_000_000 // self.n_items))(self._of)
        self._categories = self._category_rows()

    def satisfied(self, part: Part) -> Floats32:
        """[n_items], 1 where the item has it, 0 where not or where the catalogue does not tell; likeness is graded."""
        found: Floats32 = self._satisfied(part)
        return found

    def column_of(self, key: str, value: str, rows: Ints64) -> int | None:
        """The column of a value that no attribute has, such as words of the texts; made at the first use. None where
        ``MOST_MADE`` others were: what people say is without end."""
        pair = (key, value)
        if pair not in self._made:
            if len(self._made) >= MOST_MADE:
                return None
            self._made[pair] = len(self.columns)
            self.columns.append(pair)
            self.rows.append(rows)
            self.kinds.setdefault(key, "category")
        return self._made[pair]

    def holds(self, column: int, row: int) -> bool:
        rows = self.rows[column]
        at = int(np.searchsorted(rows, row))
        return at < len(rows) and int(rows[at]) == row

    def people(self, row: int) -> frozenset[int]:
        """The columns of all persons of an item."""
        held = self.catalog.items[row].attributes
        pairs = [(key, value) for key, values in held.items() if self.kinds[key] == "person" for value in values]
        return frozenset(self._column[pair] for pair in pairs)

    @cached_property
    def _column(self) -> dict[tuple[str, str], int]:
        return {pair: column for column, pair in enumerate(self.columns)}

    @cached_property
    def number_names(self) -> frozenset[str]:
        """The words by which the numeric attributes are named, singular."""
        return frozenset(map(said_key, self.numbers))

    def quantile(self, key: str, share: float) -> float:
        known = self.numbers[key]
        return float(np.nanquantile(known, share))

    def number(self, key: str, row: int) -> float | None:
        value = float(self.numbers[key][row])
        return None if np.isnan(value) else value

    def _of(self, part: Part) -> Floats32:
        if part.kind == "likeness":
            return self._likeness(part.like)
        found = np.zeros(self.n_items, dtype=np.float32)
        if part.kind == "number":
            known = self.numbers[part.key]
            inside: Bools = np.zeros(self.n_items, dtype=bool)
            with np.errstate(invalid="ignore"):
                for low, high in part.spans:
                    inside |= (known >= low) & (known <= high)
            found[inside] = 1.0
        for column, worth in (pair for pairs in part.partly for pair in pairs):
            found[self.rows[column]] += worth
        if part.partly:
            np.minimum(found, MOST_PARTLY, out=found)
        for column in part.columns:
            found[self.rows[column]] = 1.0
        return found

    def _likeness(self, like: Sequence[int]) -> Floats32:
        """What an item has in common with the nearest of ``like``: kinds, each by what it tells (−log of its share of
        the items), against the two of ``like`` that tell most; where nothing is filed, everything is alike."""
        best = np.zeros(self.n_items, dtype=np.float32)
        filed = False
        for row in like:
            held = self._categories.get(row, ())
            if held:
                filed = True
                common = np.zeros(self.n_items, dtype=np.float32)
                told = {column: self._told(column) for column in held}
                for column in held:
                    common[self.rows[column]] += told[column]
                best = np.maximum(best, np.minimum(common / sum(sorted(told.values())[-2:]), 1.0))
        return best if filed else np.ones(self.n_items, dtype=np.float32)

    def _told(self, column: int) -> float:
        """In nats, the value's information; little but not nothing where all items have it."""
        return max(float(np.log(self.n_items / len(self.rows[column]))), 0.01)

    def _category_rows(self) -> dict[int, list[int]]:
        held: dict[int, list[int]] = defaultdict(list)
        for column, (key, _) in enumerate(self.columns):
            if self.kinds[key] == "category":
                for row in self.rows[column].tolist():
                    held[row].append(column)
        return held


def everyday(items: Iterable[Item]) -> frozenset[str]:
    """Words that the items' texts use in lower case: a surname among them needs a capital to be one."""
    return frozenset(w for item in items for w in re.findall(r"\b[a-z]+\b", plain_type(item.text)))


def _kind(key: str, held: dict[str, list[int]]) -> Kind:
    if key in YEARS or sum(_NUMBER.match(v) is not None for v in held) >= _NUMERIC_SHARE * len(held):
        return "number"
    if key in PEOPLE:
        return "person"
    items = sum(map(len, held.values()))
    names = sum(2 <= len(v.split()) <= 4 and not any(c.isdigit() for c in v) for v in held)
    shared = Counter(len(rows) > 3 for rows in held.values())[True]
    many = len(held) > 20 and len(held) > 0.3 * items and shared < 0.3 * len(held)
    return (
        "person" if many and names > _PERSON_SHARE * len(held) and key not in ("subject", "tag", "tags") else "category"
    )


def _numbers(held: dict[str, list[int]], n_items: int) -> Floats32:
    """[n_items], NaN where not told; of several the first."""
    numbers = np.full(n_items, np.nan, dtype=np.float32)
    for value, rows in held.items():
        found = _DATE.match(value) or _NUMBER.match(value)
        if found:
            free = [row for row in rows if np.isnan(numbers[row])]
            numbers[free] = float(found.group(1).replace(",", "."))
    return numbers


def _like_years(values: Floats32) -> bool:
    known = values[~np.isnan(values)]
    return len(known) > 0 and bool(((known > 1000) & (known < 2100)).mean() > 0.98) and float(known.max()) > 1900
