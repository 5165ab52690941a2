"""``tacit chat``: a person takes the user's place."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import torch

from tacit.catalog import Catalog
from tacit.dialogue.policy.policy import Policy
from tacit.recommender import policy_of, user_turn
from tacit.types import Dialogue, Turn


def chat(folder: Path, stage: str, seed: int, greedy: bool, items: Path | None = None) -> None:
    policy = policy_of(folder, stage)
    if items is not None:
        policy = policy.extended([item for item in Catalog.load(items) if item.id not in policy.catalog])
    generator = torch.Generator(policy.device).manual_seed(seed)
    dialogue = Dialogue("chat", "you", ())
    print(f"{policy.version}, {len(policy.catalog)} items. An empty line ends.", file=sys.stderr)
    for text in _lines():
        dialogue = dialogue.then(user_turn(policy, text))
        turn = policy.act([dialogue], generator, greedy=greedy)[0].turn()
        dialogue = dialogue.then(turn)
        print(shown(policy, turn), flush=True)


def shown(policy: Policy, turn: Turn) -> str:
    """The reply, and the slate below it, best first."""
    cards = [f"  {k}. {policy.catalog[item].title}" for k, item in enumerate(turn.slate.items if turn.slate else (), 1)]
    return "\n".join([f"agent> {turn.text}", *cards])


def _lines() -> Iterator[str]:
    while True:
        if sys.stdin.isatty():
            print("you> ", end="", file=sys.stderr, flush=True)
        line = sys.stdin.readline()
        if not line.strip():
            return
        yield line.strip()
