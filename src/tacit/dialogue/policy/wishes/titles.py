"""The titles in a user's turn: linked, written out in lower case where one is said to come, and who shares one."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from tacit.catalog import Catalog
from tacit.dialogue.policy.wishes.attributes import words
from tacit.dialogue.policy.wishes.lexicon import word_set
from tacit.dialogue.policy.wishes.mark import Mark
from tacit.dialogue.policy.wishes.tokens import Token
from tacit.dialogue.policy.wishes.vocabulary import Vocabulary

_BEFORE_TITLES = ("seen", "sim", "unseen", "role_of", "not", "except", "taste", "like_verb")
_SEEN_AFTER = re.compile(r" ,? ?(?:i|we) (?:have |had )?(?:already |both |all |just )*(?:seen|watched|saw|read)\b")
_SERIES_AFTER = frozenset({"ones", "movies", "films", "books", "series", "franchise", "saga"})
_TITLE_WORDS = 9
_OF_ITEMS = word_set(
    "movie movies film films flick flicks book books novel novels story stories type kind sort song songs"
)
NO_TITLE = word_set(
    "a an the it that this them those these one ones you me us i we they he she and or but not no some any all none "
    "something anything nothing everything both of for to with in on at from by so too very my your his her our "
    "their "
    "what which who when where how more most other another first second last new old good best great movie "
    "movies film "
    "films book books there here now then yes see seen same such is are was were"
)


@lru_cache(maxsize=16384)  # Python itself keeps 512 patterns, fewer than there are titles
def _word_for_word(said: str) -> re.Pattern[str]:
    return re.compile(rf"(?<!\w){re.escape(said)}(?!\w)", re.IGNORECASE)


class Titles:
    """The items of a catalogue by the words of their titles, years left out."""

    def __init__(self, catalog: Catalog, vocabulary: Vocabulary) -> None:
        self.catalog, self.vocabulary = catalog, vocabulary
        # Joined words, and a row alone where it is the only one: lists of words and rows take a kilobyte an item.
        self._rows: dict[str, int | tuple[int, ...]] = {}
        for row, item in enumerate(catalog.items):
            said = " ".join(words(item.title.split(" (")[0]))
            self._rows[said] = (*self._under(said), row) if said in self._rows else row

    def _under(self, said: str) -> tuple[int, ...]:
        found = self._rows.get(said, ())
        return (found,) if isinstance(found, int) else found

    def rows(self, phrase: Sequence[str]) -> tuple[int, ...]:
        """The items under a title of these words."""
        return self._under(" ".join(phrase))

    def same(self, rows: Sequence[int]) -> tuple[int, ...]:
        """All items under the titles of ``rows``, whatever their years."""
        said = dict.fromkeys(words(self.catalog.items[row].title.split(" (")[0]) for row in rows)
        return tuple(row for title in said for row in self.rows(title))

    def twins(self, row: int) -> tuple[int, ...]:
        """The rows that are the same work under another id: equal titles, of which one has no year or both the same."""
        year = _year(self.catalog.items[row].title)
        same = tuple(
            other for other in self.same([row]) if not year or _year(self.catalog.items[other].title) in ("", year)
        )
        return same or (row,)

    def found(self, text: str, mentions: Sequence[str]) -> list[tuple[int, int, int]]:
        """(start, end, item row) of the titles in ``text``: linked, or written out as the turn's mentions say."""
        spans = [(start, end, self.catalog.index(item)) for start, end, item in self.catalog.link(text)]
        for item in mentions:
            title = self.catalog[item].title
            for said in (title, title.split(" (")[0].strip()):
                found = _word_for_word(said).search(text) if len(said) > 2 else None
                if found and all(found.start() >= end or found.end() <= start for start, end, _ in spans):
                    spans.append((found.start(), found.end(), self.catalog.index(item)))
                    break
        meant = [span for span in spans if not self._names_person(text, span[0], span[1])]
        return sorted(span for span in meant if not self._describes(text, *span))

    def _describes(self, text: str, start: int, end: int, row: int) -> bool:
        """Whether the words only say what kind of thing is meant: "a road trip movie", "an American comedy"."""
        said, before, after = text[start:end], words(text[max(0, start - 12) : start]), words(text[end : end + 12])
        if "(" in said or before[-1:] not in (("a",), ("an",)) or not after:
            return False
        common = said == said.lower() and all(word in self.vocabulary.everyday for word in words(said))
        cut = words(self.catalog.items[row].title)[:1] == ("the",) and words(said)[:1] != ("the",)
        return (common and after[0] in _OF_ITEMS) or (cut and text[end : end + 2].strip().isalpha())

    def _names_person(self, text: str, start: int, end: int) -> bool:
        """Whether a title in the text is a person's name, or a part of one ("Stephen King" is not the film "
        ""King")."""
        said = words(text[start:end])
        if len(said) <= 2 and "(" not in text[start:end]:
            before, after = words(text[max(0, start - 40) : start])[-3:], words(text[end : end + 40])[:3]
            around = [
                (before[len(before) - i :], after[:j]) for i in range(len(before) + 1) for j in range(len(after) + 1)
            ]
            if any((*first, *said, *last) in self.vocabulary.names for first, last in around if first or last):
                return True
        return self._is_person(text[start:end])

    def _is_person(self, said: str) -> bool:
        """Whether a title is a name that people rather mean ("a Hitchcock")."""
        name = words(said)
        return name in self.vocabulary.names or (
            len(name) == 1 and name[0] in self.vocabulary.surnames and name[0] not in self.vocabulary.everyday
        )

    def loose(self, row: Sequence[Token], at: int, starts: Sequence[int], before: Sequence[Mark]) -> list[Mark]:
        """A title in plain lower case, where the words before say that one comes ("I've seen", "similar to")."""
        listed = len(before)
        while listed and before[listed - 1].name in ("and", "or", ",", "title"):
            listed -= 1
        frame = before[listed - 1] if listed else None
        if _dates(row, at):
            return self._written_out(row, at, starts, 1)
        if frame is None or frame.name not in _BEFORE_TITLES or starts[at] - before[-1].end > 5:
            return self._without_article(row, at, starts)
        return self._written_out(row, at, starts, 1 if frame.name in ("seen", "sim", "unseen", "role_of") else 2)

    def _written_out(self, row: Sequence[Token], at: int, starts: Sequence[int], fewest: int) -> list[Mark]:
        """The longest title at token ``at``, of ``fewest`` words or more; its article may be missing."""
        for length in range(min(_TITLE_WORDS, len(row) - at), fewest - 1, -1):
            phrase = tuple(token.word for token in row[at : at + length])
            after = row[at + length].word if at + length < len(row) else "."
            of_series = length > 1 and phrase[0] == "the" and after in _SERIES_AFTER
            series = self.rows(phrase[1:]) if of_series and not self.vocabulary.kind(phrase[1:]) else ()
            found = series or self.rows(phrase) or (self.rows(("the", *phrase)) if phrase[0] != "the" else ())
            described = at and row[at - 1].word in ("a", "an") and after in _OF_ITEMS  # "like a road trip movie"
            if described and found:
                return []
            if found and not all(word in NO_TITLE for word in phrase):
                return [Mark("title", starts[at], starts[at + length - 1] + len(phrase[-1]), rows=found)]
        return []

    def _without_article(self, row: Sequence[Token], at: int, starts: Sequence[int]) -> list[Mark]:
        """ "Terminator", in capitals, for The Terminator."""
        word = row[at].word
        if not at or not row[at].capital or not row[at - 1].word.isalpha() or word in self.vocabulary.everyday:
            return []
        if row[at - 1].word in ("a", "an"):  # "an American comedy"
            return []
        for length in range(min(_TITLE_WORDS, len(row) - at), 0, -1):
            phrase = tuple(token.word for token in row[at : at + length])
            if (found := self.rows(("the", *phrase))) and not all(word in NO_TITLE for word in phrase):
                return [Mark("title", starts[at], starts[at + length - 1] + len(phrase[-1]), rows=found)]
        return []

    def then_seen(self, row: Sequence[Token], at: int, starts: Sequence[int], joined: str) -> list[Mark]:
        """Two words or more of plain lower case that are a title, before "I've seen"."""
        after = _SEEN_AFTER.search(joined, starts[at])
        if after is None:
            return []
        length = len(joined[starts[at] : after.start()].split())
        phrase = tuple(token.word for token in row[at : at + length])
        found = self.rows(phrase) if 2 <= length <= _TITLE_WORDS else ()
        if not found or all(word in NO_TITLE for word in phrase):
            return []
        return [Mark("title", starts[at], starts[at + length - 1] + len(phrase[-1]), rows=found)]


def _dates(row: Sequence[Token], at: int) -> bool:
    """Whether a title is to tell a time: "pre Matrix", "the same year as"."""
    before = tuple(token.word for token in row[max(0, at - 3) : at])
    return before[-1:] in (("pre",), ("post",)) or before in (("same", "year", "as"), ("the", "year", "of"))


def _year(title: str) -> str:
    return title[-5:-1] if title.endswith(")") else ""
