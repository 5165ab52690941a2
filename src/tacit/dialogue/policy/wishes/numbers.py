"""Numbers that people say of items: a span of years, else of another numeric attribute."""

from __future__ import annotations

import re
from dataclasses import replace

from tacit.dialogue.policy.wishes import quantities, years
from tacit.dialogue.policy.wishes.attributes import AttributeIndex, singular
from tacit.dialogue.policy.wishes.counts import Said

_THAN = re.compile(
    r" than (?:that|those|these|it|this|them|the (?:first|second|third|fourth|fifth)|what you (?:said|"
    r"showed))(?: one)?(?!\w)"
)  # "cheaper than that"
_STARTS = years.STARTS | quantities.STARTS  # words with which a number can begin, so that no other costs a search


def read_number(text: str, at: int, index: AttributeIndex) -> Said | None:
    """The number said at character ``at`` of lower-case ``text`` whose words one space parts, or None."""
    word = text[at : text.find(" ", at) if " " in text[at:] else len(text)]
    if not (word[:1].isdigit() or word in _STARTS or word[:1] in "$€£" or singular(word) in index.number_names):
        return None
    found = years.read_years(text, at, index) if index.year_key is not None else None
    found = found or quantities.read_keyed(text, at, index) or quantities.read_company(text, at, index)
    found = found or quantities.read_quantity(text, at, index) or quantities.read_bound(text, at, index)
    found = found or quantities.read_quality(text, at, index)
    if found and found.relative and (than := _THAN.match(text, found.end)):
        return replace(found, end=than.end())
    return found
