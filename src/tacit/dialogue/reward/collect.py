"""The logs a reward is learnt from: conversations of several behaviours with simulated users.

The SFT policy alone shows too little of what can go wrong; random slates, popular slates and scripted cheats show the
rest, each with the feedback it provoked. One file a behaviour, in the form of your own logs and written whole, so that
a killed stage goes on with the next behaviour.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import numpy as np
import torch

from tacit.catalog import Catalog
from tacit.data.dialogues.logs import read, write
from tacit.dialogue.players import Hands, Players, own_hands
from tacit.dialogue.policy.policy import Policy
from tacit.dialogue.reward.cheats import CHEATS, Cheat, as_samples
from tacit.dialogue.rollout import Users, play
from tacit.dialogue.users.crowd import Crowd, UserWorld
from tacit.run.distributed import barrier, from_writer, is_writer
from tacit.run.files import atomic_write, read_json
from tacit.run.limits import at_least, share
from tacit.run.progress import progress
from tacit.types import Dialogue, InputError, ItemId, Sample, Slate

REDRAWN = "redrawn.json"  # behaviour → lines that its users drew again
Act = Callable[[list[Dialogue]], list[Sample]]


@dataclass
class LogConfig:
    sessions: int = at_least(0, default=360)  # conversations of the SFT policy as it is
    explore_sessions: int = at_least(0, default=260)  # of the SFT policy with random items put into its slates
    popular_sessions: int = at_least(0, default=64)  # of the SFT policy with the most popular new items as its slate
    cheat_sessions: int = at_least(0, default=24)  # of each scripted cheat
    epsilon: float = share(default=0.5)  # share of slate positions that exploring replaces
    max_turns: int = at_least(1, default=8)  # agent turns in a conversation
    batch: int = at_least(1, default=96)  # conversations played at once


@dataclass(frozen=True)
class Behaviour:
    """Number ``number`` of the behaviours, and how many conversations of it are wanted."""

    name: str
    number: int
    sessions: int
    config: LogConfig
    seed: int


def collect(
    policy: Policy, world: UserWorld | None, config: LogConfig, folder: Path, seed: int, hands: Hands | None = None
) -> dict[str, list[Dialogue]]:
    """Behaviour → finished conversations, with feedback on every agent turn. Files already there are read back.

    A behaviour is played by one of the ``hands``, with random generators of its own. No sessions at all is no
    behaviour: then the reward is learnt from logged dialogues alone.
    """
    plan = {"sft": config.sessions, "explore": config.explore_sessions, "popular": config.popular_sessions}
    plan |= {f"cheat-{name}": config.cheat_sessions for name in CHEATS}
    wanted = [Behaviour(name, k, n, config, seed) for k, (name, n) in enumerate(plan.items()) if n]
    if not wanted:
        return {}
    if world is None:
        raise InputError("there are no simulated users here: set the sessions of reward.logs to 0.")
    paths = {one.name: folder / f"{one.name}.jsonl" for one in wanted}
    missing = from_writer(lambda: [one for one in wanted if not paths[one.name].exists()])
    hands = hands or own_hands(Players(policy, world, keep=redrawn_of))
    with progress(sum(one.sessions for one in wanted), "reward: conversations") as bar:
        bar.resume(sum(one.sessions for one in wanted if one not in missing))
        for one, (dialogues, again) in zip(missing, hands(play_behaviour, missing), strict=True):
            if is_writer():
                _count_redrawn(folder, one.name, again)
                write(paths[one.name], dialogues)
            bar.advance(one.sessions, note=one.name)
    barrier()
    return {name: [dialogue for _, dialogue in read(path, policy.catalog)] for name, path in paths.items()}


def play_behaviour(players: Players, one: Behaviour) -> tuple[list[Dialogue], int]:
    """The conversations, and how many lines of their users were drawn again because they gave a target away."""
    players.policy.encoder.clear_cache()  # what is cached depends on the past; a resumed stage has none
    act = behaviour(one.name, players.policy, one.config.epsilon, one.seed * 1000 + one.number)
    generator = np.random.default_rng([one.seed, 11, one.number])
    dialogues: list[Dialogue] = []
    again = 0
    while len(dialogues) < one.sessions:
        n = min(one.config.batch, one.sessions - len(dialogues))
        crowd = players.world.start(n, generator, ids_prefix=f"{one.name}-{len(dialogues)}-")
        play(act, crowd, None, one.config.max_turns)
        dialogues.extend(plain(dialogue) for dialogue in crowd.dialogues)
        again += players.keep(crowd)
    return dialogues, again


def redrawn_of(crowd: Users) -> int:
    """Lines that a crowd's users drew again."""
    return cast(Crowd, crowd).redrawn


def redrawn(folder: Path) -> int:
    """Lines that simulated users drew again in all behaviours; 0 of conversations that were not counted."""
    path = folder / REDRAWN
    if not path.is_file():
        return 0
    return sum(map(int, read_json(path, f"delete {folder} to play the conversations again.").values()))


def _count_redrawn(folder: Path, name: str, lines: int) -> None:
    path = folder / REDRAWN
    counts = read_json(path, f"delete {folder} to play the conversations again.") if path.is_file() else {}
    folder.mkdir(parents=True, exist_ok=True)
    atomic_write(path, json.dumps({**counts, name: lines}) + "\n")


def plain(dialogue: Dialogue) -> Dialogue:
    """Without propensities, which a mixture of scripted behaviours does not have, and with times in milliseconds."""
    turns = (replace(turn, slate=Slate(turn.slate.items)) if turn.slate else turn for turn in dialogue.turns)
    rounded = (replace(t, time_s=round(t.time_s, 3)) if t.time_s is not None else t for t in turns)
    return replace(dialogue, turns=tuple(rounded))


def behaviour(name: str, policy: Policy, epsilon: float, seed: int) -> Act:
    """What acts in the log of that name."""
    draws, tokens = np.random.default_rng(seed), torch.Generator().manual_seed(seed)
    if name.startswith("cheat-"):
        return scripted(CHEATS[name.removeprefix("cheat-")], name, policy.catalog, draws)
    if name == "sft":
        return lambda contexts: policy.act(contexts, tokens)
    choose = _random_slate if name == "explore" else _popular_slate
    return lambda contexts: [
        with_slate(sample, choose(sample.slate, context, policy.catalog, epsilon, draws), policy.catalog)
        for context, sample in zip(contexts, policy.act(contexts, tokens), strict=True)
    ]


def scripted(cheat: Cheat, name: str, catalog: Catalog, generator: np.random.Generator) -> Act:
    return lambda contexts: as_samples(cheat(contexts, catalog, generator, False), name)


def with_slate(sample: Sample, items: Sequence[ItemId], catalog: Catalog) -> Sample:
    """The sample with other items on its slate and their titles in its text. A turn without a slate stays as it is."""
    if sample.slate is None:
        return sample
    text = sample.text
    marks = [f"\0{k}\0" for k in range(len(items))]
    for mark, old in zip(marks, sample.slate.items, strict=False):
        text = text.replace(catalog[old].title, mark)
    for mark, new in zip(marks, items, strict=True):
        text = text.replace(mark, catalog[new].title)
    return replace(sample, text=text, slate=Slate(tuple(items)), slate_logprobs=())


def _random_slate(
    slate: Slate | None, _: Dialogue, catalog: Catalog, epsilon: float, generator: np.random.Generator
) -> list[ItemId]:
    items = list(slate.items) if slate else []
    for k in range(len(items)):
        other = catalog.items[int(generator.integers(len(catalog)))].id
        if generator.random() < epsilon and other not in items:
            items[k] = other
    return items


def _popular_slate(
    slate: Slate | None, context: Dialogue, catalog: Catalog, _: float, __: np.random.Generator
) -> list[ItemId]:
    size = len(slate.items) if slate else 0
    mentioned = set(context.mentioned())
    order = (catalog.items[int(i)].id for i in np.argsort(-catalog.counts, kind="stable"))
    new = (item for item in order if item not in mentioned)
    return [item for item, _ in zip(new, range(size), strict=False)]
