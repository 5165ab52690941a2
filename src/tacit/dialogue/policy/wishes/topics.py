"""What an item is about, where no attribute tells: the words of a wish against those of the catalogue's own texts.

"A film about chess", "something set in Paris", "a submarine movie": an item meets it whose text (its plot, mostly)
holds all of the words, plurals alike. Its people do not count: a film by John Ford is not about him.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from functools import cached_property

import numpy as np

from tacit.dialogue.policy.wishes.attributes import PEOPLE, AttributeIndex, Part, singular, words
from tacit.dialogue.policy.wishes.lexicon import NOUNS, word_set
from tacit.dialogue.policy.wishes.mark import Mark
from tacit.dialogue.policy.wishes.tokens import Token
from tacit.languages import ENGLISH
from tacit.types import Ints64

MOST_ITEMS = 200_000  # of a larger catalogue no text is read
COMMON = 0.1  # of the items: a word that more of them have tells nothing
RARE = 0.02  # of the items that may have the word before "movie"
FEW = 3  # items, of a small catalogue
LONGEST = 4  # words

_ABOUT = re.compile(
    r"(?<!\w)(?<!how )(?<!what )(?<!care )(?<!cares )(?<!think )(?<!talk )(?<!talking )(?<!forget )(?<!sure )(?<!hear )"
    r"(?<!heard )(?<!tell me )(?<!told me )(?<!mind )(?<!worry )(?<!worried )(?<!excited )(?<!crazy )(?<!know )"
    r"(?:about|set (?:in|on|at|during|around|aboard)|(?:takes?|taking|took) place (?:in|on|at|during|aboard)|"
    r"happen(?:s|ing)? (?:in|on|at|during|aboard)|"
    r"revolv(?:es|ing) around|cent(?:er|re)(?:s|ed|ing) (?:on|around)|(?:dealing|deals?) with|to do with|"
    r"on the (?:subject|topic|theme) of|involving|featuring|full of|"
    r"(?:(?<=film )|(?<=films )|(?<=movie )|(?<=movies )|(?<=documentary )|(?<=something )|(?<=one ))on)(?!\w)"
)
_WITH = re.compile(
    r"(?<!\w)(?:(?:(?P<held>with|has|have|having|got)|where|in which)(?: (?:there is|there are|you (?:see|get)))?"
    r"|(?:something|anything|things|stuff|one|ones|movies?|films?|flicks?|books?|story|stories) with an?)(?!\w)"
)
_PLACE = re.compile(
    r"(?<!\w)in(?! (?:english|french|german|spanish|italian|japanese|chinese|korean|hindi|russian)\b)(?!\w)"
)
_IN_IT = re.compile(r" in (?:it|them)(?!\w)")
_SKIPPED = word_set("a an the some any lots lot of plenty my other real actual certain kind sort all")
# Words that say how an item is, or how it is watched, and not what it is about.
_NO_TOPIC = ENGLISH.function_words | NOUNS | word_set(
    """twist twists ending endings end plot story cast message lead leads character characters humor humour pace budget
    rating soundtrack score heart happy strong good great best better nice big decent solid proper right different
    similar foreign popular famous favorite favourite recent random whole entire long short light fun cool interesting
    awesome amazing beautiful perfect weird crazy dumb stupid smart clever simple easy hard friend friends girlfriend
    boyfriend wife husband partner mom mum dad brother sister family kids popcorn wine beer dinner date tonight night
    day weekend hour hours minutes minute time year years watch watching see seeing seen read recommend suggestion
    mood feel feeling low high independent indie cult blockbuster hidden underrated overrated quality top
    thing things stuff way bit little couple people person someone somebody anyone everyone everything nothing idea
    main full self name kind type sort genre style like love want need please thanks maybe really subtitles subtitle
    english language tv netflix streaming theater cinema oscar award winning made based real true own next last first
    second third new old older newer modern classic original seriousness depth meaning substance anything
    something popularity reviews review stars star actor actress director again lately going
    goes gets getting trying being suggestions ideas options recommendations others picks choices hints tips"""
)  # fmt: skip


class Topics:
    """The words of a catalogue's texts, read when a topic is first asked for."""

    def __init__(self, index: AttributeIndex) -> None:
        self.index = index

    @cached_property
    def _rows(self) -> dict[str, Ints64]:
        """Word, singular → the rows of the items whose text has it."""
        found: dict[str, list[int]] = defaultdict(list)
        items = self.index.catalog.items
        for row, item in enumerate(items if len(items) <= MOST_ITEMS else ()):
            people = {word for key in PEOPLE for name in item.attributes.get(key, ()) for word in words(name)}
            for word in {singular(word) for word in words(item.text) if word not in people}:
                found[word].append(row)
        return {word: np.array(rows, dtype=np.int64) for word, rows in found.items()}

    def share(self, word: str) -> float:
        return len(self._rows.get(singular(word), ())) / max(self.index.n_items, 1)

    def part(self, said: Sequence[str]) -> Part | None:
        """Items whose text has all of the words; where none has, all but the first or the last, then the last alone."""
        telling = [word for word in said if 0 < self.share(word) <= COMMON]
        for part in (telling, telling[1:], telling[:-1], telling[-1:]):
            if part and len(rows := self._holding(part)):
                column = self.index.column_of("text", " ".join(part), rows)
                label = f"about {' '.join(part)}"
                return Part(label, "category", frozenset({column})) if column is not None else None
        return None

    def _holding(self, said: Sequence[str]) -> Ints64:
        rows = self._rows[singular(said[0])]
        for word in said[1:]:
            rows = np.intersect1d(rows, self._rows[singular(word)], assume_unique=True)
        return rows

    def marked(self, marks: list[Mark], row: Sequence[Token], starts: Sequence[int], joined: str) -> list[Mark]:
        """The marks with those of topics among them, in order. A title or a kind that is part of one goes."""
        found: list[Mark] = []
        capital = {start for start, token in zip(starts, row, strict=True) if token.capital}
        places = (cue for cue in _PLACE.finditer(joined) if cue.end() + 1 in capital)  # "in Las Vegas"
        for cue in (*_ABOUT.finditer(joined), *_WITH.finditer(joined), *places):
            if any(mark.start <= cue.start() < mark.end and mark.name not in ("want", "sep") for mark in marks):
                continue
            about = cue.re is not _WITH
            topic = self._after(cue.end(), marks, row, starts, joined, about)
            if topic and (about or not cue["held"] or _IN_IT.match(joined, topic.end)):
                found.append(topic)
        found += self._before_nouns(marks, row, starts)
        found = list({(topic.start, topic.end): topic for topic in found}.values())
        for topic in found:
            if all(topic.end <= other.start or other.end <= topic.start for other in found if other is not topic):
                marks = [m for m in marks if m.end <= topic.start or topic.end <= m.start] + [topic]
        return sorted(marks, key=lambda mark: mark.start)

    def _after(
        self, at: int, marks: Sequence[Mark], row: Sequence[Token], starts: Sequence[int], joined: str, about: bool
    ) -> Mark | None:
        """The topic that the words from character ``at`` are, up to a small word, a comma, or another sort of mark."""
        said: list[str] = []
        known, start, end = True, at, at
        for token, place in zip(row, starts, strict=True):
            if place < at:
                continue
            over = next((m for m in marks if m.start <= place < m.end), None)
            if not said and token.word in _SKIPPED and (over is None or over.name == "want"):
                continue
            if over is not None and over.name == "title" and about and not said:
                title = words(self.index.catalog.items[over.rows[0]].title.split(" (")[0])
                part = self.part([word for word in title if word not in ENGLISH.function_words])
                return Mark("topic", over.start, over.end, (part,), text=" ".join(title)) if part else None
            other = over is not None and over.name != "kind"
            if other or token.word in _NO_TOPIC or not token.word.isalpha() or len(said) == LONGEST:
                break
            start = start if said else place
            said.append(token.word)
            end = place + len(token.word)
            known = known and over is not None
        part = self.part(said) if said else None
        if said and known:  # a kind's own word tells all of it; of another word for one ("surfing") the text tells more
            loose = any(m.start >= start and m.end <= end and not m.parts[0].exact for m in marks if m.name == "kind")
            return Mark("topic", end, end, (part,), text=" ".join(said)) if part and loose and about else None
        return Mark("topic", start, end, (part,), text=" ".join(said)) if part else None

    def _before_nouns(self, marks: Sequence[Mark], row: Sequence[Token], starts: Sequence[int]) -> list[Mark]:
        """ "A submarine movie", "more sharks": a rare word of the texts that no mark holds."""
        found = []
        said = ["", *(token.word for token in row), "."]
        for at, start in enumerate(starts):
            before, word, after = said[at : at + 3]
            more = before in ("more", "any", "some") and word.endswith("s") and not after.isalnum()
            if not (more or after in _OF_ITEMS) or word in _NO_TOPIC or not word.isalpha() or len(word) < 4:
                continue
            free = not any(m.start <= start < m.end for m in marks)
            if (
                free
                and 0 < self.share(word) <= max(RARE, FEW / self.index.n_items)
                and not word.endswith(("y", "ing", "ed", "ful", "ive", "ous", "al"))
            ):
                part = self.part([word])
                found += [Mark("topic", start, start + len(word), (part,), text=word)] if part else []
        return found


_HOW = ("y", "ing", "ed", "ful", "ive", "ous", "al", "er", "est")  # endings of words that say how something is
_OF_ITEMS = word_set("movie movies film films flick flicks book books novel novels story stories")
