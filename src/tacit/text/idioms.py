"""Everyday expressions that mean the reverse of their words, put into words that mean what they say.

"Not bad at all" praises, "no, that's everything" declines nothing, and to a reader of single words, pairs and triples
both are complaints. Each rule is a kind: an understatement, an idiom of content, the end of a talk, a picture of a
feeling. English alone. ``plain_words`` leaves a text without any as it is, but for the plain type.
"""

from __future__ import annotations

import re

from tacit.typography import plain_type

_BE = r"(?:is|was|are|were|be|looks?|sounds?|seems?)"
_BAD = r"(?:bad|terrible|awful|horrible|shabby|unpleasant|disappointed|disappointing)"
_RULES: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), words)
    for pattern, words in (
        # the denial of something bad
        (
            rf"\b(?:{_BE}n't|(?:{_BE} )?not|ain't)(?: (?:too|so|that|half|all|really|actually))* {_BAD}\b(?: at all)?",
            "good",
        ),
        (r"\b(?:no|not an?|not any|without(?: any)?) (?:problems?|worries|trouble|complaints?|issues?)\b", "all good"),
        (r"\bcan(?:'t|not| not) complain\b", "good"),
        (r"\b(?:(?:do|would)(?:n't| not) mind|can live with)\b", "like"),
        # nothing better is thought of
        (r"\bcould(?:n't| not) (?:be|have been|ask for|have asked for) (?:any )?(?:better|happier|more)\b", "great"),
        (r"\bnever (?:been|felt|had it) (?:so |any )?(?:good|happy|happier|better)\b", "great"),
        (r"\bcan(?:'t|not| not) wait (?=(?:to|until|till)\b)", "happy "),
    )
)
# The answer to whether anything else is wanted. "No" there, and thanks beside it, turn nothing down.
_NO = r"^\W*(?:no|nope|nah)\b\W*"
_THANKS = r"(?P<thanks>(?:thanks|thank you)\b(?: (?:so|very) much| a lot)?\W*)?"
_DONE = (
    r"(?:(?:i think |i believe )?th(?:at|is)(?:'s| is| was|'ll be| will be| should be| would be|ll be) "
    r"(?:all|everything|it|about it)\b(?! (?:wrong|nonsense|you|too))|(?:i am|i'm|im|we're|we are) (?:all )?"
    r"(?:good|fine|ok|okay|set|done|happy)\b|all (?:good|set|done)\b|nothing (?:else|more)\b|"
    r"i (?:have|got|have got|'ve got) (?:all|everything)\b|not (?:right now|today|at the moment|at this time)\b)"
)
_CLOSES = re.compile(rf"{_NO}{_THANKS}(?={_DONE})", re.IGNORECASE)
_DECLINES = re.compile(rf"{_NO}(?:(?P<thanks>(?:thanks|thank you)\b)|(?=$|(?:good)?bye\b|have an?\b))", re.IGNORECASE)
_ASKS_FOR_MORE = re.compile(
    r"\b(?:(?:anything|something|nothing|what|how) else|anything (?:more|further)|(?:further|other|more) "
    r"(?:help|assistance|questions|requests|information)|(?:else|more|further) (?:i|we) can)\b[^.!?]*\?",
    re.IGNORECASE,
)
_PICTURES = {
    "good": "👍👌✅💯🙌👏🤝",
    "bad": "👎💩",
    "love": "❤🧡💛💚💙💜🖤💕💖💗💓💞💘♥",
    "happy": "🎉🥳🤗🤩☺",
    "thanks": "🙏",
    "angry": "😡😠🤬💢😤",
    "annoyed": "🙄😒😑🤦",
}
_PICTURE: dict[int, str | None] = {
    **{ord(picture): f" {word} " for word, pictures in _PICTURES.items() for picture in pictures},
    **dict.fromkeys((0xFE0F, *range(0x1F3FB, 0x1F400))),  # how a picture is shown, and the tone of a skin
}


def plain_words(text: str) -> str:
    """``text`` in plain type, with every such expression in words that mean it."""
    text = plain_type(text)
    if not text.isascii():
        text = text.translate(_PICTURE)
    for pattern, words in _RULES:
        text = pattern.sub(words, text)
    return _CLOSES.sub(lambda match: match["thanks"] or "", text)


def without_declining(text: str, before: str) -> str:
    """``text`` without the "no" in front that ends a talk, where the turn ``before`` it asks whether there is anything
    else: "no", "no thanks", "no, bye". A "no" with anything else behind it stays."""
    if not _ASKS_FOR_MORE.search(plain_type(before)):
        return text
    return _DECLINES.sub(lambda match: f"that is all {match['thanks'] or ''}", plain_type(text)).strip()
