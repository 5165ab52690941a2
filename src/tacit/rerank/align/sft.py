"""Supervised fine-tuning of a writer: the likelihood of texts given their prompts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from tacit.rerank.align.tune import Example, TextTuning, examples_of, prepared, tune
from tacit.run.folder import Stage
from tacit.run.limits import at_least, share
from tacit.types import InputError


@dataclass
class WriterConfig(TextTuning):
    """Of a writer's first training, on composed texts."""

    warmup: float = share(default=0.05)
    checkpoint_every: int = at_least(1, default=200)


@dataclass(frozen=True)
class Likelihood:
    """The mean of -log P over a step's tokens of texts, nats: long texts count more than short ones."""

    examples: Sequence[Example]

    def count(self, rows: Sequence[int]) -> float:
        return float(sum(len(text) for row in rows for text in self.examples[row].texts))

    def sums(self, logprobs: Tensor, mask: Tensor, rows: Sequence[int]) -> tuple[Tensor, dict[str, Tensor]]:
        return -torch.where(mask, logprobs, 0.0).sum(), {}


def train_writer(
    lm: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[str],
    texts: Sequence[str],
    config: TextTuning,
    stage: Stage,
    seed: int,
    device: str = "cpu",
    dtype: str = "float32",
) -> Path:
    """Teach ``lm`` to write ``texts[i]`` after ``prompts[i]``; the folder of the result, in the hub's format.

    Only the texts' tokens (and the end token) are targets. Resumes where a kill left it; a finished stage is only read.
    """
    if stage.done():
        return stage.folder / "writer"
    if not prompts:
        raise InputError(f"{stage.name}: there is no text to learn from")
    model = prepared(lm, config, seed, device)
    examples = examples_of(tokenizer, prompts, [[text] for text in texts], model, config)
    return tune(model, tokenizer, examples, Likelihood(examples), config, stage, seed, dtype, {"texts": len(examples)})
