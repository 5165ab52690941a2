"""How a turn stands to what was wished before it: more of the same wish, a correction of it, or another wish.

Said in so many words ("now something for date night", "change of plan"), another wish ends the earlier ones. Without
such words a new kind, or likeness to a title that was not shown, is taken for the centre of another wish: it stands in
place of the kind asked for before, and the years, people, topics and company that went with that recede. What was
plainly excluded outlives both. "Funnier", "with some romance" and "but from the nineties" go on with the wish.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from tacit.dialogue.policy.wishes.attributes import ABOUT, FOR_CHILDREN, Part

if TYPE_CHECKING:
    from tacit.dialogue.policy.wishes.edits import Edit
    from tacit.dialogue.policy.wishes.state import Wish

Keys = Callable[[Part], frozenset[str]]
Shift = Literal["goes on", "corrects", "changes"]

_CORRECTS = re.compile(
    r"\b(?:instead|actually|(?<!but )make it|changed my mind|on second thoughts?|switch to|no wait|wait|"
    r"i meant|correction|rather)\b"
)
_OPENS = r"(?:^|[.,;!?\n] |\b(?:and|so|ok|okay|but|then) )"
_ASKING = (
    r"(?:something|anything|a|an|one|some|what|how|which|any|let us|show|give|find|get|recommend|suggest|maybe|"
    r"i|we|my|our|can|could|do)\b"
)
_LEAVES = re.compile(  # all that was asked for, whatever follows
    r"\b(?:change|switch) of (?:plans?|subject|topic|mood|tack|pace|scene)|\b(?:change|changing|switch|switching) "
    r"(?:the )?(?:subject|topic|plans?|gears?|tack)\b|"
    r"\b(?:different|another|new|separate|other) (?:note|topic|subject|question|request|matter|occasion|search|mood)\b|"
    r"\bmov(?:e|ing) on\b|\bnext up\b|"
    r"\b(?:something|anything) (?:(?:completely|entirely|quite|altogether|very|way) )?different\b(?! (?:from|than|to))|"
    r"\b(?:something|anything) (?:completely|entirely|altogether) else\b|"
    r"\b(?:something|anything) else (?:completely|entirely|altogether)\b"
)
_TURNS = re.compile(  # to another wish, where one follows
    r"\b(?:is|are) (?:(?:him|her|them|that|mine|(?:the |my )?\w+) )?sorted\b|"
    rf"{_OPENS}(?:right )?(?:now|next|afterwards|after that|tomorrow|later)(?: ,)?(?: (?:for|with|on to))? {_ASKING}|"
    rf"{_OPENS}(?:now )?(?:what |how )?(?:about )?(?:a |an |another |one |something |some )?(?:\w+ )?for (?:me|us|"
    r"ourselves|myself|(?:my|our|his|her|the) \w+) (?:now|next|afterwards|later|tomorrow|then)\b"
)
# What stands before a value that is to be added to the wish; the value follows at once.
_ADDS = re.compile(
    r"(?:(?:^|[.,;!?\n] )(?:and|or|but)|\b(?:more|less|bit|bit of|little|touch of|dash of|hint of|also|with|but|add|"
    r"plus|preferably|ideally|as long as it is|should be|has to be|have to be|must be|need to be|needs to be|make it|"
    r"make that|if it is|if it was|that is|which is|element of|elements of|mixed with|as well as))"
    r"(?: (?:a|an|of|some|the|little|bit|also|slightly|rather|somewhat|too))* ?$"
)
_GOES_ON = re.compile(  # a turn that begins so: all of it
    r"^(?:(?:yes|yeah|yep|ok|okay|sure|nice|great|cool|good|hmm|well) (?:, )?)*(?:but|and|also|plus) "
    r"(?!now\b|next\b|then\b)"
)
_COMPARED = re.compile(
    r"^(?:more|less) |(?<!sold)ier$|(?:sad|dark|gentl|weird|smart|tens|calm|mellow)d?er$"
)  # "funnier"


def shift(joined: str, asks: bool) -> Shift:
    """``asks``: whether the turn wishes anything; "now" and "next" change nothing without."""
    if _LEAVES.search(joined) or (asks and _TURNS.search(joined)):
        return "changes"
    return "corrects" if _CORRECTS.search(joined) else "goes on"


def adds(before: str, said: str) -> bool:
    """Whether a value, by the words ``before`` it in its turn and those that ask for it, goes on with the wish."""
    return bool(_COMPARED.search(said) or _ADDS.search(before) or _GOES_ON.match(before))


def carried(
    wanted: Sequence[Wish], unwanted: Sequence[Wish], edits: Iterable[Edit], how: Shift, keys: Keys
) -> tuple[list[Wish], list[Wish]]:
    """What earlier turns wished, and refused, after a turn with ``edits``; ``keys`` are the attributes of a part: a
    genre stands in place of a genre, and goes together with a mood."""
    if how == "changes":
        kept = [replace(wish, receded=True) for wish in wanted if wish.taste]
        return kept, [wish for wish in unwanted if not wish.implied]
    centres = [e.part for e in edits if e.op == "want" and e.part and _central(e, e.part)]
    anchored = any(part.kind == "likeness" for part in centres)
    of = frozenset[str]().union(*(keys(part) for part in centres))
    rivals = [w for w in wanted if w.part.like or (_is_kind(w.part) and (anchored or keys(w.part) & of))]
    if how == "corrects" or not (anchored or _another(centres, rivals)):
        return list(wanted), list(unwanted)
    replaced = [wish for wish in rivals if not wish.taste]
    return [replace(wish, receded=True) for wish in wanted if wish not in replaced], list(unwanted)


def _central(edit: Edit, part: Part) -> bool:
    return not (edit.taste or edit.adds or edit.either) and (_is_kind(part) or part.kind == "likeness")


def _another(centres: Sequence[Part], rivals: Sequence[Wish]) -> bool:
    """Whether ``centres`` ask for other kinds than their ``rivals`` of earlier turns did."""
    earlier = [wish.part for wish in rivals if not wish.receded]
    again = any(part.columns & old.columns for part in centres for old in earlier)
    return bool(centres) and bool(earlier) and not again


def _is_kind(part: Part) -> bool:
    """Neither topic nor company."""
    return part.kind == "category" and not part.label.startswith(ABOUT) and part.label != FOR_CHILDREN
