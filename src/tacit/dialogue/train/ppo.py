"""Proximal policy optimisation of a conversational recommender: play, score, advantage, update, again.

Each detail, its source and its place in the files ppo_*.py are listed in docs/algorithms/ppo.md. Everything random in
iteration i comes from generators made of (seed, i), so a run killed anywhere continues bit for bit from its last
checkpoint.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from torch import Tensor

from tacit import losses
from tacit.dialogue.players import (
    Group,
    Hands,
    Players,
    generators,
    in_groups,
    meet_group,
    own_hands,
    play_group,
    precision,
)
from tacit.dialogue.policy.policy import Policy
from tacit.dialogue.rollout import SimulatedUsers, Users
from tacit.dialogue.train.ppo_batch import Batch, build, frozen_copy, targets
from tacit.dialogue.train.ppo_learner import Learner, PPOConfig, leave_alone
from tacit.dialogue.train.ppo_monitor import Monitor, rollout_metrics
from tacit.dialogue.train.ppo_update import fit_critic, update
from tacit.dialogue.train.sft_divergence import SFTDivergence
from tacit.dialogue.train.slate_groups import SlateGroups, draw_groups
from tacit.run.config import check_types
from tacit.run.distributed import from_writer, is_writer, size
from tacit.run.folder import MetricLog, Stage, atomic_folder, progress
from tacit.run.stopped import require_finite, stopped_folder
from tacit.text.sharding import Sharding, shard, whole_inside
from tacit.types import Dialogue, Episode, Floats64, Scorer

log = logging.getLogger("tacit")

SLATES = 104_729  # a stream of their own, so that nothing else is drawn otherwise where slates are compared
HELD_OUT = 1_299_709  # beyond every iteration: held-out people, and the draws for them, are nobody else's


class Recorder(Protocol):
    """Writes down the conversations of one iteration, a column more for each of ``columns`` (one value a turn), and
    returns what is to stand beside the metrics: the hidden utility, which the trainer itself cannot read.

    ``keep`` takes what this needs of each crowd, where that was played; the trainer passes it on unread.
    """

    def keep(self, crowd: Users) -> Any: ...

    def __call__(
        self, path: Path, episodes: Sequence[Episode], kept: Sequence[Any], columns: Mapping[str, Sequence[float]]
    ) -> Mapping[str, float]: ...

    def utility(self, kept: Any) -> Floats64:
        """[users] how well off the users of one crowd were. Read of held-out users alone, and to stop by."""


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
    hands: Hands | None = None,
    sharding: Sharding = "auto",
) -> Policy:
    """Align ``policy`` (the supervised one, changed in place and returned) with ``scorer`` on simulated users.

    ``hands`` play the conversations: by default this process. ``dialogues`` are the training dialogues, read only with
    ``config.sft_kl_weight`` above 0.

    Writes metrics.jsonl, timings.jsonl, rollouts/*.parquet, checkpoints/ and policy/ into the stage's folder, and
    finishes it with the last iteration's metrics. With ``config.patience`` the policy is that of the iteration after
    which held-out users were best off (``early_stopping``).

    A scorer that embeds text shares ``policy.encoder``: its cache is emptied before each iteration, which bit-exact
    resuming needs. ``dtype="bfloat16"`` runs under autocast; the first ratio is then 1 to two digits only.
    """
    check_types(config, "ppo.")
    policy.eval()  # dropout would make the ratio differ from 1 before any update
    leave_alone(policy, config)
    reference = frozen_copy(policy)
    for model in (policy.lm, reference.lm):
        shard(model, sharding)
    learner = Learner.of(policy, config)
    divergence = SFTDivergence(policy, reference, dialogues, config.sft_batch) if config.sft_kl_weight > 0.0 else None
    done = learner.restore(stage)
    everything = dict(policy.state_dict())  # what is not trained too: it is drawn from
    require_finite(everything, stopped_folder(stage.folder, done), stage.name, "before it began", "do sft again")
    timings = MetricLog(stage.folder / "timings.jsonl")
    hands = hands or own_hands(Players(policy, world, scorer, record.keep, dtype))
    if size() > 1 and config.group == 0:
        log.warning("ppo: one of the %d processes plays all conversations: set ppo.group to share them", size())
    with progress(config.iterations, "ppo") as bar:
        bar.resume(done)
        for iteration in range(done, config.iterations):
            started = time.monotonic()
            told = look(learner, hands, record, config, seed, iteration)  # after a kill once more, and the same
            if learner.best and learner.best.worse >= config.patience:
                break
            with precision(policy, dtype):
                metrics = iterate(learner, reference, hands, scorer, record, divergence, config, stage, seed, iteration)
            stage.log.append(iteration + 1, **metrics, **told)
            learner.save(stage, iteration + 1)
            timings.append(iteration + 1, seconds=time.monotonic() - started)
            bar.advance(note=f"reward {metrics['reward']:.3f}, KL {metrics['kl_text'] + metrics['kl_slate']:.2f}")
        else:
            told = look(learner, hands, record, config, seed, config.iterations)
    rows = stage.log.rows()
    summary = {**(rows[-1] if rows else {}), **told}
    policy.version = f"ppo-{config.iterations}"
    if learner.best:
        learner.best.put_back()
        policy.version = f"ppo-{learner.best.iteration}"
        summary["best_iteration"] = learner.best.iteration
        log.info("ppo: %d iterations; held-out users were best off after %d", len(rows), learner.best.iteration)
    weights = policy.weights()
    if is_writer():
        with atomic_folder(stage.folder / "policy") as folder:
            policy.save_pretrained(folder, weights)
    stage.finish(summary)
    return policy


def look(
    learner: Learner, hands: Hands, record: Recorder, config: PPOConfig, seed: int, iteration: int
) -> dict[str, float]:
    """Held-out users talk to the policy as it is after ``iteration`` iterations, always the same and with the same
    draws. Nobody does without ``config.patience``, nor where value warm-up has left the policy as it was."""
    if learner.best is None or 0 < iteration <= config.value_warmup:
        return {}
    users, turns = config.held_out_users, config.max_turns
    parts = in_groups("held-out", users, config.group, turns, (seed, HELD_OUT), f"ppo-{iteration}")
    with whole_inside(learner.policy.lm):
        met = [record.utility(kept) for kept in hands(meet_group, parts)]
    learner.policy.encoder.clear_cache()  # which of them this process has met must not show
    return learner.best.look(iteration, np.concatenate(met))


def iterate(
    learner: Learner,
    reference: Policy,
    hands: Hands,
    scorer: Scorer,
    record: Recorder,
    divergence: SFTDivergence | None,
    config: PPOConfig,
    stage: Stage,
    seed: int,
    iteration: int,
) -> dict[str, float]:
    """One batch of conversations and the updates it pays for; returns its metrics."""
    policy = learner.policy
    _, _, shuffles = generators(seed, iteration)
    policy.version = f"ppo-{iteration}"
    monitor = Monitor(stopped_folder(stage.folder, iteration + 1), scorer.name)

    with whole_inside(policy.lm):
        played = list(hands(play_group, groups(config, seed, iteration)))
    episodes = [episode for part in played for episode in part.episodes]
    finals = [dialogue for part in played for dialogue in part.finals]
    if config.group:
        policy.encoder.clear_cache()  # which groups this process has played must not show
    monitor.scores(episodes)
    batch = build(episodes, finals, policy, reference, config.microbatch)
    rewards, learner.moments = turn_rewards(batch, learner.moments, config)
    aims = targets(batch, rewards, learner.kl_text_coef, learner.kl_slate_coef, config.discounts)
    report = rollout_metrics(episodes, batch, aims, policy.catalog)
    columns = {"reward": rewards.tolist(), "kl_text": report.kl_text_of_turns, "kl_slate": report.kl_slate_of_turns}
    path = stage.folder / "rollouts" / f"{iteration + 1:05d}.parquet"
    hidden = record(path, episodes, [part.kept for part in played], columns)
    monitor.batch(episodes, batch, aims, report.values, config.kl_limit, config.min_entropy)

    updates = fit_critic(learner, batch, aims, config, shuffles)
    if not math.isfinite(updates["loss_value"]):
        tensors = {"returns": aims.token_returns, "values": batch.old.values}
        monitor.stop(episodes, tensors, "the critic's gradient is not finite", "lower ppo.value_lr")
    if iteration >= config.value_warmup:
        ramp = min(1.0, (iteration - config.value_warmup + 1) / max(config.lr_warmup, 1))
        if divergence:
            divergence.rewind(np.random.default_rng([seed, iteration]))
        beside = compared(policy, batch, scorer, config, seed, iteration)
        if beside is not None:
            monitor.beside(episodes, beside.rewards)
            updates |= {"slates_told": beside.share_told, "slates_spread": beside.spread}
        updates |= update(learner, batch, aims, config, shuffles, ramp, divergence, monitor, episodes, beside)
    coefs = {"kl_text_coef": learner.kl_text_coef, "kl_slate_coef": learner.kl_slate_coef}
    if iteration >= config.value_warmup:  # before that the policy could not move
        text, slate, gain = report.values["kl_text"], report.values["kl_slate"], config.kl_gain
        learner.kl_text_coef = losses.adapted_kl_coef(learner.kl_text_coef, text, config.kl_text_target, gain)
        learner.kl_slate_coef = losses.adapted_kl_coef(learner.kl_slate_coef, slate, config.kl_slate_target, gain)
        learner.kl_text_coef, learner.kl_slate_coef = from_writer(lambda: (learner.kl_text_coef, learner.kl_slate_coef))
    return report.values | dict(hidden) | updates | coefs


def compared(
    policy: Policy, batch: Batch, scorer: Scorer, config: PPOConfig, seed: int, iteration: int
) -> SlateGroups | None:
    """The slates that stand beside those of ``batch``, where ``config.slate_group`` asks for them."""
    if not config.slate_group:
        return None
    _, draws, _ = generators(seed, iteration, SLATES)
    return draw_groups(policy, batch, scorer, config.slate_group, config.microbatch, draws)


def groups(config: PPOConfig, seed: int, iteration: int) -> list[Group]:
    """The conversations of one iteration."""
    whole, turns = config.trajectories, config.max_turns
    return in_groups(f"ppo{iteration}", whole, config.group, turns, (seed, iteration), f"ppo-{iteration}")


def turn_rewards(batch: Batch, moments: losses.Moments, config: PPOConfig) -> tuple[Tensor, losses.Moments]:
    """Scores [N] → normalised rewards [N], less the penalty for replies without an end; and the moments seen so far."""
    moments = moments.updated(batch.scores)
    if config.reward_norm == "conversation":
        rewards = losses.per_conversation(batch.scores, batch.conversation)
    else:
        rewards = losses.scaled_by_std(batch.scores, moments.std, config.reward_clip)
    return rewards - config.no_eos_penalty * batch.unfinished, moments
