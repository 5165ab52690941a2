"""The settings of learning from outcomes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from tacit.data.dialogues.sources import DataConfig
from tacit.dialogue.policy.network import PolicyConfig
from tacit.dialogue.train.outcomes.settings import OutcomesConfig
from tacit.dialogue.train.sft_config import SFTConfig
from tacit.dialogue.users.replay import Grades
from tacit.run.limits import above, between, random_seed


@dataclass
class OutcomesRunConfig:
    data: DataConfig = field(default_factory=DataConfig)
    policy: PolicyConfig = field(default_factory=PolicyConfig)
    sft: SFTConfig = field(default_factory=SFTConfig)
    # share of the training dialogues, by whole persons, that SFT sees (fold A); outcomes come from the others (fold B)
    first_fold: float = above(0.0, default=0.5, high=0.95)
    grades: Grades = field(default_factory=Grades)
    learn: OutcomesConfig = field(default_factory=OutcomesConfig)
    # weights of the reward's loss beside the likelihood; validation by unseen persons chooses one for each learner
    weights: list[float] = field(default_factory=lambda: [3.0, 10.0])
    draws: int = between(10, 10**6, default=1000)  # bootstrap resamples
    seed: int = random_seed(default=0)  # of the folds, the first weights and every draw
    device: str = "auto"
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"  # of sft
    threads: int = between(0, 1024, default=0)
    out: str = ""
