"""The catalogue: items in a fixed order, their training popularity, and the linker that finds titles in text."""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tacit.run.files import atomic_write
from tacit.types import Dialogue, InputError, Item, ItemId
from tacit.typography import plain_type, plain_type_with_places

Spans = tuple[tuple[int, int, ItemId], ...]

_TOKEN = re.compile(r"&|[^\W_]+(?:['’][^\W_]+)*")
_YEAR_SUFFIX = re.compile(r"\s*\((\d{4})\)\s*$")
_YEAR_NEXT = re.compile(r"[!?.…]*\s*\((\d{4})\)")
_QUOTES = "\"'“”‘’«»*"
# Words that open or glue English sentences: a title made of these alone is linked only with its year or in quotes.
_FUNCTION_WORDS = frozenset(
    re.findall(
        r"\w+",
        """a about after again all am an and any are as at be been before but by can come could did do does down for
        from get go good had has have he her hello here hi him his how i if in into is it its just let like lol love
        loved me more my never no not now of off oh ok on once one or our out over please she so some stop sure than
        thanks that the their them then there they this to too two up us was way we well were what when where which who
        why will wish with would yes you your""",
    )
)
_ARTICLES = frozenset({"the", "a", "an"})


class Catalog:
    """An immutable, ordered set of items. Row ``i`` of any ``[*, n_items]`` array is ``items[i]``.

    ``counts`` is int64 ``[n_items]``: in how many training turns an item was mentioned or shown (0 before
    ``with_counts``).
    """

    def __init__(self, items: Sequence[Item], counts: Sequence[int] | npt.NDArray[np.int64] | None = None) -> None:
        self.items: tuple[Item, ...] = tuple(items)
        self._rows: dict[ItemId, int] = {item.id: row for row, item in enumerate(self.items)}
        if len(self._rows) != len(self.items):
            raise InputError(f"item id {_first_repeat(self.items)!r} occurs twice in the catalogue: make ids unique.")
        if not self.items:
            raise InputError("the catalogue is empty: give at least one item.")
        array = np.zeros(len(self.items), np.int64) if counts is None else np.asarray(counts, dtype=np.int64).copy()
        if array.shape != (len(self.items),):
            raise ValueError(f"counts have shape {array.shape}, want ({len(self.items)},)")
        array.flags.writeable = False
        self.counts: npt.NDArray[np.int64] = array

    def __len__(self) -> int:
        return len(self.items)

    def __contains__(self, id: object) -> bool:
        return id in self._rows

    def __getitem__(self, id: ItemId) -> Item:
        return self.items[self.index(id)]

    def __iter__(self) -> Iterator[Item]:
        return iter(self.items)

    def index(self, id: ItemId) -> int:
        """The row of an item."""
        try:
            return self._rows[id]
        except KeyError:
            raise InputError(f"item {id!r} is not in the catalogue: add it, or remove its mentions.") from None

    def with_counts(self, dialogues: Sequence[Dialogue]) -> Catalog:
        """The same catalogue with popularity from these (training) dialogues: each item counts once a turn."""
        counts = np.zeros(len(self.items), np.int64)
        for dialogue in dialogues:
            for turn in dialogue.turns:
                for id in {*turn.mentions, *(turn.slate.items if turn.slate else ())}:
                    counts[self.index(id)] += 1
        return Catalog(self.items, counts)

    def link(self, text: str) -> Spans:
        """(start, end, item) of every title in ``text``: longest match, left to right, never overlapping."""
        plain, places = plain_type_with_places(text)
        spans = self._linker.link(plain)
        return tuple((places[start], places[end - 1] + 1, id) for start, end, id in spans)

    def fingerprint(self) -> str:
        """sha256 over ids, titles and texts in order (popularity is not part of an item's identity)."""
        digest = hashlib.sha256()
        for item in self.items:
            digest.update(json.dumps([item.id, item.title, item.text], ensure_ascii=True).encode())
            digest.update(b"\n")
        return digest.hexdigest()

    def save(self, path: str | Path) -> None:
        """Write the items as JSON lines (the ``item-v1`` form), with ``count`` where it is not zero."""
        rows = zip(self.items, self.counts.tolist(), strict=True)
        atomic_write(path, "".join(json.dumps(item_to_json(*row), ensure_ascii=False) + "\n" for row in rows))

    @classmethod
    def load(cls, path: str | Path) -> Catalog:
        """Read what ``save`` wrote, or any file in the ``item-v1`` form."""
        source = Path(path)
        if not source.is_file():
            raise InputError(f"items file {source} does not exist: give a JSON-lines file with one item a line.")
        items: list[Item] = []
        counts: list[int] = []
        with source.open("rb") as file:
            for number, raw in enumerate(file, start=1):
                if not raw.strip():
                    continue
                try:
                    item, count = item_from_json(json.loads(raw.decode("utf-8")))
                except UnicodeDecodeError:
                    raise InputError(f"{source}:{number}: not UTF-8: re-encode the file as UTF-8.") from None
                except ValueError as error:
                    raise InputError(f"{source}:{number}: {error}: see the item-v1 schema in docs/data.md.") from None
                items.append(item)
                counts.append(count)
        if not items:
            raise InputError(f"items file {source} is empty: give at least one item, one JSON object a line.")
        return cls(items, counts)

    @cached_property
    def _linker(self) -> _Linker:
        return _Linker(self.items, self.counts)


def normalise_title(title: str) -> str:
    """Case, accents, punctuation and spacing removed: two spellings of a title compare equal."""
    return " ".join(_normalise(match.group()) for match in _TOKEN.finditer(plain_type(title)))


def item_to_json(item: Item, count: int = 0) -> dict[str, Any]:
    row: dict[str, Any] = {"id": item.id, "title": item.title, "text": item.text}
    if item.attributes:
        row["attributes"] = {name: list(values) for name, values in item.attributes.items()}
    if count:
        row["count"] = count
    return row


def item_from_json(row: object) -> tuple[Item, int]:
    """An item and its count from the ``item-v1`` form; ValueError says what is wrong."""
    if not isinstance(row, dict):
        raise ValueError("an item must be a JSON object")
    unknown = sorted(set(row) - {"version", "id", "title", "text", "attributes", "count"})
    if unknown:
        raise ValueError(f"unknown key {unknown[0]!r} in an item")
    if row.get("version", 1) != 1 or isinstance(row.get("version"), bool):
        raise ValueError("key 'version' of an item must be 1")
    for key in ("id", "title"):
        if not isinstance(row.get(key), str) or not row[key]:
            raise ValueError(f"key {key!r} of an item must be a non-empty string")
    text = row.get("text", row["title"])
    if not isinstance(text, str):
        raise ValueError("key 'text' of an item must be a string")
    attributes = row.get("attributes", {})
    if not isinstance(attributes, dict):
        raise ValueError("key 'attributes' of an item must be an object of lists of strings")
    for name, values in attributes.items():
        if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
            raise ValueError(f"attribute {name!r} of an item must be a list of strings")
    count = row.get("count", 0)
    if not isinstance(count, int) or isinstance(count, bool) or count < 0:
        raise ValueError("key 'count' of an item must be an integer of at least 0")
    lowered = {name: tuple(value.lower() for value in values) for name, values in attributes.items()}
    return Item(row["id"], row["title"], text or row["title"], lowered), count


class _Linker:
    """Titles as token n-grams in a dictionary, so that a text costs its own length and not the catalogue's.

    A title in the text counts as a mention when its year follows in parentheses or it stands in quotes; else when it
    cannot be everyday words. Everyday means function words, numbers, and words that the catalogue's own texts use in
    lower case: such a title must be capitalised, and a one-word one must not open a sentence. Of several items with
    one title the year decides, then training popularity, then catalogue order.
    """

    def __init__(self, items: Sequence[Item], counts: npt.NDArray[np.int64]) -> None:
        self._titles: dict[tuple[str, ...], list[tuple[str | None, int, ItemId]]] = {}
        self._lengths: dict[str, list[int]] = {}
        self._everyday = {
            token for item in items for token in re.findall(r"\b[a-z]+\b", plain_type(item.text)) if len(token) < 15
        } | _FUNCTION_WORDS
        for row, item in enumerate(items):
            title = plain_type(item.title)
            year = _YEAR_SUFFIX.search(title)
            base = title[: year.start()] if year else title
            key = tuple(_normalise(match.group()) for match in _TOKEN.finditer(base))
            if key:
                self._titles.setdefault(key, []).append((year.group(1) if year else None, row, item.id))
        for key, entries in self._titles.items():
            entries.sort(key=lambda entry: (-int(counts[entry[1]]), entry[1]))
            lengths = self._lengths.setdefault(key[0], [])
            if len(key) not in lengths:
                lengths.append(len(key))
        for lengths in self._lengths.values():
            lengths.sort(reverse=True)

    def link(self, text: str) -> Spans:
        tokens = [(match.start(), match.end(), _normalise(match.group())) for match in _TOKEN.finditer(text)]
        spans: list[tuple[int, int, ItemId]] = []
        position = 0
        while position < len(tokens):
            found = self._at(text, tokens, position)
            if tokens[position][2] in _ARTICLES and position + 1 < len(tokens):
                # "the Godfather (1972)" may be the item "The Godfather" or "Godfather (1972)": the further end wins.
                rest = self._at(text, tokens, position + 1)
                found = rest if rest and (found is None or rest[1] > found[1]) else found
            if found is None:
                position += 1
                continue
            spans.append(found)
            while position < len(tokens) and tokens[position][0] < found[1]:
                position += 1
        return tuple(spans)

    def _at(self, text: str, tokens: list[tuple[int, int, str]], position: int) -> tuple[int, int, ItemId] | None:
        for length in self._lengths.get(tokens[position][2], ()):
            key = tuple(token for _, _, token in tokens[position : position + length])
            entries = self._titles.get(key)
            if len(key) < length or not entries:
                continue
            start, end = tokens[position][0], tokens[position + length - 1][1]
            plain = [entry for entry in entries if entry[0] is None]
            year = _YEAR_NEXT.match(text, end)
            if year:
                exact = [entry for entry in entries if entry[0] == year.group(1)]
                if exact:
                    return start, year.end(), exact[0][2]
                if plain:
                    return start, end, plain[0][2]
            elif self._stands_alone(text, tokens, position, length):
                return start, end, (plain or entries)[0][2]
        return None

    def _stands_alone(self, text: str, tokens: list[tuple[int, int, str]], position: int, length: int) -> bool:
        """Whether a title without a year is one: quoted, or not everyday words, or capitalised like a title."""
        words = tokens[position : position + length]
        start, end = words[0][0], words[-1][1]
        if start and text[start - 1] in _QUOTES and text[end : end + 1] and text[end] in _QUOTES:
            return True
        if all(token.isdigit() or token in _FUNCTION_WORDS for _, _, token in words):
            return False
        rare = any(token not in self._everyday and not token.isdigit() for _, _, token in words)
        if length > 1:
            return rare or not any(text[word[0]].islower() for word in (words[0], words[-1]))
        if text[start].islower() or (not rare and _opens_sentence(text, start)):
            return False
        return not self._part_of_name(text, tokens, position)

    def _part_of_name(self, text: str, tokens: list[tuple[int, int, str]], position: int) -> bool:
        """Whether a one-word title touches another capitalised word ("Morgan Freeman" is not the film "Morgan")."""
        start, end, _ = tokens[position]
        if position + 1 < len(tokens):
            after, _, word = tokens[position + 1]
            if text[end:after] == " " and text[after].isupper() and word not in _FUNCTION_WORDS:
                return True
        if position == 0:
            return False
        before, stop, word = tokens[position - 1]
        glued = text[stop:start] == " " and text[before].isupper()
        return glued and word not in _FUNCTION_WORDS and not _opens_sentence(text, before)


def _opens_sentence(text: str, start: int) -> bool:
    before = text[:start].rstrip(_QUOTES + " \t([")
    return not before or before[-1] in ".!?…\n:"


def _normalise(token: str) -> str:
    if token == "&":
        return "and"
    plain = unicodedata.normalize("NFKD", token) if not token.isascii() else token
    return "".join(c for c in plain.casefold() if not unicodedata.combining(c) and c not in "'’")


def _first_repeat(items: Sequence[Item]) -> ItemId:
    seen: set[ItemId] = set()
    for item in items:
        if item.id in seen:
            return item.id
        seen.add(item.id)
    return ""
