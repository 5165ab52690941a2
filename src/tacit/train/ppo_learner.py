"""What PPO trains and what a checkpoint of it holds."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from tacit import losses
from tacit.models.policy import Policy
from tacit.run import Stage, pack_optimizer, unpack_optimizer
from tacit.train.ppo_config import PPOConfig


@dataclass
class Learner:
    """What an iteration changes, and so what a checkpoint holds."""

    policy: Policy
    optimizer: torch.optim.AdamW
    kl_text_coef: float
    kl_slate_coef: float
    moments: losses.Moments = field(default_factory=losses.Moments)

    @classmethod
    def of(cls, policy: Policy, config: PPOConfig) -> Learner:
        """AdamW with eps 1e-5, no weight decay, one group each for language model, slate head and value heads."""
        groups: dict[str, list[nn.Parameter]] = {"lr": [], "slate_lr": [], "value_lr": []}
        for name, parameter in policy.named_parameters():
            part = name.split(".")[0]
            kind = "value_lr" if part.endswith("value") else "slate_lr" if part == "head" else "lr"
            if parameter.requires_grad:
                groups[kind].append(parameter)
        parts = [{"params": group, "lr": getattr(config, kind), "kind": kind} for kind, group in groups.items()]
        optimizer = torch.optim.AdamW(parts, eps=1e-5, weight_decay=0.0)
        return cls(policy, optimizer, config.kl_text_coef, config.kl_slate_coef)

    def value_parameters(self) -> list[nn.Parameter]:
        return [p for group in self.optimizer.param_groups if group["kind"] == "value_lr" for p in group["params"]]

    def policy_parameters(self) -> list[nn.Parameter]:
        return [p for group in self.optimizer.param_groups if group["kind"] != "value_lr" for p in group["params"]]

    def trainable(self) -> dict[str, Tensor]:
        return {f"policy.{name}": p for name, p in self.policy.named_parameters() if p.requires_grad}

    def save(self, stage: Stage, iteration: int) -> None:
        tensors, optimizer = pack_optimizer(self.optimizer)
        moments = [self.moments.count, self.moments.mean, self.moments.squares]
        coefs = {"kl_text_coef": self.kl_text_coef, "kl_slate_coef": self.kl_slate_coef}
        stage.checkpoints.save(
            iteration, {**self.trainable(), **tensors}, {"optimizer": optimizer, "moments": moments, **coefs}
        )

    def restore(self, stage: Stage) -> int:
        """Continue from the newest whole checkpoint; returns how many iterations are behind us."""
        checkpoint = stage.checkpoints.latest()
        if checkpoint is None:
            return 0
        checkpoint.into(self.trainable())
        unpack_optimizer(self.optimizer, checkpoint.tensors, checkpoint.state["optimizer"])
        self.moments = losses.Moments(*checkpoint.state["moments"])
        self.kl_text_coef = checkpoint.state["kl_text_coef"]
        self.kl_slate_coef = checkpoint.state["kl_slate_coef"]
        return checkpoint.step
