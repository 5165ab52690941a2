"""Candidates that are made and not learnt: how the gate and the canary treat them is what the loop shows.

Each multiplies the logits of the slate: the same order of items, surer of itself or less, or the order turned round.
"""

from __future__ import annotations

from pathlib import Path

import torch

from tacit.dialogue.policy.policy import Policy
from tacit.run.files import atomic_folder

SHARPER, FLATTER, TURNED_ROUND = 1.25, 0.5, -1.0


def scaled(current: Path, out: Path, factor: float) -> Path:
    """A copy of a policy whose slate logits are ``factor`` times those of the one in ``current``."""
    policy = Policy.from_pretrained(current)
    with torch.no_grad():
        head = policy.head
        for part in (head.scale, head.item_bias, head.near_scale, head.repeat_bias, policy.directed.weight):
            part.mul_(factor)
    with atomic_folder(out) as folder:
        policy.save_pretrained(folder)
    return out
