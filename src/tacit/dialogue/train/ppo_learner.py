"""What PPO trains and what a checkpoint of it holds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import nn

from tacit import losses
from tacit.dialogue.policy.policy import Policy
from tacit.dialogue.train.early_stopping import Best
from tacit.run.folder import Stage
from tacit.run.limits import above, at_least, between, learning_rate, share
from tacit.run.resume import Resumable

# which learning rate a parameter has, by the longest beginning of its name
STEPS = {"lm": "lr", "encoder": "lr", "text_value": "value_lr", "slate_value": "value_lr"}
STEPS |= {"decision": "decision_lr", "wish.decision": "decision_lr", "head": "slate_lr", "wish": "slate_lr"}
STEPS |= dict.fromkeys(("head.scale", "head.near_scale", "head.repeat_bias", "directed"), "terms_lr")


@dataclass
class Learner:
    """What an iteration changes, and so what a checkpoint holds."""

    policy: Policy
    optimizer: torch.optim.AdamW
    kl_text_coef: float
    kl_slate_coef: float
    moments: losses.Moments = field(default_factory=losses.Moments)
    best: Best | None = None  # with ``patience``

    @classmethod
    def of(cls, policy: Policy, config: PPOConfig) -> Learner:
        """AdamW with eps 1e-5, no weight decay, a group for each learning rate."""
        groups: dict[str, list[nn.Parameter]] = {kind: [] for kind in STEPS.values()}
        for name, parameter in policy.named_parameters():
            if parameter.requires_grad:
                groups[step_of(name)].append(parameter)
        parts = [{"params": group, "lr": getattr(config, kind), "kind": kind} for kind, group in groups.items()]
        optimizer = torch.optim.AdamW(parts, eps=1e-5, weight_decay=0.0)
        best = Best(_trained(policy)) if config.patience else None
        return cls(policy, optimizer, config.kl_text_coef, config.kl_slate_coef, best=best)

    def value_parameters(self) -> list[nn.Parameter]:
        return [p for group in self.optimizer.param_groups if group["kind"] == "value_lr" for p in group["params"]]

    def policy_parameters(self) -> list[nn.Parameter]:
        return [p for group in self.optimizer.param_groups if group["kind"] != "value_lr" for p in group["params"]]

    def save(self, stage: Stage, iteration: int) -> None:
        moments = [self.moments.count, self.moments.mean, self.moments.squares]
        coefs = {"kl_text_coef": self.kl_text_coef, "kl_slate_coef": self.kl_slate_coef}
        best = {"best": self.best.state()} if self.best else {}
        self._resumable(stage).save(iteration, {"moments": moments, **coefs, **best})

    def restore(self, stage: Stage) -> int:
        """Continue from the newest whole checkpoint; returns how many iterations are behind us."""
        done, place = self._resumable(stage).restore()
        if place:
            self.moments = losses.Moments(*place["moments"])
            self.kl_text_coef, self.kl_slate_coef = place["kl_text_coef"], place["kl_slate_coef"]
            if self.best:
                self.best.load(place["best"])
        return done

    def _resumable(self, stage: Stage) -> Resumable:
        weights = {f"policy.{name}": p for name, p in _trained(self.policy).items()}
        kept = {f"best.{name}": p for name, p in self.best.weights.items()} if self.best else {}
        return Resumable(stage, {**weights, **kept}, self.optimizer)


def _trained(policy: Policy) -> dict[str, nn.Parameter]:
    return {name: p for name, p in policy.named_parameters() if p.requires_grad}


def step_of(name: str) -> str:
    """The learning rate of a parameter."""
    return STEPS[max((part for part in STEPS if name.startswith(part)), key=len)]


def leave_alone(policy: Policy, config: PPOConfig) -> None:
    """Freeze what is not to be learnt."""
    policy.encoder.requires_grad_(False)
    for name, parameter in policy.named_parameters():
        if getattr(config, step_of(name)) == 0.0:
            parameter.requires_grad_(False)


@dataclass
class PPOConfig:
    iterations: int = at_least(1, default=14)  # rollout batches
    trajectories: int = at_least(1, default=48)  # conversations a batch
    # conversations that are played side by side, with random generators of their own whoever plays them: what several
    # processes or workers share; 0 = all of an iteration
    group: int = at_least(0, default=0)
    max_turns: int = at_least(1, default=5)  # agent turns; a conversation still open then is "cut" and bootstraps
    epochs: int = at_least(1, default=2)
    minibatch: int = at_least(1, default=64)  # turns an optimiser step
    microbatch: int = at_least(1, default=32)  # turns a forward pass: memory only, never the result's definition
    # the learning rate of each part; 0 leaves it as SFT left it
    lr: float = between(0.0, 1.0, default=1e-4)  # language model: words, and the decision with them
    decision_lr: float = between(0.0, 1.0, default=1e-2)  # what is added to the decision to recommend
    terms_lr: float = between(0.0, 1.0, default=3e-2)  # how much each term of the slate's logits counts: four weights
    slate_lr: float = between(0.0, 1.0, default=0.0)  # all else of the slate: vectors, biases, wishes
    lr_warmup: int = at_least(0, default=2)  # iterations over which these four rise linearly to their value
    # value heads: a batch holds few conversations, and larger steps learn them by heart
    value_lr: float = learning_rate(default=3e-4)
    # passes of the value heads over an iteration's states; 0: no critic, the batch's mean return is the baseline
    value_epochs: int = at_least(0, default=4)
    value_warmup: int = at_least(0, default=2)  # iterations that train the value heads only
    clip: float = above(0.0, default=0.2, high=1.0)  # ε
    decision_weight: float = at_least(0.0, default=0.2)  # of the clipped loss of the decisions to recommend or to chat
    text_weight: float = at_least(0.0, default=1.0)  # of that of the reply's tokens
    slate_weight: float = at_least(0.0, default=1.0)  # of that of the slate's places
    # slates of a turn that the reward compares, the shown one among them; a slate then learns from its own group, not
    # from what the conversation earned. 0: from the conversation
    slate_group: int = between(0, 1024, default=8)
    # of the words' divergence from SFT's on training dialogues, mixed into every step
    sft_kl_weight: float = at_least(0.0, default=0.0)
    sft_batch: int = at_least(1, default=8)  # training dialogues a step
    gamma: float = share(default=1.0)  # inside a turn
    lam: float = share(default=1.0)
    gamma_turn: float = share(default=0.99)  # across turns; equal pairs give plain token GAE
    lam_turn: float = share(default=0.95)
    reward_norm: Literal["running_std", "conversation"] = "running_std"  # running_std | conversation (arXiv 2508.05289)
    reward_clip: float = above(0.0, default=5.0)  # in standard deviations, running_std only
    no_eos_penalty: float = at_least(0.0, default=1.0)  # taken off the normalised reward of a reply cut before <eos>
    kl_text_coef: float = at_least(0.0, default=0.05)  # of the summed token KL, at the start
    kl_slate_coef: float = at_least(0.0, default=0.05)  # of the exact slate KL, at the start
    kl_text_target: float = above(0.0, default=2.0)  # nats a turn
    kl_slate_target: float = above(0.0, default=0.5)  # nats a slate
    kl_gain: float = at_least(0.0, default=0.5)  # how fast both coefficients follow (0 = fixed; Ziegler et al.: 0.1)
    kl_stop: float = above(0.0, default=0.03)  # KL(new, old) per token or slate place that ends an iteration's epochs
    kl_limit: float = above(0.0, default=50.0)  # nats a turn from the supervised policy that stop the run
    # looks in a row at which held-out simulated users are told to be worse off than at the best one, which end
    # training; the policy is then that of the best look. 0: every iteration, and the policy of the last
    patience: int = at_least(0, default=0)
    held_out_users: int = at_least(2, default=64)  # whose hidden utility is looked at before every iteration
    min_entropy: float = at_least(0.0, default=1e-3)  # nats a token below which the run stops
    grad_clip: float = at_least(0.0, default=1.0)  # of the gradient's norm; 0 = not

    def conflicts(self) -> Iterator[tuple[str, object, str]]:
        if self.slate_group == 1:
            yield "slate_group", 1, "0, or at least 2: one slate has nothing beside it"

    @property
    def discounts(self) -> losses.Discounts:
        return losses.Discounts(self.gamma, self.lam, self.gamma_turn, self.lam_turn)
