"""Settings of the loop."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from tacit.offpolicy.gate import GateConfig
from tacit.offpolicy.rewards import RewardName
from tacit.pipelines.learn.config import LearnConfig
from tacit.pipelines.loop.visitors import VisitConfig
from tacit.run.limits import above, at_least, between, random_seed, share
from tacit.serve.canary import CanaryConfig

Learner = Literal["log", "sharper"]


@dataclass
class LoopConfig:
    run: str = "configs/demo.yaml"  # whose sft is served first
    settings: list[str] = field(default_factory=list)  # of that run, KEY=VALUE
    out: str = "runs/loop-demo"
    rounds: int = at_least(1, default=3)
    sessions: int = at_least(1, default=160)  # of honest people, to learn from in a round, and as many more to judge by
    canary_visits: int = at_least(1, default=4)  # so many times ``sessions`` people more, while a canary runs
    poisoned_round: int = at_least(0, default=2)  # 0: none
    fake_sessions: float = share(default=0.05)  # of the sessions that this round learns from
    fake_accounts: float = share(default=0.01)  # of the accounts
    learner: Learner = "log"  # `tacit learn`; or a candidate that is made by hand, to try the loop without learning
    learn: LearnConfig = field(default_factory=LearnConfig)  # of the log's rounds; store, policy and out are the loop's
    judge_by: RewardName = "click"  # what `tacit ope` judges a candidate by
    label_window_s: float = above(0.0, default=3.0)  # of silence; the users are in a hurry
    fresh_people: int = at_least(2, default=1000)  # whom the first and the last version both serve, in the end
    epsilon: float = share(default=0.05)  # of the server
    port: int = between(0, 65535, default=0)  # 0: a free one
    seed: int = random_seed(default=0)
    visit: VisitConfig = field(default_factory=VisitConfig)
    gate: GateConfig = field(default_factory=GateConfig)
    canary: CanaryConfig = field(default_factory=CanaryConfig)
