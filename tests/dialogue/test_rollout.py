"""Conversations are played in one batch, and logged whole."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from ppo_fakes import FakeCrowd, FakeWorld, Taste, wanted

from tacit.dialogue.rollout import play, write_rollouts
from tacit.types import Dialogue, Sample, Slate


def act(contexts: list[Dialogue]) -> list[Sample]:
    slate = Slate(("i0", "i1"), (0.5, 0.25))
    return [
        Sample((1, 2), (3, 4, 5), (True, False, True), (-0.1, 0.0, -0.2), "try The Dream!", slate, (-0.7, -1.4))
        if len(context.turns) == 1
        else Sample((1,), (3, 5), (True, True), (-0.3, -0.4), "and you?", finished=False)
        for context in contexts
    ]


def crowd(n: int = 8, seed: int = 0) -> FakeCrowd:
    return FakeWorld().start(n, np.random.default_rng(seed), "d")


def test_a_conversation_ends_when_its_user_does_or_is_cut() -> None:
    users = crowd()
    episodes = play(act, users, Taste(), max_turns=2)
    assert {episode.ended for episode in episodes} == {"accepted", "left", "cut"}
    for episode, dialogue in zip(episodes, users.dialogues, strict=True):
        assert 1 <= len(episode.steps) <= 2
        assert episode.user == dialogue.user
        assert (episode.ended == "cut") == (dialogue.turns[-1].speaker == "user")
        assert episode.ended != "cut" or len(episode.steps) == 2


def test_contexts_scores_and_feedback_belong_to_their_turn() -> None:
    users = crowd()
    for episode, dialogue in zip(play(act, users, Taste(), 3), users.dialogues, strict=True):
        for t, scored in enumerate(episode.steps):
            assert scored.context.turns == dialogue.turns[: 2 * t + 1]
            assert scored.score == scored.channels["wanted"] == wanted(scored.sample.turn())
            assert scored.by == "taste" and scored.feedback is not None


def test_without_a_scorer_every_score_is_zero() -> None:
    assert {s.score for e in play(act, crowd(), None, 2) for s in e.steps} == {0.0}


def test_the_log_holds_a_row_a_turn_with_hidden_utility_apart(tmp_path: Path) -> None:
    users = crowd()
    episodes = play(act, users, Taste(), 2)
    turns = sum(len(episode.steps) for episode in episodes)
    path = tmp_path / "rollouts" / "00001.parquet"
    write_rollouts(path, episodes, users.hidden, {"kl_text": [0.5] * turns})
    table = pl.read_parquet(path)
    assert len(table) == turns and [p.name for p in path.parent.iterdir()] == ["00001.parquet"]
    first = table.row(0, named=True)
    assert first["context"] == "user: a film please" and first["reply"] == "try The Dream!"
    assert first["slate"] == ["i0", "i1"] and first["propensities"] == pytest.approx([0.4966, 0.2466], abs=1e-4)
    assert first["tokens"] == 2 and first["logprob"] == pytest.approx(-0.3)
    assert first["channel_wanted"] == first["hidden_utility"] == 0.5 and first["kl_text"] == 0.5
    assert set(json.loads(first["feedback"])) == {"dwell_s", "accepted"}
    assert table["ended"].drop_nulls().len() == len(episodes)
    assert not any("hidden" in field for field in episodes[0].steps[0].__dataclass_fields__)


def test_an_empty_log_has_the_same_types(tmp_path: Path) -> None:
    write_rollouts(tmp_path / "none.parquet", [])
    write_rollouts(tmp_path / "some.parquet", play(act, crowd(), None, 1))
    none, some = (pl.read_parquet_schema(tmp_path / name) for name in ("none.parquet", "some.parquet"))
    assert none == some
