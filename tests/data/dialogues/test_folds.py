"""Two folds without a common person."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tacit.data.dialogues.folds import folds
from tacit.types import Dialogue, InputError


def talks(sizes: list[int]) -> list[Dialogue]:
    return [Dialogue(f"{user}-{k}", f"u{user}", ()) for user, size in enumerate(sizes) for k in range(size)]


@given(st.lists(st.integers(1, 9), min_size=2, max_size=12), st.integers(0, 5))
def test_persons_are_whole_everything_is_kept_and_the_share_is_met_but_for_one_person(
    sizes: list[int], seed: int
) -> None:
    given_dialogues = talks(sizes)
    if max(sizes) > len(given_dialogues) / 2:
        return  # that person alone may be all of a fold
    a, b = folds(given_dialogues, 0.5, seed)
    assert not {d.user for d in a} & {d.user for d in b}
    assert sorted(d.id for d in (*a, *b)) == sorted(d.id for d in given_dialogues)
    assert 0 <= len(a) - len(given_dialogues) / 2 < max(sizes)


def test_the_seed_chooses_and_a_lone_person_is_refused() -> None:
    many = talks([3] * 20)
    assert folds(many, 0.5, 0) == folds(many, 0.5, 0) != folds(many, 0.5, 1)
    with pytest.raises(InputError, match="of 1 person, which leaves a fold empty"):
        folds(talks([4]), 0.5, 0)
