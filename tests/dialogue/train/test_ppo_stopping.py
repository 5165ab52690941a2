"""Stop now or go on: PPO finds the known optimum of worlds where waiting costs, where it pays, and where a bonus for
length would have it talk on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ppo_fakes import tiny_policy
from stop_world import Proxy, Waiting, WaitingWorld

from tacit.dialogue.train.ppo import run_ppo
from tacit.dialogue.train.ppo_learner import PPOConfig
from tacit.run.folder import Stage
from tacit.types import Episode

PLAIN = PPOConfig(
    iterations=7, trajectories=32, max_turns=4, minibatch=64, microbatch=64, epochs=4, lr=3e-3, slate_lr=1e-3,
    decision_lr=0.0, value_warmup=0, lr_warmup=0, value_epochs=0,
    decision_weight=1.0, text_weight=0.0, slate_weight=0.0,
    gamma_turn=1.0, lam_turn=1.0, no_eos_penalty=0.0, kl_text_coef=0.0, kl_slate_coef=0.0, kl_gain=0.0, kl_stop=1.0,
)  # fmt: skip


class Recorder:
    """Turns of talk before the end, and what the conversation was worth to the user, on the mean."""

    def keep(self, crowd: Waiting) -> list[list[float]]:
        return crowd.hidden

    def __call__(
        self,
        path: Path,
        episodes: Sequence[Episode],
        kept: Sequence[list[list[float]]],
        columns: Mapping[str, Sequence[float]],
    ) -> dict[str, float]:
        talk = [sum(step.sample.slate is None for step in episode.steps) for episode in episodes]
        worth = [sum(felt) for hidden in kept for felt in hidden]
        return {"talk": float(np.mean(talk)), "worth": float(np.mean(worth))}


COSTS = (1.0, 0.8, 0.6, 0.4)  # an answer after so many turns of talk: at once is best
PAYS = (0.2, 0.6, 1.0)  # little at once, more later, and nothing for whoever talks on
DEFAULTS = {"gamma_turn": 0.99, "lam_turn": 0.95, "value_epochs": 4}  # of PPO, across turns and with the critic


def learnt(folder: Path, worth: tuple[float, ...], bonus: float, **change: float) -> dict[str, float]:
    """Mean metrics of the last three iterations of real PPO, from a fresh policy that talks and answers about equally
    often."""
    parts = WaitingWorld(worth), Proxy(worth, bonus), Recorder(), replace(PLAIN, **change)  # type: ignore[arg-type]
    run_ppo(tiny_policy(0, reply=2), *parts, Stage("ppo", folder), 0)  # type: ignore[arg-type]
    first, *rest = Stage("ppo", folder).log.rows()
    assert 0.6 < first["talk"] < 1.4
    return {name: float(np.mean([row[name] for row in rest[-3:]])) for name in ("talk", "worth")}


@pytest.mark.parametrize("bonus", [0.0, 0.1])
def test_a_bonus_below_what_waiting_costs_does_not_keep_people_talking(tmp_path: Path, bonus: float) -> None:
    last = learnt(tmp_path, COSTS, bonus)
    assert last["talk"] < 0.4 and last["worth"] > 0.9


def test_a_bonus_above_it_does_and_the_user_pays(tmp_path: Path) -> None:
    """The reward asks for it: the learner is right, the reward is wrong."""
    last = learnt(tmp_path, COSTS, bonus=0.3)
    assert last["talk"] > 1.6 and last["worth"] < 0.7  # 1 at best


@pytest.mark.parametrize("bonus", [0.0, 0.2])
def test_waiting_that_pays_is_learnt_and_ends_in_time(tmp_path: Path, bonus: float) -> None:
    """Best is two turns of talk, then the answer: 1 + 2 b. At once it is worth .2; who only talks has 3 b and loses the
    user, so that a bonus for length leads past the optimum."""
    last = learnt(tmp_path, PAYS, bonus, iterations=14, **DEFAULTS)
    assert 1.8 < last["talk"] < 2.2 and last["worth"] > 0.9


def test_a_discount_that_is_too_short_takes_the_small_reward_at_once(tmp_path: Path) -> None:
    """At γ = .3 answers after 0, 1 and 2 turns return .2, .3 · .6 = .18 and .09 · 1 = .09."""
    last = learnt(tmp_path, PAYS, 0.0, iterations=10, gamma_turn=0.3)
    assert last["talk"] < 0.3 and last["worth"] < 0.3


def test_the_decision_has_a_step_of_its_own(tmp_path: Path) -> None:
    """Where the language model hardly moves, so that words stay words, when to answer is learnt all the same."""
    slow = {"lr": 1e-5, "gamma_turn": 1.0}
    alone = learnt(tmp_path / "alone", COSTS, 0.0, decision_lr=0.0, **slow)
    apart = learnt(tmp_path / "apart", COSTS, 0.0, decision_lr=0.1, **slow)
    assert apart["talk"] < 0.3 and alone["talk"] > apart["talk"] + 0.2
