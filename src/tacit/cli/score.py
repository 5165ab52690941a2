"""``tacit score``: the reward model's word on dialogues that somebody else held."""

from __future__ import annotations

import json
from pathlib import Path

from tacit.recommender import load_reward
from tacit.run.terminal import printable


def score(run_folder: Path, file: Path, verify: bool = True) -> None:
    """One JSON line an agent turn: dialogue, turn (index in the file), reward, channels."""
    reward = load_reward(run_folder, verify=verify)
    for dialogue in reward.read(file):
        for row in reward.score([dialogue]):
            line = {"dialogue": row.dialogue, "turn": row.turn, "reward": row.reward, **row.channels}
            print(printable(json.dumps(line, ensure_ascii=False)))  # the same JSON, with more of it escaped
