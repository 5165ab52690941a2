"""Words for things that the catalogue files under another word: a rucksack where it has backpacks, a torch where it has
lamps, footwear where it has boots and shoes, crimson where it has red; by ``wordnet``.

A value must be a thing, a place, a substance, a colour, a form of art, or an adjective: of acts and states ("action",
"family") the sorts are too many and too plain.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

from tacit.dialogue.policy.wishes.attributes import Part, singular
from tacit.dialogue.policy.wishes.talk import NO_TOPIC
from tacit.dialogue.policy.wishes.wordnet import lemma_of, wordnet

_THINGS = ("artifact", "food", "animal", "plant", "substance", "body", "object", "location", "attribute")
_ART = "noun.communication"
FIELDS = frozenset({_ART, "adj.all", "adj.pert", "adj.ppl", *(f"noun.{field}" for field in _THINGS)})
HIGHEST = 3  # levels above a word at which a value is still its kind
RAREST = 1  # rank of the value's sense


@dataclass(frozen=True, slots=True)
class Sort:
    """``wider``: the value is of more than what was said, so that the word tells more, and is what is refused. ``art``:
    words for art are everyday words, and count beside nouns for items alone."""

    part: Part
    wider: bool
    art: bool


class Sorts:
    """``values`` are those of categories, with their columns."""

    def __init__(self, values: Mapping[str, frozenset[int]]) -> None:
        self._values: dict[str, frozenset[int]] = {}
        self._ends: dict[str, list[str]] = defaultdict(list)  # last word of a longer value → such values
        for said, columns in values.items():
            value = _lemma(said)
            self._values[value] = columns
            last = singular(said.rpartition(" ")[2])
            if " " in said and len(last) > 2 and last.isalpha() and last not in NO_TOPIC:
                self._ends[last].append(value)
        self.of = lru_cache(maxsize=4096)(self._of)

    def _of(self, said: str) -> Sort | None:
        """What a word or phrase that no value has is a sort of, or stands for."""
        lemma = lemma_of(said) or singular(said)
        if not self._values or {said, lemma} & NO_TOPIC:
            return None
        for wider, found in ((False, self._same(lemma)), (False, self._below(lemma)), (True, self._above(lemma))):
            named = dict.fromkeys(found)
            if named:
                columns = frozenset().union(*(self._values[value] for value in named))
                senses = (wordnet().senses(value) for value in named)
                art = any(of and wordnet().field(of[0][1]) == _ART for of in senses)
                return Sort(Part(" or ".join(named), "category", columns, exact=False), wider, art)
        return None

    def _same(self, lemma: str) -> Iterator[str]:
        net = wordnet()
        for _, synset in net.senses(lemma):
            for alike in (synset, *net.alike(synset)):
                yield from self._named(alike)
        for other in net.family(lemma):
            if other in self._values and any(net.field(s) in FIELDS for r, s in net.senses(other) if r == 0):
                yield other

    def _below(self, lemma: str) -> Iterator[str]:
        yield from self._ends.get(lemma, ())
        net = wordnet()
        for rank, synset in net.senses(lemma):
            if rank <= RAREST:
                for level, lower in net.below(synset):
                    if level <= HIGHEST:
                        yield from self._named(lower)

    def _above(self, lemma: str) -> list[str]:
        """The nearest, of the commonest sense that has one."""
        net = wordnet()
        for _, synset in net.senses(lemma):
            ring = [synset]
            for _ in range(HIGHEST):
                ring = [upper for lower in ring for upper in net.above(lower)]
                for named in (self._named, self._ended):
                    if found := [value for upper in ring for value in named(upper)]:
                        return found
        return []

    def _named(self, synset: int) -> Iterable[str]:
        net = wordnet()
        if net.field(synset) not in FIELDS:
            return ()
        return [lemma for lemma, rank in net.lemmas(synset) if rank <= RAREST and lemma in self._values]

    def _ended(self, synset: int) -> list[str]:
        """Values that end so: of sneakers running shoes, where there are no shoes."""
        lemmas = (lemma for lemma, rank in wordnet().lemmas(synset) if rank <= RAREST)
        return [value for lemma in lemmas for value in self._ends.get(lemma, ())]


def _lemma(value: str) -> str:
    """Of a value, in the singular where that is a noun: shoes, but not news."""
    first, _, last = value.rpartition(" ")
    one = f"{first} {singular(last)}".strip()
    nouns = any(wordnet().field(synset).startswith("noun.") for _, synset in wordnet().senses(one))
    return one if nouns else lemma_of(value) or value
