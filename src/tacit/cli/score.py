"""``tacit score``: the reward model's word on dialogues that somebody else held."""

from __future__ import annotations

import json
from pathlib import Path

from tacit.cli.folders import encoder_of, require
from tacit.data.dialogues import logs
from tacit.dialogue.reward.model import RewardModel
from tacit.types import Dialogue


def score(run_folder: Path, file: Path) -> None:
    """One JSON line an agent turn: dialogue, turn (index in the file), reward, channels."""
    require(run_folder / "reward" / "done.json", f"run `tacit reward {run_folder}` first")
    model = RewardModel.from_pretrained(run_folder / "reward" / "model", encoder_of(run_folder))
    for _, dialogue in logs.read(file, model.catalog):
        for line in lines(model, dialogue):
            print(json.dumps(line, ensure_ascii=False))


def lines(model: RewardModel, dialogue: Dialogue) -> list[dict[str, object]]:
    agent = [t for t, turn in enumerate(dialogue.turns) if turn.speaker == "agent"]
    scored = model.score([dialogue.before(t) for t in agent], [dialogue.turns[t] for t in agent])
    return [
        {"dialogue": dialogue.id, "turn": t, "reward": reward, **channels}
        for t, (reward, channels) in zip(agent, scored, strict=True)
    ]
