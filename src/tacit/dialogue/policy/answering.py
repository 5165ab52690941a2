"""Questions about shown items that the catalogue answers in the policy's own turn: who made it or is in it, when it
came out, what it is about, what kind it is, and why it was shown.

A small model cannot say such things, and a pretrained one that was tuned on dialogues without such answers does not.
What is answered here is given to the policy's turn, as titles are: no token of it is drawn, and none is learnt from.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Literal

from tacit.catalog import Catalog
from tacit.dialogue.policy.facts import CAST_KEYS, CREATOR_KEYS, NAMED, WRITER_KEYS, Facts, cut, facts
from tacit.types import Dialogue, ItemId, Turn
from tacit.typography import plain_type

Question = Literal["director", "writer", "maker", "screen", "when", "about", "kind", "why"]

_IT = (
    r"(?:it|that|this|(?:that|this) (?:one|movie|film|book|game|album|show)|the (?:movie|film|book|game|album|show)|"
    r"(?:the )?(?:first|second|third|fourth|fifth|last) (?:one|movie|film|book)?|they|them|those|these|he|she)"
)
_WHO = r"\bwho(?:'?s| is| was| are| were|'re| did| has)?"
_PATTERNS: tuple[tuple[Question, str], ...] = (
    ("why", r"\bwhy (?:this|that|these|those|it|them)\b(?: (?:one|ones|movie|film|book)s?)?\W*$"),
    ("why", r"\bwhy (?:would|do|did|should) (?:you|i) (?:recommend|suggest|pick|choose|like|watch|read|see)\b"),
    ("director", rf"{_WHO} (?:the )?direct(?:or|ed|s|ing)?\b|\bdirected by who"),
    ("writer", rf"{_WHO} (?:the )?(?:wrote|writes?|written|writer|author|screenwriter)\b|\bwritten by who"),
    (
        "screen",
        rf"{_WHO} (?:all |else |also )*(?:in|starring|stars?|starred|acts?|acted|acting|plays?|played|playing)\b|"
        rf"{_WHO} (?:the )?(?:(?:main|lead|leading) )?(?:actors?|actress(?:es)?|cast|lead|leads|narrator)\b|"
        r"\b(?:what|which) (?:actors?|actress(?:es)?|stars?)\b.{0,20}\bin\b",
    ),
    ("maker", rf"{_WHO} (?:made|makes|sings|sang|composed|created|designed|developed|it by|that by|this by)\b"),
    ("maker", rf"{_WHO} (?:the )?(?:artist|composer|creator|designer|developer|maker)\b|\bwho is {_IT} by\b"),
    (
        "when",
        r"\bwhen (?:was|did|is|were|has)\b.{0,50}\b(?:made|come out|came out|released?|filmed|shot|published|written|"
        rf"from|out)\b|\b(?:what|which) year (?:is|was|did|were)\b|\bhow old (?:is|are) {_IT}(?!\w)",
    ),
    (
        "about",
        r"\bwhat(?:'?s| is| was| are|'re)\b.{0,60}\babout\b(?! (?:you|me|us)\b)"
        r"|\bwhat happens in\b|\bwhat(?:'?s| is) the (?:plot|story)\b",
    ),
    ("about", rf"\btell me (?:a bit |a little |some |something )?(?:more )?about {_IT}(?!\w)"),
    ("kind", rf"\bwhat(?:'?s)? (?:kind|type|sort|genre)\b.{{0,30}}\b(?:is|are|was) {_IT}(?!\w)"),
    ("kind", rf"\bwhat(?:'s| is) (?:the |its )?genre\b|\bwhat genre is\b|\bwhat (?:kind|type|sort) is {_IT}(?!\w)"),
)
_ASKED = tuple((name, re.compile(pattern, re.IGNORECASE)) for name, pattern in _PATTERNS)
_OF_PEOPLE = re.compile(r"\b(?:you|your|yours)\b", re.IGNORECASE)
_ORDINAL = {"first": 0, "second": 1, "third": 2, "fourth": 3, "fifth": 4, "last": -1}
_NTH = re.compile(r"\bthe (first|second|third|fourth|fifth|last)\b(?: one| movie| film| book)?", re.IGNORECASE)
_SEVERAL = re.compile(r"\b(?:they|them|those|these|both)\b(?! (?:one|movie|film|book)\b)", re.IGNORECASE)
_MANY = 2  # items of which one answer speaks
_KEYS: dict[str, tuple[str, ...]] = {
    "director": ("director", "directors"),
    "writer": (*WRITER_KEYS, "author", "authors"),
    "maker": CREATOR_KEYS,
    "screen": CAST_KEYS,
}
_DONE = {"director": "directed", "writer": "wrote", "maker": "made", "screen": "is in"}


def question(text: str) -> Question | None:
    """What is asked of an item; None where nothing is, or where the person's own view is asked for."""
    plain = plain_type(text)
    for name, rule in _ASKED:
        found = rule.search(plain)
        if found and (name == "why" or not _OF_PEOPLE.search(found.group())):
            return name
    return None


def answer(
    context: Dialogue,
    catalog: Catalog,
    met: Callable[[ItemId], Sequence[str]],
    fits: Callable[[str], bool],
) -> str | None:
    """The answer to the user's last words; None where they ask nothing of an item, or it would not fit.

    ``met`` tells what of the user's wishes an item has, in words. The catalogue's not knowing is said, too.
    """
    said = _last_words(context.turns)
    asked = question(" ".join(turn.text for turn in said)) if said else None
    if asked is None:
        return None
    items = _meant(context.turns, catalog)
    sentences = [_sentence(asked, facts(catalog[item]), met(item), fits) for item in items]
    told = [sentence for sentence in sentences if sentence]
    while told and not fits(" ".join(told)):
        told.pop()
    return " ".join(told) or None


def _last_words(turns: Sequence[Turn]) -> list[Turn]:
    """The user's messages since the agent spoke."""
    said: list[Turn] = []
    for turn in reversed(turns):
        if turn.speaker != "user":
            break
        said.insert(0, turn)
    return said


def _meant(turns: Sequence[Turn], catalog: Catalog) -> tuple[ItemId, ...]:
    """The items that the user's last words ask about: those they name, else "the second one", else what was named or
    shown last: the shown title that the agent's words name first, else another title in them (an answer may be about
    an earlier slate), or the first shown; several for "they"."""
    said = _last_words(turns)
    named = [item for turn in said for item in turn.mentions]
    if named:
        return tuple(dict.fromkeys(named))[-_MANY:]
    text = " ".join(turn.text for turn in said)
    for turn in reversed(turns[: len(turns) - len(said)]):
        shown = turn.slate.items if turn.slate else turn.mentions
        if not shown:
            continue
        nth = _NTH.search(text)
        place = _ORDINAL[nth.group(1).lower()] if nth else 0
        if nth:
            return (shown[place],) if place < len(shown) else ()
        if turn.speaker == "agent" and not any(catalog[item].title in turn.text for item in shown):
            shown = (*catalog.named(turn.text), *shown)
        first = sorted(shown, key=lambda item: _where(turn.text, catalog[item].title))
        return tuple(first[: _MANY if _SEVERAL.search(text) else 1])
    return ()


def _where(text: str, title: str) -> int:
    at = text.find(title)
    return at if at >= 0 else len(text)


def _sentence(asked: Question, known: Facts, met: Sequence[str], fits: Callable[[str], bool]) -> str:
    """One item's part of the answer; "" where there is nothing to be said."""
    title = known.headline
    match asked:
        case "when":
            return f"{known.title} is from {known.year}." if known.year else f"I don't know what year {title} is from."
        case "kind":
            return f"{title} is {_listed(known.genres)}." if known.genres else f"I don't know what kind {title} is."
        case "about":
            kinds = f"{title} is {_listed(known.genres)}" if known.genres else ""
            if known.plot:
                whole = f"{title}: {known.plot}"
                return whole if fits(whole) else cut(f"{title}: ", known.plot, fits) or f"{kinds or title}."
            who = [f"{'by' if key in CREATOR_KEYS else 'with'} {_listed(names)}" for key, names in known.people.items()]
            told = ", ".join([kinds or title, *who[:_MANY]])
            return f"{told}. I don't know its plot." if kinds or who else f"I don't know what {title} is about."
        case "why":
            return f"You asked for {_listed(met)}, and {title} has it: {_short(known)}." if met else ""
        case _:
            names = [name for key in _KEYS[asked] for name in known.people.get(key, ())]
            if not names:
                return f"I don't know who {_DONE[asked]} {title}."
            verb = "are in" if asked == "screen" and len(names) > 1 else _DONE[asked]
            return f"{_listed(names)} {verb} {title}."


def _short(known: Facts) -> str:
    """Year and kinds."""
    told = [_listed(known.genres)] if known.genres else []
    return ", ".join([*told, *([str(known.year)] if known.year else [])]) or known.title


def _listed(names: Sequence[str]) -> str:
    """ "A", "A and B", "A, B and C"."""
    first = list(dict.fromkeys(names))[:NAMED]
    return " and ".join([", ".join(first[:-1]), first[-1]]) if len(first) > 1 else "".join(first)
