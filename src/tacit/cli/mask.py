"""``tacit inspect mask``: what every token of one dialogue weighs in the losses."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from rich.console import Console

from tacit.data.dialogues.sources import load_training
from tacit.dialogue.policy.policy import Policy
from tacit.dialogue.train.masks import mask_table, render
from tacit.pipelines.dialogue import RunConfig, load_config, own_logs
from tacit.recommender import policy_of
from tacit.types import Dialogue, InputError


def show(source: str, overrides: Sequence[str], wanted: str) -> None:
    """From a run folder the policy that was trained, from a config the policy before any training."""
    config = load_config(source, overrides)
    catalog, split = load_training(config.data)
    dialogue = _choose(split.train, wanted)
    if (Path(config.out) / "sft" / "done.json").is_file():
        policy = policy_of(Path(config.out), "sft")
    else:
        torch.manual_seed(config.seed)
        policy = Policy.fresh(catalog, split.train, config.policy)
    rejected = config.sft.rejected_as(own_logs(config))
    rows = mask_table(policy, dialogue, config.sft.slate_weight, config.ppo, rejected)
    Console().print(render(rows, _title(config, dialogue)))


def _title(config: RunConfig, dialogue: Dialogue) -> str:
    return f"{config.data.name} dialogue {dialogue.id}: weight in the loss, were it a batch of its own"


def _choose(dialogues: Sequence[Dialogue], wanted: str) -> Dialogue:
    for dialogue in dialogues:
        shows = any(turn.slate for turn in dialogue.turns)
        if dialogue.id == wanted or (not wanted and shows):
            return dialogue
    raise InputError(f"--dialogue {wanted}: no training dialogue has this id; leave it out to see the first one.")
