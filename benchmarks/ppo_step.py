"""Where the time of one PPO iteration goes: conversations, re-scoring, updates.

    OMP_NUM_THREADS=1 python benchmarks/ppo_step.py [trajectories]

The policy is an untrained one of the default size on the synthetic world, so replies are as long as they can be. Each
figure is the fastest of three iterations.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tacit import losses
from tacit.data.dialogues.sources import DataConfig, load_training
from tacit.dialogue.policy.network import PolicyConfig
from tacit.dialogue.policy.policy import Policy
from tacit.dialogue.rollout import play
from tacit.dialogue.train.ppo import generators, turn_rewards
from tacit.dialogue.train.ppo_batch import build, frozen_copy, targets
from tacit.dialogue.train.ppo_learner import Learner, PPOConfig
from tacit.dialogue.train.ppo_monitor import Monitor
from tacit.dialogue.train.ppo_update import fit_critic, update
from tacit.dialogue.users.crowd import UsersConfig, UserWorld
from tacit.types import Dialogue, Turn


class Constant:
    """A scorer that costs nothing: the reward model has a benchmark of its own."""

    name = "constant"

    def score(self, contexts: Sequence[Dialogue], turns: Sequence[Turn]) -> list[tuple[float, dict[str, float]]]:
        return [(float(k % 2), {}) for k in range(len(turns))]


def main(trajectories: int = 64, rounds: int = 3) -> dict[str, float]:
    catalog, split = load_training(DataConfig())
    policy = Policy.fresh(catalog, split.train, PolicyConfig()).eval()
    policy.encoder.requires_grad_(False)
    world = UserWorld.fit(catalog, split.train, UsersConfig(), 0)
    reference, config = frozen_copy(policy), PPOConfig(trajectories=trajectories, value_warmup=0)
    learner = Learner.of(policy, config)
    found: list[dict[str, float]] = []
    for iteration in range(rounds):
        users, draws, shuffles = generators(0, iteration)
        policy.encoder.clear_cache()
        t0 = time.process_time()
        crowd = world.start(trajectories, users)
        episodes = play(lambda contexts, draws=draws: policy.act(contexts, draws), crowd, Constant(), config.max_turns)
        t1 = time.process_time()
        batch = build(episodes, crowd.dialogues, policy, reference, config.microbatch)
        t2 = time.process_time()
        rewards, _ = turn_rewards(batch, losses.Moments(), config)
        aims = targets(batch, rewards, config.kl_text_coef, config.kl_slate_coef, config.discounts)
        watch = Monitor(Path(tempfile.gettempdir()) / "ppo-step-stopped", "constant")
        stats = update(learner, batch, aims, config, shuffles, 1.0, None, watch, episodes)
        t3 = time.process_time()
        fit_critic(learner, batch, aims, config, shuffles)
        t4 = time.process_time()
        tokens = float(batch.old.token_mask.sum())
        found.append(
            {
                "turns": float(len(batch)),
                "tokens": tokens,
                "play_s": t1 - t0,
                "tokens_per_s": tokens / (t1 - t0),
                "rescore_s": t2 - t1,
                "update_s": t3 - t2,
                "critic_s": t4 - t3,
                "update_s_per_step": (t3 - t2) / max(stats["steps"], 1.0),
            }
        )
    return min(found, key=lambda row: row["play_s"] + row["rescore_s"] + row["update_s"])


if __name__ == "__main__":
    for name, value in main(int(sys.argv[1]) if len(sys.argv) > 1 else 64).items():
        print(f"{name:20s} {value:10.3f}")
