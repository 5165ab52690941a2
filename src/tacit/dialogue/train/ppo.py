"""Proximal policy optimisation of a conversational recommender: play, score, advantage, update, again.

Each detail, its source and its place in the files ppo_*.py are listed in docs/algorithms/ppo.md. Everything random in
iteration i comes from generators made of (seed, i), so a run killed anywhere continues bit for bit from its last
checkpoint.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from tacit import losses
from tacit.dialogue.policy.policy import Policy
from tacit.dialogue.rollout import SimulatedUsers, Users, play
from tacit.dialogue.train.auxiliary_loss import SFTAuxiliaryLoss
from tacit.dialogue.train.ppo_batch import Batch, build, frozen_copy, targets
from tacit.dialogue.train.ppo_learner import Learner, PPOConfig
from tacit.dialogue.train.ppo_monitor import Monitor, rollout_metrics
from tacit.dialogue.train.ppo_update import fit_critic, update
from tacit.dialogue.train.segments import Rejected
from tacit.run.config import check_types
from tacit.run.folder import MetricLog, Stage, atomic_folder, progress
from tacit.run.stopped import require_finite, stopped_folder
from tacit.types import Dialogue, Episode, Scorer


class Recorder(Protocol):
    """Keeps the conversations of one iteration, a column more for each of ``columns`` (one value a turn), and returns
    what is to stand beside the metrics: the hidden utility, which the trainer itself cannot read."""

    def __call__(
        self, path: Path, episodes: Sequence[Episode], crowd: Users, columns: Mapping[str, Sequence[float]]
    ) -> Mapping[str, float]: ...


def run_ppo(
    policy: Policy,
    world: SimulatedUsers,
    scorer: Scorer,
    record: Recorder,
    config: PPOConfig,
    stage: Stage,
    seed: int,
    dtype: str = "float32",
    dialogues: Sequence[Dialogue] = (),
    rejected: Rejected = "positive",
) -> Policy:
    """Align ``policy`` (the supervised one, changed in place and returned) with ``scorer`` on simulated users.

    ``dialogues`` are the training dialogues, read only with ``config.sft_weight`` above 0, as SFT reads ``rejected``.

    Writes metrics.jsonl, timings.jsonl, rollouts/*.parquet, checkpoints/ and policy/ into the stage's folder, and
    finishes it with the last iteration's metrics. A scorer that embeds text shares ``policy.encoder``: its cache is
    emptied before each iteration, which bit-exact resuming needs. ``dtype="bfloat16"`` runs under autocast; the
    first ratio is then 1 to two digits only.
    """
    check_types(config, "ppo.")
    policy.encoder.requires_grad_(False)
    policy.eval()  # dropout would make the ratio differ from 1 before any update
    learner = Learner.of(policy, config)
    reference = frozen_copy(policy)
    auxiliary = SFTAuxiliaryLoss(policy, dialogues, config.sft_batch, rejected) if config.sft_weight > 0.0 else None
    done = learner.restore(stage)
    everything = dict(policy.state_dict())  # what is not trained too: it is drawn from
    require_finite(everything, stopped_folder(stage.folder, done), stage.name, "before it began", "do sft again")
    timings = MetricLog(stage.folder / "timings.jsonl")
    with progress(config.iterations, "ppo") as bar:
        bar.resume(done)
        for iteration in range(done, config.iterations):
            started = time.monotonic()
            with _precision(policy, dtype):
                metrics = iterate(learner, reference, world, scorer, record, auxiliary, config, stage, seed, iteration)
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


def _precision(policy: Policy, dtype: str) -> torch.autocast:
    """Without autocast's cache: it would go on handing out the weights as they were before the first update."""
    return torch.autocast(policy.device.type, torch.bfloat16, enabled=dtype == "bfloat16", cache_enabled=False)


def iterate(
    learner: Learner,
    reference: Policy,
    world: SimulatedUsers,
    scorer: Scorer,
    record: Recorder,
    auxiliary: SFTAuxiliaryLoss | None,
    config: PPOConfig,
    stage: Stage,
    seed: int,
    iteration: int,
) -> dict[str, float]:
    """One batch of conversations and the updates it pays for; returns its metrics."""
    policy = learner.policy
    users, draws, shuffles = generators(seed, iteration)
    policy.encoder.clear_cache()  # an embedding's last bits depend on what it was batched with
    policy.version = f"ppo-{iteration}"
    monitor = Monitor(stopped_folder(stage.folder, iteration + 1), scorer.name)

    crowd = world.start(config.trajectories, users, ids_prefix=f"ppo{iteration}-")
    episodes = play(lambda contexts: policy.act(contexts, draws), crowd, scorer, config.max_turns)
    monitor.scores(episodes)
    batch = build(episodes, crowd.dialogues, policy, reference, config.microbatch)
    rewards, learner.moments = turn_rewards(batch, learner.moments, config)
    aims = targets(batch, rewards, learner.kl_text_coef, learner.kl_slate_coef, config.discounts)
    report = rollout_metrics(episodes, batch, aims, policy.catalog)
    columns = {"reward": rewards.tolist(), "kl_text": report.kl_text_of_turns, "kl_slate": report.kl_slate_of_turns}
    hidden = record(stage.folder / "rollouts" / f"{iteration + 1:05d}.parquet", episodes, crowd, columns)
    monitor.batch(episodes, batch, aims, report.values, config.kl_limit, config.min_entropy)

    updates = fit_critic(learner, batch, aims, config, shuffles)
    if not math.isfinite(updates["loss_value"]):
        tensors = {"returns": aims.token_returns, "values": batch.old.values}
        monitor.stop(episodes, tensors, "the critic's gradient is not finite", "lower ppo.value_lr")
    if iteration >= config.value_warmup:
        ramp = min(1.0, (iteration - config.value_warmup + 1) / max(config.lr_warmup, 1))
        if auxiliary:
            auxiliary.rewind(np.random.default_rng([seed, iteration]))
        updates |= update(learner, batch, aims, config, shuffles, ramp, auxiliary, monitor, episodes)
    coefs = {"kl_text_coef": learner.kl_text_coef, "kl_slate_coef": learner.kl_slate_coef}
    if iteration >= config.value_warmup:  # before that the policy could not move
        text, slate, gain = report.values["kl_text"], report.values["kl_slate"], config.kl_gain
        learner.kl_text_coef = losses.adapted_kl_coef(learner.kl_text_coef, text, config.kl_text_target, gain)
        learner.kl_slate_coef = losses.adapted_kl_coef(learner.kl_slate_coef, slate, config.kl_slate_target, gain)
    return report.values | dict(hidden) | updates | coefs


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
    else:
        rewards = losses.scaled_by_std(batch.scores, moments.std, config.reward_clip)
    return rewards - config.no_eos_penalty * batch.unfinished, moments
