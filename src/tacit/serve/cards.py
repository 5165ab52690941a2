"""The cards that a slate is shown as."""

from __future__ import annotations

from typing import Any

from tacit.dialogue.policy.facts import facts
from tacit.dialogue.why import HALF
from tacit.serve.turns import Answer


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
        told = "; ".join(known.pieces())
        why = f"has what you asked for: {', '.join(met)}" if met else told or "fits this conversation"
        card = {"id": id, "title": item.title, "position": position, "why": why}
        shown.append({**card, "year": known.year, "genres": list(known.genres)})
    return shown
