"""Who plays conversations: groups of them, each with random generators of its own, whoever plays it and beside whom.

A group is the unit of work. It begins with an empty cache of embeddings, whose last bits depend on what they were
batched with, so that it comes out the same in this process, in one of several, and on a worker with the same processor.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Protocol, TypeVar

import numpy as np
import torch

from tacit.dialogue.policy.policy import Policy
from tacit.dialogue.rollout import SimulatedUsers, Users, play
from tacit.run.distributed import spread
from tacit.types import Dialogue, Episode, Scorer

U = TypeVar("U")
R = TypeVar("R")


@dataclass(frozen=True)
class Players:
    """A policy, the users it talks to, and who scores its turns.

    ``keep`` takes from a crowd what is to be recorded of it, where it was played: the crowd itself is large.
    """

    policy: Policy
    world: SimulatedUsers
    scorer: Scorer | None = None
    keep: Callable[[Users], Any] = lambda crowd: crowd
    dtype: str = "float32"


@dataclass(frozen=True)
class Group:
    """``size`` conversations that are played side by side."""

    ids_prefix: str
    size: int
    max_turns: int
    seeds: tuple[int, ...]
    version: str  # of the policy, as samples name it


@dataclass(frozen=True)
class Played:
    """``finals`` are the whole conversations, each with the user's last words."""

    episodes: list[Episode]
    finals: list[Dialogue]
    kept: Any


class Hands(Protocol):
    """Applies a function to (players, unit) for each unit, wherever and whenever; the results in the units' order."""

    def __call__(self, function: Callable[[Players, U], R], units: Sequence[U]) -> Iterable[R]: ...


def own_hands(players: Players) -> Hands:
    """This process, or the several of a run, each with players of its own."""
    return lambda function, units: spread(partial(function, players), units)


def play_group(players: Players, group: Group) -> Played:
    policy = players.policy
    users, draws, _ = generators(*group.seeds)
    policy.encoder.clear_cache()
    policy.version = group.version
    crowd = players.world.start(group.size, users, ids_prefix=group.ids_prefix)
    with precision(policy, players.dtype):
        episodes = play(lambda contexts: policy.act(contexts, draws), crowd, players.scorer, group.max_turns)
    return Played(episodes, list(crowd.dialogues), players.keep(crowd))


def meet_group(players: Players, group: Group) -> Any:
    """What is kept of a group that nobody scores."""
    return play_group(replace(players, scorer=None), group).kept


def in_groups(
    name: str, conversations: int, at_once: int, max_turns: int, seeds: tuple[int, ...], version: str
) -> list[Group]:
    """So many conversations in groups of ``at_once`` that are played apart, all in one where that is 0."""
    if at_once == 0:
        return [Group(f"{name}-", conversations, max_turns, seeds, version)]
    return [
        Group(f"{name}-{start}-", min(at_once, conversations - start), max_turns, (*seeds, start), version)
        for start in range(0, conversations, at_once)
    ]


def generators(*seeds: int) -> tuple[np.random.Generator, torch.Generator, torch.Generator]:
    """Independent streams for the users, the policy's draws and the order of minibatches."""
    users, draws, shuffles = np.random.SeedSequence(seeds).spawn(3)
    first, second = (int(s.generate_state(1, np.uint64)[0] >> np.uint64(1)) for s in (draws, shuffles))
    return np.random.default_rng(users), torch.Generator().manual_seed(first), torch.Generator().manual_seed(second)


def precision(policy: Policy, dtype: str) -> torch.autocast:
    """Without autocast's cache: it would go on handing out the weights as they were before the first update."""
    return torch.autocast(policy.device.type, torch.bfloat16, enabled=dtype == "bfloat16", cache_enabled=False)
