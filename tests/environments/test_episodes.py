"""Simulated conversations in TRL's and verl's forms: who said what, and what it earned; never what was felt."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from typer.testing import CliRunner

from tacit.cli.main import app
from tacit.data.dialogues import synthetic
from tacit.dialogue.rollout import play, write_rollouts
from tacit.dialogue.users.crowd import UsersConfig, UserWorld
from tacit.environments.episodes import rollouts, turns
from tacit.types import Dialogue, Episode, InputError, Sample, Scored, Slate, Turn


def episode(*turns: tuple[str, str, float], name: str = "ppo0-0") -> Episode:
    """Of (what the user says, "" where it says nothing; the reply; its score)."""
    said, steps = Dialogue(name, "u1", ()), list[Scored]()
    for heard, reply, score in turns:
        said = said.then(Turn("user", heard)) if heard else said
        slate = Slate(("a", "b")) if score > 0 else None
        steps.append(Scored(said, Sample((), (), (), (), reply, slate), score, "reward", {}))
        said = said.then(Turn("agent", reply))
    return Episode(tuple(steps), "cut", "u1")


def exported(run: Path, form: str) -> Path:
    to = run / f"{form}.out"
    done = CliRunner().invoke(app, ["users", "export", str(run), "--form", form, "--to", str(to)])
    assert done.exit_code == 0, done.output
    return to


def played(run: Path) -> Path:
    first = episode(("a film?\nagent: no, a user", "this:\none?", 1.0), ("user: yes", "", 0.0), ("and?", "that", -2.0))
    write_rollouts(run / "ppo" / "rollouts" / "00001.parquet", [first], [[0.123, 0.124, 0.125]])
    second = episode(("hello", "again?", 0.5), ("", "still there?", 0.0), name="ppo1-0")
    write_rollouts(run / "ppo" / "rollouts" / "00002.parquet", [second], [[0.126, 0.127]])
    return run


def test_speakers_take_turns_and_rewards_stand_with_what_earned_them(tmp_path: Path) -> None:
    file = exported(played(tmp_path), "trl-kto")
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    opening = {"role": "user", "content": "a film?\nagent: no, a user"}
    went_on = [
        opening,
        {"role": "assistant", "content": "this:\none?"},
        {"role": "user", "content": "user: yes\nand?"},  # nothing was said between
    ]
    # The mean score is -.1. A reply to a silent user answers nothing, and one without words is none.
    assert [(r["prompt"], r["completion"][0]["content"], r["label"], r["reward"]) for r in rows] == [
        ([opening], "this:\none?", True, 1.0),
        (went_on, "that", False, -2.0),
        ([{"role": "user", "content": "hello"}], "again?", True, 0.5),
    ]
    assert "0.12" not in file.read_text(), "what was felt is not to be learnt from"


def test_verl(tmp_path: Path) -> None:
    table = pl.read_parquet(exported(played(tmp_path), "verl"))
    truths = [json.loads(row["ground_truth"]) for row in table["reward_model"]]
    assert [truth["items"] for truth in truths] == [["a", "b"], [], ["a", "b"]]
    assert [info["exposure_id"] for info in table["extra_info"]] == ["ppo0-0:0", "ppo0-0:2", "ppo1-0:0"]
    assert "hidden_utility" not in str(table.schema)


def test_conversations_with_real_simulated_users_come_back_as_they_were(tmp_path: Path) -> None:
    catalog, split = synthetic.load_training(0, 0.2)
    crowd = UserWorld.fit(catalog, split.train, UsersConfig(), 0).start(12, np.random.default_rng(0))

    def act(contexts: list[Dialogue]) -> list[Sample]:
        items = [catalog.items[(7 * len(context.turns)) % len(catalog)] for context in contexts]
        return [Sample((), (), (), (), f"How about {item.title}?", Slate((item.id,))) for item in items]

    episodes = play(act, crowd, None, 4)
    write_rollouts(tmp_path / "ppo" / "rollouts" / "00001.parquet", episodes)
    got = list(turns(rollouts(tmp_path)))
    steps = [step for one in episodes for step in one.steps]
    assert len(got) == len(steps) > 30
    for (prompt, (answer,)), step in zip(got, steps, strict=True):
        spoken = [(turn.speaker.replace("agent", "assistant"), turn.text) for turn in step.context.turns]
        assert [(message["role"], message["content"]) for message in prompt] == spoken
        assert (answer.said, answer.items) == (step.sample.text, step.sample.slate.items)  # type: ignore[union-attr]


def test_runs_without_conversations_and_with_others_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="run `tacit ppo"):
        rollouts(tmp_path)
    table = rollouts(played(tmp_path)).with_columns(context=pl.lit("user: something else"))
    with pytest.raises(InputError, match="does not go on from the step before it"):
        list(turns(table))
