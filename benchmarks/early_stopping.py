"""What stopping at the peak of a reward saves: PPO of one run with and without `ppo.patience`.

    python benchmarks/early_stopping.py RUN OUT [PATIENCE [USERS]]

RUN has a finished reward stage; PPO begins twice from its SFT, with its settings, once for every iteration and once
until held-out users say PATIENCE (2) times in a row that they are worse off. USERS (400) fresh simulated users, whom
neither training nor a look has met, then talk to each policy: the same for all, differences paired, 95 % intervals by
user. OUT keeps what is done.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import torch

from tacit.data.dialogues.sources import load_training
from tacit.dialogue.evaluate.satisfaction import per_user, write_conversations
from tacit.dialogue.policy.policy import Policy
from tacit.dialogue.reward.scorer import RewardScorer
from tacit.dialogue.train.ppo import run_ppo
from tacit.dialogue.users.crowd import UserWorld
from tacit.metrics.intervals import bootstrap_mean
from tacit.pipelines.dialogue import load_config
from tacit.pipelines.parts import HiddenRecorder
from tacit.recommender import load_reward, policy_of
from tacit.run.folder import MetricLog, Stage


def align(run: Path, stage: Stage, patience: int) -> Policy:
    if stage.done():
        return Policy.from_pretrained(stage.folder / "policy")
    config = load_config(run)
    model = load_reward(run).model
    policy = policy_of(run, "sft")
    torch.manual_seed(config.seed)
    world, settings = UserWorld.load(run / "users", policy.catalog), replace(config.ppo, patience=patience)
    told = HiddenRecorder(), settings, stage, config.seed, config.dtype
    return run_ppo(policy, world, RewardScorer(model), *told, load_training(config.data)[1].train)


def curve(stage: Stage) -> None:
    """Reward, KL and both hidden utilities of each iteration."""
    print("| iteration | reward a turn | KL | hidden utility, training's | held-out users' | − best so far |")
    print("|---" * 6 + "|")
    for row in stage.log.rows():
        looked = "held_out_utility" in row
        gain = [f"{row[f'held_out_{part}']:+.3f}" for part in ("gain", "low", "high")] if "held_out_gain" in row else []
        cells = [
            f"{row['reward']:.2f}",
            f"{row['kl_text'] + row['kl_slate']:.2f}",
            f"{row['hidden_utility_total']:.3f}",
        ]
        cells += [
            f"{row['held_out_utility']:.3f}" if looked else "",
            f"{gain[0]} [{gain[1]}, {gain[2]}]" if gain else "",
        ]
        print(f"| {row['step'] - 1} | {' | '.join(cells)} |")


def main(run: Path, out: Path, patience: int = 2, users: int = 400) -> None:
    config = load_config(run)
    stages = {name: Stage("ppo", out / name) for name in ("all", "stopped")}
    policies = {name: align(run, stage, patience * (name == "stopped")) for name, stage in stages.items()}
    found: dict[str, pl.DataFrame] = {}
    for name, policy in {"sft": policy_of(run, "sft"), **policies}.items():
        path, world = out / f"{name}.parquet", UserWorld.load(run / "users", policy.catalog)
        scorer = RewardScorer(load_reward(run).model)
        talks = world, scorer, None, users, config.ppo.max_turns, config.evaluate.batch
        write_conversations(path, name, policy, *talks, config.seed)
        found[name] = pl.read_parquet(path)
    curve(stages["stopped"])
    print("\n| | iterations | seconds | reward a turn | hidden utility | − SFT |\n|---|---|---|---|---|---|")
    felt = {name: per_user(table)["hidden utility"].to_numpy() for name, table in found.items()}
    for name, table in found.items():
        gain = bootstrap_mean(felt[name] - felt["sft"], np.arange(users), np.random.default_rng(0))
        times = MetricLog(out / name / "timings.jsonl").rows()
        took = f"{len(times)} | {sum(row['seconds'] for row in times):.0f}" if times else " | "
        level = f"{table['score'].mean():.2f} | {felt[name].mean():.3f}"
        print(f"| {name} | {took} | {level} | {gain if name != 'sft' else ''} |")
    gain = bootstrap_mean(felt["stopped"] - felt["all"], np.arange(users), np.random.default_rng(0))
    print(f"\nstopped − all: {gain}; the policy after {stages['stopped'].summary()['best_iteration']} iterations")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), *map(int, sys.argv[3:]))
