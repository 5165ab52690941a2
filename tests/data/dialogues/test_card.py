"""What a set of dialogues holds, counted by hand."""

from __future__ import annotations

from tacit.data.dialogues.card import data_card
from tacit.types import Dialogue, Feedback, Judgement, Slate, Turn


def test_counts_and_shares_by_hand() -> None:
    """Four agent turns: one with a dwell of 0 (observed), one with clicks of nothing (observed), one judged item."""
    first = Dialogue(
        "a",
        "u",
        (
            Turn("user", "hi", ("x",)),
            Turn("agent", "see", slate=Slate(("y", "z"), (0.5, 0.5)), feedback=Feedback(dwell_s=0.0)),
            Turn("agent", "or", slate=Slate(("y",)), feedback=Feedback(clicked=())),
        ),
        {"z": Judgement(liked=False), "x": Judgement(seen=True)},
    )
    second = Dialogue("b", "u", (Turn("agent", "hello", time_s=3.0), Turn("user", "bye"), Turn("agent", "bye")))
    card = data_card([first, second])
    counts = {name: card[name] for name in card if name != "observed"}
    assert counts == {
        "dialogues": 2,
        "turns": 6,
        "agent turns": 4,
        "agent turns that recommend": 2,
        "users": 1,
        "items": 3,
    }
    shares = {name: share for name, share in card["observed"].items() if share}
    assert shares == {"dwell": 0.25, "clicks": 0.25, "time of the turn": 0.25, "propensities": 0.25, "liked": 0.25}
    assert card["observed"]["left"] == 0.0


def test_without_an_agent_turn_a_share_is_not_known() -> None:
    card = data_card([Dialogue("a", "u", (Turn("user", "hi"),))])
    assert card["agent turns"] == 0 and set(card["observed"].values()) == {None}
    assert data_card([])["dialogues"] == 0
