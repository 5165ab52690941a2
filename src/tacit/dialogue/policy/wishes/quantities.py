"""Lengths, prices and the like that people say of items: "under two hours", "cheap", "long"."""

from __future__ import annotations

import math
import re
from functools import lru_cache

from tacit.dialogue.policy.wishes.attributes import AttributeIndex, Part, said_key
from tacit.dialogue.policy.wishes.counts import COUNT, COUNTED, Said, count
from tacit.dialogue.policy.wishes.spans import Span, label

_UNITS: list[tuple[str, str, float]] = [  # what is said, the keys it may mean, how many of the key's units it is
    (r"hours?|hrs?", r"runtime|duration|length|minutes|running", 60.0),
    (r"minutes?|mins?", r"runtime|duration|length|minutes|running", 1.0),
    (r"pages?", r"pages?|num_pages|page_count|length", 1.0),
    (r"dollars?|bucks|usd|euros?|eur|pounds?|quid|[$€£]", r"price|cost|fee", 1.0),
    (r"stars?|points?", r"rating|stars|score", 1.0),
    (r"players?|people", r"players|max_players|min_players", 1.0),
    (r"kilos?|kg|kilograms?", r"weight|mass", 1000.0),
    (r"grams?|g", r"weight|mass", 1.0),
    (r"lit(?:er|re)s?|l", r"capacity|volume", 1.0),
]
_AT_MOST = (
    r"under|less than|below|at most|no more than|not more than|max(?:imum)?|up to|shorter than|cheaper than|within|"
    r"fewer than|not over|no longer than|not longer than|nothing over|nothing longer than|not above|lighter than|"
    r"(?:a )?budget (?:of|is)|budget|no heavier than|"
    r"(?:can|could|will|would|want to|like to|willing to|happy to) (?:spend|pay|afford)"
    r"(?: (?:up to|about|around|at most|maybe|no more than))?|"
    r"(?:have|has|got|only)(?: (?:got|only|just|about|maybe))*(?= \S+ (?:and a half )?(?:hours?|hrs?|minutes?|mins?)\b)"
)
_AT_LEAST = (
    r"over|more than|at least|longer than|above|min(?:imum)?|no less than|not less than|upwards of|"
    r"not under|exceeding"
)
_QUANTITY = re.compile(
    rf"(?:(?P<most>{_AT_MOST})|(?P<least>{_AT_LEAST})|(?:about|around|roughly) )? ?"
    rf"(?P<cur>[$€£] ?)?(?P<n>{COUNTED}) ?(?P<half>and a half )?"
    rf"(?P<unit>{'|'.join(unit for unit, _, _ in _UNITS)})?"
    rf"(?P<after> (?:or|and) (?:less|under|more|up|over|shorter|longer|fewer|cheaper|below|above)| tops?| max(?:imum)?|"
    rf" at (?:the )?(?:most|least)| minimum)?(?!\w)"
)
_BOUND = re.compile(
    rf"(?:(?:between|from)? ?(?P<low>\d+) (?:and|to) (?P<high>\d+)"
    rf"|(?:(?P<most>{_AT_MOST})|(?P<least>{_AT_LEAST})|(?P<near>about|around|roughly|circa)) (?P<n>\d+(?:[.,]\d+)?))"
    rf"(?: (?:{_UNITS[3][0]}))?(?!\w)"
)
_NEAR = 0.15  # "about two hours": this much either way
_LENGTH, _PRICE, _RATING = (
    r"runtime|duration|length|minutes|pages?|page_count|num_pages",
    r"price|cost",
    r"rating|stars|score",
)
_WEIGHT = r"weight|mass"
TOO_DEAR = (  # said of what was shown
    *(f"{over} {whose} {what}" for over in ("over", "out of", "beyond", "above") for whose in ("my", "our", "the")
      for what in ("budget", "price range", "means", "limit")),
    "pricey", "pricy", "costs too much", "too much money", "half the price", "a bit much for us", "can not afford",
)  # fmt: skip
_LOW = {
    **dict.fromkeys(("shorter", "short", "quicker", "quick", "slim", "slimmer", "thin", "thinner"), _LENGTH),
    **dict.fromkeys(("cheaper", "cheapest", "cheap", "inexpensive", "affordable", "less expensive"), _PRICE),
    **dict.fromkeys(TOO_DEAR, _PRICE),
    **dict.fromkeys(("lighter", "lightweight", "light"), _WEIGHT),
    "easy": r"difficulty",
}
_HIGH = {
    **dict.fromkeys(("longer", "long", "thicker", "thick", "doorstopper", "doorstop", "hefty"), _LENGTH),
    **dict.fromkeys(("more expensive", "expensive"), _PRICE),
    **dict.fromkeys(("heavier", "heavy"), _WEIGHT),
    **dict.fromkeys(("highly rated", "top rated", "well rated"), _RATING),
    "hard": r"difficulty",
}
# Words with which a quantity can begin.
STARTS = frozenset(
    re.findall(
        r"[a-z]+",
        " ".join(
            (
                _AT_MOST,
                _AT_LEAST,
                "about around roughly circa minimum maximum between from",
                "for there we party group host seat",
                *COUNT,
                *_LOW,
                *_HIGH,
            )
        ),
    )
)


def read_quantity(text: str, at: int, index: AttributeIndex) -> Said | None:
    found = _QUANTITY.match(text, at)
    if not found or not (found["unit"] or found["cur"]):
        return None
    unit = found["unit"] or "dollars"
    keys, scale = next((keys, scale) for said, keys, scale in _UNITS if re.fullmatch(said, unit))
    key = _key(keys, index)
    if key is None:
        return Said(found.end(), None)
    number = (count(found["n"]) + (0.5 if found["half"] else 0.0)) * scale
    after = found["after"] or ""
    if found["most"] or re.search("less|under|shorter|fewer|cheaper|below|tops?|max|most", after):
        span: Span = (-math.inf, number)
    elif found["least"] or re.search("more|up|over|longer|above|least|minimum", after):
        span = (number, math.inf)
    elif found["cur"] or "price" in key or "cost" in key:
        span = (-math.inf, number)
    else:
        span = (number * (1 - _NEAR), number * (1 + _NEAR))
    return Said(found.end(), Part(f"{key} {label(span)}", "number", key=key, spans=(span,)))


def read_bound(text: str, at: int, index: AttributeIndex) -> Said | None:
    """ "Under 40", "between 150 and 260": of the price, or of the one number besides the year that there is."""
    found = _BOUND.match(text, at)
    others = [key for key in index.numbers if key != index.year_key]
    key = _key(_PRICE, index) or (others[0] if len(others) == 1 else None)
    if found is None or key is None:
        return None
    if found["low"]:
        span: Span = (float(found["low"]), float(found["high"]))
    else:
        number = float(found["n"].replace(",", "."))
        span = (-math.inf, number) if found["most"] else (number, math.inf)
        if found["near"]:
            span = (number * (1 - _NEAR), number * (1 + _NEAR))
    return Said(found.end(), Part(f"{key} {label(span)}", "number", key=key, spans=(span,)))


def read_keyed(text: str, at: int, index: AttributeIndex) -> Said | None:
    """ "Three bedrooms", "at least 2 doors", "sleeps 6": a number beside the attribute's own name."""
    for key in index.numbers:
        name = said_key(key)
        if key == index.year_key or name in _UNNAMED:
            continue
        found = _keyed(re.escape(name)).match(text, at)
        if found:
            number = count(found["n"] or found["m"])
            most, least = found["most"] or found["atmost"], found["least"] or found["atleast"]
            span = (-math.inf, number) if most else (number, math.inf) if least else (number, number)
            if found["m"] and not most and key in _HOLDS:
                span = (number, math.inf)
            return Said(found.end(), Part(f"{key} {label(span)}", "number", key=key, spans=(span,)))
    return None


def read_company(text: str, at: int, index: AttributeIndex) -> Said | None:
    """ "For six people", "there are eight of us": what holds so many, where an attribute tells how many."""
    key = next((key for key in index.numbers if key in _HOLDS), None)
    found = _COMPANY.match(text, at) if key is not None else None
    if found is None or key is None:
        return None
    number = count(found["n"] or found["people"] or found["us"])
    span = (-math.inf, number) if found["most"] else (number, math.inf)
    return Said(found.end(), Part(f"{key} {label(span)}", "number", key=key, spans=(span,)))


@lru_cache(maxsize=256)
def _keyed(name: str) -> re.Pattern[str]:
    bound = rf"(?:(?P<most>{_AT_MOST})|(?P<least>{_AT_LEAST})) "
    number = r"\d+(?:[.,]\d+)?|" + "|".join(_NUMBER_WORDS)
    after = r"(?: (?:or|and) (?:(?P<atleast>more|up|over|above)|(?P<atmost>less|fewer|under|below)))?"
    return re.compile(
        rf"(?:{bound})?(?P<n>{number}) (?:or (?:more|fewer) )?{name}(?:e?s)?{after}(?!\w)"
        rf"|{name}s? (?:up to |for |at least |of )?(?P<m>{number})(?!\w)(?! (?:hours?|minutes?|"
        rf"euros?|dollars?|pounds?))"
    )


def read_quality(text: str, at: int, index: AttributeIndex) -> Said | None:
    for table, share in ((_LOW, 0.25), (_HIGH, 0.75)):
        for word, keys in table.items():
            if text.startswith(word, at) and not text[at + len(word) : at + len(word) + 1].isalnum():
                key = _key(keys, index)
                if key is None:
                    continue
                bound = index.quantile(key, share)
                span = (-math.inf, bound) if share < 0.5 else (bound, math.inf)
                part = Part(f"{key} {label(span)}", "number", key=key, spans=(span,), exact=False)
                return Said(at + len(word), part, -1 if share < 0.5 else 1)
    return None


_UNNAMED = frozenset({"price", "cost", "weight", "length", "number", "rating", "score", "minute", "page", "hour"})
_HOLDS = (
    *("sleeps", "seats", "serves", "servings", "capacity", "guests", "persons", "people", "accommodates", "holds"),
    *("max_players", "max_people", "max_guests", "group_size"),
)
_NUMBER_WORDS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
_MANY = r"(?:\d{1,3}|" + "|".join(_NUMBER_WORDS[1:]) + r"|(?:a )?couple)"
_PEOPLE = r"(?:people|persons|adults|guests|players|friends|grown ups|heads|men|women)"
_COMPANY = re.compile(
    rf"(?:(?P<most>at most|no more than|not more than|up to|max(?:imum)?) )?(?:(?:for|there are|"
    rf"we are|party of|group of|"
    rf"host|seat) )?(?:(?P<people>{_MANY}) {_PEOPLE}|(?P<us>{_MANY}) of us)(?! (?:years?|old)\b)(?!\w)"
    rf"|for (?P<n>{_MANY})(?= [.,;!?]|$| (?:and|with|please|in|by|near|at|on|who|but)\b)"
)


def _key(keys: str, index: AttributeIndex) -> str | None:
    return next((key for key in index.numbers if key != index.year_key and re.search(rf"(?:{keys})", key)), None)
