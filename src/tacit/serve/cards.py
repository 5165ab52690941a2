"""The cards that a slate is shown as."""

from __future__ import annotations

from typing import Any

from tacit.dialogue.policy.facts import Facts, cut, facts
from tacit.dialogue.why import HALF
from tacit.serve.turns import Answer

LINE = 90  # characters of a card's reason: about a line of it on a wide screen


def cards(answer: Answer) -> list[dict[str, Any]]:
    """The items of a slate, in the order of their places, with one line each that says why."""
    if answer.slate is None:
        return []
    policy = answer.policy
    shown = []
    for position, id in enumerate(answer.slate.items, start=1):
        item, row = policy.catalog[id], policy.catalog.index(id)
        known = facts(item)
        met = [wish.part.label for wish in answer.wanted if policy.wish.reader.index.satisfied(wish.part)[row] > HALF]
        why = f"has what you asked for: {', '.join(met)}" if met else told(known)
        card = {"id": id, "title": item.title, "position": position, "why": why}
        shown.append({**card, "year": known.year, "genres": list(known.genres)})
    return shown


def told(known: Facts) -> str:
    """As many facts as a line holds, the most telling first; a plot may be cut. Genres stand on the card already, and
    the whole of it is shown by opening the card."""

    def fits(line: str) -> bool:
        return len(line) <= LINE

    line = ""
    for piece in known.pieces(genres=False):
        start = f"{line}; " if line else ""
        if fits(start + piece):
            line = start + piece
        elif piece == known.plot:
            line = cut(start, piece, fits) or line
    return line or "fits this conversation"
