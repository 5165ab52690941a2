"""Years, decades and ages that people say of items, as spans of the catalogue's years."""

from __future__ import annotations

import math
import re

from tacit.dialogue.policy.wishes.attributes import AttributeIndex, Part
from tacit.dialogue.policy.wishes.counts import COUNTED, Said, count
from tacit.dialogue.policy.wishes.spans import Span, label

_TENS = {
    **{"twenties": 20, "thirties": 30, "forties": 40, "fifties": 50},
    **{"fiftys": 50, "sixtys": 60, "seventys": 70, "eightys": 80, "ninetys": 90, "ninties": 90, "ninetees": 90},
    **{"sixties": 60, "seventies": 70, "eighties": 80, "nineties": 90},
}
_DECADE = (
    r"(?:(?P<{0}part>early|mid|middle|late|later|end of the|first half of|beginning of|start of|"
    r"second half of|middle of) )?(?:the )?(?:19 ?|nineteen )?"
    r"(?P<{0}dec>(?:18|19|20)\d0 ?s|\d0 ?s|" + "|".join(_TENS) + "|"
    r"two thousands|noughties|aughts|twenty tens|two thousand tens)"
)
_YEAR = r"(?P<{0}year>(?:18|19|20)\d\d)"
_POINT = rf"(?:{_DECADE}|{_YEAR})(?! ?s\b)"
_LOWER = (
    r"after|since|(?:in|from|on|during) or after|post|newer than|later than|"
    r"more recent than|past|younger than|starting(?: from| in)?"
)
_UPPER = r"(?:in|from|on|during) or before|before|pre|prior to|older than|earlier than|up to|until|till|by"
_NOT_OLDER = r"(?:no|not|nothing|none) (?:\w+ )?(?:older than|before|earlier than|from before|made before|pre)"
_NOT_NEWER = (
    r"(?:no|not|nothing|none) (?:\w+ )?"
    r"(?:newer than|after|later than|past|from after|made after|post|more recent than)"
)

# "Older than me, born in 1990", "after I was born ( 1985".
_BORN = (
    r"(?:(?:i|he|she|we|they|my \w+) (?:was|were|am|is) born|(?:me|i|him|he|her|she|us|them|my \w+)(?: am| is)? [,.(;]"
    r"(?: (?:i|he|she|we|they|who|which) (?:was|were|am|is))?(?: born)?|(?:me|him|her),? born)(?: in)?(?: \()?"
)

_RULES = [
    (
        "between",
        rf"(?:between |from |anywhere from )?(?:the )?{_POINT.format(*['a'] * 9)} ?(?:and|to|-|through|"
        rf"until|till) (?:the )?{_POINT.format(*['b'] * 9)}",
    ),
    ("at_least", rf"(?:{_NOT_OLDER}) (?:the )?(?:year )?{_POINT.format(*['c'] * 9)}"),
    ("at_most", rf"(?:{_NOT_NEWER}) (?:the )?(?:year )?{_POINT.format(*['d'] * 9)}"),
    ("lower", rf"(?P<eword>{_LOWER}) (?:the )?(?:year )?{_POINT.format(*['e'] * 9)}"),
    ("at_least", rf"(?:{_NOT_OLDER}) {_BORN} {_POINT.format(*['c'] * 9)}"),
    ("upper", rf"(?P<fword>older than) {_BORN} {_POINT.format(*['f'] * 9)}"),
    ("lower", rf"(?P<eword>younger than|newer than|after|since) {_BORN} {_POINT.format(*['e'] * 9)}"),
    (
        "upper",
        rf"(?P<fword>before) (?:i|he|she|we|they|my \w+) (?:was|were) born (?:, )?"
        rf"(?:(?:which|and that|that) (?:was|is) |so |in |(?:so )?i was born )*(?:in )?{_POINT.format(*['f'] * 9)}",
    ),
    ("upper", rf"(?P<fword>{_UPPER}) (?:the )?(?:year )?{_POINT.format(*['f'] * 9)}"),
    (
        "at_least",
        rf"(?:from |in )?(?:the )?{_POINT.format(*['c'] * 9)} (?:or|and|\+) ?"
        r"(?:later|newer|after|up|onwards?|above|beyond|younger)",
    ),
    ("at_least", rf"(?:from )?{_POINT.format(*['c'] * 9)} (?:on|onwards?|upwards?|\+)(?= |$)"),
    ("at_most", rf"(?:from |in )?(?:the )?{_POINT.format(*['d'] * 9)} (?:or|and) (?:before|older|earlier|below)"),
    ("near", rf"(?:circa|around|about|roughly) {_YEAR.format('h')}(?! ?s\b)"),
    ("this_decade", r"(?:from |of |in )?this decade"),
    ("point", rf"(?:in |from |of |during )?(?:the )?(?:year )?{_POINT.format(*['g'] * 9)}(?: era)?"),
    (
        "ago",
        rf"(?:in |from |of |within |during )?(?:the )?(?:last|past) (?:(?P<n>{COUNTED}) )?(?P<unit>years?|"
        rf"decades?)(?: or so)?",
    ),
    ("age", rf"(?P<way>older|newer|more recent|younger) than (?P<n>{COUNTED}) (?P<unit>years?|decades?)(?: old)?"),
    (
        "aged",
        rf"(?:(?P<bound>at least|over|more than|less than|under|at most|no more than) )?"
        rf"(?:about |around |roughly |nearly |almost )?(?P<n>{COUNTED}) (?P<unit>years?|decades?) (?P<how>old|ago|back)"
        rf"(?: or (?P<more>older|more|so|newer|less))?",
    ),
    ("century", r"(?:this|the (?:21st|twenty first)|21st) century|(?:the )?(?P<old>20th|twentieth|last) century"),
    (
        "millennium",
        r"(?:(?P<when>before|after|since|around|at|from|this|in this|from this|of this) )?(?:the )?(?:new )?"
        r"(?:turn of the )?(?:millennium|"
        r"(?<=turn of the )century)",
    ),
    ("silent", r"black (?:and|n|&) white|silent (?:era|films?|movies?|pictures?)|golden age"),
    (
        "either",
        r"(?:old|older|classic) (?:or|and|&|/) (?:new|newer|modern|recent)|(?:new|newer|modern|"
        r"recent) (?:or|and|&|/) (?:old|older|classic)",
    ),
    (
        "recent",
        r"(?:brand )?(?:new(?! york| zealand| orleans| year| to )|newer|newest|latest|recent|more recent|"
        r"recently (?:made|released)|modern|contemporary|this year|last year|current)(?! than (?!that\b|those|"
        r"these|it\b|this|them))",
    ),
    (
        "old",
        r"(?<!years )(?<!year )(?<!\d )(?:old(?! enough| man| men| people| woman| son| daughter| boy|"
        r" girl| kid| soul)|older(?! kids| children| son| daughter| brother| sister)|oldies?|classics?|"
        r"vintage|retro|old school|old fashioned|old timey)(?! than (?!that\b|those|these|it\b|this|them))",
    ),
]
_PATTERNS = [(name, re.compile(pattern + r"(?!\w)")) for name, pattern in _RULES]

_ANSWERS = re.compile(
    r"(?:^|[.,;!?] )(?:(?:yes|yeah|yep|no|nope|only|just|once|twice|it was|that was|already) (?:, )?)*$"
    r"|\b(?:saw|seen|watched|read|heard|went|did|came|made|cooked|ate|met|had|played)\b[^.;!?]*$"
)

# Words with which a span of years can begin.
STARTS = frozenset(re.findall(r"[a-z]+", " ".join(re.sub(r"\\\w|\?P<\w+>|\?!|\?<!", " ", rule) for _, rule in _RULES)))


def read_years(text: str, at: int, index: AttributeIndex) -> Said | None:
    """The years said at character ``at``, or None."""
    for name, pattern in _PATTERNS:
        found = pattern.match(text, at)
        if found and not (name == "aged" and _of_somebody(found)) and not (name in ("recent", "ago") and _when(found)):
            return _year_part(name, found, index)
    return None


def _year_part(name: str, found: re.Match[str], index: AttributeIndex) -> Said | None:
    key = str(index.year_key)
    said = found.groupdict()
    relative = 0
    if name == "between":
        first, last = _point(said, "a"), _point(said, "b")
        if last[1] < first[0] and said.get("bdec"):
            last = (last[0] + 100, last[1] + 100)
        span = (min(first[0], last[0]), max(first[1], last[1]))
    elif name == "lower":
        low, high = _point(said, "e")
        opens = said["eword"].startswith(("since", "post", "past", "starting")) or " or " in said["eword"]
        span = (low if opens else high + 1, math.inf)
    elif name == "upper":
        low, high = _point(said, "f")
        span = (
            -math.inf,
            high if said["fword"] in ("up to", "until", "till", "by") or " or " in said["fword"] else low - 1,
        )
    elif name == "at_least":
        span = (_point(said, "c")[0], math.inf)
    elif name == "at_most":
        span = (-math.inf, _point(said, "d")[1])
    elif name == "near":
        span = (float(said["hyear"]) - 2, float(said["hyear"]) + 2)
    elif name == "this_decade":
        span = (_newest(index) // 10 * 10, math.inf)
    elif name == "point":
        span = _point(said, "g")
    elif name == "ago":
        years = count(said["n"]) * (10 if said["unit"].startswith("decade") else 1)
        span = (_newest(index) - years, math.inf)
    elif name == "age":
        years = count(said["n"]) * (10 if said["unit"].startswith("decade") else 1)
        bound = _newest(index) - years
        span = (-math.inf, bound - 1) if said["way"] == "older" else (bound, math.inf)
    elif name == "aged":
        span = _aged(said, index)
    elif name == "century":
        span = (1900, 1999) if said["old"] else (2000, math.inf)
    elif name == "millennium":
        before, after = said["when"] == "before", (said["when"] or "").endswith(("after", "since", "this"))
        span = (-math.inf, 1999) if before else (2000, math.inf) if after else (1998, 2002)
    elif name == "silent":
        span = (-math.inf, 1960)
    elif name == "either":
        return Said(found.end(), None)
    else:
        span, relative = recent_or_old(index, name == "recent"), 1 if name == "recent" else -1
    part = Part(label(span), "number", key=key, spans=(span,), exact=not relative)
    return Said(found.end(), part, relative)


def _when(found: re.Match[str]) -> bool:
    """ "Yes, last year": when somebody did something."""
    said = found[0] in ("last year", "this year")
    return said and _ANSWERS.search(found.string[: found.start()]) is not None


def _of_somebody(found: re.Match[str]) -> bool:
    """ "My son is 20 years old", "I saw it ten years ago": an age or a time that is no item's."""
    before = found.string[: found.start()]
    if found["how"] != "old":
        return not re.search(r"\b(?:from|made|released|out|of|filmed|shot|published)(?: in)? $", before)
    if re.search(r"(?<!that )(?<!which )\b(?:am|is|was|are|turned|turns|turning|being|aged?) $", before):
        return True
    young = found["unit"].startswith("year") and count(found["n"]) < 15
    return found["unit"] == "year" or young


def _aged(said: dict[str, str | None], index: AttributeIndex) -> Span:
    """ "Two decades old": five years around; "20 years old": a fifth of it, but two years at least."""
    decades = str(said["unit"]).startswith("decade")
    years = count(said["n"]) * (10 if decades else 1)
    year = math.floor(_newest(index)) - years
    if said["bound"] in ("at least", "over", "more than") or said["more"] in ("older", "more"):
        return (-math.inf, year)
    if said["bound"] or said["more"] in ("newer", "less"):
        return (year, math.inf)
    slack = 5.0 if decades else max(2.0, years // 5)
    return (year - slack, year + slack)


def recent_or_old(index: AttributeIndex, recent: bool) -> Span:
    """The newest or oldest fifth of the catalogue, but "old" never holds what is less than 25 years older than the
    newest, and "recent" never what is more than eight."""
    key, newest = str(index.year_key), _newest(index)
    if recent:
        return (max(index.quantile(key, 0.8), newest - 8), math.inf)
    return (-math.inf, min(index.quantile(key, 0.2), newest - 25))


def _newest(index: AttributeIndex) -> float:
    return index.quantile(str(index.year_key), 0.995)


def _point(said: dict[str, str | None], name: str) -> Span:
    year, decade, part = said.get(f"{name}year"), said.get(f"{name}dec"), said.get(f"{name}part")
    if year:
        return (float(year), float(year))
    start = _decade(str(decade))
    third = {"early": (0, 4), "mid": (3, 7), "middle": (3, 7), "late": (5, 9), "later": (5, 9), "end of the": (6, 9)}
    third |= {"first half of": (0, 4), "beginning of": (0, 3), "start of": (0, 3)}
    third |= {"second half of": (5, 9), "middle of": (3, 7)}
    low, high = third.get(part or "", (0, 9))
    return (start + low, start + high)


def _decade(said: str) -> float:
    if said in _TENS:
        return 1900.0 + _TENS[said]
    if said in ("two thousands", "noughties", "aughts"):
        return 2000.0
    if said in ("twenty tens", "two thousand tens"):
        return 2010.0
    number = int(said.rstrip("s").strip())
    if number >= 1800:
        return float(number)
    return float(number + (2000 if number in (0, 10) else 1900))
