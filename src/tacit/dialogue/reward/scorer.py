"""The reward model as a scorer of turns."""

from __future__ import annotations

import math
from collections.abc import Sequence

from tacit.dialogue.reward.model import RewardModel
from tacit.types import Dialogue, InputError, Turn


class RewardScorer:
    """R_phi behind a guard: a reward that is not a number never reaches a trainer."""

    name = "reward_model"

    def __init__(self, model: RewardModel) -> None:
        self.model = model

    def score(self, contexts: Sequence[Dialogue], turns: Sequence[Turn]) -> list[tuple[float, dict[str, float]]]:
        scored = self.model.score(contexts, turns)
        for context, (reward, _) in zip(contexts, scored, strict=True):
            if not math.isfinite(reward):
                raise InputError(
                    f"the reward of a turn in dialogue {context.id} is not a number: the reward model is damaged; "
                    "delete the run's reward folder and run tacit reward again."
                )
        return scored
