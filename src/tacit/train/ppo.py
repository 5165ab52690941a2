"""Proximal policy optimisation of a conversational recommender: play, score, advantage, update, again.

Each detail, its source and its place in this file are listed in docs/algorithms/ppo.md. Everything random in iteration
i comes from generators made of (seed, i), so a run killed anywhere continues bit for bit from its last checkpoint.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn

from tacit import losses
from tacit.models.policy import Policy
from tacit.rollout import Users, play, record
from tacit.run import MetricLog, Stage, atomic_folder, pack_optimizer, progress, unpack_optimizer
from tacit.train.ppo_batch import Batch, Targets, build, by_length, frozen_copy, targets
from tacit.train.ppo_watch import Watch, rollout_metrics
from tacit.types import Episode, InputError, Scorer


@dataclass
class PPOConfig:
    iterations: int = 20  # rollout batches
    trajectories: int = 64  # conversations a batch
    max_turns: int = 6  # agent turns; a conversation still open then is "cut" and bootstraps
    epochs: int = 2
    minibatch: int = 64  # turns an optimiser step
    microbatch: int = 32  # turns a forward pass: memory only, never the result's definition
    lr: float = 1e-4  # language model
    slate_lr: float = 3e-5  # slate head
    value_lr: float = 1e-3  # value heads
    lr_warmup: int = 2  # iterations over which lr and slate_lr rise linearly to their value
    value_warmup: int = 2  # iterations that train the value heads only
    clip: float = 0.2  # ε
    decision_weight: float = 0.2  # of the clipped loss of the decisions to recommend or to chat
    text_weight: float = 1.0  # of that of the reply's tokens
    slate_weight: float = 1.0  # of that of the slate's places
    value_weight: float = 0.5
    value_clip: float = 0.0  # 0 = off
    entropy_weight: float = 0.0
    gamma: float = 1.0  # inside a turn
    lam: float = 1.0
    gamma_turn: float = 0.99  # across turns; equal pairs give plain token GAE
    lam_turn: float = 0.95
    reward_norm: str = "running_std"  # running_std | conversation (arXiv 2508.05289) | none
    reward_clip: float = 5.0  # in standard deviations, running_std only
    no_eos_penalty: float = 1.0  # taken off the normalised reward of a reply cut before <eos>
    mask_unfinished: bool = False  # keep the tokens of such a reply out of the policy loss
    kl_text_coef: float = 0.05  # of the summed token KL, at the start
    kl_slate_coef: float = 0.05  # of the exact slate KL, at the start
    kl_text_target: float = 2.0  # nats a turn
    kl_slate_target: float = 0.5  # nats a slate
    kl_gain: float = 0.5  # how fast both coefficients follow (0 = fixed; Ziegler et al.: 0.1)
    kl_stop: float = 0.03  # KL(new, old) per token or slate place that ends an iteration's epochs
    kl_limit: float = 50.0  # nats a turn from the supervised policy that stop the run
    min_entropy: float = 1e-3  # nats a token below which the run stops
    grad_clip: float = 1.0


REWARD_NORMS = ("running_std", "conversation", "none")


class World(Protocol):
    """Simulated users: ``start`` opens ``n`` conversations."""

    def start(self, n: int, generator: np.random.Generator, ids_prefix: str = "") -> Users: ...


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
        with torch.no_grad():
            for name, parameter in self.trainable().items():
                parameter.copy_(checkpoint.tensors[name])
        unpack_optimizer(self.optimizer, checkpoint.tensors, checkpoint.state["optimizer"])
        self.moments = losses.Moments(*checkpoint.state["moments"])
        self.kl_text_coef = checkpoint.state["kl_text_coef"]
        self.kl_slate_coef = checkpoint.state["kl_slate_coef"]
        return checkpoint.step


def run_ppo(
    policy: Policy, world: World, scorer: Scorer, config: PPOConfig, stage: Stage, seed: int, dtype: str = "float32"
) -> Policy:
    """Align ``policy`` (the supervised one, changed in place and returned) with ``scorer`` on simulated users.

    Writes metrics.jsonl, timings.jsonl, rollouts/*.parquet, checkpoints/ and policy/ into the stage's folder, and
    finishes it with the last iteration's metrics. A scorer that embeds text shares ``policy.encoder``: its cache is
    emptied before each iteration, which bit-exact resuming needs. ``dtype="bfloat16"`` runs under autocast; the
    first ratio is then 1 to two digits only.
    """
    if config.reward_norm not in REWARD_NORMS:
        raise InputError(f"ppo.reward_norm={config.reward_norm}: use one of {', '.join(REWARD_NORMS)}.")
    policy.encoder.requires_grad_(False)
    policy.eval()  # dropout would make the ratio differ from 1 before any update
    reference = frozen_copy(policy)
    learner = Learner.of(policy, config)
    done = learner.restore(stage)
    stage.log.truncate(done)
    timings = MetricLog(stage.folder / "timings.jsonl")
    with progress(config.iterations, "ppo") as bar:
        bar.resume(done)
        for iteration in range(done, config.iterations):
            started = time.monotonic()
            with torch.autocast(policy.device.type, torch.bfloat16, enabled=dtype == "bfloat16"):
                metrics = iterate(learner, reference, world, scorer, config, stage, seed, iteration)
            stage.log.append(iteration + 1, **metrics)
            learner.save(stage, iteration + 1)
            timings.append(iteration + 1, seconds=time.monotonic() - started)
            bar.advance(note=f"reward {metrics['reward']:.3f}, KL {metrics['kl_text'] + metrics['kl_slate']:.2f}")
    policy.version = f"ppo-{config.iterations}"
    with atomic_folder(stage.folder / "policy") as folder:
        policy.save_pretrained(folder)
    rows = stage.log.rows()
    stage.finish(rows[-1] if rows else {})
    return policy


def iterate(
    learner: Learner,
    reference: Policy,
    world: World,
    scorer: Scorer,
    config: PPOConfig,
    stage: Stage,
    seed: int,
    iteration: int,
) -> dict[str, float]:
    """One batch of conversations and the updates it pays for; returns its metrics."""
    policy = learner.policy
    users, draws, shuffles = generators(seed, iteration)
    policy.encoder.forget()  # an embedding's last bits depend on what it was batched with
    policy.version = f"ppo-{iteration}"
    watch = Watch(stage.folder / f"stopped-{iteration + 1:05d}", scorer.name)

    crowd = world.start(config.trajectories, users, ids_prefix=f"ppo{iteration}-")
    episodes = play(lambda contexts: policy.act(contexts, draws), crowd, scorer, config.max_turns)
    watch.scores(episodes)
    batch = build(episodes, crowd.dialogues, policy, reference, config.microbatch)
    rewards, learner.moments = turn_rewards(batch, learner.moments, config)
    aims = targets(
        batch,
        rewards,
        kl_text_coef=learner.kl_text_coef,
        kl_slate_coef=learner.kl_slate_coef,
        gamma=config.gamma,
        lam=config.lam,
        gamma_turn=config.gamma_turn,
        lam_turn=config.lam_turn,
    )
    report = rollout_metrics(episodes, batch, aims, policy.catalog)
    columns = {"reward": rewards.tolist(), "kl_text": report.kl_text_of_turns, "kl_slate": report.kl_slate_of_turns}
    hidden = record(stage.folder / "rollouts" / f"{iteration + 1:05d}.parquet", episodes, crowd, columns)
    watch.batch(episodes, batch, aims, report.values, config.kl_limit, config.min_entropy)

    updates = update(learner, batch, aims, config, shuffles, iteration, watch, episodes)
    coefs = {"kl_text_coef": learner.kl_text_coef, "kl_slate_coef": learner.kl_slate_coef}
    if iteration >= config.value_warmup:  # before that the policy could not move
        text, slate, gain = report.values["kl_text"], report.values["kl_slate"], config.kl_gain
        learner.kl_text_coef = losses.adapted_kl_coef(learner.kl_text_coef, text, config.kl_text_target, gain)
        learner.kl_slate_coef = losses.adapted_kl_coef(learner.kl_slate_coef, slate, config.kl_slate_target, gain)
    return report.values | hidden | updates | coefs


def generators(seed: int, iteration: int) -> tuple[np.random.Generator, torch.Generator, torch.Generator]:
    """Independent streams for the users, the policy's draws and the order of minibatches."""
    users, draws, shuffles = np.random.SeedSequence([seed, iteration]).spawn(3)
    first, second = (int(s.generate_state(1, np.uint64)[0] >> np.uint64(1)) for s in (draws, shuffles))
    return np.random.default_rng(users), torch.Generator().manual_seed(first), torch.Generator().manual_seed(second)


def turn_rewards(batch: Batch, moments: losses.Moments, config: PPOConfig) -> tuple[Tensor, losses.Moments]:
    """Scores [N] → normalised rewards [N], less the penalty for replies without an end; and the moments seen so far."""
    moments = moments.updated(batch.scores)
    if config.reward_norm == "conversation":
        rewards = losses.per_conversation(batch.scores, batch.conversation)
    elif config.reward_norm == "running_std":
        rewards = losses.scaled_by_std(batch.scores, moments.std, config.reward_clip)
    else:
        rewards = batch.scores
    return rewards - config.no_eos_penalty * batch.unfinished, moments


def update(
    learner: Learner,
    batch: Batch,
    aims: Targets,
    config: PPOConfig,
    shuffles: torch.Generator,
    iteration: int,
    watch: Watch,
    episodes: Sequence[Episode],
) -> dict[str, float]:
    """Epochs of minibatches over one batch, cut short when the policy has moved ``kl_stop`` away from itself."""
    warming = iteration < config.value_warmup
    ramp = min(1.0, (iteration - config.value_warmup + 1) / max(config.lr_warmup, 1))
    for group in learner.optimizer.param_groups:
        group["lr"] = getattr(config, group["kind"]) * (1.0 if group["kind"] == "value_lr" else max(ramp, 0.0))
    log: list[dict[str, float]] = []
    for _ in range(config.epochs):
        order = torch.randperm(len(batch), generator=shuffles).tolist()
        for start in range(0, len(order), config.minibatch):
            rows = order[start : start + config.minibatch]
            stats = gradients(learner, batch, aims, rows, config, warming)
            log.append(stats)
            if max(stats["kl_old_text"], stats["kl_old_slate"]) > config.kl_stop:
                return summary(log, learner)
            parameters = [p for group in learner.optimizer.param_groups for p in group["params"]]
            stats["grad_norm"] = float(nn.utils.clip_grad_norm_(parameters, config.grad_clip))
            if not math.isfinite(stats["grad_norm"]):
                tensors = {"advantages": aims.token_advantages[rows], "logprobs": batch.old.token_logprobs[rows]}
                watch.stop(episodes, tensors, "the gradient is not finite", "lower ppo.lr and ppo.slate_lr")
            learner.optimizer.step()
            stats["steps"] = 1.0
    return summary(log, learner)


def gradients(
    learner: Learner, batch: Batch, aims: Targets, rows: Sequence[int], config: PPOConfig, warming: bool
) -> dict[str, float]:
    """Fill the gradients of one minibatch, piece by piece; every mean is over the whole minibatch's count."""
    learner.optimizer.zero_grad(set_to_none=True)
    counts = {
        "turns": float(len(rows)),
        "text": float(reply_mask(batch, rows, config).sum()),
        "tokens": float(batch.old.token_mask[rows].sum()),
        "places": float(batch.old.slate_mask[rows].sum()),
        "slates": float(batch.old.slate_mask[rows, 0].sum()),
    }
    ordered = by_length(batch.samples, rows)
    totals: dict[str, float] = {}
    for start in range(0, len(ordered), config.microbatch):
        piece = ordered[start : start + config.microbatch]
        loss, stats = objective(learner, batch, aims, piece, counts, config, warming)
        torch.autograd.backward(loss)
        for name, value in stats.items():
            old = totals.get(name, 0.0)
            totals[name] = max(old, float(value)) if name == "log_ratio" else old + float(value.detach())
    if warming:  # Adam leaves parameters without a gradient alone
        for group in learner.optimizer.param_groups:
            for parameter in group["params"] if group["kind"] != "value_lr" else ():
                parameter.grad = None
    return totals


def objective(
    learner: Learner,
    batch: Batch,
    aims: Targets,
    rows: Sequence[int],
    counts: dict[str, float],
    config: PPOConfig,
    warming: bool,
) -> tuple[Tensor, dict[str, Tensor]]:
    """The loss of some turns and its parts. Parts are sums over these turns divided by the minibatch's counts."""
    index = list(rows)
    new = learner.policy.evaluate([batch.contexts[i] for i in index], [batch.samples[i] for i in index])
    t, k = new.token_mask.shape[1], new.slate_mask.shape[1]
    token_mask, place_mask, slates = new.token_mask, new.slate_mask, new.slate_mask[:, 0]
    said = reply_mask(batch, index, config)[:, :t]
    old_tokens, old_places = batch.old.token_logprobs[index, :t], batch.old.slate_logprobs[index, :k]
    token_advantages = aims.token_advantages[index, :t]
    place_advantages = aims.slate_advantages[index].unsqueeze(1).expand(-1, k)

    def share(x: Tensor, mask: Tensor, count: str) -> Tensor:
        return torch.where(mask, x, 0.0).sum() / max(counts[count], 1.0)

    decision = losses.clipped_policy_loss(
        new.token_logprobs[:, 0],
        old_tokens[:, 0],
        token_advantages[:, 0],
        token_mask[:, 0],
        config.clip,
        counts["turns"],
    )
    text = losses.clipped_policy_loss(
        new.token_logprobs, old_tokens, token_advantages, said, config.clip, counts["text"]
    )
    slate = losses.clipped_policy_loss(
        new.slate_logprobs, old_places, place_advantages, place_mask, config.clip, counts["places"]
    )
    steps = counts["tokens"] + counts["slates"]
    value = losses.value_loss(
        new.values, batch.old.values[index, :t], aims.token_returns[index, :t], token_mask, steps, config.value_clip
    ) + losses.value_loss(
        new.slate_values, batch.old.slate_values[index], aims.slate_returns[index], slates, steps, config.value_clip
    )
    # The KL in the reward tells earlier decisions what a state costs; only this term pulls at its own distribution.
    drift = losses.categorical_kl(new.slate_log_softmax, batch.reference.slate_log_softmax[index])
    slate_kl = share(drift, slates, "slates")
    entropy = share(new.token_entropy, token_mask, "tokens")
    slate_entropy = share(losses.categorical_entropy(new.slate_log_softmax), slates, "slates")
    loss = config.value_weight * value
    if not warming:
        loss = loss + config.decision_weight * decision + config.text_weight * text + config.slate_weight * slate
        loss = loss + learner.kl_slate_coef * slate_kl - config.entropy_weight * (entropy + slate_entropy)
    with torch.no_grad():
        moved = torch.where(token_mask, new.token_logprobs - old_tokens, 0.0).abs().max()
        moved_slate = torch.where(place_mask, new.slate_logprobs - old_places, 0.0).abs().max()
        stats = {
            "loss_decision": decision,
            "loss_text": text,
            "loss_slate": slate,
            "loss_value": value,
            "kl_old_text": share(losses.k3(old_tokens, new.token_logprobs), token_mask, "tokens"),
            "kl_old_slate": share(losses.k3(old_places, new.slate_logprobs), place_mask, "places"),
            "clip_text": share(losses.outside_clip(new.token_logprobs, old_tokens, config.clip), token_mask, "tokens"),
            "clip_slate": share(losses.outside_clip(new.slate_logprobs, old_places, config.clip), place_mask, "places"),
            "log_ratio": torch.maximum(moved, moved_slate),
        }
    return loss, stats


def reply_mask(batch: Batch, rows: Sequence[int], config: PPOConfig) -> Tensor:
    """[len(rows), T] bool: the tokens of replies (the decision apart) whose probability the policy loss may change."""
    mask = batch.old.token_mask[rows].clone()
    mask[:, 0] = False
    return mask & ~batch.unfinished[rows].unsqueeze(1) if config.mask_unfinished else mask


def summary(log: Sequence[dict[str, float]], learner: Learner) -> dict[str, float]:
    """Means over an iteration's minibatches. ``first_log_ratio`` (largest, before any step) is 0 but for rounding."""
    names = [name for name in log[0] if name not in ("log_ratio", "steps", "grad_norm")]
    norms = [stats["grad_norm"] for stats in log if "grad_norm" in stats]
    return {
        **{name: float(np.mean([stats[name] for stats in log])) for name in names},
        "first_log_ratio": log[0]["log_ratio"],
        "grad_norm": float(np.mean(norms)) if norms else 0.0,
        "steps": sum(stats.get("steps", 0.0) for stats in log),
        **{str(group["kind"]): float(group["lr"]) for group in learner.optimizer.param_groups},
    }
