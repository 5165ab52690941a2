"""What a PPO run reports of its rollouts, and what makes it stop: broken numbers, collapse, drifting too far."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import numpy as np
import torch
from torch import Tensor

from tacit import losses
from tacit.catalog import Catalog
from tacit.dialogue.train.ppo_batch import Batch, Targets, kl_of_turns
from tacit.metrics.texts import distinct
from tacit.run.stopped import stop
from tacit.types import Episode

RESCORE_LIMIT = 1.0  # nats; float32 stays below 1e-4, bfloat16 near 1e-2


@dataclass(frozen=True)
class Report:
    values: dict[str, float]
    kl_text_of_turns: list[float]  # nats, k3 summed over the turn's tokens
    kl_slate_of_turns: list[float]  # nats, exact, 0 for a turn that only chats


def conversation_metrics(episodes: Sequence[Episode], catalog: Catalog) -> dict[str, float]:
    """Means over turns (reward, channels, replies, slates) and over conversations (turns, how they ended)."""
    steps = [scored for episode in episodes for scored in episode.steps]
    samples = [scored.sample for scored in steps]
    names = sorted({name for scored in steps for name in scored.channels})
    shown = [catalog.counts[catalog.index(item)] for s in samples if s.slate for item in s.slate.items]
    return {
        "reward": _mean([scored.score for scored in steps]),
        "reward_total": _mean([sum(scored.score for scored in episode.steps) for episode in episodes]),
        **{f"channel_{name}": _mean([s.channels[name] for s in steps if name in s.channels]) for name in names},
        "turns": _mean([len(episode.steps) for episode in episodes]),
        "accept_rate": _mean([episode.ended == "accepted" for episode in episodes]),
        "leave_rate": _mean([episode.ended == "left" for episode in episodes]),
        "recommend_rate": _mean([sample.slate is not None for sample in samples]),
        "popularity": _mean(shown),  # training mentions of a shown item
        "reply_tokens": _mean([sum(sample.sampled) - 1 for sample in samples]),
        "eos_rate": _mean([sample.finished for sample in samples]),
        "distinct_2": distinct([sample.text for sample in samples], 2),
    }


def rollout_metrics(episodes: Sequence[Episode], batch: Batch, targets: Targets, catalog: Catalog) -> Report:
    """The conversations' numbers and the policy's: both divergences, both entropies, how well the critic explains."""
    old, slates = batch.old, batch.old.slate_mask[:, 0]
    _, text, slate = kl_of_turns(batch)
    drawn = torch.tensor([p for s in batch.samples for p, drew in zip(s.logprobs, s.sampled, strict=True) if drew])
    placed = torch.tensor([p for s in batch.samples for p in s.slate_logprobs])
    scored = torch.cat([old.token_logprobs[old.token_mask], old.slate_logprobs[old.slate_mask]]).cpu()
    values = {
        **conversation_metrics(episodes, catalog),
        "kl_text": float(text.sum(1).mean()),
        "kl_slate": float(losses.masked_mean(slate, slates)),
        "entropy_text": float(losses.masked_mean(old.token_entropy, old.token_mask)),
        "entropy_slate": float(losses.masked_mean(losses.categorical_entropy(old.slate_log_softmax), slates)),
        "explained_variance": targets.explained_variance,
        "rescore_gap": float((torch.cat([drawn, placed]) - scored).abs().max()),
    }
    return Report(values, text.sum(1).tolist(), slate.tolist())


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if len(values) else 0.0


@dataclass(frozen=True)
class Monitor:
    """Looks at every batch; what cannot be learnt from is saved in ``folder`` and ends the run with advice."""

    folder: Path
    scorer: str

    def scores(self, episodes: Sequence[Episode]) -> None:
        for episode in episodes:
            for scored in episode.steps:
                bad = [n for n, x in {"reward": scored.score, **scored.channels}.items() if not math.isfinite(x)]
                if bad:
                    where = f"{bad[0]} of a turn in dialogue {scored.context.id} is not finite"
                    self.stop(episodes, {}, where, self._check_scorer)

    def beside(self, episodes: Sequence[Episode], rewards: Tensor) -> None:
        """``rewards`` of slates that could have been shown."""
        if not bool(torch.isfinite(rewards).all()):
            reason = "the reward of a slate that is compared with the one shown is not finite"
            self.stop(episodes, {"rewards": rewards}, reason, self._check_scorer)

    @property
    def _check_scorer(self) -> str:
        return f"check the scorer {self.scorer}, e.g. train the reward model again with a lower lr"

    def batch(
        self,
        episodes: Sequence[Episode],
        batch: Batch,
        targets: Targets,
        values: Mapping[str, float],
        kl_limit: float,
        min_entropy: float,
    ) -> None:
        tensors = {"advantages": targets.token_advantages, "returns": targets.token_returns, "rewards": targets.rewards}
        tensors |= {"logprobs": batch.old.token_logprobs, "reference": batch.reference.token_logprobs}
        tensors |= {"slate_logprobs": batch.old.slate_logprobs, "values": batch.old.values}
        broken = [name for name, tensor in tensors.items() if not bool(torch.isfinite(tensor).all())]
        if broken:
            self.stop(episodes, tensors, f"{broken[0]} hold NaN or infinity", "lower ppo.lr or ppo.grad_clip")
        if values["rescore_gap"] > RESCORE_LIMIT:
            why = f"sampling and scoring one action differ by {values['rescore_gap']:.2f} nats"
            self.stop(episodes, tensors, why, "set dtype=float32 and check that policy.base samples without top-k")
        if max(values["kl_text"], values["kl_slate"]) > kl_limit:
            why = f"the policy is {values['kl_text']:.0f} (text) and {values['kl_slate']:.0f} (slate) nats from SFT"
            self.stop(episodes, tensors, why, "raise ppo.kl_text_coef or ppo.kl_slate_coef, or lower ppo.lr")
        if values["entropy_text"] < min_entropy:
            why = f"the replies have collapsed to one (entropy {values['entropy_text']:.1e} nats a token)"
            self.stop(episodes, tensors, why, "raise ppo.kl_text_coef or lower ppo.lr")

    def stop(self, episodes: Sequence[Episode], tensors: Mapping[str, Tensor], reason: str, advice: str) -> NoReturn:
        """Save the offending batch (JSON, and safetensors where there are tensors) and end the run."""
        turns = [
            {
                "dialogue": scored.context.id,
                "context": [f"{turn.speaker}: {turn.text}" for turn in scored.context.turns],
                "reply": scored.sample.text,
                "slate": list(scored.sample.slate.items) if scored.sample.slate else [],
                "tokens": list(scored.sample.tokens),
                "score": repr(scored.score),
                "channels": {name: repr(value) for name, value in scored.channels.items()},
            }
            for episode in episodes
            for scored in episode.steps
        ]
        stop(self.folder, "PPO", reason, advice, {"turns": turns}, tensors)
