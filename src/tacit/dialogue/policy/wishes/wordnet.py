"""Words that mean nearly the same, sorts of a thing, and word families, by WordNet 3.0 (Miller 1995, Communications of
the ACM 38(11)): "canine" tells of dogs, "French" of France and of Paris, a torch is a lamp.

``words.tsv.gz`` is computed from Princeton's database by ``benchmarks/wordnet_table.py``, and stands under its licence
(``words-licence.txt``). A synset is a line: lexicographer file, lemmas (":n" is the rank of the sense among the
lemma's), and the lines of synsets above it, of wholes that it is a part of, of groups that it is a member of, and of
adjectives like it. After an empty line follow families: a word and what derives from it, or it from.
"""

from __future__ import annotations

import gzip
from collections import defaultdict
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from tacit.dialogue.policy.wishes.attributes import singular

TABLE = Path(__file__).with_name("words.tsv.gz")
FAMILY, SYNONYM, NARROWER, WITHIN = 0.9, 0.8, 0.7, 0.6  # how far another word tells of what was said
RANK = 0.8  # of that, in a rarer sense
DEEPEST = 4  # levels
MOST = 400  # sorts of a thing: a word that has more is too wide to tell
_TOUCHED = ("animal", "artifact", "body", "event", "food", "location", "object", "person", "plant", "substance")
TANGIBLE = frozenset({"adj.pert", *(f"noun.{field}" for field in _TOUCHED)})

_UP, _WHOLE, _GROUP, _ALIKE = range(2, 6)  # columns of a synset's line


class WordNet:
    """``senses`` and the relations are of synsets, by their number."""

    def __init__(self) -> None:
        text = gzip.decompress(TABLE.read_bytes()).decode()
        synsets, families = text.split("\n\n")
        self._lines = synsets.split("\n")
        self._senses: dict[str, list[tuple[int, int]]] = defaultdict(list)
        self._below: dict[int, list[int]] = defaultdict(list)
        self._within: dict[int, list[int]] = defaultdict(list)
        for number, line in enumerate(self._lines):
            cells = line.split("\t")
            for said in filter(None, cells[1].split(",")):
                lemma, _, rank = said.partition(":")
                self._senses[lemma].append((int(rank or 0), number))
            for column, of in ((_UP, self._below), (_WHOLE, self._within), (_GROUP, self._within)):
                if len(cells) > column and cells[column]:
                    for above in cells[column].split(","):
                        of[int(above)].append(number)
        self._families = dict(line.split("\t") for line in families.splitlines())

    def __contains__(self, lemma: str) -> bool:
        return lemma in self._senses

    def senses(self, lemma: str) -> list[tuple[int, int]]:
        """(rank, synset), the commonest first; of all parts of speech."""
        return sorted(self._senses.get(lemma, ()))

    def lemmas(self, synset: int) -> list[tuple[str, int]]:
        """(lemma, rank of this sense among its senses)."""
        said = (entry.partition(":") for entry in self._lines[synset].split("\t")[1].split(","))
        return [(lemma, int(rank or 0)) for lemma, _, rank in said if lemma]

    def field(self, synset: int) -> str:
        """The lexicographer file: "noun.artifact"."""
        return self._lines[synset].split("\t", 1)[0]

    def above(self, synset: int) -> list[int]:
        return self._linked(synset, _UP)

    def alike(self, synset: int) -> list[int]:
        return self._linked(synset, _ALIKE)

    def below(self, synset: int, deepest: int = DEEPEST) -> Iterator[tuple[int, int]]:
        """(level, synset) of the sorts of a thing, level by level, as far as they are at most ``MOST``."""
        found = {synset: 0}
        ring = [synset]
        for level in range(1, deepest + 1):
            ring = [lower for upper in ring for lower in self._below.get(upper, ()) if lower not in found]
            if len(found) + len(ring) > MOST:
                break
            found.update(dict.fromkeys(ring, level))
        yield from ((level, lower) for lower, level in found.items() if level)

    def within(self, synset: int) -> list[int]:
        """Parts of a place, and members of a group."""
        return self._within.get(synset, [])

    def family(self, lemma: str) -> list[str]:
        said = self._families.get(lemma)
        return said.split(",") if said else []

    def _linked(self, synset: int, column: int) -> list[int]:
        cells = self._lines[synset].split("\t")
        return [int(other) for other in cells[column].split(",")] if len(cells) > column and cells[column] else []


@lru_cache(maxsize=1)
def wordnet() -> WordNet:
    """Read once, at the first use (.5 s)."""
    return WordNet()


def lemma_of(said: str) -> str | None:
    """The entry for a word or phrase, plurals forgiven, or None."""
    first, _, last = said.rpartition(" ")
    forms = (said, f"{first} {singular(last)}".strip())
    return next((form for form in forms if form in wordnet()), None)


def tangible(said: str) -> bool:
    """Whether the commonest sense is a living being, a place, or a thing to be touched, or an adjective of one."""
    lemma = lemma_of(said)
    return lemma is not None and wordnet().field(wordnet().senses(lemma)[0][1]) in TANGIBLE


@lru_cache(maxsize=4096)
def related(said: str) -> dict[str, float]:
    """Other words that tell of what was said, and how far, in (0, 1)."""
    lemma = lemma_of(said)
    if lemma is None:
        return {}
    net = wordnet()
    found: dict[str, float] = defaultdict(float)
    kin = {lemma: 1.0} | {word: FAMILY for word in net.family(lemma)}
    for word, worth in kin.items():
        found[word] = max(found[word], worth)
        for rank, synset in net.senses(word):
            if rank and word != lemma:
                continue
            here = worth * RANK**rank
            for level, lower in ((0, synset), *net.below(synset)):
                for other, its in net.lemmas(lower):
                    if level == 0 or its <= 1:
                        found[other] = max(found[other], here * (NARROWER * RANK**its if level else SYNONYM))
            for beside in (*net.alike(synset), *net.within(synset)):
                for name, _ in net.lemmas(beside):
                    found[name] = max(found[name], here * WITHIN)
    return {word: worth for word, worth in found.items() if word not in (said, lemma)}
