"""Questions about shown items that the catalogue answers in the policy's own turn: who made it or is in it, when it
came out, how long it is, what it is about, what kind it is, whether it is of a kind ("is it scary?"), any other
attribute by its name, and why it was shown.

A small model cannot say such things, and a pretrained one that was tuned on dialogues without such answers does not.
What is answered here is given to the policy's turn, as titles are: no token of it is drawn, and none is learnt from.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Literal

from tacit.catalog import Catalog
from tacit.dialogue.policy.facts import CAST_KEYS, CREATOR_KEYS, NAMED, WRITER_KEYS, Facts, cut, facts
from tacit.dialogue.policy.wishes.attributes import ABOUT, Part
from tacit.dialogue.policy.wishes.cues import ORDINAL
from tacit.types import Dialogue, ItemId, Turn
from tacit.typography import plain_type

Question = Literal[
    "director",
    "writer",
    "maker",
    "screen",
    "when",
    "long",
    "about",
    "kind",
    "why",
    "most",
    "which",
    "view",
    "whether",
    "value",
]
Holds = Callable[[str, ItemId], Sequence[tuple[Part, bool]]]

_IT = (
    r"(?:it|that|this|(?:that|this) (?:one|movie|film|book|game|album|show)|the (?:movie|film|book|game|album|show)|"
    r"(?:the )?(?:first|second|third|fourth|fifth|last|[1-5](?:st|nd|rd|th))(?: (?:one|movie|film|book))?|"
    r"(?:number|no\.?|#) ?[1-5]|they|them|those|these|he|she)"
)
_WHO = r"\bwho(?:'?s| is| was| are| were|'re| did| has)?"
_PATTERNS: tuple[tuple[Question, str], ...] = (
    ("why", r"^\W*(?:but |and |so )?why\W*$"),
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
    ("about", r"\bdifferences? between\b|\bcompare\b"),
    ("about", rf"\btell me (?:a bit |a little |some |something )?(?:more )?about {_IT}(?!\w)"),
    ("kind", rf"\bwhat(?:'?s)? (?:kind|type|sort|genre)\b.{{0,30}}\b(?:is|are|was) {_IT}(?!\w)"),
    ("kind", rf"\bwhat(?:'s| is) (?:the |its )?genre\b|\bwhat genre is\b|\bwhat (?:kind|type|sort) is {_IT}(?!\w)"),
    (
        "long",
        r"\bhow (?:long|many (?:minutes|hours|pages))\b.{0,20}\b(?:is|are|was|does|do|has|have|in)\b.{0,20}"
        rf"{_IT}(?!\w)",
    ),
    (
        "most",
        r"\b(?:which|what)\b(?! (?:year|kind|genre))(?: (?:one|of (?:them|those|these)))? (?:is|was|are) (?:the )?"
        r"(?:oldest|earliest|newest|latest|most recent|longest|shortest|cheapest|most expensive)\b",
    ),
    ("which", r"\bwhich (?:ones?|of (?:them|those|these)|is|are|has|have)\b.{1,60}$"),
    ("view", rf"\b(?:is|was|are|were) {_IT} (?:any |really |actually )?(?:good|great|worth|decent|better|popular)\b"),
    ("value", r"\b(?:what|which|how much)\b.{0,60}$"),
    (
        "whether",
        r"(?:^|[.!?,;]\s*|\b(?:and|so|but|ok|okay|cool|nice|wait|hm+),?\s+)(?:is|are|was|were|does|do|did|has|have)"
        r"(?:n'?t)? (?!there\b|i\b|we\b|it (?:possible|ok|okay|true)\b).{1,80}$",
    ),
)
_ASKED = tuple((name, re.compile(pattern, re.IGNORECASE)) for name, pattern in _PATTERNS)
_OF_PEOPLE = re.compile(r"\b(?:you|your|yours)\b", re.IGNORECASE)
_THIS = re.compile(rf"(?<!\w){_IT}(?!\w)", re.IGNORECASE)
_NTH = re.compile(
    r"\bthe (first|second|third|fourth|fifth|last|[1-5](?:st|nd|rd|th))\b|(?:number|no\.?|#) ?([1-5])\b", re.IGNORECASE
)
_SEVERAL = re.compile(r"\b(?:they|them|those|these|both)\b(?! (?:one|movie|film|book)\b)", re.IGNORECASE)
_MANY = 2  # items of which one answer speaks
_KEYS: dict[str, tuple[str, ...]] = {
    "director": ("director", "directors"),
    "writer": (*WRITER_KEYS, "author", "authors"),
    "maker": CREATOR_KEYS,
    "screen": CAST_KEYS,
}
_ROLES: tuple[Question, ...] = ("screen", "director", "writer", "maker")
_ASKED_MOST = re.compile(r"oldest|earliest|newest|latest|most recent|longest|shortest|cheapest|most expensive")
_PRICE = re.compile(r"price|cost")
_NO_VIEW = "I cannot judge that."
_LENGTH = re.compile(r"runtime|duration|length|minutes|running|pages?")
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
    holds: Holds = lambda text, item: (),
) -> str | None:
    """The answer to the user's last words; None where they ask nothing of an item, or it would not fit.

    ``met`` tells what of the user's wishes an item has, in words; ``holds``, what the words of a question ask of an
    item, and whether it has that. The catalogue's not knowing is said, too.
    """
    said = _last_words(context.turns)
    text = " ".join(turn.text for turn in said)
    asked = question(text) if said else None
    pointed = _THIS.search(text) or any(turn.mentions for turn in said)
    if asked is None or (asked in ("whether", "value") and not pointed):
        return None
    if asked in ("most", "which"):
        return _of_all(asked, text, _shown(context.turns), catalog, holds, fits)
    items = _meant(context.turns, catalog)
    sentences = []
    for item in items:
        known = facts(catalog[item])
        if asked == "whether":
            sentences.append(_whether(known, holds(text, item), fits))
        elif asked == "value":
            sentences.append(_value(text, known))
        else:
            sentences.append(_sentence(asked, known, met(item), fits))
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
        if nth := _NTH.findall(text):
            places = dict.fromkeys(_place(word or digit) for word, digit in nth[:_MANY])
            return tuple(shown[place] for place in places if place < len(shown))
        if turn.speaker == "agent" and not any(catalog[item].title in turn.text for item in shown):
            shown = (*catalog.named(turn.text), *shown)
        first = sorted(shown, key=lambda item: _where(turn.text, catalog[item].title))
        return tuple(first[: _MANY if _SEVERAL.search(text) else 1])
    return ()


def _place(said: str) -> int:
    """ "second", "2nd" or "2" → 1, "last" → -1."""
    plain = said.lower()
    return -1 if plain == "last" else ORDINAL[plain[:1] if plain[:1].isdigit() else plain]


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
        case "long":
            return next((_told(title, key, known) for key in known.other if _LENGTH.search(key)), "") or (
                f"I don't know how long {title} is."
            )
        case "about":
            kinds = f"{title} is {_listed(known.genres)}" if known.genres else ""
            if known.plot:
                whole = f"{title}: {known.plot}"
                return whole if fits(whole) else cut(f"{title}: ", known.plot, fits) or f"{kinds or title}."
            who = [f"{'by' if key in CREATOR_KEYS else 'with'} {_listed(names)}" for key, names in known.people.items()]
            told = ", ".join([kinds or title, *who[:_MANY]])
            return f"{told}. I don't know its plot." if kinds or who else f"I don't know what {title} is about."
        case "view":
            told = _sentence("about", known, met, lambda text: fits(f"{_NO_VIEW} {text}"))
            return told if told.startswith("I don't know") else f"{_NO_VIEW} {told}"
        case "why":
            if met:
                return f"You asked for {_listed(met)}, and {title} has it: {_short(known)}."
            return f"You asked for nothing that {title} has by the catalogue: {_short(known)}."
        case _:
            names = [name for key in _KEYS[asked] for name in known.people.get(key, ())]
            if not names:
                return f"I don't know who {_DONE[asked]} {title}."
            verb = "are in" if asked == "screen" and len(names) > 1 else _DONE[asked]
            return f"{_listed(names)} {verb} {title}."


def _shown(turns: Sequence[Turn]) -> tuple[ItemId, ...]:
    """The last slate, best first."""
    return next((turn.slate.items for turn in reversed(turns) if turn.slate is not None and turn.slate.items), ())


def _of_all(
    asked: Question, text: str, shown: Sequence[ItemId], catalog: Catalog, holds: Holds, fits: Callable[[str], bool]
) -> str | None:
    """ "Which one is the oldest?", "which of them is scary?": among all that was shown last."""
    known = {item: facts(catalog[item]) for item in shown}
    if asked == "which":
        held = {item: [has for _, has in holds(text, item)] for item in shown}
        if not any(held.values()):
            return None
        found = [known[item].headline for item in shown if any(held[item])]
        told = f"{_listed(found)}." if found else "None of them, that I know."
        return told if fits(told) else None
    said = _ASKED_MOST.search(text.lower())
    if said is None or not shown:
        return None
    numbers = {item: _number(known[item], said.group()) for item in shown}
    told_of = {item: number for item, number in numbers.items() if number is not None}
    if not told_of:
        return "I don't know that of any of them."
    most = max if said.group() in ("newest", "latest", "most recent", "longest", "most expensive") else min
    best = most(told_of, key=lambda item: told_of[item])
    others = "" if len(told_of) == len(shown) else ", as far as I know"
    return f"{known[best].headline} is the {said.group()}{others}."


def _number(known: Facts, most: str) -> float | None:
    """The number by which an item is the ``most`` of some: its year, its length, or its price."""
    if most in ("oldest", "earliest", "newest", "latest", "most recent"):
        return known.year
    keys = _LENGTH if most in ("longest", "shortest") else _PRICE
    values = [value for key, values in known.other.items() if keys.search(key) for value in values[:1]]
    found = re.search(r"\d+(?:\.\d+)?", values[0]) if values else None
    return float(found.group()) if found else None


def _whether(known: Facts, held: Sequence[tuple[Part, bool]], fits: Callable[[str], bool]) -> str:
    """ "Is it scary?", "is Tom Hanks in it?": yes or no by the catalogue, and the fact that tells; "" where the words
    ask nothing that it knows of."""
    if not held:
        return ""
    part = held[0][0]
    asked: Question = "kind"
    if part.kind == "person":
        told = [role for role in _ROLES if any(key in known.people for key in _KEYS[role])]
        asked = next((role for role in told if _plays(part, role, known)), told[0] if told else "screen")
    elif part.label.startswith(ABOUT):
        asked = "about"
    elif part.kind == "number":
        asked = "when"
    fact = _told(known.headline, part.key, known) if part.key in known.other else _sentence(asked, known, (), fits)
    if fact.startswith("I don't know"):
        return fact
    return f"{'Yes' if any(has for _, has in held) else 'Not that I know'}. {fact}"


def _plays(part: Part, role: Question, known: Facts) -> bool:
    names = [name.lower() for key in _KEYS[role] for name in known.people.get(key, ())]
    return any(part.label.lower() in name for name in names)


def _value(text: str, known: Facts) -> str:
    """Another attribute that the question names: "what language is it in?"; "how much" means the price."""
    said = set(re.findall(r"\w+", text.lower())) | ({"price", "cost"} if "how much" in text.lower() else set())
    keys = (key for key in known.other if {key, *key.split("_")} & said)
    return next((_told(known.headline, key, known) for key in keys), "")


def _told(title: str, key: str, known: Facts) -> str:
    """ "X: 320 pages.", "X: language swedish."."""
    values = _listed(known.other[key])
    counts = values.replace(".", "").isdigit() and key.endswith("s")
    return f"{title}: {values} {key}." if counts else f"{title}: {key.replace('_', ' ')} {values}."


def _short(known: Facts) -> str:
    """Year and kinds."""
    told = [_listed(known.genres)] if known.genres else []
    return ", ".join([*told, *([str(known.year)] if known.year else [])]) or known.title


def _listed(names: Sequence[str]) -> str:
    """ "A", "A and B", "A, B and C"."""
    first = list(dict.fromkeys(names))[:NAMED]
    return " and ".join([", ".join(first[:-1]), first[-1]]) if len(first) > 1 else "".join(first)
