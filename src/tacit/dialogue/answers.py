"""Does a reply take up what was asked? Simple rules over the words of the last message and of the reply.

The message asks for

- *who*: answered by anybody the catalogue knows, or by a name (two words with capitals);
- *when*: by a year;
- *about* (what is it about, what happens, what kind is it): by a kind, a word of the text of an item talked of, or
  several words of content;
- *why*: by a reason ("because", "since"), a fact, or a word that the user said;
- anything else with a question mark: by a slate, a title, a fact, a word of the question, or an answer's first word;
- a wish (no question, but words such as "looking for", or a liking for a kind or a person): by a slate, a title, a
  question back, a fact, or a word of the wish.

"I don't know" answers every question. A message that asks for nothing cannot be ignored; silence ignores all else.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

from tacit.dialogue.claim_words import word_set as _words
from tacit.dialogue.claims import Claim, mentions_of, talked_of
from tacit.dialogue.fact_index import FactIndex
from tacit.languages import ENGLISH, GERMAN
from tacit.types import Dialogue, ItemId, Turn
from tacit.typography import plain_type

Asked = Literal["who", "when", "about", "why", "other", "wish"]
_PATTERNS: tuple[tuple[Asked, str], ...] = (
    ("why", r"^\W*why\b|\bwhy (this|that|these|those|it|would|should|do you)\b|^\W*(warum|wieso)\b"),
    (
        "who",
        r"\bwho('s| is| was| are| were| did| else| all)?\b.{0,40}\b(direct|star|act|play|writ|wrote|author|sing|sang|"
        r"made)|\bwho('s| is| was| are|s)? (else )?in\b|\bwer (hat|ist|spielt|schrieb)\b",
    ),
    ("when", r"\b(when (was|did|is|were)|what year|which year|how old is|wann|welche[ms]? jahr)\b"),
    (
        "about",
        r"\bwhat('s| is| was| are|s)\b.{0,60}\babout\b|\bwhat happens\b|\bthe plot\b|"
        r"\bwhat('s| is)? (the )?(kind|type|sort|genre)\b.{0,20}\b(is|of (movie|film|book) is)\b|\bworum\b",
    ),
)
_ASKED = tuple((name, re.compile(pattern, re.I)) for name, pattern in _PATTERNS)
_WISHING = re.compile(
    r"\b(looking for|look for|recommend|suggest something|in the mood|"
    r"something (else|more|less|like|with|that|for)|anything (else|with|like|by)|any other|"
    r"another (one|movie|film|book)|i (want|need) (a|an|something|some)\b|i'd like|"
    r"ich (suche|möchte|hätte|will)|empfehlen)\b",
    re.I,
)
_TASTE = re.compile(r"\b(i|we|my|ich)\b.*\b(like|love|enjoy|prefer|fan|favou?rite|mag|liebe)\b", re.I)
_DONE = re.compile(r"\b(thank|thanks|thx|bye|goodbye|good night|have a (good|great|nice)|danke|tschüss)\b", re.I)
_UNSURE = re.compile(
    r"\b(i )?(don'?t|do not) (really )?(know|remember|recall)|\bnot sure\b|\bno idea\b|\bweiß (ich )?nicht\b", re.I
)
_TELLS = re.compile(r"(?<!how )(?<!what )\babout\b", re.I)
_REASON = re.compile(r"\b(because|since|as you|due to|based on|weil|da du|da sie)\b", re.I)
_REPLIES = _words("yes yeah yep no nope sure of course maybe ja nein klar ok okay definitely absolutely i it")
_NAME = re.compile(r"\b[A-Z][\w.'-]+ [A-Z][\w.'-]+")
_WORD = re.compile(r"\w+(?:'\w+)*")
TELLING = 5  # words of content: a reply with as many tells something
_EMPTY = (
    ENGLISH.function_words
    | GERMAN.function_words
    | _words(
        """movie movies film films book books song songs game games good great really think know see seen watch watched
    read heard hello how are doing today night day it's that's i'm i've don't didn't what's also much many very"""
    )
)


def asked(context: Dialogue, index: FactIndex) -> Asked | None:
    """What the user's last words ask for; None where they ask for nothing, or nobody has spoken."""
    text = _last_words(context)
    if not text or (_DONE.search(text) and "?" not in text):
        return None
    if "?" in text or _ASKED[0][1].search(text):
        kind = next((name for name, rule in _ASKED if rule.search(text)), None)
        return kind or ("other" if _content(_question(text)) else None)
    told = _TASTE.search(text) and not index.catalog.link(text) and mentions_of(text, index)
    return "wish" if told or _WISHING.search(text) else None


def ignored(turn: Turn, context: Dialogue, found: Sequence[Claim], index: FactIndex) -> bool:
    """Whether the agent's ``turn``, whose claims are ``found``, leaves the user's last words unanswered."""
    wanted = asked(context, index)
    if wanted is None:
        return False
    reply, question = plain_type(turn.text), _last_words(context)
    shown = turn.slate is not None and bool(turn.slate.items)
    if wanted != "wish" and _UNSURE.search(reply):
        return False
    facts = any(claim.kind != "title" for claim in found) or bool(mentions_of(reply, index))
    named = bool(turn.mentions) or bool(index.catalog.link(reply)) if not shown else True
    match wanted:
        case "who":
            return not (any(claim.kind == "person" for claim in found) or _NAME.search(_untitled(reply, turn, index)))
        case "when":
            return re.search(r"\b(1[89]|20)\d\d\b|\b\d0'?s\b", reply) is None
        case "about":
            told = {word for item in _subjects(turn, context) for word in _content(index.catalog[item].text)}
            titles = {word for item in _subjects(turn, context) for word in _content(index.catalog[item].title)}
            words = _content(_untitled(reply, turn, index))
            kinds = any(claim.kind == "genre" for claim in found)
            return not (kinds or (told - titles) & words or _TELLS.search(reply) or len(words) >= TELLING)
        case "why":
            said = {word for past in context.turns if past.speaker == "user" for word in _content(past.text)}
            return not (facts or _REASON.search(reply) or said & _content(reply))
        case "other":
            first = _WORD.findall(reply.lower())[:1]
            return not (named or facts or _content(question) & _content(reply) or (first and first[0] in _REPLIES))
        case "wish":
            return not (named or facts or "?" in reply or _content(question) & _content(reply))


def _question(text: str) -> str:
    """Its sentences that end in a question mark."""
    return " ".join(re.findall(r"[^.!?]*\?", text))


def _last_words(context: Dialogue) -> str:
    """The user's last messages, joined; "" where the agent spoke last."""
    said: list[str] = []
    for turn in reversed(context.turns):
        if turn.speaker != "user":
            break
        said.insert(0, plain_type(turn.text))
    return " ".join(said).strip()


def _subjects(turn: Turn, context: Dialogue) -> tuple[ItemId, ...]:
    """What the question may be about: what was named last, what was shown before, and what the reply shows."""
    users = Dialogue(context.id, context.user, context.turns)
    before = Dialogue(context.id, context.user, tuple(past for past in context.turns if past.speaker == "agent"))
    shown = turn.slate.items if turn.slate else ()
    return tuple(dict.fromkeys((*talked_of(users), *talked_of(before), *shown)))


def _untitled(reply: str, turn: Turn, index: FactIndex) -> str:
    """The reply without the titles of its own items: "It" answers no question about it."""
    for item in (*(turn.slate.items if turn.slate else ()), *turn.mentions):
        reply = reply.replace(plain_type(index.catalog[item].title), " ")
    return reply


def _content(text: str) -> set[str]:
    return {word for word in _WORD.findall(plain_type(text).lower()) if len(word) > 2 and word not in _EMPTY}
