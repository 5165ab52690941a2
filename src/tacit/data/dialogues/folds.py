"""Two folds of the training dialogues that share no person: what one is trained on, the other's people can judge."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from tacit.data.lines import share
from tacit.types import Dialogue, InputError


def folds(dialogues: Sequence[Dialogue], first: float, seed: int) -> tuple[tuple[Dialogue, ...], tuple[Dialogue, ...]]:
    """(A, B): persons in an order fixed by ``seed`` go to A until it holds the share ``first`` of the dialogues.

    Whole persons are taken, so the share is met to within one person's dialogues. ``InputError`` where one side would
    be empty.
    """
    sizes = Counter(dialogue.user for dialogue in dialogues)
    chosen: set[str] = set()
    taken = 0
    for user in sorted(sizes, key=lambda user: (share(f"fold {seed}:{user}"), user)):
        if taken >= first * len(dialogues):
            break
        chosen.add(user)
        taken += sizes[user]
    a = tuple(dialogue for dialogue in dialogues if dialogue.user in chosen)
    b = tuple(dialogue for dialogue in dialogues if dialogue.user not in chosen)
    if not a or not b:
        raise InputError(
            f"the training dialogues are of {len(sizes)} person{'s' * (len(sizes) != 1)}, which leaves a fold empty: "
            "give dialogues of more people, or another share of the first fold."
        )
    return a, b
