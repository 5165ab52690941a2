"""The settings of a round of learning."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from tacit.dialogue.reward.collect import LogConfig
from tacit.dialogue.reward.signals import SignalConfig
from tacit.dialogue.reward.train import RewardConfig
from tacit.dialogue.train.offpolicy import OffPolicyConfig
from tacit.dialogue.train.ppo_learner import PPOConfig
from tacit.dialogue.users.crowd import UsersConfig
from tacit.labels.settings import LabelSettings
from tacit.run.limits import above, at_least, between, random_seed


def _log_alone() -> RewardConfig:
    """No simulated session: the reward is learnt from the log, and examined on sessions of it that were kept apart."""
    none = LogConfig(sessions=0, explore_sessions=0, popular_sessions=0, cheat_sessions=0)
    return RewardConfig(logs=none, dialogues=10**6)


@dataclass
class LearnConfig:
    store: str = ""  # the log
    policy: str = ""  # the policy that logged, a folder; the round starts from it and stays near it
    # from the log: importance-weighted policy gradient on whole slates, preferences of slates, or one number an item;
    # or PPO on simulated users who are fitted to the log
    method: Literal["offpolicy", "dpo", "setdpo", "kto", "items", "ppo"] = "offpolicy"
    labels: LabelSettings = field(default_factory=LabelSettings)
    signals: SignalConfig = field(default_factory=SignalConfig)
    reward: RewardConfig = field(default_factory=_log_alone)
    step: OffPolicyConfig = field(default_factory=OffPolicyConfig)  # all but ppo
    users: UsersConfig = field(default_factory=UsersConfig)  # ppo
    ppo: PPOConfig = field(default_factory=PPOConfig)  # ppo
    # share of the people who teach nothing: they examine the reward, and `tacit ope` judges the candidate on them
    held_out: float = above(0.0, default=0.2, high=0.9)
    past_sessions: int = at_least(0, default=3)  # that the server told the policy of, of a person who comes back
    as_of: int = at_least(0, default=0, high=2**53)  # milliseconds: what was known then counts; 0 = when a round begins
    seed: int = random_seed(default=0)
    device: str = "auto"
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"  # of ppo
    threads: int = between(0, 1024, default=0)
    out: str = ""  # the round's folder
