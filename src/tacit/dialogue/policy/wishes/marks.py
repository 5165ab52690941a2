"""A user's turn as a row of marks: titles, attributes, numbers, and the cues between them."""

from __future__ import annotations

import re
from collections.abc import Sequence

from tacit.catalog import Catalog
from tacit.dialogue.policy.wishes import cues, lexicon
from tacit.dialogue.policy.wishes.attributes import words
from tacit.dialogue.policy.wishes.cues import CUE
from tacit.dialogue.policy.wishes.keys import Keys
from tacit.dialogue.policy.wishes.lexicon import word_set
from tacit.dialogue.policy.wishes.mark import Mark
from tacit.dialogue.policy.wishes.numbers import read_number
from tacit.dialogue.policy.wishes.series import Series
from tacit.dialogue.policy.wishes.titles import NO_TITLE, Titles
from tacit.dialogue.policy.wishes.tokens import TITLE, Token, tokens
from tacit.dialogue.policy.wishes.topic_marks import TopicMarker
from tacit.dialogue.policy.wishes.topics import Topics
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
_OF_PLACES = word_set("new san los las fort port mount lake north south east west saint")
_LENGTH_SAID = re.compile(r"\b(?:minutes?|mins?|hours?|hrs?)\b")
_TELL = word_set("says said thinks thought told tells recommended recommends insists claims swears suggested")
_ANY_PART = re.compile(r"(?:directed|made|wrote|starred(?: in)?|acted(?: in)?|is in|was in) or ")
_NAME_WORDS = 5
_SEQUELS = (("sequel",), ("sequels",))


class Marker:
    """Finds the marks of a text, with one catalogue's vocabulary and titles."""

    def __init__(self, catalog: Catalog, vocabulary: Vocabulary) -> None:
        self.catalog, self.vocabulary = catalog, vocabulary
        self.titles, self.topics = Titles(catalog, vocabulary), TopicMarker(Topics(vocabulary))
        self.series, self.keys = Series(vocabulary.index), Keys(vocabulary.index)
        self._children = {words(said) for said in lexicon.CHILDREN}
        self._not_children = {words(said) for said in lexicon.CHILDREN_NOT}
        self._faint = {words(said) for said in lexicon.FAINT}
        self._first: dict[str, int] = {}  # first word → words of the longest phrase about children
        for phrase in self._children | self._not_children | self._faint:
            self._first[phrase[0]] = max(self._first.get(phrase[0], 0), len(phrase))

    def marks(self, text: str, mentions: Sequence[str] = ()) -> tuple[list[Mark], str]:
        """The marks in order, and the words they stand in, joined by single spaces."""
        found = self.titles.found(text, mentions)
        row = tokens(text, [(start, end) for start, end, _ in found])
        starts, joined = [], ""
        for token in row:
            starts.append(len(joined))
            joined += token.word + " "
        marks: list[Mark] = []
        said = [(item, text[start:end]) for start, end, item in found]
        at = 0
        while at < len(row):
            mark = self._at(row, at, starts, joined.rstrip(), said, marks)
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
        return self.topics.marked(marks, row, starts, joined.rstrip()), joined.rstrip()

    def _at(
        self,
        row: Sequence[Token],
        at: int,
        starts: Sequence[int],
        joined: str,
        titles: Sequence[tuple[int, str]],
        before: Sequence[Mark],
    ) -> Mark | None:
        word, start = row[at].word, starts[at]
        end = start + len(word)
        if word.startswith(TITLE):
            title, said = titles[int(word[1:])]
            return Mark("title", start, end, rows=(title,), text=said)
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
        if (keyed := self.keys.same(joined, start)) is not None:
            options.append(Mark("same_key", start, keyed[0], text=keyed[1], relative=-1 if keyed[2] else 1))
        if (step := self.keys.step(joined, start)) is not None:
            options.append(Mark("step", start, step[0], relative=step[2], text=step[1].key))
        options += self.titles.loose(row, at, starts, before) or self.titles.then_seen(row, at, starts, joined)
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
            if phrase in self._children and at + length < len(row) and row[at + length].word in _TELL:
                return Mark("skip", starts[at], end)  # "my grandson says"
            if phrase in self._children and self._children_meant(row, at, length):
                children = self.vocabulary.children
                return Mark("kind", starts[at], end, (children,) if children else (), text="children")
            if phrase in _SEQUELS and (sequels := self.series.sequels):
                return Mark("kind", starts[at], end, (sequels,), text=phrase[0])
            if phrase[0] == "love" and at and row[at - 1].word in _LOVERS:
                continue
            parts = self.vocabulary.kind(phrase)
            if parts and (length > 1 or phrase[0] not in lexicon.EVERYDAY or self._meant(row, at)):
                return Mark("kind", starts[at], end, parts, text=" ".join(phrase))
        word, start = row[at].word, starts[at]
        if word in self.vocabulary.free:
            return Mark("free", start, start + len(word), (self.vocabulary.free[word],))
        headed = self.vocabulary.head_nouns.of(word)
        return Mark("kind", start, start + len(word), (headed,), text=word) if headed else None

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
            last = at + length - 1
            if length == 1:
                found = self._single(row, at, joined[: starts[at]].rstrip())
                if at + 1 < len(row) and row[at + 1].word in lexicon.FAMILY and (all_of := vocabulary.family(name[0])):
                    found, last = all_of, at + 1
            if found:
                end = starts[last] + len(row[last].word)
                label = " ".join(name).title()
                return Mark(
                    "person", starts[at], end, (vocabulary.person(found, self._role(joined, starts[at], end), label),)
                )
        return None

    def _single(self, row: Sequence[Token], at: int, before: str) -> frozenset[int] | None:
        """A surname (or a first name that means one person): one that is a word as well needs a capital and a cue."""
        word = row[at].word
        columns = self.vocabulary.surnames.get(word)
        if columns is None and word not in self.vocabulary.everyday:
            full = (self.vocabulary.surnames.get(name) for name in lexicon.NICKNAMES.get(word, ()))
            short = len(word) <= 4 and not row[at].capital
            columns = None if short else next((found for found in full if found), None)
            if columns is None and word.endswith("s"):
                columns = self.vocabulary.family(word[:-1]) if before.endswith("the") else None
                columns = columns or self.vocabulary.surnames.get(word[:-1])
        if columns is None or word in lexicon.NOUNS or word in NO_TITLE:
            return None
        many = before.endswith("the") and word not in self.vocabulary.surnames  # "the Coens"
        cued = many or bool(cues.SCREEN.search(before) or cues.MAKER.search(before) or cues.DIRECTOR.search(before))
        if word in self.vocabulary.everyday:
            return columns if row[at].capital and cued else None
        if at and row[at - 1].capital and row[at - 1].word in _OF_PLACES:  # "New York"
            return None
        beside = at + 1 < len(row) and row[at + 1].word in lexicon.NOUNS
        return columns if cued or beside or row[at].capital or len(word) > 5 or word in lexicon.NICKNAMES else None

    @staticmethod
    def _role(joined: str, start: int, end: int) -> str:
        before, after = joined[:start].rstrip(), joined[end:].lstrip()
        listed = before.rsplit(" and ", 1)[0] if before.endswith(" and") or before.endswith(" or") else before
        if _ANY_PART.match(after):
            return "any"
        if cues.DIRECTOR.search(listed) or cues.DIRECTED_AFTER.match(after):
            return "director"
        if cues.MAKER.search(listed):
            return "maker"
        return "screen" if cues.SCREEN.search(listed) or cues.SCREEN_AFTER.match(after) else ""
