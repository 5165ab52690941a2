"""Words → parts: the catalogue's own values, general language for them (``lexicon``), and people's names."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from tacit.dialogue.policy.wishes import lexicon
from tacit.dialogue.policy.wishes.attributes import (
    DOMINANT,
    FOR_CHILDREN,
    ON_SCREEN,
    AttributeIndex,
    Part,
    everyday,
    singular,
    words,
)
from tacit.dialogue.policy.wishes.head_nouns import HeadNouns
from tacit.dialogue.policy.wishes.lexicon import word_set
from tacit.dialogue.policy.wishes.talk import NO_TOPIC

Phrase = tuple[str, ...]
LONGEST = 7  # words of a phrase
_GENERIC = lexicon.NOUNS | frozenset(singular(word) for word in lexicon.NOUNS)
_SUFFIXES = word_set("jr sr ii iii iv")
_FEWEST = 3  # items of a person that a surname alone may mean
DRAWN = 0.8  # how far what is animated suits children, where other things are filed for them
_MOST_VALUES = 300  # of a key, above which a last word stands for none of them
_JOINS = re.compile(r"\s*(?:,|&|/|\+|\band\b)\s*")
_MISSPELT = 5  # letters from which one wrong letter is forgiven


class Vocabulary:
    """What the words of a catalogue's users mean. ``kinds`` holds phrases of categories, ``names`` full names."""

    def __init__(self, index: AttributeIndex) -> None:
        self.index = index
        self.everyday = everyday(index.catalog.items)
        self.kinds: dict[Phrase, tuple[Part, ...]] = {}
        self.children: Part | None = None
        self.children_avoid: Part | None = None
        self._values()
        self._concepts()
        self._for_children()
        self._awarded()
        self.free = self._free_of()
        self._pieces()
        self.head_nouns = HeadNouns(self._forms())
        self.names: dict[Phrase, frozenset[int]] = {}
        self.surnames: dict[str, frozenset[int]] = {}
        self._families: dict[str, frozenset[int]] = {}
        self._people()
        self.first_names = {name[0] for name in self.names} | set(lexicon.NICKNAMES)
        self._first: dict[str, int] = {}
        for phrase in self.kinds:
            for word in (phrase[0], phrase[0] + "s"):
                self._first[word] = max(self._first.get(word, 0), len(phrase))
        self._near = _one_letter_off(p[0] for p in self.kinds if len(p) == 1 and len(p[0]) >= _MISSPELT)

    def longest(self, word: str) -> int:
        """The words of the longest phrase of categories that may begin with ``word``."""
        return max(self._first.get(word, 0), 1)

    def kind(self, phrase: Phrase) -> tuple[Part, ...] | None:
        """The parts that a phrase of categories asks for; plurals and one wrong letter in a long word are forgiven."""
        found = self.kinds.get(phrase) or self.kinds.get((*phrase[:-1], singular(phrase[-1])))
        if found or len(phrase) > 1 or phrase[0] in self.everyday or len(phrase[0]) < _MISSPELT:
            return found
        meant = next((self._near[form] for form in _without_one(phrase[0]) if form in self._near), None)
        parts = self.kinds[(meant,)] if meant else None
        slip = meant is not None and (len(meant) != len(phrase[0]) or sorted(meant) == sorted(phrase[0]))
        return (
            parts if parts and (slip or parts[0].exact) else None
        )  # a word beside its own: "shouting" is no "shooting"

    def person(self, columns: frozenset[int], role: str, label: str) -> Part:
        """``role``: "screen" (with, starring), "maker" (by, directed by), "any" or "". Without one, a name means what
        the person is known for: the key that holds most, where it holds ``DOMINANT`` times as many as any other."""
        keys = {c: self.index.columns[c][0] for c in columns}
        fits = {
            "screen": frozenset(c for c, key in keys.items() if key in ON_SCREEN),
            "maker": frozenset(c for c, key in keys.items() if key not in ON_SCREEN),
            "director": frozenset(c for c, key in keys.items() if key.startswith("director")),
        }.get(role, frozenset())
        if fits:
            return Part(label, "person", fits)
        if role == "any":
            return Part(label, "person", columns)
        sizes = sorted(((len(self.index.rows[c]), c) for c in columns), reverse=True)
        if len(sizes) > 1 and sizes[0][0] >= DOMINANT * sizes[1][0]:
            columns = frozenset({sizes[0][1]})
        return Part(label, "person", columns)

    def _values(self) -> None:
        """Every value of a category by its own words, with all values that contain them ("comedy" → "black comedy")."""
        by_word: dict[str, set[int]] = defaultdict(set)
        tokens: dict[int, Phrase] = {}
        for column, (key, value) in enumerate(self.index.columns):
            if self.index.kinds[key] == "category":
                tokens[column] = words(value)
                for word in tokens[column]:
                    by_word[singular(word)].add(column)
        self._by_word, self._tokens = by_word, tokens
        for column, phrase in tokens.items():
            if phrase == ("short",):  # "a short film" is one; "a short movie" is not long
                continue
            forms = {phrase, self._core(phrase)} - {()}
            for form in forms:
                if len(form) <= LONGEST and not all(word.isdigit() for word in form):
                    label = self.index.columns[column][1] if form == phrase else " ".join(form)
                    part = Part(label, "category", self._holding(form))
                    for said in (form, (*form[:-1], singular(form[-1]))):
                        self.kinds.setdefault(said, (part,))

    def _free_of(self) -> dict[str, Part]:
        """What something is told to be free of ("gluten-free") → those values."""
        said = {column: phrase for column, phrase in self._tokens.items() if len(phrase) == 2 and phrase[1] == "free"}
        return {
            phrase[0]: Part(self.index.columns[column][1], "category", frozenset({column}))
            for column, phrase in said.items()
            if phrase[:1] not in self.kinds
        }

    def _pieces(self) -> None:
        """Each of what one value names ("home & garden")."""
        for column in self._tokens:
            pieces = [words(piece) for piece in _JOINS.split(self.index.columns[column][1])]
            for piece in pieces if len(pieces) > 1 else ():
                if piece and not NO_TOPIC.issuperset(piece):
                    self.kinds.setdefault(piece, (Part(" ".join(piece), "category", self._holding(piece)),))

    def _forms(self) -> dict[str, frozenset[int]]:
        """The values as they are, but of keys with very many, with their columns."""
        counts = Counter(self.index.columns[column][0] for column in self._tokens)
        forms: dict[str, set[int]] = defaultdict(set)
        for column, phrase in self._tokens.items():
            if phrase and counts[self.index.columns[column][0]] <= _MOST_VALUES:
                forms[" ".join(phrase)].add(column)
        return {said: frozenset(columns) for said, columns in forms.items()}

    def _core(self, phrase: Phrase) -> Phrase:
        """Without a noun for items at its end: "romance film" → "romance"."""
        return phrase[:-1] if len(phrase) > 1 and phrase[-1] in _GENERIC else phrase

    def _holding(self, phrase: Phrase) -> frozenset[int]:
        """Columns whose value holds the phrase's words in a row, not as "non ..."."""
        wanted = tuple(singular(word) for word in phrase)
        columns = set.intersection(*(self._by_word.get(word, set()) for word in wanted)) if wanted else set()
        return frozenset(c for c in columns if _inside(wanted, tuple(map(singular, self._tokens[c]))))

    def _filed(self, phrases: Iterable[str]) -> frozenset[int]:
        return frozenset().union(*(self._holding(words(phrase)) for phrase in phrases))

    def _concepts(self) -> None:
        known: dict[str, Part] = {}
        for name, concept in lexicon.CONCEPTS.items():
            columns = self._filed(concept.filed)
            if columns:
                known[name] = part = Part(name, "category", columns, exact=False)
                for form in map(words, concept.spoken):
                    own = self.kinds.get((*form[:-1], singular(form[-1])), (part,))  # "westerns" is a value's own word
                    self.kinds.setdefault(form, own)
        for name, others in lexicon.NEAR.items():
            near = next((other for other in others if other in known), None)
            if name not in known and near is not None:
                for said in lexicon.CONCEPTS[name].spoken:
                    self.kinds.setdefault(words(said), (known[near],))
        for name, (_, members) in lexicon.SPREAD.items():
            columns = frozenset().union(*(known[m].columns for m in members if m in known))
            if columns:
                part = Part(name, "category", columns, exact=False)
                for said in lexicon.SPREAD[name][0]:
                    self.kinds.setdefault(words(said), (part,))
        for said, (first, second) in lexicon.PAIRS.items():
            if first in known and second in known and words(said) not in self.kinds:
                parts = tuple(dict.fromkeys((known[first], known[second])))
                self.kinds[words(said)] = parts

    def _awarded(self) -> None:
        """ "A prize winner": whatever holds a value of an attribute of awards."""
        columns = frozenset(c for c, (key, _) in enumerate(self.index.columns) if key in lexicon.AWARD_KEYS)
        if columns:
            for said in lexicon.AWARDED:
                self.kinds.setdefault(words(said), (Part("awarded", "category", columns, exact=False),))

    def _for_children(self) -> None:
        """What suits children: a rating that says so, else what is filed for them, else what is drawn for them."""
        rated = frozenset(
            c
            for c, (key, value) in enumerate(self.index.columns)
            if ("rating" in key or "certificate" in key or key == "age")
            and " ".join(words(value)) in lexicon.CHILDREN_RATINGS
        )
        filed, drawn, named = (self._filed(said.split(", ")) for said in lexicon.CHILDREN_FILED)
        columns = filed or rated or drawn or named or self._said_of_children()
        if columns:
            partly = (tuple((column, DRAWN) for column in drawn - columns),) if drawn - columns else ()
            self.children = Part(FOR_CHILDREN, "category", columns, exact=False, partly=partly)
        avoid = self._filed(lexicon.CHILDREN_AVOID.split(", "))
        self.children_avoid = Part("horror", "category", avoid, exact=False) if avoid else None

    def _said_of_children(self) -> frozenset[int]:
        """Where nothing is filed: items whose text names them."""
        said = [words(item.text) for item in self.index.catalog.items]
        rows = [row for row, held in enumerate(said) if not lexicon.CHILDREN_NAMED.isdisjoint(held)]
        column = self.index.column_of("text", FOR_CHILDREN, np.array(rows, dtype=np.int64)) if rows else None
        return frozenset() if column is None else frozenset({column})

    def _people(self) -> None:
        names: dict[Phrase, set[int]] = defaultdict(set)
        for column, (key, value) in enumerate(self.index.columns):
            if self.index.kinds[key] == "person":
                full = words(value)
                names[full].add(column)
                core = tuple(w for w in full if w not in _SUFFIXES)
                short = tuple(w for at, w in enumerate(core) if at in (0, len(core) - 1) or len(w) > 1)
                joined = (core[0], "".join(core[1:])) if len(core) > 2 else core  # "deniro"
                for form in {core, short, joined} - {full}:
                    if len(form) > 1:
                        names[form].add(column)
        self.names = {name: frozenset(columns) for name, columns in names.items() if len(name) > 1}
        for place in (-1, 0):
            self._single_names(place)
        known = {
            name for name, columns in self.names.items() if len(name) == 2 and len(self._items(columns)) >= _FEWEST
        }
        self._near_names = {
            (first, form): (first, last)
            for first, last in known
            if len(last) >= _MISSPELT
            for form in _without_one(last)
        }

    def name(self, phrase: Phrase) -> frozenset[int] | None:
        """Who is meant by a full name: a short first name, one wrong letter of a long surname or a plural forgiven."""
        called = ((first, *phrase[1:]) for first in (phrase[0], *lexicon.NICKNAMES.get(phrase[0], ())))
        found = next((self.names[name] for name in called if name in self.names), None)
        if found or len(phrase) != 2 or len(phrase[1]) < _MISSPELT or phrase[1] in self.everyday:
            return found
        meant = next(
            (self._near_names[form] for w in _without_one(phrase[1]) if (form := (phrase[0], w)) in self._near_names),
            None,
        )
        return self.names[meant] if meant else None

    def _single_names(self, place: int) -> None:
        """A surname (−1) or first name (0) that means one person: who holds most of the items under it."""
        holders: dict[str, dict[frozenset[int], int]] = defaultdict(dict)
        for name, columns in self.names.items():
            if name[-1] in _SUFFIXES:
                continue
            size = len(self._items(columns))
            if size >= _FEWEST and len(name[place]) > 2:
                holders[name[place]][columns] = size
        for single, people in holders.items():
            first, *others = sorted(_same_person(people), key=lambda columns: (-people[columns], sorted(columns)))
            own = self._items(first)
            rest = len(frozenset().union(*(self._items(columns) for columns in others)) - own)
            known = self.surnames.get(single)
            if len(own) < (_FEWEST if place == -1 else 8) or len(own) < (1.5 if place == -1 else 2.0) * rest:
                continue
            if known is None or len(own) > 2 * len(self._items(known)):
                self.surnames[single] = first

    def family(self, surname: str) -> frozenset[int]:
        """All of one surname who worked together, "the Coens"; else the one whom the surname means."""
        found = self._families.get(surname)
        if found is None:
            shared: dict[int, set[frozenset[int]]] = defaultdict(set)
            for columns in (columns for name, columns in self.names.items() if name[-1] == surname):
                for row in self._items(columns):
                    shared[row].add(columns)
            together = [held for held in shared.values() if len(_same_person(dict.fromkeys(held, 1))) > 1]
            whole = frozenset().union(*(columns for held in together if len(together) > 1 for columns in held))
            found = self._families[surname] = whole or self.surnames.get(surname, frozenset())
        return found

    def _items(self, columns: Iterable[int]) -> frozenset[int]:
        return frozenset(int(row) for column in columns for row in self.index.rows[column])


def _same_person(people: dict[frozenset[int], int]) -> list[frozenset[int]]:
    """Spellings of one name share columns: the largest stands for all."""
    kept: list[frozenset[int]] = []
    for columns, _ in sorted(people.items(), key=lambda entry: -entry[1]):
        if not any(columns & other for other in kept):
            kept.append(columns)
    return kept


def _inside(phrase: Phrase, value: Phrase) -> bool:
    for at in range(len(value) - len(phrase) + 1):
        if value[at : at + len(phrase)] == phrase and (at == 0 or value[at - 1] != "non"):
            return True
    return False


def _without_one(word: str) -> Iterable[str]:
    yield word
    for at in range(len(word)):
        yield word[:at] + word[at + 1 :]


def _one_letter_off(known: Iterable[str]) -> dict[str, str]:
    """Every known word with one letter left out → the word, so that one wrong, missing or extra letter is found."""
    near: dict[str, str] = {}
    for word in known:
        for form in _without_one(word):
            near.setdefault(form, word)
    return near


def merged(parts: Sequence[Part]) -> Part:
    """Any of several parts of one sort: "horror or comedy"."""
    first = parts[0]
    return replace(
        first,
        label=" or ".join(dict.fromkeys(part.label for part in parts)),
        columns=frozenset().union(*(part.columns for part in parts)),
        spans=tuple(span for part in parts for span in part.spans),
        like=tuple(row for part in parts for row in part.like),
        exact=all(part.exact for part in parts),
        partly=tuple(pairs for part in parts for pairs in part.partly),
        tells=max(part.tells for part in parts),
    )
