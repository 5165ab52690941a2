"""How far the reward of a run can be optimised before the simulated users' hidden utility falls.

    python benchmarks/overoptimisation.py RUN OUT.svg [USERS [DRAWS]]

RUN has a finished reward stage; with a finished PPO stage its iterations are drawn beside. The same USERS (64) fresh
simulated users each hold DRAWS (16) conversations with the SFT policy; best-of-n takes the one with the most reward,
summed over its turns. Gains in hidden utility over n = 1 against the square root of KL, intervals by user; the laws of
Gao et al. (2023) are fitted to them. Hidden utility is emulated, and no trainer reads it. Seed 0.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch

from tacit.dialogue.reward.scorer import RewardScorer
from tacit.dialogue.rollout import play
from tacit.dialogue.users import oracle
from tacit.dialogue.users.crowd import UserWorld
from tacit.metrics.intervals import bootstrap_mean
from tacit.metrics.overoptimisation import Law, best_of_n, best_of_n_kl, fit_law
from tacit.recommender import load_reward, policy_of
from tacit.types import Floats64

TURNS, STREAM = 4, 7919


def conversations(run: Path, users: int, draws: int) -> tuple[Floats64, Floats64]:
    """Reward and hidden utility of each user's conversations, [users, draws] each."""
    policy, scorer = policy_of(run, "sft"), RewardScorer(load_reward(run).model)
    world = UserWorld.load(run / "users", policy.catalog)
    proxy, value = np.zeros((users, draws)), np.zeros((users, draws))
    for draw in range(draws):
        crowd = world.start(users, np.random.default_rng([0, STREAM]), ids_prefix=f"bon-{draw}-")
        tokens = torch.Generator().manual_seed(STREAM + draw)
        episodes = play(lambda contexts, tokens=tokens: policy.act(contexts, tokens), crowd, scorer, TURNS)
        proxy[:, draw] = [sum(step.score for step in episode.steps) for episode in episodes]
        value[:, draw] = oracle.read(crowd).total
        print(f"{draw + 1} of {draws} conversations of {users} users", file=sys.stderr)
    return proxy, value


def of_ppo(run: Path) -> tuple[Floats64, Floats64, Floats64]:
    """√KL, and the gains of reward and of hidden utility over the first iteration, of each later one of PPO."""
    path = run / "ppo" / "metrics.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()] if path.is_file() else []
    kept = [row for row in rows if "kl_text" in row and "hidden_utility_total" in row]
    columns = [[row["kl_text"] + row["kl_slate"], row["reward_total"], row["hidden_utility_total"]] for row in kept]
    table = np.array(columns).reshape(-1, 3)
    later = table[1:]
    return np.sqrt(np.maximum(later[:, 0], 0.0)), *(later[:, k] - table[:1, k] for k in (1, 2))


def main(run: Path, out: Path, users: int = 64, draws: int = 16) -> None:
    proxy, value = conversations(run, users, draws)
    sizes = [n for n in (2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64) if n <= draws]
    d = np.sqrt([best_of_n_kl(n) for n in sizes])
    spread = float(proxy.std())
    rewards = np.array([(best_of_n(proxy, proxy, n) - proxy.mean(1)).mean() for n in sizes]) / spread
    gains = [best_of_n(proxy, value, n) - value.mean(1) for n in sizes]
    generator = np.random.default_rng(0)
    print("| n | √KL | reward, spreads | hidden utility, gain |\n|---|---|---|---|")
    for n, root, reward, gain in zip(sizes, d, rewards, gains, strict=True):
        print(f"| {n} | {root:.2f} | {reward:+.2f} | {bootstrap_mean(gain, np.arange(users), generator)} |")
    means = np.array([gain.mean() for gain in gains])
    drawn: list[tuple[str, Floats64, Floats64, Floats64, Law | None]] = [
        ("best of n", d, rewards, means, fit_law(d, means, "best-of-n"))
    ]
    roots, climbed, felt = of_ppo(run)
    if len(roots) > 2:
        drawn.append(("PPO", roots, climbed / spread, felt, fit_law(roots, felt, "rl")))
    _, axes = plt.subplots(1, len(drawn), figsize=(5 * len(drawn), 3.5), squeeze=False)
    for axis, (name, x, reward, gain, law) in zip(axes[0], drawn, strict=True):
        axis.plot(x, reward, "o--", label="reward, spreads of SFT")
        axis.plot(x, gain, "s", label="hidden utility")
        if law is not None:
            line = np.linspace(0.0, float(x.max()) * 1.2, 50)
            axis.plot(line, law.gain(line), label=f"law, peak at √KL {law.peak:.2f}")
            print(f"{name}: α {law.alpha:.3f}, β {law.beta:.3f}, peak at √KL {law.peak:.2f}; measured to {x.max():.2f}")
        axis.set(title=name, xlabel="√KL from SFT", ylabel="gain")
        axis.legend()
    plt.tight_layout()
    plt.savefig(out)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), *map(int, sys.argv[3:]))
