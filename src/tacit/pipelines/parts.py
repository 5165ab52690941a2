"""What a run folder holds, loaded; and who plays a stage's conversations with it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal, cast

import numpy as np
import torch
from torch import Tensor

from tacit.dialogue.players import Hands, Players, R, U, own_hands
from tacit.dialogue.policy.policy import Policy
from tacit.dialogue.reward.collect import redrawn_of
from tacit.dialogue.reward.model import RewardModel
from tacit.dialogue.reward.scorer import RewardScorer
from tacit.dialogue.rollout import Users, write_rollouts
from tacit.dialogue.users import oracle
from tacit.dialogue.users.crowd import Crowd, UserWorld
from tacit.run.distributed import is_writer, size
from tacit.run.folder import Run
from tacit.run.limits import at_least
from tacit.run.ray_cluster import Actors, cluster
from tacit.run.stages import settle
from tacit.types import Episode, Floats64, InputError


@dataclass
class RolloutConfig:
    # workers of a Ray cluster (the one that RAY_ADDRESS names, or one started here) that play the conversations which
    # the reward and PPO learn from; 0 = this process does. The conversations are the same
    ray_workers: int = at_least(0, default=0)


class HiddenRecorder:
    """Writes the rollouts with the hidden utility beside them; tells its mean over turns and over conversations.

    The trainer is handed this, since it may not read the hidden utility itself.
    """

    def keep(self, crowd: Users) -> tuple[oracle.Hidden, int]:
        return oracle.read(crowd), cast(Crowd, crowd).redrawn

    def __call__(
        self,
        path: Path,
        episodes: Sequence[Episode],
        kept: Sequence[tuple[oracle.Hidden, int]],
        columns: Mapping[str, Sequence[float]],
    ) -> dict[str, float]:
        steps = [row for hidden, _ in kept for row in hidden]
        if is_writer():
            write_rollouts(path, episodes, steps, columns)
        every = [value for row in steps for value in row]
        totals = np.concatenate([hidden.total for hidden, _ in kept])
        return {
            "hidden_utility": float(np.mean(every)) if every else 0.0,
            "hidden_utility_total": float(np.mean(totals)) if len(totals) else 0.0,
            "redrawn_lines": float(sum(redrawn for _, redrawn in kept)),
        }

    def utility(self, kept: tuple[oracle.Hidden, int]) -> Floats64:
        return kept[0].total


def load_policy(run: Run, stage: str, device: str) -> Policy:
    return Policy.from_pretrained(run.folder / stage / "policy").to(device)


def load_world(run: Run, policy: Policy) -> UserWorld:
    return UserWorld.load(run.folder / "users", policy.catalog)


def load_reward_model(run: Run, policy: Policy) -> RewardModel:
    return RewardModel.from_pretrained(run.folder / "reward" / "model", policy.encoder).to(policy.device)


Playing = Literal["reward", "ppo"]  # the stages that play conversations


def players_of(run: Run, stage: Playing, device: str, dtype: str) -> Players:
    """Those of a stage, as the stages before it have left them."""
    policy = load_policy(run, "sft", device)
    world = load_world(run, policy)
    if stage == "reward":
        return Players(policy, world, keep=redrawn_of)
    return Players(policy, world, RewardScorer(load_reward_model(run, policy)), HiddenRecorder().keep, dtype)


@contextlib.contextmanager
def hands_of(players: Players, config: RolloutConfig, run: Run, stage: Playing, threads: int) -> Iterator[Hands]:
    """Who plays a stage's conversations: this process and its like, or ``config.ray_workers``."""
    if not config.ray_workers:
        yield own_hands(players)
        return
    if size() > 1:
        raise InputError("rollout.ray_workers is for one training process: those of torchrun share conversations.")
    kind = players.policy.device.type
    there = partial(_players_there, run.folder.resolve(), run.seed, stage, kind, threads, players.dtype)
    asked = f"rollout.ray_workers={config.ray_workers}"
    with cluster(asked):
        yield ByRay(Actors(config.ray_workers, there, take, kind == "cuda", asked), players.policy)


def _players_there(folder: Path, seed: int, stage: Playing, kind: str, threads: int, dtype: str) -> Players:
    """On a worker, which must see the run folder under the same path, and has as many threads as the trainer."""
    return players_of(Run(folder, seed), stage, settle(kind, threads), dtype)


@dataclass(frozen=True)
class ByRay:
    """Hands that are a cluster's: each unit is played with the weights that ``policy`` has here and now."""

    actors: Actors
    policy: Policy

    def __call__(self, function: Callable[[Players, U], R], units: Sequence[U]) -> Iterable[R]:
        trained = {name: p.detach().cpu() for name, p in self.policy.named_parameters() if p.requires_grad}
        return self.actors.map(function, units, trained)


@torch.no_grad()
def take(players: Players, weights: Mapping[str, Tensor]) -> None:
    """Put the trainer's weights into a worker's policy."""
    own = dict(players.policy.named_parameters())
    for name, weight in weights.items():
        own[name].copy_(weight)
