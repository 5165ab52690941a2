"""The writer that PPO tunes: it writes about a batch of users and learns from the scores (``ppo`` says what, why)."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import torch
from peft import PeftModel
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from tacit import losses
from tacit.rerank.align.feedback import score_samples
from tacit.rerank.writer.writers import LocalWriter, prompt_tokens
from tacit.run.folder import Stage
from tacit.run.limits import above, at_least, learning_rate
from tacit.run.resume import Resumable
from tacit.run.steps import accumulate, clipped_epochs
from tacit.run.stopped import stop
from tacit.text.generate import Sampling, text_logprobs
from tacit.text.lm import load_pretrained, with_lora
from tacit.types import Group, Scorer

Tokens = list[int]


@dataclass
class WriterPPOConfig:
    users: int = at_least(1, default=32)  # a batch
    # of the texts it learns from; below 1 they are nearer to the greedy one
    temperature: float = above(0.0, default=1.0, high=100.0)
    epochs: int = at_least(1, default=2)  # over a batch's texts
    minibatch: int = at_least(1, default=64)  # texts an optimiser step
    microbatch: int = at_least(1, default=16)  # texts a forward pass: memory only
    # at first; it falls linearly to a tenth over the round. 1e-5 suits a pretrained model
    lr: float = learning_rate(default=1e-4)
    clip: float = above(0.0, default=0.2, high=1.0)  # ε
    # price of a nat away from the round's first writer, in σ of the reward within users
    kl_coef: float = at_least(0.0, default=0.02)
    kl_stop: float = above(0.0, default=0.03)  # KL(old, new) a token that ends a batch's epochs
    grad_clip: float = at_least(0.0, default=1.0)  # of the gradient's norm; 0 = not
    lora: int = at_least(-1, default=-1)  # as in align.dpo.lora


@dataclass(frozen=True)
class Task:
    """Whom to write about, and how: ``samples`` texts of at most ``max_tokens`` tokens for each of the ``prompts``."""

    users: Sequence[int]
    prompts: Sequence[str]
    samples: int
    max_tokens: int = 160


@dataclass
class Texts:
    """S texts as actions. ``texts`` hold the end where it was written; ``old`` and ``mask`` [S, T]; the rest [S]."""

    prompts: list[Tokens]
    texts: list[Tokens]
    old: Tensor
    mask: Tensor
    advantages: Tensor


@dataclass
class Learner:
    """The writer that learns, and the one of the round's start. ``reference`` None: the weights under the adapters."""

    lm: Any
    reference: PreTrainedModel | None
    writer: LocalWriter
    optimizer: torch.optim.AdamW
    config: WriterPPOConfig
    dtype: str

    @classmethod
    def load(
        cls,
        lm_folder: str | Path,
        tokenizer: PreTrainedTokenizerBase,
        task: Task,
        config: WriterPPOConfig,
        seed: int,
        device: str,
        dtype: str,
    ) -> Learner:
        lm: Any = load_pretrained(lm_folder, "auto", "knowledge.writer", tokenizer)[0]
        torch.manual_seed(seed)  # fresh adapters
        lm = with_lora(lm, config.lora).to(device)
        reference = None if isinstance(lm, PeftModel) else copy.deepcopy(lm).eval().requires_grad_(False)
        sampling = Sampling(config.temperature, 1.0, task.max_tokens)
        writer = LocalWriter(lm, tokenizer, sampling)  # it sets eval: dropout would make the first ratio differ from 1
        trained = [p for p in lm.parameters() if p.requires_grad]
        optimizer = torch.optim.AdamW(trained, lr=config.lr, eps=1e-5, weight_decay=0.0)
        return cls(lm, reference, writer, optimizer, config, dtype)

    def batch(
        self,
        places: Sequence[int],
        task: Task,
        scorer: Scorer,
        seed: int,
        number: int,
        where: Path | None = None,
    ) -> tuple[list[Group], dict[str, float]]:
        """Write, score and learn. All that is random comes from ``seed``, the prompts and the batch's ``number``.

        A batch that cannot be learnt from is kept in the folder ``where``, and ends the run.
        """
        users, prompts = [task.users[place] for place in places], [task.prompts[place] for place in places]
        with self._autocast():
            written = self.writer.write_tokens(prompts, task.samples, seed)
        said = [[self.writer.text(tokens) for tokens in options] for options in written]
        groups = score_samples(scorer, users, prompts, said)
        rewards = torch.tensor([[option.score for option in group.options] for group in groups])
        shuffles = torch.Generator().manual_seed(int(np.random.SeedSequence([seed, number]).generate_state(1)[0]))
        texts, kl = self._texts(prompts, written, rewards)
        if not math.isfinite(kl + float(texts.advantages.sum())):
            self._stop(texts, range(len(texts.texts)), "rewards or probabilities of texts are not finite", where)
        updates = self._update(texts, shuffles, where)
        return groups, {
            "reward": float(rewards.mean()),
            "reward_std": float(rewards.std(1, correction=0).mean()),
            "kl_ref": kl,
            "words": float(np.mean([len(text.split()) for options in said for text in options])),
            "ended": float(np.mean([len(t) < task.max_tokens for options in written for t in options])),
            **_channel_means(groups),
            **updates,
        }

    def _texts(self, prompts: Sequence[str], written: list[list[Tokens]], rewards: Tensor) -> tuple[Texts, float]:
        """The batch to learn from, and KL(writer, reference) in nats a text (k3)."""
        end, limit = min(self.writer.ends), self.writer.sampling.max_tokens
        heads = [tokens for p, o in zip(prompts, written, strict=True) for tokens in [self._prompt(p)] * len(o)]
        texts = [tokens + [end] * (len(tokens) < limit) for options in written for tokens in options]
        old, mask = self._everywhere(self.lm, heads, texts)
        with self._referring() as reference:
            ref, _ = self._everywhere(reference, heads, texts)
        away = torch.where(mask, losses.k1(old, ref), 0.0).sum(1).view_as(rewards)
        advantages = losses.group_advantages(rewards) - self.config.kl_coef * (away - away.mean(1, keepdim=True))
        kl = float(torch.where(mask, losses.k3(old, ref), 0.0).sum(1).mean())
        return Texts(heads, texts, old, mask, advantages.flatten()), kl

    def _prompt(self, prompt: str) -> Tokens:
        return prompt_tokens(self.writer.tokenizer, prompt)

    def _autocast(self) -> torch.autocast:
        """Left before every step of the optimiser: inside, the bfloat16 copies of the weights are kept."""
        return torch.autocast(self.writer.lm.device.type, torch.bfloat16, enabled=self.dtype == "bfloat16")

    @contextmanager
    def _referring(self) -> Iterator[Any]:
        if self.reference is not None:
            yield self.reference
        else:
            with self.lm.disable_adapter():
                yield self.lm

    @torch.no_grad()
    def _everywhere(self, lm: Any, prompts: Sequence[Tokens], texts: Sequence[Tokens]) -> tuple[Tensor, Tensor]:
        """Log-probabilities of all texts' tokens and where they count, [S, T] on the CPU, a microbatch at a time."""
        logprobs = torch.zeros(len(texts), max(map(len, texts)))
        mask = torch.zeros_like(logprobs, dtype=torch.bool)
        for rows in _pieces(range(len(texts)), texts, self.config.microbatch):
            each, counts = self._logprobs(lm, [prompts[row] for row in rows], [texts[row] for row in rows])
            logprobs[rows, : each.shape[1]], mask[rows, : each.shape[1]] = each.cpu(), counts.cpu()
        return logprobs, mask

    def _logprobs(self, lm: Any, prompts: Sequence[Tokens], texts: Sequence[Tokens]) -> tuple[Tensor, Tensor]:
        with self._autocast():
            known = self.writer.ends, self.writer.sampling.temperature, self.writer.once
            return text_logprobs(lm, prompts, texts, *known)

    def _update(self, batch: Texts, shuffles: torch.Generator, where: Path | None) -> dict[str, float]:
        def broken(rows: Sequence[int]) -> None:
            self._stop(batch, rows, "the gradient is not finite", where)

        parameters = self.optimizer.param_groups[0]["params"]
        gradients = partial(self.gradients, batch)
        return clipped_epochs(len(batch.texts), gradients, self.optimizer, parameters, self.config, shuffles, broken)

    def _stop(self, batch: Texts, rows: Sequence[int], reason: str, where: Path | None) -> NoReturn:
        """End the run, these texts and what is known of them kept in the folder ``where``."""
        said = [[self.writer.text(tokens) for tokens in (batch.prompts[row], batch.texts[row])] for row in rows]
        index = list(rows)
        tensors = {"old": batch.old[index], "mask": batch.mask[index], "advantages": batch.advantages[index]}
        stop(where, "ppo", reason, "lower align.ppo.lr", {"prompt, text": said}, tensors)

    def gradients(self, batch: Texts, rows: Sequence[int]) -> dict[str, float]:
        """Fill the gradients of one minibatch; every mean is over its tokens, whatever pieces it is cut into."""
        count = float(batch.mask[rows].sum())
        pieces = _pieces(rows, batch.texts, self.config.microbatch)
        return accumulate(self.optimizer, lambda piece: self._objective(batch, piece, count), pieces)

    def _objective(self, batch: Texts, rows: Sequence[int], count: float) -> tuple[Tensor, dict[str, Tensor]]:
        """The clipped loss of some texts, and how far their writer has gone from the one that wrote them."""
        new, mask = self._logprobs(self.lm, [batch.prompts[i] for i in rows], [batch.texts[i] for i in rows])
        old = batch.old[rows, : new.shape[1]].to(new.device)
        advantages = batch.advantages[rows].to(new.device).unsqueeze(1).expand_as(new)
        loss = losses.clipped_policy_loss(new, old, advantages, mask, self.config.clip, count)
        moved = new.detach()
        return loss, {
            "loss": loss,
            "clip": losses.outside_clip(moved, old, self.config.clip)[mask].sum() / count,
            "kl_old": losses.k3(old, moved)[mask].sum() / count,
        }

    def resumable(self, stage: Stage) -> Resumable:
        """All that a batch changes: what it draws comes from the seed and its number."""
        weights = {f"weight.{name}": p for name, p in self.lm.named_parameters() if p.requires_grad}
        return Resumable(stage, weights, self.optimizer)


def _pieces(rows: Sequence[int], texts: Sequence[Tokens], size: int) -> Iterator[list[int]]:
    """``rows`` in pieces of ``size``, texts of like length together."""
    ordered = sorted(rows, key=lambda row: len(texts[row]))
    for start in range(0, len(ordered), size):
        yield ordered[start : start + size]


def _channel_means(groups: Sequence[Group]) -> dict[str, float]:
    """What else the scorer said of the batch: a reward that rises alone is being gamed."""
    options = [option for group in groups for option in group.options]
    return {
        f"channel_{name}": float(np.mean([option.channels[name] for option in options])) for name in options[0].channels
    }
