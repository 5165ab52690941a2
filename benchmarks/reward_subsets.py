"""What PPO learns from each subset of the reward's three channels: Table 2 of arXiv 2508.05289, all seven rows.

    python benchmarks/reward_subsets.py RUN OUT [ITERATIONS [USERS [SUBSET ...]]]

RUN is a run of ReDial whose reward stage is finished. Its networks foretell each channel whatever the weights are, so
one R_φ serves all: a subset keeps the weights of its channels (``signals``), the others have 0, and gain and bias are
set on the supervised policy's sessions as ever. PPO starts from one supervised policy with the settings of RUN, for
ITERATIONS (8). OUT gets a folder a subset, and goes on after a kill; the table is of all that is there.

Hidden utility: USERS (96) fresh simulated users, the same for every policy. NDCG@10: new items of the validation
dialogues, all of them even where RUN learnt from a part; their seekers train nowhere. The test is not opened.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl
import torch

from tacit.data.dialogues.logs import read as read_log
from tacit.data.dialogues.sources import load_training
from tacit.dialogue.evaluate.protocols import cases
from tacit.dialogue.evaluate.ranking import write_ranks
from tacit.dialogue.evaluate.satisfaction import per_user, write_conversations
from tacit.dialogue.policy.policy import Policy
from tacit.dialogue.reward.labels import observe
from tacit.dialogue.reward.model import RewardModel
from tacit.dialogue.reward.scorer import RewardScorer
from tacit.dialogue.reward.signals import CHANNELS
from tacit.dialogue.reward.train import centre, held, read
from tacit.dialogue.train.ppo import run_ppo
from tacit.dialogue.users.crowd import UserWorld
from tacit.metrics.intervals import bootstrap_mean
from tacit.metrics.ranks import ndcg
from tacit.pipelines.dialogue import RunConfig, load_config
from tacit.pipelines.parts import HiddenRecorder
from tacit.recommender import load_reward, policy_of
from tacit.run.folder import Stage
from tacit.text.encoder import TextEncoder
from tacit.types import Dialogue, Floats64, TestSet

SUBSETS = [chosen for n in (1, 2, 3) for chosen in combinations(CHANNELS, n)]
TABLE = ("engagement", "relevance", "sentiment")


def weights_of(model: RewardModel, chosen: tuple[str, ...]) -> torch.Tensor:
    """Those of RUN where the channel is chosen, 0 elsewhere, brought to the sum 1."""
    kept = model.weights * torch.tensor([float(name in chosen) for name in CHANNELS])
    return kept / kept.abs().sum()


def reweigh(model: RewardModel, run: Path, chosen: tuple[str, ...]) -> None:
    """Weights of a subset; mean 0 and spread 1 on the sessions of the supervised policy that the reward learnt from."""
    sessions = [dialogue for _, dialogue in read_log(run / "reward" / "logs" / "sft.jsonl", model.catalog)]
    turns = [one for dialogue in sessions for one in observe(dialogue) if not held(one.context)]
    model.weights.copy_(weights_of(model, chosen))
    centre(model, read(model, turns))


def align(run: Path, config: RunConfig, chosen: tuple[str, ...], folder: Path) -> Policy:
    """PPO of the supervised policy against the subset's reward."""
    stage = Stage("ppo", folder / "ppo")
    if stage.done():
        return Policy.from_pretrained(stage.folder / "policy")
    policy = policy_of(run, "sft")
    model = RewardModel.from_pretrained(run / "reward" / "model", policy.encoder)
    reweigh(model, run, chosen)
    world = UserWorld.load(run / "users", policy.catalog)
    _, split = load_training(config.data)
    scorer, seed = RewardScorer(model), config.seed
    return run_ppo(policy, world, scorer, HiddenRecorder(), config.ppo, stage, seed, config.dtype, split.train)


def measure(
    run: Path, config: RunConfig, policy: Policy, name: str, folder: Path, users: int, windows: TextEncoder
) -> None:
    """Conversations with fresh users, and ranks of what validation's people named. ``windows`` reads these people's
    words, once for all policies where it is the policy's own encoder."""
    reward = load_reward(run)
    world = UserWorld.load(run / "users", policy.catalog)
    talks = world, RewardScorer(reward.model), None, users, config.evaluate.max_turns, config.evaluate.batch
    write_conversations(folder / "users.parquet", name, policy, *talks, config.seed)
    _, split = load_training(replace(config.data, limit=1.0))
    found = [case for case in cases(TestSet(split.valid), policy.catalog) if not case.repeated]

    if policy.encoder.fingerprint() == windows.fingerprint():
        policy.encoder = windows

    def score(contexts: Sequence[Dialogue]) -> npt.NDArray[np.floating]:
        logits: npt.NDArray[np.floating] = policy.slate_logits(contexts).numpy()
        return logits

    write_ranks(folder / "ranks.parquet", name, score, found, policy.catalog, "validation", config.seed, 64)


def columns(folder: Path) -> tuple[dict[str, Floats64], Floats64, np.ndarray]:
    """Of each user: hidden utility, the channels that R_φ foretells of its turns, whether it was recommended to; and
    NDCG@10 and seeker of each case."""
    talks = pl.read_parquet(folder / "users.parquet")
    users = per_user(talks)
    told = talks.group_by("dialogue").agg(
        *(pl.col(f"channel_{name}").mean().alias(name) for name in TABLE),
        (pl.col("decision") == "recommend").mean().alias("recommends"),
    )
    told = told.sort("dialogue")
    assert told["dialogue"].equals(users["dialogue"])
    values = {name: told[name].fill_null(float("nan")).to_numpy() for name in (*TABLE, "recommends")}
    ranks = pl.read_parquet(folder / "ranks.parquet")
    masked = next(name for name in ranks.columns if name.endswith("/masked") and "sampled" not in name)
    return (
        {"hidden utility": users["hidden utility"].to_numpy(), **values},
        ndcg(ranks[masked].to_numpy(), 10),
        ranks["user"].to_numpy(),
    )


def table(out: Path) -> None:
    plain, hits, seekers = columns(out / "sft")
    names = ("hidden utility", *TABLE, "recommends")
    print("| reward | " + " | ".join(f"{name}, − SFT" for name in names) + " | NDCG@10, − SFT |")
    print("|---" * (len(names) + 2) + "|")
    whose = np.arange(len(plain["hidden utility"]))
    levels = [f"{np.nanmean(plain[name]):.3f}" for name in names]
    print(f"| SFT | {' | '.join(levels)} | {bootstrap_mean(hits, seekers, np.random.default_rng(0))} |")
    for chosen in SUBSETS:
        folder = out / "-".join(chosen)
        if not (folder / "ranks.parquet").is_file():
            continue
        mine, ranked, _ = columns(folder)
        cells = []
        for name in names:
            gain = mine[name] - plain[name]
            told = np.isfinite(gain)
            cells.append(str(bootstrap_mean(gain[told], whose[told], np.random.default_rng(0))))
        cells.append(str(bootstrap_mean(ranked - hits, seekers, np.random.default_rng(0))))
        print(f"| {' + '.join(chosen)} | {' | '.join(cells)} |")


def main(run: Path, out: Path, iterations: int = 8, users: int = 96, *only: str) -> None:
    config = load_config(run)
    config.ppo.iterations = iterations
    windows = policy_of(run, "sft").encoder  # keeps what it reads
    (out / "sft").mkdir(parents=True, exist_ok=True)
    if not (out / "sft" / "ranks.parquet").is_file():
        measure(run, config, policy_of(run, "sft"), "sft", out / "sft", users, windows)
    for chosen in SUBSETS:
        name = "-".join(chosen)
        if (only and name not in only) or (out / name / "ranks.parquet").is_file():
            continue
        torch.manual_seed(config.seed)
        measure(run, config, align(run, config, chosen, out / name), name, out / name, users, windows)
    table(out)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), *map(int, sys.argv[3:5]), *sys.argv[5:])
