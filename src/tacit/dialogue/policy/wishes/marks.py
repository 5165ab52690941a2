"""A user's turn as a row of marks: titles, attributes, numbers, and the cues between them."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from tacit.catalog import Catalog, normalise_title
from tacit.dialogue.policy.wishes import cues, lexicon
from tacit.dialogue.policy.wishes.attributes import Part, words
from tacit.dialogue.policy.wishes.cues import CUE
from tacit.dialogue.policy.wishes.lexicon import word_set
from tacit.dialogue.policy.wishes.times import read_number
from tacit.dialogue.policy.wishes.tokens import TITLE, Token, tokens
from tacit.dialogue.policy.wishes.vocabulary import Vocabulary

STOPS = frozenset(".;!?\n")
_LOVERS = word_set("i we they you to would also really kids who both people always still do")
_OWNERS = word_set("my our your his her their whole entire")
# Around an everyday word that is a kind where it stands: "some history from", "no music please".
_BEFORE = word_set(
    ", : some no any about into of like love and or / something want wants more nothing good great decent too "
    "me not a "
    "anything in for both either see show other real with without prefer than to"
)
_AFTER = word_set(
    ", please or and but for with from stuff / though tonight hearted that which made instead directed by "
    "starring at "
    "buff buffs fan fans lover lovers nut nuts geek geeks junkie junkies enthusiast addict here is are on today "
    "now without no not if again in about also too set since before after maybe ideally released"
)
_BEFORE_TITLES = ("seen", "sim", "unseen", "role_of", "not", "except", "taste", "like_verb")
_SEEN_AFTER = re.compile(r" ,? ?(?:i|we) (?:have |had )?(?:already |both |all |just )*(?:seen|watched|saw|read)\b")
_LENGTH_SAID = re.compile(r"\b(?:minutes?|mins?|hours?|hrs?)\b")
_NAME_WORDS = 5
_TITLE_WORDS = 9
_NO_TITLE = word_set(
    "a an the it that this them those these one ones you me us i we they he she and or but not no some any all none "
    "something anything nothing everything both of for to with in on at from by so too very my your his her our "
    "their "
    "what which who when where how more most other another first second last new old good best great movie "
    "movies film "
    "films book books there here now then yes see seen same such is are was were"
)


@dataclass(frozen=True, slots=True)
class Mark:
    """``name`` is a cue's, or "kind", "number", "person", "title", "and", "or", "," or "stop"; ``start`` and ``end``
    are places in the joined words."""

    name: str
    start: int
    end: int
    parts: tuple[Part, ...] = ()
    rows: tuple[int, ...] = ()
    text: str = ""
    relative: int = 0


class Marker:
    """Finds the marks of a text, with one catalogue's vocabulary and titles."""

    def __init__(self, catalog: Catalog, vocabulary: Vocabulary) -> None:
        self.catalog, self.vocabulary = catalog, vocabulary
        self._titles: dict[tuple[str, ...], list[int]] = defaultdict(list)
        for row, item in enumerate(catalog.items):
            self._titles[words(item.title.split(" (")[0])].append(row)
        self._children = {words(said) for said in lexicon.CHILDREN}
        self._not_children = {words(said) for said in lexicon.CHILDREN_NOT}
        self._faint = {words(said) for said in lexicon.FAINT}
        self._first: dict[str, int] = {}  # first word → words of the longest phrase about children
        for phrase in self._children | self._not_children | self._faint:
            self._first[phrase[0]] = max(self._first.get(phrase[0], 0), len(phrase))

    def marks(self, text: str, mentions: Sequence[str] = ()) -> tuple[list[Mark], str]:
        """The marks in order, and the words they stand in, joined by single spaces."""
        found = self._found_titles(text, mentions)
        row = tokens(text, [(start, end) for start, end, _ in found])
        starts, joined = [], ""
        for token in row:
            starts.append(len(joined))
            joined += token.word + " "
        marks: list[Mark] = []
        at = 0
        while at < len(row):
            mark = self._at(row, at, starts, joined.rstrip(), [item for _, _, item in found], marks)
            if mark is None:
                at += 1
                continue
            if mark.name != "skip":
                marks.append(mark)
            at += 1
            while at < len(row) and starts[at] < mark.end:
                at += 1
        if _LENGTH_SAID.search(joined):  # "a short film, under 90 minutes" is not the kind of that name
            marks = [mark for mark in marks if not (mark.parts and mark.parts[0].label == "short")]
        return marks, joined.rstrip()

    def same_title(self, rows: Sequence[int]) -> tuple[int, ...]:
        """All items under the titles of ``rows``, whatever their years."""
        said = dict.fromkeys(words(self.catalog.items[row].title.split(" (")[0]) for row in rows)
        return tuple(row for title in said for row in self._titles[title])

    def _found_titles(self, text: str, mentions: Sequence[str]) -> list[tuple[int, int, int]]:
        """(start, end, item row) of the titles in ``text``: linked, or written out as the turn's mentions say."""
        spans = [(start, end, self.catalog.index(item)) for start, end, item in self.catalog.link(text)]
        for item in mentions:
            title = self.catalog[item].title
            for said in (title, title.split(" (")[0].strip()):
                found = re.search(rf"(?<!\w){re.escape(said)}(?!\w)", text, re.IGNORECASE) if len(said) > 2 else None
                if found and all(found.start() >= end or found.end() <= start for start, end, _ in spans):
                    spans.append((found.start(), found.end(), self.catalog.index(item)))
                    break
        return sorted(span for span in spans if not self._names_person(text, span[0], span[1]))

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

    def _at(
        self,
        row: Sequence[Token],
        at: int,
        starts: Sequence[int],
        joined: str,
        titles: Sequence[int],
        before: Sequence[Mark],
    ) -> Mark | None:
        word, start = row[at].word, starts[at]
        end = start + len(word)
        if word.startswith(TITLE):
            return Mark("title", start, end, rows=(titles[int(word[1:])],))
        if word in STOPS:
            return Mark("stop", start, end)
        if word in (",", ":", "(", ")"):
            return Mark(",", start, end)
        if word in ("and", "&", "+", "or", "/"):
            cue = CUE.match(joined, start)
            if cue is None:
                return Mark("or" if word in ("or", "/") else "and", start, end)
        number = read_number(joined, start, self.vocabulary.index)
        cue = CUE.match(joined, start)
        kind = self._kind(row, at, starts, joined)
        if (
            number is not None
            and (cue is None or number.end >= cue.end() or number.end > start + 3)
            and not (kind and kind.end > number.end)
        ):
            parts = (number.part,) if number.part else ()
            return Mark("number", start, number.end, parts, relative=number.relative)
        named = self._person(row, at, starts, joined)
        options = [m for m in (kind, named) if m]
        if cue is not None:
            name = cues.NAMES[int(str(cue.lastgroup)[1:])]
            options.append(Mark(name, start, cue.end(), text=cue.group()))
        options += self._loose_title(row, at, starts, before) or self._title_then_seen(row, at, starts, joined)
        return max(options, key=lambda mark: (mark.end, mark.name != "skip")) if options else None

    def _kind(self, row: Sequence[Token], at: int, starts: Sequence[int], joined: str) -> Mark | None:
        longest = max(self._first.get(row[at].word, 0), self.vocabulary.longest(row[at].word))
        for length in range(min(longest, len(row) - at), 0, -1):
            phrase = tuple(token.word for token in row[at : at + length])
            end = starts[at + length - 1] + len(phrase[-1])
            if phrase in self._faint:
                return Mark("faint", starts[at], end, self.vocabulary.kind(("horror",)) or ())
            if phrase in self._not_children:
                away = {"bed", "asleep", "away", "gone", "sleeping", "out", "without", "around"} & set(phrase)
                return Mark("away" if away else "skip", starts[at], end)
            if phrase in self._children and self._children_meant(row, at, length):
                children = self.vocabulary.children
                return Mark("kind", starts[at], end, (children,) if children else (), text="children")
            if phrase[0] == "love" and at and row[at - 1].word in _LOVERS:
                continue
            parts = self.vocabulary.kind(phrase)
            if parts and (length > 1 or phrase[0] not in lexicon.EVERYDAY or self._meant(row, at)):
                return Mark("kind", starts[at], end, parts, text=" ".join(phrase))
        return None

    @staticmethod
    def _children_meant(row: Sequence[Token], at: int, length: int) -> bool:
        word = row[at].word
        if length == 1 and word in ("family", "families"):
            return (at == 0 or row[at - 1].word not in _OWNERS) and Marker._meant(row, at)
        if word in ("year", "years", "yr"):
            number = row[at - 1].word if at else ""
            return not number.isdigit() or int(number) <= 12
        return True

    @staticmethod
    def _meant(row: Sequence[Token], at: int) -> bool:
        """Whether an everyday word is a kind here: beside a noun for items, or with nothing but small words "
        "around."""
        after = row[at + 1].word if at + 1 < len(row) else "."
        before = row[at - 1].word if at else "."
        ends = after in STOPS or after in _AFTER
        opens = before in STOPS or before in _BEFORE or before[:1].isdigit()
        return after in lexicon.NOUNS or (opens and ends)

    def _person(self, row: Sequence[Token], at: int, starts: Sequence[int], joined: str) -> Mark | None:
        vocabulary = self.vocabulary
        longest = _NAME_WORDS if row[at].word in vocabulary.first_names else 1
        for length in range(min(longest, len(row) - at), 0, -1):
            name = tuple(token.word for token in row[at : at + length] if token.word != ".")
            if not name or row[at + length - 1].word == ".":
                continue
            found = vocabulary.name(name) if len(name) > 1 else None
            if found is None and len(name) == 3 and len(name[2]) > 1 and "".join(name).isalnum():  # "di caprio"
                found = vocabulary.name((name[0], name[1] + name[2]))
            if length == 1:
                found = self._single(row, at, joined[: starts[at]].rstrip())
            if found:
                end = starts[at + length - 1] + len(row[at + length - 1].word)
                label = " ".join(name).title()
                return Mark(
                    "person", starts[at], end, (vocabulary.person(found, self._role(joined, starts[at], end), label),)
                )
        return None

    def _single(self, row: Sequence[Token], at: int, before: str) -> frozenset[int] | None:
        """A surname (or a first name that means one person): one that is a word as well needs a capital and a cue."""
        word = row[at].word
        columns = self.vocabulary.surnames.get(word) or (
            self.vocabulary.surnames.get(word[:-1])
            if word.endswith("s") and word not in self.vocabulary.everyday
            else None
        )
        if columns is None or word in lexicon.NOUNS or word in _NO_TITLE:
            return None
        cued = bool(cues.SCREEN.search(before) or cues.MAKER.search(before) or cues.DIRECTOR.search(before))
        if word in self.vocabulary.everyday:
            return columns if row[at].capital and cued else None
        beside = at + 1 < len(row) and row[at + 1].word in lexicon.NOUNS
        return columns if cued or beside or row[at].capital or len(word) > 5 else None

    @staticmethod
    def _role(joined: str, start: int, end: int) -> str:
        before, after = joined[:start].rstrip(), joined[end:].lstrip()
        listed = before.rsplit(" and ", 1)[0] if before.endswith(" and") or before.endswith(" or") else before
        if cues.DIRECTOR.search(listed) or cues.DIRECTED_AFTER.match(after):
            return "director"
        if cues.MAKER.search(listed):
            return "maker"
        return "screen" if cues.SCREEN.search(listed) or cues.SCREEN_AFTER.match(after) else ""

    def _loose_title(self, row: Sequence[Token], at: int, starts: Sequence[int], before: Sequence[Mark]) -> list[Mark]:
        """A title in plain lower case, where the words before say that one comes ("I've seen", "similar to")."""
        listed = len(before)
        while listed and before[listed - 1].name in ("and", "or", ",", "title"):
            listed -= 1
        frame = before[listed - 1] if listed else None
        if frame is None or frame.name not in _BEFORE_TITLES or starts[at] - before[-1].end > 5:
            return []
        fewest = 1 if frame.name in ("seen", "sim", "unseen", "role_of") else 2
        for length in range(min(_TITLE_WORDS, len(row) - at), fewest - 1, -1):
            phrase = tuple(token.word for token in row[at : at + length])
            found = self._titles.get(phrase) or (self._titles.get(("the", *phrase)) if phrase[0] != "the" else None)
            if found and not all(word in _NO_TITLE for word in phrase):
                return [Mark("title", starts[at], starts[at + length - 1] + len(phrase[-1]), rows=tuple(found))]
        return []

    def _title_then_seen(self, row: Sequence[Token], at: int, starts: Sequence[int], joined: str) -> list[Mark]:
        """Two words or more of plain lower case that are a title, before "I've seen"."""
        after = _SEEN_AFTER.search(joined, starts[at])
        if after is None:
            return []
        length = len(joined[starts[at] : after.start()].split())
        phrase = tuple(token.word for token in row[at : at + length])
        found = self._titles.get(phrase) if 2 <= length <= _TITLE_WORDS else None
        if not found or all(word in _NO_TITLE for word in phrase):
            return []
        return [Mark("title", starts[at], starts[at + length - 1] + len(phrase[-1]), rows=tuple(found))]


def twins(catalog: Catalog, row: int, titles: dict[str, list[int]]) -> tuple[int, ...]:
    """The rows that are the same work under another id: equal titles, of which one has no year or both the same."""
    title = catalog.items[row].title
    base, year = normalise_title(title.split(" (")[0]), title[-5:-1] if title.endswith(")") else ""
    same = []
    for other in titles.get(base, ()):
        theirs = catalog.items[other].title
        their_year = theirs[-5:-1] if theirs.endswith(")") else ""
        if not year or not their_year or year == their_year:
            same.append(other)
    return tuple(same) or (row,)
