"""A catalogue's people and kinds by the words for them, and the facts of each item: what claims are held against."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache

from tacit.catalog import Catalog
from tacit.dialogue.claim_words import KINDS, NOUNS
from tacit.dialogue.policy.facts import CAST_KEYS, CREATOR_KEYS, GENRE_KEYS, WRITER_KEYS, Facts, facts
from tacit.types import ItemId
from tacit.typography import plain_type

TOKEN = re.compile(r"\w+(?:[-'.]\w+)*")


class FactIndex:
    """The catalogue's people and kinds by their words, and each item's facts, read when first asked for."""

    def __init__(self, catalog: Catalog) -> None:
        self.catalog = catalog
        self._facts: dict[ItemId, Facts] = {}
        self.names: set[tuple[str, ...]] = set()
        self.kinds: dict[tuple[str, ...], str] = {}
        self.most_kinds = max((len(set(kinds_of(item.attributes))) for item in catalog.items), default=0)
        for item in catalog.items:
            for key in (*CREATOR_KEYS, *CAST_KEYS, *WRITER_KEYS):
                self.names.update(tokens_of(name) for name in item.attributes.get(key, ()) if " " in name)
        for kind in {kind for item in catalog.items for kind in kinds_of(item.attributes)} - NOUNS:
            for form in (kind, f"{kind}s", f"{kind[:-1]}ies" if kind.endswith("y") else kind):
                self.kinds[tokens_of(form)] = same_kind(kind)
        surnames = {name[-1:] for name in self.names}
        known = set(self.kinds.values())
        for kind, forms in KINDS.items():
            if kind in known:
                self.kinds |= {tokens_of(form): kind for form in forms}
        self.no_titles = frozenset((*self.names, *surnames, *self.kinds))  # alone before a year

    def of(self, item: ItemId) -> Facts:
        if item not in self._facts:
            self._facts[item] = facts(self.catalog[item])
        return self._facts[item]


@lru_cache(maxsize=4)
def fact_index(catalog: Catalog) -> FactIndex:
    return FactIndex(catalog)


def same_kind(kind: str) -> str:
    """One name for a kind's several ("science fiction" and "sci-fi"), without a noun for items ("romance film")."""
    words = [word for word in kind.split() if word not in NOUNS] or [kind]
    plain = " ".join(words)
    return next((name for name, forms in KINDS.items() if plain in forms), plain)


def kinds_of(attributes: Mapping[str, tuple[str, ...]]) -> Iterator[str]:
    return (kind for key in GENRE_KEYS for kind in attributes.get(key, ()) if kind)


def lower_words(text: str) -> list[str]:
    return [word.lower() for word in TOKEN.findall(text)]


def tokens_of(name: str) -> tuple[str, ...]:
    return tuple(lower_words(plain_type(name)))
