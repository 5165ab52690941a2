"""Words of a turn that no mark holds and that may tell what is asked for: rare in the texts, and no small talk.

They are a wish of less weight, in a turn that asks: what was read by its value or its place goes first, and of items
that meet that those whose text has the rest.
"""

from __future__ import annotations

import re
from bisect import bisect
from collections.abc import Sequence
from dataclasses import dataclass

from tacit.dialogue.policy.wishes.attributes import singular
from tacit.dialogue.policy.wishes.counts import COUNT
from tacit.dialogue.policy.wishes.lexicon import NOUNS
from tacit.dialogue.policy.wishes.mark import Mark
from tacit.dialogue.policy.wishes.talk import NO_TOPIC
from tacit.dialogue.policy.wishes.topics import COMMON, Topics
from tacit.dialogue.policy.wishes.wordnet import lemma_of, tangible

SHORTEST = 4  # letters
MOST = 4  # words of a turn: more are a story and no wish
_DOING = ("ed", "ing", "ly")  # endings of verbs' forms, and of adverbs
_WORD = re.compile(r"(?<!\S)[^\W\d_]+(?!\S)")


@dataclass(frozen=True, slots=True)
class Unread:
    start: int
    word: str
    which: bool  # whether it stands before a kind or a noun for items, or is what is liked: "a medical drama"


def unread(marks: Sequence[Mark], joined: str, topics: Topics) -> list[Unread]:
    """In order, in sentences that want something; none that a mark of the turn has in another place."""
    kinds = {mark.start for mark in marks if mark.name == "kind"}
    read = {singular(word) for mark in marks for word in joined[mark.start : mark.end].split()}
    liked = {mark.end for mark in marks if mark.name in ("taste", "like_verb")}
    stops = [mark.start for mark in marks if mark.name == "stop"]
    wanting = {bisect(stops, mark.start) for mark in marks if mark.parts or mark.name == "want"}
    found: list[Unread] = []
    for said in _WORD.finditer(joined):
        word, start = said.group(), said.start()
        if len(word) < SHORTEST or {word, singular(word)} & NO_TOPIC or word in COUNT or singular(word) in read:
            continue
        if bisect(stops, start) not in wanting and stops[:-1]:
            continue
        if lemma_of(word) is None and not topics.proper(word):  # an adverb, a verb's form
            continue
        after = said.end() + 1
        following = joined[after : joined.find(" ", after) if " " in joined[after:] else None]
        which = after in kinds or following in NOUNS or start - 1 in liked
        plain = not word.endswith(_DOING) and (topics.telling(word) or tangible(word))
        if (plain or which) and 0 < topics.told(word) <= COMMON:
            found.append(Unread(start, word, which))
    return found if len(found) <= MOST else []
