"""How many utterances a policy should read: runs that differ in `policy.window` alone, beside the first of them.

    python benchmarks/windows.py OUT RUN [RUN ...]

Each RUN is a run of ReDial whose PPO stage is finished. On all validation dialogues, even where RUN learnt from a part:
ranks of new items, and bits per byte of TURNS messages of people; their seekers train nowhere, and the test is not
opened. Hidden utility: USERS fresh simulated users, the same for every policy. Levels, and paired differences with 95 %
intervals by seeker, or by simulated user. OUT keeps what is done; the table is of the runs that were given.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from tacit.data.dialogues.sources import load_training
from tacit.dialogue.evaluate.likelihood import write_likelihood
from tacit.dialogue.evaluate.protocols import cases
from tacit.dialogue.evaluate.ranking import write_ranks
from tacit.dialogue.evaluate.satisfaction import per_user, write_conversations
from tacit.dialogue.users.crowd import UserWorld
from tacit.metrics.intervals import Estimate, bootstrap_mean, bootstrap_sums
from tacit.metrics.ranks import hit, ndcg
from tacit.pipelines.dialogue import load_config
from tacit.recommender import policy_of
from tacit.types import Dialogue, Floats64, TestSet

USERS, TURNS, BATCH = 96, 1000, 64


def measure(run: Path, stage: str, folder: Path) -> None:
    """Three tables: users, ranks, likelihood. Those that are there stay."""
    config, policy = load_config(run), policy_of(run, stage)
    world = UserWorld.load(run / "users", policy.catalog)
    talks = world, None, None, USERS, config.evaluate.max_turns, BATCH
    write_conversations(folder / "users.parquet", stage, policy, *talks, config.seed)
    _, split = load_training(replace(config.data, limit=1.0))
    valid = TestSet(split.valid)
    found = [case for case in cases(valid, policy.catalog) if not case.repeated]

    def score(contexts: Sequence[Dialogue]) -> npt.NDArray[np.floating]:
        logits: npt.NDArray[np.floating] = policy.slate_logits(contexts).numpy()
        return logits

    write_ranks(folder / "ranks.parquet", stage, score, found, policy.catalog, "validation", config.seed, BATCH)
    write_likelihood(folder / "likelihood.parquet", stage, policy, valid, TURNS, config.seed)


@dataclass(frozen=True)
class Measured:
    folder: Path

    @cached_property
    def utility(self) -> Floats64:
        return per_user(pl.read_parquet(self.folder / "users.parquet"))["hidden utility"].to_numpy()

    @cached_property
    def ranks(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.generic]]:
        """Of each case, full catalogue with what was named masked; and its seeker."""
        table = pl.read_parquet(self.folder / "ranks.parquet")
        masked = next(name for name in table.columns if name.endswith("/masked") and "sampled" not in name)
        return table[masked].to_numpy(), table["user"].to_numpy()

    @cached_property
    def words(self) -> tuple[Floats64, npt.NDArray[np.generic]]:
        """Bits and bytes of each message, [n, 2]; and its seeker."""
        table = pl.read_parquet(self.folder / "likelihood.parquet")
        return table.select("bits", "bytes").to_numpy().astype(np.float64), table["user"].to_numpy()


def users(one: Measured, other: Measured) -> Estimate:
    return bootstrap_mean(one.utility - other.utility, np.arange(USERS), np.random.default_rng(0))


def ranking(one: Measured, other: Measured | None, metric: str) -> Estimate:
    of = {"HR@5": lambda ranks: hit(ranks, 5), "NDCG@10": lambda ranks: ndcg(ranks, 10)}[metric]
    values = of(one.ranks[0]).astype(np.float64)
    return bootstrap_mean(values - (of(other.ranks[0]) if other else 0.0), one.ranks[1], np.random.default_rng(0))


def words(one: Measured, other: Measured | None) -> Estimate:
    """Bits per byte."""
    parts, seekers = one.words
    against = other.words[0] if other else np.stack([np.zeros(len(parts)), np.ones(len(parts))], axis=1)
    both = np.concatenate([parts, against], axis=1)
    return bootstrap_sums(both, seekers, lambda s: s[:, 0] / s[:, 1] - s[:, 2] / s[:, 3], np.random.default_rng(0))


def main(out: Path, runs: Sequence[Path]) -> None:
    for run in runs:
        for stage in ("sft", "ppo"):
            (out / run.name / stage).mkdir(parents=True, exist_ok=True)
            measure(run, stage, out / run.name / stage)
    first = Measured(out / runs[0].name / "sft")
    shown = f"{runs[0].name}"
    print(f"| SFT | HR@5 | NDCG@10 | − {shown} | bits per byte | − {shown} | PPO − SFT: hidden utility | NDCG@10 |")
    print("|---" * 8 + "|")
    for run in runs:
        sft, ppo = (Measured(out / run.name / stage) for stage in ("sft", "ppo"))
        cells = [f"{ranking(sft, None, metric).value:.3f}" for metric in ("HR@5", "NDCG@10")]
        cells += [str(ranking(sft, first, "NDCG@10")), f"{words(sft, None).value:.3f}", str(words(sft, first))]
        cells += [str(users(ppo, sft)), str(ranking(ppo, sft, "NDCG@10"))]
        print(f"| {run.name} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main(Path(sys.argv[1]), [Path(run) for run in sys.argv[2:]])
