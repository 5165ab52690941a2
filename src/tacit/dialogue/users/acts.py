"""What a real seeker did with a recommender's message, read from its words: the acts simulated users are checked on.

Six acts, one a reply; of several the first in this order. ``accept``: will watch it, or is drawn to it; ``reject``:
does not like it or something about it; ``seen``: knows it, without a bad word; ``ask``: asks about it; ``end``: says
nothing more, or goodbye, without having accepted; ``other``: all else (wishes, answers, small talk). The first four are
the intents Accept, Reject or Critique-Feature, Seen and Inquire of IARD (Cai and Chen, UMAP 2020), whose labels say how
often the rules below are right (``agreement``).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from tacit.catalog import Catalog
from tacit.dialogue.users.speech import intent_of
from tacit.types import Dialogue, Turn
from tacit.typography import plain_type

ACTS = ("accept", "reject", "seen", "ask", "end", "other")
LONGEST_GAP_S = 600.0  # a longer pause is a break, not an answer
READ = ACTS[:4]  # told by words alone

_SENTENCE = re.compile(r"(?<=[.!?])\s+|\.\.+")


def _any(*patterns: str) -> re.Pattern[str]:
    return re.compile("|".join(patterns))


_SOON = (
    r"(probably |just |also |actually |really |definit\w+ |totally |try (to |and )?|like to |love to |have to |be )*"
)
_GOOD = r"(good|great|interesting|intriguing|fun|perfect|awesome|cool|nice|amazing|fantastic|wonderful|funny|like )"
_ACCEPT = _any(
    rf"\b(i'?ll|will|i (may|might|need to|should|would)|i'?d|i'?m going to|gonna|have to) {_SOON}"
    r"(watch|check|see|look|try|add|rent|give|put|go with|take|keep|seeing|watching)",
    r"\bwant(ed|ing)? to (see|watch|check)",
    rf"\b(sounds?|looks?) (\w+ ){{0,2}}{_GOOD}",
    r"(good|great|excellent|perfect|nice) (choice|suggestion|pick|rec\w*|idea|selection|option)s?\b",
    r"\bto (my|the) list",
    r"\bheard (\w+ ){0,3}(good|great|wonderful|amazing)",
    r"worth (a|it|checking|watching)",
    r"\blet me (check|see|watch)",
    r"convinced|works for me|looking forward",
    r"check (it|that|them|those|this) out",
    r"\b(would|will|might|could|should) work\b",
    r"give (it|that|them) a",
    r"\bmight like (it|that|this)|\binterested in (it|that|seeing|watching)",
)
_REFUSES = re.compile(r"(\bnot|n'?t|\bnever)\b.{0,15}(watch|see|check|sounds?|looks?|good|interest)")
_UNSEEN = re.compile(r"(have|'?ve|haven'?t|never|not) (not |never |really |yet )?(seen|saw|heard|watched)")
_VERY = r"(really |a |that |much |too |quite |very |so |all that |super |one of |been |usually |such |big |huge )*"
_MUCH = r"(really |even |particularly |quite |much |ever |actually |too |very )*"
_REJECT = _any(
    rf"(\bnot|n'?t|\bnever) {_VERY}(interested|fan\b|my|for me|in the mood|favou?rite|good|funny|keen|great)",
    rf"(\bnot|n'?t|\bnever) {_VERY}(crazy|impressed|fond|sure i'?d|into\b|the kind)",
    rf"\b(do|did|was|would|could)(n'?t|nt| not) {_MUCH}(like|care|enjoy|want|love|get into|finish)",
    r"never (really )?(liked|cared|got into|interested)|could never",
    r"\bno,? thank(s| you)|\bnope?\b.{0,9}(thanks|pass)|\bpass on|\b(i'?ll|think i|yea|going to) pass",
    r"\bboring|\bbored|\bhated?\b|disappoint\w*|terrible|awful|\bstupid|\bdumb\b|overrated|\blame\b|\bsuck(s|ed)\b",
    r"\btoo (violent|scary|long|slow|sad|dark|silly|weird|gory|old|much|cheesy|intense)",
    r"cup of tea|can'?t stand|dislike|\bmeh\b|so-so|(was|were) (just )?(ok|okay|alright)\b",
)
_JUST = r"(a |an |one of |so |such |pretty |really |very |my |also |all |both |just |the |definitely )*"
_FINE = r"(great|good|awesome|amazing|funny|hilarious|excellent|fantastic|classics?|best|fun|wonderful|cute|scary)"
_SEEN = _any(
    r"\b(i'?ve|ive|already|i|have|we|i'?v|did) (\w+ ){0,3}?(seen|saw|watched)\b(?! (any|previews|(the|a) trailer))",
    r"\b(seen|saw|watched) (it|that|this|those|both|them|all)\b",
    r"\b(love|loved|liked|enjoyed|like) (it|that|this|those|both|them|the first|the original|all of)\b",
    rf"\b(is|was|were|are) {_JUST}({_FINE}|favou?rites?)\b|\b({_FINE}|favou?rites?) (movie|film|one|flick|series)s?\b",
    r"my fav|^(oh )?(yes|yeah|yep|yea)\b[^?]{0,40}\b(love|loved|great|seen|have|did|liked|saw|classic)",
)
_NOT_SEEN = re.compile(
    r"\b(not|never|have yet to|hasn'?t|haven'?t|didn'?t) (\w+ ){0,2}(seen|saw|watched|watch|see|heard)|^(no|nope)\b"
)
_ABOUT = r"(it|that|this|one|about|plot|star\w*|plays?|rated|rating|director|genre|come|actors?)"
_ASK = _any(
    rf"\b(what|who|which|how|when|whose|where)('?s| is| was| are| did| does)?\b[^.!?]*\b{_ABOUT}\b[^.!?]*(\?|$)",
    r"\b(is|was|are|were|isn'?t|wasn'?t|does|did|do|has|didn'?t|doesn'?t)\b (it|that|they|this|the|he|she|those|there|"
    r"these)\b[^.!]*\?",
    r"(never (heard|seen)|haven'?t)[^.!]*\?|right\s?\?|\bany good\b|\bis it\b",
)
_WISHES = re.compile(
    r"\b(any(thing)?|other|another|else|recommend\w*|suggest\w*|more|how are|what kind|have you|you like|can you)\b"
)
_BYE = re.compile(r"\b(good ?bye|bye|good ?night|have a (good|great|nice|wonderful|lovely) (\w+))\b")


@dataclass(frozen=True)
class Decision:
    """One moment at which a seeker chose an act. ``act`` and ``gap_s`` are what it did; ``dialogue`` is all of it, the
    future and the form too: a predictor that reads beyond ``context`` and ``agent`` cheats, and the check says so."""

    dialogue: Dialogue
    context: Dialogue  # what was said before the agent's message, without the form
    agent: Turn  # the agent's message, consecutive ones joined
    place: int  # how many agent messages came before
    last: str  # the seeker's act before, "" for none
    act: str
    decided: bool  # it said that it will watch something
    gap_s: float | None  # seconds from the agent's last message to the seeker's first; None where not told

    @property
    def seeker(self) -> str:
        return self.dialogue.user

    def without_future(self) -> Decision:
        """The same moment with nothing that came later: an honest predictor says the same of it."""
        known = replace(self.dialogue, turns=(*self.context.turns, self.agent), judgements={})
        return replace(self, dialogue=known, act=ACTS[(ACTS.index(self.act) + 1) % len(ACTS)], gap_s=None)


def read_acts(text: str, shown: Sequence[str] = (), others: Sequence[str] = ()) -> frozenset[str]:
    """Which of ``READ`` a reply's words contain. Titles ``shown`` just before are "it", ``others`` are not."""
    for title in sorted(others, key=len, reverse=True):
        text = text.replace(title, "Another")
    for title in sorted(shown, key=len, reverse=True):
        text = text.replace(title, "it")
    found: set[str] = set()
    for sentence in _SENTENCE.split(plain_type(text).lower()):
        rejects = _REJECT.search(sentence) is not None
        if rejects:
            found.add("reject")
        if _ACCEPT.search(sentence) and not (_REFUSES.search(sentence) and not _UNSEEN.search(sentence)):
            found.add("accept")
        if "another" not in sentence and _SEEN.search(sentence) and not rejects and not _NOT_SEEN.search(sentence):
            found.add("seen")
        if _ASK.search(sentence) and not _WISHES.search(sentence):
            found.add("ask")
    return frozenset(found)


def one_act(acts: frozenset[str]) -> str:
    """The first of several, in the order of ``ACTS``; "other" for none."""
    return next((act for act in READ if act in acts), "other")


def decides(text: str) -> bool:
    """Says that it will watch something: where a simulated user's conversation is over."""
    return intent_of(text, 2) == "accept"


def decisions(dialogue: Dialogue, catalog: Catalog) -> Iterator[Decision]:
    """Every agent message that answers the seeker, until the seeker decides or ends.

    What precedes the seeker's first words is a greeting and left out. Before a film was shown nothing can be accepted,
    rejected, seen or asked about.
    """
    turns = dialogue.merged().turns
    gaps = _gaps(dialogue)
    last, shown = "", False
    for place, t in enumerate(t for t in range(1, len(turns)) if turns[t].speaker == "agent"):
        answer = turns[t + 1] if t + 1 < len(turns) else None
        shown |= turns[t].slate is not None
        act = one_act(_read(turns[t], answer, catalog)) if answer and shown else "other"
        says_no_more = t + 2 >= len(turns) - 1
        if act != "accept" and (answer is None or says_no_more or _BYE.search(plain_type(answer.text).lower())):
            act = "end"
        decided = act == "accept" and answer is not None and decides(answer.text)
        context = replace(dialogue, turns=turns[:t], judgements={})
        yield Decision(dialogue, context, turns[t], place, last, act, decided, gaps[t])
        if act == "end" or says_no_more or decided:
            return
        last = act


def _read(agent: Turn, answer: Turn, catalog: Catalog) -> frozenset[str]:
    just = set(agent.slate.items if agent.slate else ())
    titles = {item: catalog[item].title for item in answer.mentions}
    shown = [title for item, title in titles.items() if item in just]
    return read_acts(answer.text, shown, [title for item, title in titles.items() if item not in just])


def _gaps(dialogue: Dialogue) -> list[float | None]:
    """For each merged turn the seconds from its last message to the next speaker's first; None where not told."""
    gaps: list[float | None] = []
    for before, after in zip(dialogue.turns, dialogue.turns[1:], strict=False):
        if before.speaker != after.speaker:
            told = before.time_s is not None and after.time_s is not None
            gap = after.time_s - before.time_s if told else 0.0  # type: ignore[operator]
            gaps.append(gap if 0 < gap < LONGEST_GAP_S else None)
    return [*gaps, None]
