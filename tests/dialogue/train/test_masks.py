"""The table of loss weights says what the losses do."""

from __future__ import annotations

import pytest
from ppo_fakes import tiny_policy
from rich.console import Console

from tacit.dialogue.train.masks import mask_table, render
from tacit.dialogue.train.ppo_learner import PPOConfig
from tacit.dialogue.train.segments import Rejected, segments
from tacit.types import Dialogue, InputError, Judgement, Slate, Turn

TALK = Dialogue(
    "d7",
    "u",
    (
        Turn("user", "a film please"),
        Turn("agent", "do you like it?"),
        Turn("user", "yes"),
        Turn("agent", "The Dream", ("i0",), Slate(("i0", "i3"))),
    ),
)
CONFIG = PPOConfig(decision_weight=0.25, text_weight=1.0, slate_weight=2.0)


def test_columns_sum_to_the_weights_of_the_losses() -> None:
    rows = mask_table(tiny_policy(), TALK, 0.5, CONFIG)
    assert sum(row.sft for row in rows) == pytest.approx(1.5)
    assert sum(row.ppo for row in rows) == pytest.approx(3.25)


def test_only_what_the_policy_draws_has_weight() -> None:
    policy = tiny_policy()
    rows = mask_table(policy, TALK, 0.5, CONFIG)
    assert all((row.sft > 0) == (row.ppo > 0) == (row.kind in ("decision", "slate", "reply")) for row in rows)
    assert {row.turn for row in rows if row.kind in ("decision", "reply")} == {1, 3}
    assert [row.token for row in rows if row.kind == "decision"] == ["<chat>", "<recommend>"]
    assert [row.token for row in rows if row.kind == "given"][-1] == "<reply>"
    assert [row.token for row in rows if row.kind == "reply"][-1] == "<eos>"
    assert [row.token for row in rows if row.kind == "slate"] == ["[slate of 2: The Dream, The Iron]"]
    tokens = [row.token for row in rows if row.kind != "slate"]
    whole = [token for segment in segments([TALK], policy, None) for token in segment.tokens]
    assert tokens == [policy.tokenizer.decode([token]) for token in whole]


TURNED_DOWN = Dialogue(
    "d9",
    "u",
    (
        *TALK.turns[:3],
        Turn("agent", "The Dream", ("i0",), Slate(("i0", "i3"))),
        Turn("user", "no"),
        Turn("agent", "The Iron", ("i3",), Slate(("i3",))),
    ),
    {"i3": Judgement(liked=False)},
)


def test_rejected_items_are_what_the_loss_takes_them_for() -> None:
    """The second slate holds rejected items alone: as negatives, each slate has a row of them."""
    policy = tiny_policy()

    def rows(rejected: Rejected) -> list[tuple[str, str, float, float]]:
        table = mask_table(policy, TURNED_DOWN, 0.5, CONFIG, rejected)
        return [(r.kind, r.token, r.sft, r.ppo) for r in table if r.kind in ("slate", "rejected", "ignored")]

    assert rows("positive") == [
        ("slate", "[slate of 2: The Dream, The Iron]", 0.25, 1.0),
        ("slate", "[slate of 1: The Iron]", 0.25, 1.0),
    ]
    assert rows("negative") == [
        ("slate", "[slate of 2: The Dream]", 0.5, 1.0),
        ("rejected", "[as unlikely: The Iron]", 0.25, 0.0),
        ("slate", "[slate of 1: none wanted]", 0.0, 1.0),
        ("rejected", "[as unlikely: The Iron]", 0.25, 0.0),
    ]
    left_out = rows("ignore")
    assert left_out[:2] == [
        ("slate", "[slate of 2: The Dream]", 0.5, 1.0),
        ("ignored", "[rejected, left out: The Iron]", 0.0, 0.0),
    ]


def test_it_prints() -> None:
    console = Console(width=100, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    console.print(render(mask_table(tiny_policy(), TALK, 0.5, CONFIG), "dialogue d7"))
    text = console.export_text()
    assert "dialogue d7" in text and "150.0" in text and "325.0" in text


def test_a_dialogue_without_an_agent_is_refused() -> None:
    with pytest.raises(InputError, match="dialogue d8 has no agent turn"):
        mask_table(tiny_policy(), Dialogue("d8", "u", (Turn("user", "hi"),)), 0.5, CONFIG)
