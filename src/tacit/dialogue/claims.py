"""What a reply says of items, held against the catalogue: years, people, kinds, and titles, each a ``Claim``.

A claim is *supported* where the catalogue says so of an item that the sentence is about, *contradicted* where it says
otherwise, and *unsupported* where it cannot tell. Years and makers (directors, authors, artists) are taken to be whole,
and so is a list of kinds that is shorter than the catalogue's longest; what is not on a list of stars, or on a list of
kinds that may have been cut, may still be true.

Which item a sentence is about: the title before the claim in it, else the one after it; without a title, where it says
"it", "he" and the like or nothing of speaker and listener, the title named last, else the items shown, else those
talked of before. What is said of tastes ("you like horror"), and asked before any title, claims nothing.

A year in parentheses makes a title of what stands before it only where that reads as one (``claim_spans``): "(1995)"
alone, or "it came out (1995)", claims a year.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from tacit.dialogue.claim_spans import DATED, Span, surely_title, times, title_before
from tacit.dialogue.claim_words import (
    ALL,
    EVERYDAY,
    FAR,
    LIKENESS,
    NOT,
    NOUNS,
    PERSONAL,
    POINTING,
    ROLES,
    TASTE,
)
from tacit.dialogue.fact_index import TOKEN, FactIndex, lower_words, same_kind, tokens_of
from tacit.dialogue.policy.facts import CREATOR_KEYS, Facts, facts
from tacit.types import Dialogue, ItemId, Turn
from tacit.typography import plain_type

Verdict = Literal["supported", "unsupported", "contradicted"]
Kind = Literal["title", "year", "person", "genre"]
VERDICTS: tuple[Verdict, ...] = ("supported", "unsupported", "contradicted")


_END = re.compile(r"[.!?…]+(?=\s|$)|\n")
_LONGEST_NAME = 5


@dataclass(frozen=True, slots=True)
class Claim:
    """``said`` is the claim in the reply's words, about any of ``items``."""

    kind: Kind
    said: str
    items: tuple[ItemId, ...]
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class _Mention:
    """A name, a year or a kind in the text: ``value`` in the catalogue's form (years as "1990-1999"), ``start`` and
    ``end`` in characters."""

    kind: Kind
    value: str
    start: int
    end: int


def talked_of(context: Dialogue) -> tuple[ItemId, ...]:
    """What "it" means after ``context``: the items that the last turn with any named or showed."""
    for turn in reversed(context.turns):
        if items := (*turn.mentions, *(turn.slate.items if turn.slate else ())):
            return tuple(dict.fromkeys(items))
    return ()


def claims(turn: Turn, context: Dialogue, index: FactIndex) -> list[Claim]:
    """Every claim of an agent's ``turn`` after ``context``, in the order of the text within each kind."""
    text = plain_type(turn.text)
    shown = turn.slate.items if turn.slate else ()
    titles, found, strange = _titles(text, shown, index)
    if shown:
        known = {*shown, *context.mentioned()}
        titles = [title for title in titles if title[2] in known or surely_title(text[title[0] : title[1]])]
        found += [
            Claim("title", text[start:end], (item,), "contradicted")
            for start, end, item in titles
            if item not in known and not _near(text[:start], LIKENESS, FAR)
        ]
    mentions = _mentions(text, [*((start, end) for start, end, _ in titles), *strange], index)
    last: tuple[ItemId, ...] = shown or talked_of(context)
    for start, end in _sentences(text, [*((a, b) for a, b, _ in titles), *((m.start, m.end) for m in mentions)]):
        inside = [title for title in titles if start <= title[0] < end]
        for mention in mentions:
            if start <= mention.start < end and (items := _about(text[start:end], start, mention, inside, last)):
                found.append(_judged(text, start, mention, items, index))
        if inside:
            last = tuple(dict.fromkeys(item for _, _, item in inside))
    return found


def mentions_of(text: str, index: FactIndex) -> list[str]:
    """The people, kinds and years that a text names, in the catalogue's form."""
    titles = [(start, end) for start, end, _ in index.catalog.link(text)]
    return [mention.value for mention in _mentions(plain_type(text), titles, index)]


def count(found: Iterable[Claim]) -> dict[Verdict, int]:
    times = Counter(claim.verdict for claim in found)
    return {verdict: times[verdict] for verdict in VERDICTS}


def _titles(
    text: str, shown: Sequence[ItemId], index: FactIndex
) -> tuple[list[tuple[int, int, ItemId]], list[Claim], list[Span]]:
    """(start, end, item) of every title; claims about those with a year of their own: a wrong one contradicts, one of
    no item at all is a title that nothing supports; and where the latter stand."""
    catalog, strange = index.catalog, []
    spans = list(catalog.link(text))
    for item in shown:  # an everyday title is linked only where it is known to be meant
        title = plain_type(catalog[item].title)
        for match in re.finditer(re.escape(title), text) if title and title in text else ():
            if all(match.end() <= start or end <= match.start() for start, end, _ in spans):
                spans.append((match.start(), match.end(), item))
    found: list[Claim] = []
    for match in DATED.finditer(text):
        if any(start <= match.start() < end or end == match.end() for start, end, _ in spans):
            continue
        before = [span for span in spans if span[1] == match.start()]
        before = before or [span for span in catalog.link(text[: match.start()]) if span[1] == match.start()]
        if not before and (start := title_before(text[: match.start()], index.no_titles)) is not None:
            said = tokens_of(text[start : match.start()])
            before = [(start, match.start(), item) for item in shown if _undated(catalog[item].title) == said][:1]
            if not before:
                found.append(Claim("title", text[start : match.end()].strip(), (), "unsupported"))
                strange.append((start, match.end()))
        if not before:
            continue
        start, _, item = before[0]
        year = facts(catalog[item]).year
        spans = [span for span in spans if span != before[0]] + [(start, match.end(), item)]
        same: Verdict = "supported" if year == int(match.group(1)) else "contradicted"
        found.append(Claim("year", match.group(1), (item,), "unsupported" if year is None else same))
    return sorted(spans), found, strange


def _mentions(text: str, titles: Sequence[Span], index: FactIndex) -> list[_Mention]:
    """Names, kinds and years outside titles, longest first, in the order of the text."""
    free = list(text)
    for start, end in titles:
        free[start:end] = "." * (end - start)
    plain = "".join(free)
    found = [_Mention("year", *time) for time in times(plain)]
    words = [(match.start(), match.end(), match.group().lower()) for match in TOKEN.finditer(plain)]
    at = 0
    while at < len(words):
        step = 1
        for size in range(min(_LONGEST_NAME, len(words) - at), 0, -1):
            part = words[at : at + size]
            key, start, end = tuple(word for _, _, word in part), part[0][0], part[-1][1]
            if key in index.names:
                found.append(_Mention("person", " ".join(key), start, end))
            elif key in index.kinds and _is_kind(key, [word for _, _, word in words[at + size : at + size + 1]]):
                found.append(_Mention("genre", index.kinds[key], start, end))
            else:
                continue
            step = size
            break
        at += step
    return sorted(found, key=lambda mention: mention.start)


def _is_kind(key: tuple[str, ...], after: Sequence[str]) -> bool:
    return not (len(key) == 1 and key[0] in EVERYDAY) or bool(NOUNS & set(after))


def _about(
    sentence: str,
    start: int,
    mention: _Mention,
    titles: Sequence[tuple[int, int, ItemId]],
    last: tuple[ItemId, ...],
) -> tuple[ItemId, ...]:
    """The items that a mention is said of; none where nothing is claimed."""
    words = lower_words(sentence)
    before = lower_words(sentence[: mention.start - start])[-FAR - 2 :]
    if PERSONAL & set(before) and (TASTE & set(before) or mention.kind == "year"):
        return ()  # "you like horror", "I saw it in 2005"
    earlier = [item for begin, _, item in titles if begin < mention.start]
    if sentence.rstrip().endswith("?") and not earlier:
        return ()
    if titles:
        everyone = tuple(dict.fromkeys(item for _, _, item in titles))
        return everyone if ALL & set(words) else (earlier[-1] if earlier else titles[0][2],)
    return () if PERSONAL & set(words) and not POINTING & set(words) else last


def _judged(text: str, start: int, mention: _Mention, items: tuple[ItemId, ...], index: FactIndex) -> Claim:
    end = _END.search(text, mention.end)
    before = lower_words(text[start : mention.start])[-FAR:]
    after = lower_words(text[mention.end : end.start() if end else len(text)])[:2]
    role = _role(before, after) if mention.kind == "person" else ()
    known = [index.of(item) for item in items]
    holds = [_holds(mention, role, facts) for facts in known]
    closed = mention.kind == "year" or (bool(role) and role[0] in CREATOR_KEYS)
    if mention.kind == "genre":
        closed = all(len(facts.genres) < index.most_kinds for facts in known)
    verdict: Verdict = "unsupported"
    if NOT & set(before) and "only" not in before:
        verdict = "contradicted" if any(holds) else "supported" if all(h is False for h in holds) else verdict
    elif any(holds):
        verdict = "supported"
    elif closed and all(h is False for h in holds):
        verdict = "contradicted"
    return Claim(mention.kind, text[mention.start : mention.end], items, verdict)


def _holds(mention: _Mention, role: tuple[str, ...], known: Facts) -> bool | None:
    """Whether the item has it; None = the catalogue says nothing of the sort about the item."""
    if mention.kind == "year":
        if known.year is None:
            return None
        first, last = (int(year) for year in mention.value.split("-"))
        return first <= known.year <= last
    if mention.kind == "genre":
        own = {same_kind(genre) for genre in known.genres}
        words = {word for genre in own for word in genre.split()}
        return (mention.value in own or mention.value in words) if own else None
    names = [names for key, names in known.people.items() if not role or key in role]
    told = {" ".join(tokens_of(name)) for part in names for name in part}
    return mention.value in told if told else None


def _role(before: Sequence[str], after: Sequence[str]) -> tuple[str, ...]:
    """The keys under which a person in this part is filed; () where the words name no part. The nearest word tells."""
    for word in (*after[:1], *reversed(before)):
        for words, keys in ROLES:
            if word in words:
                return keys
    return ()


def _sentences(text: str, whole: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """(start, end) of each sentence; a mark inside one of the ``whole`` spans ends none ("Samuel L. Jackson")."""
    start = 0
    for match in _END.finditer(text):
        if any(a <= match.start() < b - 1 for a, b in whole):
            continue
        yield start, match.end()
        start = match.end()
    if start < len(text):
        yield start, len(text)


def _near(before: str, words: frozenset[str], far: int) -> bool:
    return bool(words & set(lower_words(before)[-far:]))


def _undated(title: str) -> tuple[str, ...]:
    return tokens_of(DATED.sub("", title))
