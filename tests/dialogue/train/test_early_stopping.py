"""PPO ends where held-out users are worse off: past the peak of a reward that is hacked, never on an honest one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ppo_fakes import FakeCrowd, FakeWorld, Killed, Taste, dying, tiny_policy, wanted
from safetensors.torch import load_file
from together import together

from tacit.dialogue.players import Group, Players, meet_group
from tacit.dialogue.policy.policy import Policy
from tacit.dialogue.train.early_stopping import Best
from tacit.dialogue.train.ppo import run_ppo
from tacit.dialogue.train.ppo_learner import Learner, PPOConfig
from tacit.run.folder import Stage
from tacit.types import Dialogue, Floats64, Turn

FAST = PPOConfig(
    iterations=8, trajectories=48, max_turns=3, minibatch=48, microbatch=48, epochs=4, lr=3e-3, slate_lr=1e-2,
    value_warmup=1, lr_warmup=1, kl_slate_target=5.0, kl_stop=0.2, patience=1,
)  # fmt: skip


class Recorder:
    """As ``pipelines.parts.HiddenRecorder``, with what these users felt; it writes nothing down."""

    def keep(self, crowd: FakeCrowd) -> list[list[float]]:
        return crowd.hidden

    def __call__(self, path: Path, episodes: object, kept: object, columns: object) -> dict[str, float]:
        return {}

    def utility(self, kept: list[list[float]]) -> Floats64:
        """Of a conversation the mean over the three turns that a user has to give."""
        return np.array([sum(felt) / 3.0 for felt in kept])


class Hacked(Taste):
    """What users want; from the fourth iteration on films that nobody wants are worth as much again as the others."""

    def score(self, contexts: Sequence[Dialogue], turns: Sequence[Turn]) -> list[tuple[float, dict[str, float]]]:
        late = contexts[0].id >= "ppo4"
        return [((2.0 * (1.0 - wanted(turn)) if late else wanted(turn)) if turn.slate else 0.0, {}) for turn in turns]


def run(folder: Path, scorer: object, config: PPOConfig = FAST, world: object = None) -> Policy:
    parts = world or FakeWorld(), scorer, Recorder(), config, Stage("ppo", folder), 0
    return run_ppo(tiny_policy(), *parts)  # type: ignore[arg-type]


def served(policy: Policy) -> float:
    """Fresh users, whom neither training nor a look has met."""
    players = Players(policy, FakeWorld(), keep=lambda crowd: crowd.hidden)  # type: ignore
    return float(Recorder().utility(meet_group(players, Group("new", 400, 3, (5, 5), "ppo"))).mean())


def rows(folder: Path) -> list[dict[str, Any]]:
    return Stage("ppo", folder).log.rows()


def training_alone(folder: Path) -> list[dict[str, Any]]:
    return [{name: value for name, value in row.items() if not name.startswith("held_out")} for row in rows(folder)]


def test_a_hacked_reward_ends_training_past_the_peak_and_leaves_the_better_policy(tmp_path: Path) -> None:
    last = run(tmp_path / "all", Hacked(), replace(FAST, patience=0))
    best = run(tmp_path / "stopped", Hacked())
    done, summary = len(rows(tmp_path / "stopped")), Stage("ppo", tmp_path / "stopped").summary()
    assert 4 < done < FAST.iterations and summary["held_out_high"] < 0.0
    assert 2 < summary["best_iteration"] < done and best.version == f"ppo-{summary['best_iteration']}"
    proxy = [row["reward"] for row in rows(tmp_path / "all")]
    assert proxy[-1] > proxy[3] and served(last) < served(tiny_policy().eval()) < served(best)


def test_an_honest_reward_is_climbed_to_the_end_and_looking_changes_nothing_in_training(tmp_path: Path) -> None:
    last, best = run(tmp_path / "all", Taste(), replace(FAST, patience=0)), run(tmp_path / "looked", Taste())
    assert training_alone(tmp_path / "looked") == training_alone(tmp_path / "all")
    assert len(rows(tmp_path / "looked")) == FAST.iterations
    assert served(best) > served(last) - 0.02 > served(tiny_policy().eval()) + 0.2


def test_a_policy_that_does_not_move_is_looked_at_once(tmp_path: Path) -> None:
    run(tmp_path, Taste(), replace(FAST, iterations=3, trajectories=5, value_warmup=2, held_out_users=5))
    assert ["held_out_utility" in row for row in rows(tmp_path)] == [True, False, False]
    assert "held_out_gain" in Stage("ppo", tmp_path).summary(), "and after the last iteration, the first to move it"


def test_worse_is_what_is_told_to_be_worse_than_the_best_look() -> None:
    """Eight people. .5 each is the first look; then seven of them gain: best. All of them .1 below that: told. One of
    them alone below it: not told, and the row of bad looks ends."""
    weight = torch.tensor([0.0])
    best = Best({"w": weight})
    first, up = np.full(8, 0.5), np.array([0.5] + [0.7] * 7)

    def looked(iteration: int, utility: Floats64) -> list[float]:
        weight.fill_(float(iteration))
        told = best.look(iteration, utility)
        return [best.iteration, best.worse, round(told.get("held_out_gain", 0.0), 9)]

    assert looked(0, first) == [0, 0, 0.0]
    assert looked(3, up) == [3, 0, 0.175]
    assert looked(4, up - np.linspace(0.09, 0.11, 8)) == [3, 1, -0.1]
    assert looked(5, up - np.linspace(0.09, 0.11, 8)) == [3, 2, -0.1]
    assert looked(6, up - np.eye(8)[0]) == [3, 0, -0.125]
    assert looked(7, up) == [3, 0, 0.0], "as good is not better: the nearest to SFT stays"
    again = Best({"w": weight})
    again.load(best.state())
    assert (again.iteration, again.worse) == (3, 0) and np.array_equal(again.utility, up)  # type: ignore[arg-type]
    best.put_back()
    assert weight.item() == 3.0


class Killer(FakeWorld):
    """Dies in the middle of the ``at``-th look at held-out users."""

    def __init__(self, at: int) -> None:
        self.at = at

    def start(self, n: int, generator: np.random.Generator, ids_prefix: str = "") -> FakeCrowd:
        crowd = super().start(n, generator, ids_prefix)
        self.at -= ids_prefix.startswith("held-out")
        if ids_prefix.startswith("held-out") and self.at == 0:
            crowd.step = dying(crowd.step, 2)  # type: ignore[method-assign]
        return crowd


@pytest.mark.parametrize("where", ["in a look", "in the last look", "before a checkpoint", "at the end"])
def test_a_killed_run_stops_where_it_would_have_and_leaves_the_same_policy(
    tmp_path: Path, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = replace(FAST, trajectories=24, held_out_users=24)
    whole = run(tmp_path / "whole", Hacked(), config)
    looks = sum("held_out_utility" in row for row in rows(tmp_path / "whole")) + 1
    world = Killer({"in a look": 3, "in the last look": looks}.get(where, 0))
    with monkeypatch.context() as patch, pytest.raises(Killed):
        if where == "before a checkpoint":
            patch.setattr(Learner, "save", dying(Learner.save, 4))
        if where == "at the end":
            patch.setattr(Policy, "save_pretrained", dying(Policy.save_pretrained, 1))
        run(tmp_path / "cut", Hacked(), config, world)
    resumed = run(tmp_path / "cut", Hacked(), config)
    assert resumed.version == whole.version
    for (name, a), (_, b) in zip(whole.named_parameters(), resumed.named_parameters(), strict=True):
        assert torch.equal(a, b), name
    for name in ("metrics.jsonl", "done.json"):
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "cut" / name).read_bytes(), name


def stopping_in_groups(folder: Path) -> None:
    config = replace(FAST, iterations=4, trajectories=10, group=3, held_out_users=10)
    run(folder, Taste(), config)


def test_two_processes_look_as_one_does(tmp_path: Path) -> None:
    stopping_in_groups(tmp_path / "one")
    assert together(stopping_in_groups, tmp_path / "two") == [0, 0]
    for one, two in zip(rows(tmp_path / "one"), rows(tmp_path / "two"), strict=True):
        assert two == pytest.approx(one, rel=1e-3, abs=1e-5)
    summaries = [Stage("ppo", tmp_path / name).summary() for name in ("one", "two")]
    assert summaries[0]["best_iteration"] == summaries[1]["best_iteration"]
    weights = [load_file(tmp_path / name / "policy" / "policy.safetensors") for name in ("one", "two")]
    for name, weight in weights[0].items():
        torch.testing.assert_close(weights[1][name], weight, rtol=1e-3, atol=1e-4)
