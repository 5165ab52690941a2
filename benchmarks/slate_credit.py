"""What should a slate learn from: the conversation it stood in, or other slates of the same turn?

    python benchmarks/slate_credit.py RUN OUT [USERS [ITERATIONS]]

RUN has finished reward stages. PPO starts from its supervised policy with the settings of RUN and ITERATIONS (14),
once with ``ppo.slate_group=0`` (conversation), once with 8 (group), and once so with the weights of engagement alone.
Beside them stands SFT, and each once more told to recommend in every turn, where slates and words alone differ. OUT
gets a folder each, and goes on after a kill.

Hidden utility (emulated): USERS (400) fresh simulated users, the same for every policy. NDCG@10: new items of the
validation dialogues, all of them even where RUN learnt from a part; their seekers train nowhere. The test is not
opened. Intervals are 95 %, over users and seekers.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl

from reward_subsets import SUBSETS, align, measure
from tacit.dialogue.evaluate.satisfaction import per_user, write_conversations
from tacit.dialogue.users.crowd import UserWorld
from tacit.metrics.intervals import bootstrap_mean
from tacit.metrics.ranks import ndcg
from tacit.pipelines.dialogue import load_config
from tacit.recommender import policy_of
from tacit.types import Floats64

ALL, ENGAGEMENT = SUBSETS[-1], SUBSETS[0]
ARMS = {"conversation": (0, ALL), "group": (8, ALL), "group, engagement alone": (8, ENGAGEMENT)}
SFT, FREE, FORCED = "sft", "users.parquet", "forced.parquet"


def utility(file: Path) -> tuple[Floats64, float]:
    """Hidden utility of each user, and the share of turns that recommend."""
    talks = pl.read_parquet(file)
    users = per_user(talks).sort("dialogue")
    return users["hidden utility"].to_numpy(), float((talks["decision"] == "recommend").mean())  # type: ignore[arg-type]


def hits(folder: Path) -> tuple[Floats64, np.ndarray]:
    """NDCG@10 and seeker of each case."""
    ranks = pl.read_parquet(folder / "ranks.parquet")
    masked = next(name for name in ranks.columns if name.endswith("/masked") and "sampled" not in name)
    return ndcg(ranks[masked].to_numpy(), 10), ranks["user"].to_numpy()


def over(values: Floats64, groups: np.ndarray | None = None) -> str:
    whose = np.arange(len(values)) if groups is None else groups
    return str(bootstrap_mean(values, whose, np.random.default_rng(0)))


def main(run: Path, out: Path, users: int = 400, iterations: int = 14) -> None:
    config = load_config(run)
    limit, windows = config.evaluate, policy_of(run, "sft").encoder  # which keeps what it reads
    for name in (SFT, *ARMS):
        folder = out / name
        folder.mkdir(parents=True, exist_ok=True)
        policy = policy_of(run, "sft")
        if name in ARMS:
            group, chosen = ARMS[name]
            ppo = replace(config.ppo, slate_group=group, iterations=iterations)
            policy = align(run, replace(config, ppo=ppo), chosen, folder)
        measure(run, config, policy, name, folder, users, windows)
        talk = (
            UserWorld.load(run / "users", policy.catalog),
            None,
            None,
            users,
            limit.max_turns,
            limit.batch,
            config.seed,
        )
        write_conversations(folder / FORCED, name, policy, *talk, decide="recommend")
    (sft, _), (forced, _) = utility(out / SFT / FREE), utility(out / SFT / FORCED)
    plain, seekers = hits(out / SFT)
    head = (
        "",
        "recommends",
        "hidden utility",
        "− SFT",
        "− SFT made to",
        "made to: − SFT made to",
        "NDCG@10, new",
        "− SFT",
    )
    print(f"| {' | '.join(head)} |\n{'|---' * len(head)}|")
    for name in (SFT, *ARMS):
        (felt, recommends), (made, _) = utility(out / name / FREE), utility(out / name / FORCED)
        ranked, _ = hits(out / name)
        gains = over(felt - sft), over(felt - forced), over(made - forced)
        cells = [name, f"{recommends:.2f}", f"{felt.mean():.3f}", *gains, f"{ranked.mean():.4f}"]
        print(f"| {' | '.join([*cells, over(ranked - plain, seekers)])} |")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), *map(int, sys.argv[3:5]))
