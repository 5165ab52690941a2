"""Where a test may tell its own answers, and where training may have seen the test."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from tacit.catalog import Catalog, normalise_title
from tacit.referee.cases import Cases
from tacit.referee.form import Context
from tacit.types import Dialogue, Ints64

EXAMPLES = 3
LONG = 5  # words of a reply that is not said by everyone
_TRAINING = "give the training dialogues (--training) to look"
_MISSING = "the run file does not say it ('said', 'reference', 'person')"


@dataclass(frozen=True, slots=True)
class Finding:
    """``count`` of ``of`` cases (or contexts, items, dialogues); None = not looked for, and ``note`` says why."""

    name: str
    count: int | None
    of: int
    note: str = ""
    examples: tuple[str, ...] = ()

    def __str__(self) -> str:
        if self.count is None:
            return f"{self.name}: not known; {self.note}"
        share = f" ({self.count / self.of:.1%})" if self.of else ""
        shown = f", such as {', '.join(self.examples)}" if self.examples else ""
        return f"{self.name}: {self.count:,} of {self.of:,}{share}{shown}"


def audit(cases: Cases, training: Sequence[Dialogue] | None) -> list[Finding]:
    """Everything that can be looked for in a run file's cases, with the training dialogues where they are given."""
    return [
        *_in_context(cases),
        *_from_later(cases),
        *_twins(cases),
        *_in_training(cases, training),
    ]


def tied(ranks_at_best: Ints64, ranks: Ints64) -> Finding:
    """Cases whose gold item another candidate equals; the worst place among equals counts."""
    ties = ranks > ranks_at_best
    return Finding("gold items that score the same as another candidate (counted last)", int(ties.sum()), len(ties))


def _in_context(cases: Cases) -> list[Finding]:
    """Gold named before: by id, which is the slice of repeated items, or in words alone, which no slice shows."""
    repeated = [key for case, key in zip(cases.found, cases.keys, strict=True) if case.gold in case.mentioned]
    named = Finding(
        "gold items that the context names (repeated: copying the context finds them)", len(repeated), len(cases.found)
    )
    if any(cases.contexts[case.row].said is None for case in cases.found):
        return [named, Finding("gold titles in words that no id marks", None, len(cases.found), "'said' is missing")]
    linked: dict[str, frozenset[str]] = {}
    hidden = []
    for case, (place, item) in zip(cases.found, cases.keys, strict=True):
        words = cases.contexts[case.row].said or ()
        for _, text in words:
            if text not in linked:
                linked[text] = frozenset(id for _, _, id in cases.catalog.link(text))
        if case.gold not in case.mentioned and any(item in linked[text] for _, text in words):
            hidden.append(f"{cases.catalog[item].title} in {place}")
    return [named, _finding("gold titles in words that no id marks", hidden, len(cases.found))]


def _from_later(cases: Cases) -> list[Finding]:
    """Contexts that hold what was said later: more messages than ``turn`` counts, or the reference reply itself."""
    told = [context for context in cases.contexts if context.said is not None]
    longer = [context.id for context in told if len(context.said or ()) > context.turn]
    long = [context for context in told if len((context.reference or "").split()) >= LONG]
    said = [
        context.id
        for context in long
        if _plain(context.reference or "") in _plain(" ".join(text for _, text in context.said or ()))
    ]
    found = [
        _finding("contexts of more messages than stand before their turn", longer, len(told)),
        _finding(f"reference replies of {LONG} words or more that their own context says", said, len(long)),
    ]
    return [one if one.of else Finding(one.name, None, 0, _MISSING) for one in found]


def _twins(cases: Cases) -> list[Finding]:
    """Items that are one by their title (or by the whole text), and gold items whose twin was named before."""
    groups = same_items(cases.catalog)
    places: dict[int, set[int]] = {}  # row → its groups: it may share a title with one item and the text with another
    for place, group in enumerate(groups):
        for row in group:
            places.setdefault(row, set()).add(place)
    new = [
        f"{cases.catalog[item].title} in {place}"
        for case, (place, item) in zip(cases.found, cases.keys, strict=True)
        if case.gold not in case.mentioned
        and any(places.get(case.gold, set()) & places.get(row, set()) for row in case.mentioned)
    ]
    shown = [_equal([cases.catalog.items[row].id for row in group]) for group in groups]
    return [
        _finding("groups of items that are the same by title or text", shown, len(cases.catalog)),
        _finding("gold items that count as new and are a named item by another id", new, len(cases.found)),
    ]


def same_items(catalog: Catalog) -> list[tuple[int, ...]]:
    """Rows of items with one title, case and punctuation apart, or one text that says more than the title."""
    groups: dict[str, list[int]] = {}
    for row, item in enumerate(catalog):
        keys = {f"title {normalise_title(item.title) or item.title}"}
        if normalise_title(item.text) != normalise_title(item.title):
            keys.add(f"text {item.text.strip()}")
        for key in keys:
            groups.setdefault(key, []).append(row)
    return sorted({tuple(rows) for rows in groups.values() if len(rows) > 1})


def _in_training(cases: Cases, training: Sequence[Dialogue] | None) -> list[Finding]:
    """Ids, whole contexts, replies and persons of the test that training has too."""
    ranked = [cases.contexts[group[0].row] for group in cases.groups]
    dialogues = {context.dialogue for context in ranked}
    people = {context.person for context in cases.contexts if context.person is not None}
    names = (
        ("test dialogues in training by id", len(dialogues)),
        ("contexts that stand in training word for word with their reference reply", len(ranked)),
        (f"reference replies of {LONG} words or more in training word for word", len(cases.contexts)),
        ("persons of the test who also train", len(people)),
    )
    if training is None:
        return [Finding(name, None, of, _TRAINING) for name, of in names]
    ids, users, replies, begins = _seen(training)
    whole = [context for context in ranked if context.said is not None and context.reference is not None]
    word_for_word = [context.id for context in whole if _last_prefix(context) in begins]
    long = [context for context in cases.contexts if len((context.reference or "").split()) >= LONG]
    said = [context.id for context in long if _plain(context.reference or "") in replies]
    found = [
        _finding(names[0][0], sorted(dialogues & ids), len(dialogues)),
        _finding(names[1][0], word_for_word, len(whole)),
        _finding(names[2][0], said, len(long)),
        _finding(names[3][0], sorted(people & users), len(people)),
    ]
    return [one if one.of else Finding(one.name, None, 0, _MISSING) for one in found]


def _prefixes(texts: Iterable[str]) -> Iterator[int]:
    """A hash of all words up to the end of each message. Equal words are equal whatever the speakers are called
    ("agent", "recommender"), in any case, and however a side's messages are cut. Valid in this process only."""
    state = 0
    for text in texts:
        for word in text.lower().split():
            state = hash((state, word))
        yield state


def _last_prefix(context: Context) -> int:
    """The hash of everything said up to and with the reference reply."""
    *_, last = _prefixes([*(text for _, text in context.said or ()), context.reference or ""])
    return last


def _seen(training: Iterable[Dialogue]) -> tuple[set[str], set[str], set[str], set[int]]:
    ids: set[str] = set()
    users: set[str] = set()
    replies: set[str] = set()
    begins: set[int] = set()
    for dialogue in training:
        ids.add(dialogue.id)
        users.add(dialogue.user)
        replies.update(_plain(turn.text) for turn in dialogue.turns if turn.speaker == "agent")
        begins.update(_prefixes(turn.text for turn in dialogue.turns))
    return ids, users, replies, begins


def _equal(ids: Sequence[str]) -> str:
    """``a = b = c and 7 more``."""
    more = f" and {len(ids) - EXAMPLES:,} more" if len(ids) > EXAMPLES else ""
    return " = ".join(ids[:EXAMPLES]) + more


def _plain(text: str) -> str:
    return " ".join(text.lower().split())


def _finding(name: str, examples: Sequence[str], of: int) -> Finding:
    return Finding(name, len(examples), of, examples=tuple(examples[:EXAMPLES]))
