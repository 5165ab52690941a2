"""What training and test have in common: dialogues by id or word for word, and users."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from tacit.types import Dialogue, InputError, Turn

FEW_TURNS = 10
log = logging.getLogger("tacit")


@dataclass(frozen=True, slots=True)
class Overlap:
    """Counts over the test: ``turns`` are agent turns that show items after something was said, as rankings score."""

    dialogues: int
    dialogues_by_id: int  # whose id training has too
    turns: int
    turns_in_training: int  # that stand in training word for word, with all that was said before them
    users: int
    users_in_training: int

    @property
    def share(self) -> float:
        """The larger of the two shares that make a test a part of training: by id, by content."""
        by_content = self.turns_in_training / self.turns if self.turns else 0.0
        return max(self.dialogues_by_id / self.dialogues if self.dialogues else 0.0, by_content)

    @property
    def may_be_chance(self) -> bool:
        """A few short conversations may well be alike word for word; an id is never so by chance."""
        return not self.dialogues_by_id and self.turns_in_training < FEW_TURNS

    def __str__(self) -> str:
        return (
            f"{_of(self.dialogues_by_id, self.dialogues)} test dialogues are in training by id, "
            f"{_of(self.turns_in_training, self.turns)} agent turns of the test stand in training word for word with "
            f"their context, {_of(self.users_in_training, self.users)} of the test's users also train"
        )


def prefixes(turns: Sequence[Turn]) -> Iterator[int]:
    """A hash of the turns up to each one: equal where two conversations begin alike. Valid in this process only."""
    state = 0
    for turn in turns:
        state = hash((state, turn.speaker, turn.text.strip()))
        yield state


def scored(dialogue: Dialogue) -> list[bool]:
    """Which turns a ranking is asked for: the agent's that show items, but for an opening one."""
    return [t > 0 and turn.slate is not None for t, turn in enumerate(dialogue.turns)]


def overlap(training: Iterable[Dialogue], test: Iterable[Dialogue]) -> Overlap:
    ids: set[str] = set()
    users: set[str] = set()
    texts: set[int] = set()
    for dialogue in training:
        ids.add(dialogue.id)
        users.add(dialogue.user)
        texts.update(prefixes(dialogue.turns))
    dialogues = by_id = turns = in_training = 0
    test_users: set[str] = set()
    for dialogue in test:
        dialogues += 1
        by_id += dialogue.id in ids
        test_users.add(dialogue.user)
        shown = [state for state, asked in zip(prefixes(dialogue.turns), scored(dialogue), strict=True) if asked]
        turns += len(shown)
        in_training += sum(state in texts for state in shown)
    return Overlap(dialogues, by_id, turns, in_training, len(test_users), len(test_users & users))


def refuse_above(shared: Overlap, largest: float, where: str) -> None:
    """InputError where the test is too much a part of the training material to measure anything; less is said."""
    if shared.share > largest and not shared.may_be_chance:
        raise InputError(
            f"{where}: {shared}, and data.overlap={largest:g} is the largest share allowed: take repeated and growing "
            "dialogues out (`tacit data check` counts them), split by user (data.split=user), or raise data.overlap."
        )
    if shared.share:
        log.warning("%s: %s", where, shared)


def _of(part: int, whole: int) -> str:
    return f"{part:,} of {whole:,} ({part / whole:.0%})" if whole else "0 of 0"
