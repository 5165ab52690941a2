"""The catalogue: items in a fixed order, their training popularity, and the linker that finds titles in text."""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tacit.languages import ENGLISH, Grammar, grammar_of
from tacit.run.files import atomic_write
from tacit.run.lines import decode, lines
from tacit.types import Dialogue, InputError, Item, ItemId
from tacit.typography import plain_type, plain_type_with_places

Spans = tuple[tuple[int, int, ItemId], ...]

_LETTERS = r"(?:[^\W_]|[\u0300-\u036f])+"  # accents may stand as characters of their own
_TOKEN = re.compile(rf"&|{_LETTERS}(?:['’]{_LETTERS})*")
_YEAR_SUFFIX = re.compile(r"\s*\((\d{4})\)\s*$")
_YEAR_NEXT = re.compile(r"[!?.…]*\s*\((\d{4})\)")
_QUOTES = "\"'“”„‘’‚«»‹›*"
_UMLAUTS = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "Ä": "Ae", "Ö": "Oe", "Ü": "Ue"})
FEW_WORDS = 250  # a catalogue whose texts hold fewer different words does not show which are common


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

    def named(self, text: str) -> tuple[ItemId, ...]:
        """The items whose titles stand in ``text``, each once, in order."""
        return tuple(dict.fromkeys(item for _, _, item in self.link(text)))

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
        """Read what ``save`` wrote, or any file in the ``item-v1`` form, plain or gzipped."""
        source = Path(path)
        if not source.is_file():
            raise InputError(f"items file {source} does not exist: give a JSON-lines file with one item a line.")
        items: list[Item] = []
        counts: list[int] = []
        first: dict[ItemId, int] = {}
        for number, raw in lines(source):
            try:
                item, count = item_from_json(decode(raw))
            except ValueError as error:
                raise InputError(f"{source}:{number}: {error} (docs/data.md has the item-v1 form).") from None
            if first.setdefault(item.id, number) != number:
                again = f"item id {item.id!r} occurs twice, in line {first[item.id]} before: make ids unique"
                raise InputError(f"{source}:{number}: {again}.")
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
    return " ".join(_tokens(plain_type(title)))


def item_to_json(item: Item, count: int = 0) -> dict[str, Any]:
    row: dict[str, Any] = {"id": item.id, "title": item.title, "text": item.text}
    if item.attributes:
        row["attributes"] = {name: list(values) for name, values in item.attributes.items()}
    if count:
        row["count"] = count
    return row


def item_from_json(row: object) -> tuple[Item, int]:
    """An item and its count from the ``item-v1`` form; ValueError says what is wrong. A null is an absent key."""
    if not isinstance(row, dict):
        raise ValueError("an item must be a JSON object")
    unknown = sorted(set(row) - {"version", "id", "title", "text", "attributes", "count"})
    if unknown:
        raise ValueError(f"unknown key {unknown[0]!r} in an item")
    row = {key: value for key, value in row.items() if value is not None}
    if row.get("version", 1) != 1 or isinstance(row.get("version"), bool):
        raise ValueError("key 'version' of an item must be 1")
    for key in ("id", "title"):
        if not isinstance(row.get(key), str) or not row[key]:
            raise ValueError(f"key {key!r} of an item must be a non-empty string")
    text = row.get("text", row["title"])
    if not isinstance(text, str):
        raise ValueError("key 'text' of an item must be a string")
    count = row.get("count", 0)
    if isinstance(count, float) and count.is_integer():  # what pandas makes of a column with gaps
        count = int(count)
    if not isinstance(count, int) or isinstance(count, bool) or not 0 <= count < 2**63:
        raise ValueError("key 'count' of an item must be an integer of at least 0")
    return Item(row["id"], row["title"], text or row["title"], _attributes(row.get("attributes", {}))), count


def _attributes(row: object) -> dict[str, tuple[str, ...]]:
    if not isinstance(row, dict):
        raise ValueError("key 'attributes' of an item must be an object of lists of strings")
    lists = {name: values for name, values in row.items() if values is not None}
    for name, values in lists.items():
        if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
            raise ValueError(f"attribute {name!r} of an item must be a list of strings")
    return {name: tuple(value.lower() for value in values) for name, values in lists.items()}


class _Linker:
    """Titles as token n-grams in a dictionary, so that a text costs its own length and not the catalogue's.

    A title in the text counts as a mention when its year follows in parentheses or it stands in quotes; else when it
    cannot be everyday words. Everyday means function words, numbers, and words that the catalogue's own texts use in
    lower case: such a title must be capitalised, and a one-word one must not open a sentence. Of several items with
    one title the year decides, then training popularity, then catalogue order.

    The language of the catalogue's texts says which words glue sentences. In German, nouns have a capital anyway: a
    title of everyday words counts only where a capital article shows it inside a sentence ("ich mag Das Boot"), and an
    article may be inflected ("den Schwarm").
    """

    def __init__(self, items: Sequence[Item], counts: npt.NDArray[np.int64]) -> None:
        self._titles: dict[tuple[str, ...], list[tuple[str | None, int, ItemId]]] = {}
        self._lengths: dict[str, list[int]] = {}
        self._grammar = _grammar(items[:2000])
        everyday = {
            token for item in items for token in re.findall(r"\b[a-z]+\b", plain_type(item.text)) if len(token) < 15
        }
        if self._grammar.capital_nouns:
            everyday = _everyday_with_nouns(items)
        common = self._grammar.common_words if len(everyday) < FEW_WORDS or self._grammar.capital_nouns else frozenset()
        self._everyday = everyday | common | self._grammar.function_words
        for row, item in enumerate(items):
            title = plain_type(item.title)
            year = _YEAR_SUFFIX.search(title)
            base = title[: year.start()] if year else title
            for key in {self._key(_tokens(form)) for form in self._spellings(base)} - {()}:
                self._titles.setdefault(key, []).append((year.group(1) if year else None, row, item.id))
        for key, entries in self._titles.items():
            entries.sort(key=lambda entry: (-int(counts[entry[1]]), entry[1]))
            lengths = self._lengths.setdefault(key[0], [])
            if len(key) not in lengths:
                lengths.append(len(key))
        for lengths in self._lengths.values():
            lengths.sort(reverse=True)

    def _key(self, tokens: Sequence[str]) -> tuple[str, ...]:
        """A title's tokens as they are filed: an article that opens it in one form."""
        return (self._grammar.articles.get(tokens[0], tokens[0]), *tokens[1:]) if tokens else ()

    def _spellings(self, title: str) -> tuple[str, ...]:
        """German is also written without umlauts: "Die Huette" is "Die Hütte"."""
        composed = unicodedata.normalize("NFC", title)
        return (title, composed.translate(_UMLAUTS)) if self._grammar.capital_nouns else (title,)

    def link(self, text: str) -> Spans:
        tokens = [(match.start(), match.end(), _normalise(match.group())) for match in _TOKEN.finditer(text)]
        spans: list[tuple[int, int, ItemId]] = []
        position = 0
        while position < len(tokens):
            found = self._at(text, tokens, position)
            if tokens[position][2] in self._grammar.articles and position + 1 < len(tokens):
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
        first = self._grammar.articles.get(tokens[position][2], tokens[position][2])
        for length in self._lengths.get(first, ()):
            key = (first, *(token for _, _, token in tokens[position + 1 : position + length]))
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
        if all(token.isdigit() or token in self._grammar.function_words for _, _, token in words):
            return False
        rare = any(token not in self._everyday and not token.isdigit() for _, _, token in words)
        if self._grammar.capital_nouns and not (rare and length == 1):
            return rare or self._shown_by_capitals(text, words)
        if length > 1:
            return rare or not any(text[word[0]].islower() for word in (words[0], words[-1]))
        if text[start].islower() or (not rare and _opens_sentence(text, start)):
            return False
        return not self._part_of_name(text, tokens, position)

    def _shown_by_capitals(self, text: str, words: list[tuple[int, int, str]]) -> bool:
        """Whether capitals show a title of everyday words where every noun has one: the article's inside a sentence
        does ("ich mag Das Boot"); three words or more are rarely so by chance ("Krieg und Frieden")."""
        start = words[0][0]
        if words[0][2] in self._grammar.function_words:
            return len(words) > 1 and text[start].isupper() and not _opens_sentence(text, start)
        return len(words) > 2 and not any(text[word[0]].islower() for word in (words[0], words[-1]))

    def _part_of_name(self, text: str, tokens: list[tuple[int, int, str]], position: int) -> bool:
        """Whether a one-word title touches another capitalised word ("Morgan Freeman" is not the film "Morgan")."""
        start, end, _ = tokens[position]
        everyday = self._everyday if self._grammar.capital_nouns else self._grammar.function_words
        if position + 1 < len(tokens):
            after, _, word = tokens[position + 1]
            if text[end:after] == " " and text[after].isupper() and word not in everyday:
                return True
        if position == 0:
            return False
        before, stop, word = tokens[position - 1]
        glued = text[stop:start] == " " and text[before].isupper()
        return glued and word not in everyday and not _opens_sentence(text, before)


def _grammar(items: Sequence[Item]) -> Grammar:
    """Of the titles' language, or of the texts': a shop may describe German books in English."""
    titles = grammar_of(item.title for item in items)
    return grammar_of(item.text for item in items) if titles is ENGLISH else titles


def _tokens(text: str) -> list[str]:
    return [_normalise(match.group()) for match in _TOKEN.finditer(text)]


def _everyday_with_nouns(items: Sequence[Item]) -> set[str]:
    """Words in lower case in the items' texts, and capitalised ones inside sentences of two items or more, normalised;
    an item's own title does not count."""
    lower: set[str] = set()
    holders: Counter[str] = Counter()
    for item in items:
        text = plain_type(item.text).replace(plain_type(item.title), " ")
        words = [(match.start(), match.group()) for match in _TOKEN.finditer(text)]
        lower |= {_normalise(word) for _, word in words if word[0].islower()}
        holders.update(
            {_normalise(word) for start, word in words if word[0].isupper() and not _opens_sentence(text, start)}
        )
    return lower | {word for word, times in holders.items() if times > 1}


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
