"""Why a slate was shown, in plain words: what was understood, what spoke for each item, and its facts."""

from __future__ import annotations

from dataclasses import dataclass

from tacit.dialogue.policy.facts import facts
from tacit.dialogue.policy.policy import Policy
from tacit.dialogue.policy.reasons import Part, Reason, reasons
from tacit.types import Dialogue

STRONG = 0.3  # nats above the catalogue's mean item: a term that lifts an item by less is no reason
HALF = 0.5  # of a graded likeness: from here on an item has it
MOST = 3  # reasons an item
SAID: dict[Part, str] = {
    "words": "what it is about fits your words",
    "state": "the language model's reading of the conversation fits it",
    "liked": "it is like what was named so far",
    "popularity": "it is recommended often",
    "neighbours": "it goes together with {near}",
    "answers": "others who named the same were shown it",
    "wishes": "recommenders follow such wishes",
}


@dataclass(frozen=True)
class ItemWhy:
    """One shown item: its facts in a line, and what spoke for it, strongest first."""

    title: str
    facts: str
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class Why:
    """``wishes``: what was understood of the user's words, a line each. ``items``: of the slate, best first."""

    wishes: tuple[str, ...]
    items: tuple[ItemWhy, ...]

    def lines(self) -> list[str]:
        """In plain words."""
        lines = [f"understood: {'; '.join(self.wishes)}" if self.wishes else "understood: no wish in particular"]
        for k, item in enumerate(self.items, 1):
            lines += [f"{k}. {item.facts}", f"   because {', '.join(item.reasons)}"]
        return lines

    def __str__(self) -> str:
        return "\n".join(self.lines())


def why(policy: Policy, dialogue: Dialogue) -> Why | None:
    """Why the last slate of ``dialogue`` was shown; None where none was."""
    for t in reversed(range(len(dialogue.turns))):
        slate = dialogue.turns[t].slate
        if dialogue.turns[t].speaker == "agent" and slate is not None and slate.items:
            context = dialogue.before(t)
            found = reasons(policy, context, slate.items)
            return Why(_understood(policy, context), tuple(_item(policy, context, reason) for reason in found))
    return None


def _understood(policy: Policy, context: Dialogue) -> tuple[str, ...]:
    titles = [policy.catalog[item].title for turn in context.turns if turn.speaker == "user" for item in turn.mentions]
    named = [f"named: {', '.join(dict.fromkeys(titles))}"] if titles else []
    return (*policy.wish.reader.describe(policy.wishes([context])[0]), *named)


def _item(policy: Policy, context: Dialogue, reason: Reason) -> ItemWhy:
    item, row = policy.catalog[reason.item], policy.catalog.index(reason.item)
    near = " and ".join(policy.catalog[other].title for other in reason.near[:2])
    strong = [
        SAID[part].format(near=near)
        for part, nats in sorted(reason.parts.items(), key=lambda pair: -pair[1])
        if nats >= STRONG and (part != "neighbours" or near)
    ]
    met: dict[bool, list[str]] = {True: [], False: []}
    for wish in policy.wishes([context])[0].current:
        met[bool(policy.wish.reader.index.satisfied(wish.part)[row] > HALF)].append(wish.part.label)
    told = [f"it has what you asked for ({', '.join(met[True])})"] if met[True] else []
    lacks = [f"though the catalogue does not say that it has {', '.join(met[False])}"] if met[False] else []
    spoken = [*told, *strong[: MOST - len(told)]] or ["nothing speaks for it but chance"]
    return ItemWhy(item.title, facts(item).line(), (*spoken, *lacks))
