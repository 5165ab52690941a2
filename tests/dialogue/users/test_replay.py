"""What a logged person's answers make of a slate, in ReDial's form and in that of own logs."""

from __future__ import annotations

from ppo_fakes import catalog

from tacit.dialogue.users.replay import Grades, replayed
from tacit.types import Dialogue, Feedback, Judgement, Slate, Turn

GRADES = Grades(liked=1.0, named=0.5, disliked=-1.0, rejected=-0.25, seen=-0.5)


def shows(*items: str, feedback: Feedback | None = None) -> Turn:
    return Turn("agent", "how about this", mentions=items, slate=Slate(items), feedback=feedback)


def talk(judgements: dict[str, Judgement] | None = None) -> Dialogue:
    turns = (
        Turn("user", "I loved it", mentions=("i0",)),
        shows("i1", "i2"),
        Turn("user", "no, awful"),
        shows("i3", "i1"),
        Turn("user", "great, thanks"),
    )
    return Dialogue("d", "u", turns, judgements or {})


def test_a_context_knows_this_turns_items_and_later_ones_but_none_that_was_named_before() -> None:
    first, second = replayed([talk()], catalog(), GRADES)
    assert (first.rows, first.now) == ((1, 2, 3), (True, True, False))
    assert (second.rows, second.now) == ((3,), (True,)), "i1 was shown two turns before"
    assert (len(first.context.turns), second.dialogue, second.user) == (1, "d", "u")


def test_every_rank_is_graded_by_the_persons_word_by_hand() -> None:
    forms = {"i1": Judgement(True, True, True), "i2": Judgement(True, False, False), "i3": Judgement(True, False, None)}
    first, _ = replayed([talk(forms)], catalog(), GRADES)
    assert first.gains == (0.5, -1.0, 0.5), "liked but seen before: 1 − ½; disliked; named alone"
    assert first.rewards([3, 9, 2, 1]) == [0.5, 0.0, -1.0, 0.5], "nobody knows what the person thinks of item 9"


def test_events_of_own_logs_are_read_alike() -> None:
    """Item 1 was clicked, 2 was not, and nothing of the slate was taken: clicked is not rejected."""
    seen = Feedback(clicked=("i1",), accepted=False)
    dialogue = Dialogue("d", "u", (Turn("user", "hi"), shows("i1", "i2", feedback=seen)))
    (only,) = replayed([dialogue], catalog(), GRADES)
    assert only.gains == (1.0, -0.25)


def test_nothing_is_replayed_before_a_word_was_said() -> None:
    assert replayed([Dialogue("d", "u", (shows("i1"), Turn("user", "hi")))], catalog(), GRADES) == []
