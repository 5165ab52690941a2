"""Where a turn names a topic: after "about", "set in" or "where", before "movie", after "no" or "with", or by itself.

A word that nothing but its place makes a topic ("no zombies", "dinosaurs!") must be rare in the catalogue's texts, be
the name of a thing by its form, and not be one of people's everyday words about choosing something.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from tacit.dialogue.policy.wishes.attributes import singular, words
from tacit.dialogue.policy.wishes.counts import COUNT
from tacit.dialogue.policy.wishes.lexicon import BRANDS, NOUNS, ROLES, SEASONS, THINGS, word_set
from tacit.dialogue.policy.wishes.mark import Mark
from tacit.dialogue.policy.wishes.talk import NO_TOPIC
from tacit.dialogue.policy.wishes.tokens import Token
from tacit.dialogue.policy.wishes.topics import ALIASES, COMMON, Topics
from tacit.languages import ENGLISH

LONGEST = 4  # words
SHORT = 3  # words of a turn that may be a topic and nothing else
BARE = 3  # words of a topic that only its place tells

_ON = word_set(  # "a film on chess", "a paper on the war"
    "film films movie movies flick flicks documentary documentaries book books novel novels story stories something "
    "anything stuff one ones paper essay thesis report project unit lesson"
)
_ABOUT = re.compile(
    r"(?<!\w)(?<!how )(?<!what )(?<!care )(?<!cares )(?<!think )(?<!talk )(?<!talking )(?<!forget )(?<!sure )(?<!hear )"
    r"(?<!heard )(?<!tell me )(?<!told me )(?<!mind )(?<!worry )(?<!worried )(?<!excited )(?<!crazy )(?<!know )"
    r"(?<!mad )(?<!nuts )(?<!passionate )(?<!wild )"
    r"(?:about|set (?:in|on|at|during|around|aboard)|(?:takes?|taking|took) place (?:in|on|at|during|aboard)|"
    r"happen(?:s|ing)? (?:in|on|at|during|aboard)|"
    r"revolv(?:es|ing) around|cent(?:er|re)(?:s|ed|ing) (?:on|around)|(?:dealing|deals?) with|to do with|"
    r"on the (?:subject|topic|theme) of|involving|featuring|full of|"
    r"from(?= (?:the |a |an )?\w+ (?:side|perspective|point of view|pov)\b)|"
    r"(?:" + "|".join(f"(?<={noun} )" for noun in sorted(_ON)) + r")on)(?!\w)"
)
_WITH = re.compile(
    r"(?<!\w)(?:(?P<held>with|has|have|having|got|there (?:(?:must|should|has to|needs to|could|might) be|is|are))"
    r"(?: (?:there is|there are|you (?:see|get)))?"
    r"|(?:cook|make|made|bake|done?) with"
    r"|(?:something|anything|things|stuff|one|ones|movies?|films?|flicks?|books?|story|stories) with an?)(?!\w)"
)
_WHERE = re.compile(r"(?<!\w)(?:where|in which|(?:(?<=hate )|(?<=hates )|(?<=love )|(?<=like ))it when)(?!\w)")
_PLACE = re.compile(
    r"(?<!\w)in(?! (?:english|french|german|spanish|italian|japanese|chinese|korean|hindi|russian)\b)(?!\w)"
)
_SEASON = re.compile(rf"(?<!\w)(?:at|around|for|over|nearly|almost)(?= (?:{'|'.join(sorted(SEASONS))})(?!\w))")
_HELD = re.compile(
    r"(?<!\w)(?:something|anything|stuff|one|ones|movies?|films?|flicks?|books?|novels?|story|stories) "
    r"(?:with|that (?:has|have)|that is full of|having)(?!\w)"
)
_IN_IT = re.compile(r" (?:(?:in|on) (?:it|them)|at (?:its|the|their) (?:heart|cent(?:re|er)))(?!\w)")
_BESIDE = " with "  # after a kind: "a comedy with dogs"
_FANS = word_set("mad obsessed buff buffs nut nuts fanatic fanatics enthusiast enthusiasts")
_LISTED = re.compile(r"(?<!\S)(\w+) (?:, )?(?:,|or|and|/) (?:(?:an?|the|some) )?$")
_GOES_ON = re.compile(r" (?:, )?(?:or|and|/)(?: (?:about|on|in|at|with|being|getting))*(?= )")
# Cues after which a bare topic may stand.
_ASKING = ("want", "taste", "like_verb", "not", "except", "just", "seen_all", "else")
_BRIDGES = word_set("on in of at under inside aboard against between during behind")
_VAGUE = re.compile(r"(?:^|\b)(?:not|get|have|be|need|take|so|that|too|any|some|more|want|let me|rather|never)$")
_SKIPPED = word_set("a an the some any lots lot of plenty my other real actual certain kind sort all")
_TAKING = word_set("watching seeing reading watch see read")
_ENDS = word_set(
    ". , ; ! ? ) : \n and or but / please for from in at as if with without maybe preferably too again instead though "
    "this that these those i we so because tonight today tomorrow like lately"
)
_REFUSING = word_set("no without zero")
_STOPS = frozenset(".;!?\n")
_ALONE = _STOPS | {"or", "and", "/", ",", "maybe", "perhaps"}  # after what nothing else in the clause stands
_HOW = ("y", "ing", "ed", "ful", "ive", "ous", "al", "er", "est", "able", "ic", "less", "ly")  # how something is


@dataclass(frozen=True, slots=True)
class _Said:
    """A turn: its tokens and where each begins in the joined words."""

    row: Sequence[Token]
    starts: Sequence[int]
    joined: str

    def place(self, at: int) -> int:
        """The number of the first token that begins at character ``at`` or later."""
        return next((n for n, start in enumerate(self.starts) if start >= at), len(self.row))

    def word(self, n: int) -> str:
        return self.row[n].word if 0 <= n < len(self.row) else "."

    def end(self, n: int) -> int:
        return self.starts[n] + len(self.row[n].word)


class TopicMarker:
    """Puts the topics of a turn among its marks."""

    def __init__(self, topics: Topics) -> None:
        self.topics = topics

    def marked(self, marks: list[Mark], row: Sequence[Token], starts: Sequence[int], joined: str) -> list[Mark]:
        """The marks with those of topics among them, in order. A title or a kind that is part of one goes."""
        said = _Said(row, starts, joined)
        marks = [self._with_thing(mark) for mark in marks]
        found = self._told(marks, said)
        found += self._before_nouns(marks, said)
        found += self._bare(marks, said)
        found += self._listed(found, marks, said)
        found = list({(topic.start, topic.end): topic for topic in reversed(found)}.values())
        apart: list[Mark] = []
        for topic in sorted(found, key=lambda topic: topic.start - topic.end):  # the longest first
            if all(topic.end <= other.start or other.end <= topic.start for other in apart):
                apart.append(topic)
                marks = [m for m in marks if m.end <= topic.start or topic.end <= m.start] + [topic]
        return sorted(marks, key=lambda mark: mark.start)

    def _with_thing(self, mark: Mark) -> Mark:
        """A kind asked for by a thing in it ("zombies") also means the thing itself, and alone where it is refused."""
        if mark.name != "kind" or not mark.parts or mark.parts[0].exact:
            return mark
        named = [word for word in mark.text.split() if word not in ENGLISH.function_words]
        if " ".join(named) not in ALIASES and not any(singular(word) in THINGS | ROLES | BRANDS for word in named):
            return mark
        part = self.topics.part(named)
        return replace(mark, thing=part) if part else mark

    def _told(self, marks: Sequence[Mark], said: _Said) -> list[Mark]:
        """After "about", "set in", "where" and the like, and what "or" and "and" add to it."""
        found: list[Mark] = []
        capital = {start for start, token in zip(said.starts, said.row, strict=True) if token.capital}
        places = (cue for cue in _PLACE.finditer(said.joined) if cue.end() + 1 in capital)  # "in Las Vegas"
        cues = (*(cue.finditer(said.joined) for cue in (_ABOUT, _WITH, _WHERE, _SEASON)), places)
        for cue in (cue for kind in cues for cue in kind):
            if any(mark.start <= cue.start() < mark.end and mark.name not in ("want", "sep") for mark in marks):
                continue
            if cue.re is _WHERE and not self._of_item(cue.start(), marks, said):
                continue
            about = cue.re is not _WITH and cue.re is not _WHERE
            topic = self._after(cue.end(), marks, said, about, cue.re is _WHERE)
            if topic and (cue.re is not _WITH or not cue["held"] or _IN_IT.match(said.joined, topic.end)):
                found.append(topic)
                while about and (more := _GOES_ON.match(said.joined, topic.end)):
                    topic = self._after(more.end(), marks, said, about)
                    if topic is None:
                        break
                    found.append(topic)
        return found

    def _listed(self, found: Sequence[Mark], marks: Sequence[Mark], said: _Said) -> Iterator[Mark]:
        """What stands before a topic in its list: "a dog, a whale or the like"."""
        for topic in found:
            while before := _LISTED.search(said.joined[: topic.start]):
                n = said.place(before.start(1))
                part = self.topics.part([before[1]]) if self._thing(before[1], refused=True) else None
                if part is None or not self._free(marks, said.starts[n]):
                    break
                topic = Mark("topic", said.starts[n], said.end(n), (part,), text=before[1])
                yield topic

    @staticmethod
    def _of_item(at: int, marks: Sequence[Mark], said: _Said) -> bool:
        """Whether "where" at character ``at`` follows an item that is asked for: "a thriller where", "one where"."""
        if said.joined.startswith("it when", at):
            return True
        before = said.word(said.place(at) - 1)
        ends = any(mark.end == at - 1 and mark.name in ("kind", "number") for mark in marks)
        return ends or before in NOUNS or before in ("something", "anything", "sort")

    def _after(self, at: int, marks: Sequence[Mark], said: _Said, about: bool, skipping: bool = False) -> Mark | None:
        """The topic that the words from character ``at`` are, up to a small word, a comma, or another sort of mark;
        ``skipping`` passes over small words."""
        chosen: list[str] = []
        known, start, end = True, at, at
        for n in range(said.place(at), len(said.row)):
            token, place = said.row[n], said.starts[n]
            over = next((m for m in marks if m.start <= place < m.end), None)
            if not chosen and token.word in _SKIPPED and (over is None or over.name == "want"):
                continue
            if over is not None and over.name == "title" and about and not chosen:
                title = words(self.topics.index.catalog.items[over.rows[0]].title.split(" (")[0])
                part = self.topics.part([word for word in title if word not in ENGLISH.function_words])
                return Mark("topic", over.start, over.end, (part,), text=" ".join(title)) if part else None
            small = token.word in NO_TOPIC and not self._of_name(said, n)
            if skipping and (small or (over is not None and over.name == "pron")) and token.word.isalpha():
                if token.word in ("nobody", "nothing", "not", "no", "never", "i", "we", "you"):
                    break
                continue
            if chosen and token.word in _BRIDGES and said.word(n + 1) in SEASONS:
                break  # "in New York at Christmas": two topics
            if chosen and token.word in _BRIDGES and self._goes_on(marks, said, n + 1):
                continue
            if chosen and token.word in _SKIPPED and said.word(n - 1) in _BRIDGES:
                continue
            other = over is not None and over.name not in ("kind", "number" if self._of_name(said, n) else "kind")
            if other or small or not token.word.isalpha() or len(chosen) == LONGEST:
                break
            start = start if chosen else place
            chosen.append(token.word)
            end = said.end(n)
            known = known and over is not None
        part = self.topics.part(chosen) if chosen else None
        if (
            chosen and known
        ):  # a kind's own word tells all of it; of another word for one ("surfing") the text tells more
            inside = [m for m in marks if m.start >= start and m.end <= end and m.name == "kind"]
            loose = any(not m.parts[0].exact and m.thing is None for m in inside)
            return Mark("topic", end, end, (part,), text=" ".join(chosen)) if part and loose and about else None
        return Mark("topic", start, end, (part,), text=" ".join(chosen)) if part else None

    def _goes_on(self, marks: Sequence[Mark], said: _Said, n: int) -> bool:
        """Whether a topic goes on at token ``n``: "stuck on a mountain"."""
        while said.word(n) in _SKIPPED:
            n += 1
        word = said.word(n)
        return n < len(said.row) and self._free(marks, said.starts[n]) and word.isalpha() and word not in NO_TOPIC

    def _of_name(self, said: _Said, n: int) -> bool:
        """Whether a small word is part of a name: "New York"."""
        following = said.row[n + 1] if n + 1 < len(said.row) else None
        if following is not None and (said.word(n), following.word) in self.topics.names:
            return following.word not in NO_TOPIC
        return said.row[n].capital and following is not None and following.capital and following.word.isalpha()

    def _before_nouns(self, marks: Sequence[Mark], said: _Said) -> list[Mark]:
        """ "A submarine movie", "more sharks": a rare word of the texts that no mark holds."""
        found = []
        for n, start in enumerate(said.starts):
            before, word, after = said.word(n - 1), said.word(n), said.word(n + 1)
            more = before in ("more", "any", "some") and word.endswith("s") and not after.isalnum()
            kind = (
                any(m.start == said.starts[n + 1] and m.name == "kind" for m in marks)
                if n + 1 < len(said.row)
                else False
            )
            named = self._thing(word)
            if not named and after in _OF_ITEMS and self._thing(before):  # "a prison break movie"
                named = word not in NO_TOPIC and 0 < self.topics.share(word) <= COMMON
            if (more or kind or after in _OF_ITEMS or after in _FANS) and named:
                first = (
                    n - 1 if n and self._thing(before) and self._free(marks, said.starts[n - 1]) else n
                )  # "court room"
                chosen = [said.word(at) for at in range(first, n + 1)]
                if self._free(marks, start) and (part := self.topics.part(chosen)):
                    found.append(Mark("topic", said.starts[first], said.end(n), (part,), text=" ".join(chosen)))
        return found

    def _thing(self, word: str, doing: bool = False, refused: bool = False) -> bool:
        """Whether a word may be a topic by its place alone; ``doing``: in -ing as well; ``refused``: a commoner one."""
        if word in NO_TOPIC or word in COUNT or not word.isalpha() or len(word) < 3 or singular(word) in NO_TOPIC:
            return False
        if word in ALIASES or (self.topics.share(word) > 0 and self.topics.proper(word)):
            return True
        rare = self.topics.rare(word) or (refused and 0 < self.topics.share(word) <= COMMON)
        how = word.endswith(_HOW) and word in self.topics  # "Christmassy" is no word of the texts: its stem counts
        return rare and (not how or (doing and word.endswith("ing")))

    def _bare(self, marks: Sequence[Mark], said: _Said) -> Iterator[Mark]:
        """ "No zombies", "something French", "I love dogs", "a film with dogs"; "Dinosaurs!", with nothing "
        "beside it."""
        asked = [mark for mark in marks if mark.name in _ASKING]
        places = [(mark.end, _ENDS, _VAGUE.search(mark.text) is not None, mark.name != "want") for mark in asked]
        places += [(cue.end(), _ENDS, False, False) for cue in _HELD.finditer(said.joined)]
        places += [
            (mark.end + len(_BESIDE) - 1, _ENDS, True, False)
            for mark in marks
            if mark.name == "kind" and said.joined.startswith(_BESIDE, mark.end)
        ]
        alone = len(said.row) <= SHORT  # "piano", "boxing please"
        places += [
            (at, _ALONE, not alone, alone) for at in (0, *(mark.end for mark in marks if mark.name in ("stop", ",")))
        ]
        for before, mark in itertools.pairwise(marks):  # "ghosts or demons"
            if mark.name == "or" and before.name == "kind" and mark.start - before.end <= 1:
                places.append((mark.end, _ENDS, False, False))
        for mark, after in itertools.pairwise(marks):  # "a tennis or golf movie"
            n = said.place(mark.start) - 1
            if (
                mark.name == "or"
                and after.name == "kind"
                and after.start - mark.end <= 1
                and self._free(marks, said.starts[n])
            ):
                places.append((said.starts[n], _ALONE, False, True))
        for at, ends, vague, doing in places:
            topic = self._run(at, marks, said, ends, vague, doing)
            while topic is not None:
                yield topic
                more = _GOES_ON.match(said.joined, topic.end)
                topic = self._run(more.end(), marks, said, ends, vague, doing) if more else None

    def _run(
        self, at: int, marks: Sequence[Mark], said: _Said, ends: frozenset[str], vague: bool, doing: bool
    ) -> Mark | None:
        """The things named from character ``at`` on, with one of ``ends`` after them. Where what stands before is
        ``vague`` they must be many or have a name of their own; ``doing`` lets in words such as "cooking"."""
        first = said.place(at)
        while said.word(first) in (_SKIPPED | _TAKING):
            first += 1
        last = first
        while last < len(said.row) and last - first < BARE and self._free(marks, said.starts[last]):
            held = said.word(first - 1) == "with" and singular(said.word(last)) != said.word(last)
            if not self._thing(said.word(last), doing, refused=held or said.word(first - 1) in _REFUSING):
                break
            last += 1
        does = ends is _ALONE and said.word(last).endswith("ing")  # "lawyers shouting"
        if last == first or not (said.word(last) in ends or does):
            return None
        chosen = [said.word(n) for n in range(first, last)]
        many = chosen[-1] != singular(chosen[-1]) and said.word(first - 1) != "not"
        if vague and not (many or self.topics.proper(chosen[-1])):
            return None
        part = self.topics.part(chosen)
        return Mark("topic", said.starts[first], said.end(last - 1), (part,), text=" ".join(chosen)) if part else None

    @staticmethod
    def _free(marks: Sequence[Mark], start: int) -> bool:
        return not any(m.start <= start < m.end for m in marks)


_OF_ITEMS = word_set(
    "movie movies film films flick flicks book books novel novels story stories type kind sort style themed"
)
