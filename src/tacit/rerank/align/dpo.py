"""Aligning a writer with a recommender's feedback: DPO on best against worst, and best of N.

RLRF4Rec (arXiv 2410.05939), section III, with the settings it states; they are LLaMA-Factory's defaults of its time but
for β, so what it does not state is taken from there. Both objectives read the same pairs, so that what they differ in
is the objective alone:

dpo       -log σ(β (Δ_chosen - Δ_rejected)), the paper's (``losses.dpo_loss``)
sft_best  the likelihood of the chosen texts alone: best of N, no reference
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors.torch import load_file, save
from torch import Tensor, nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from tacit.losses import dpo_loss
from tacit.rerank.align.pairs import Pair
from tacit.rerank.align.sft import train_writer
from tacit.rerank.align.tune import Example, TextTuning, at_once, by_length, examples_of, logprobs_of, prepared, tune
from tacit.run.files import atomic_write, says_when_damaged
from tacit.run.folder import Stage
from tacit.run.limits import above, at_least, learning_rate
from tacit.text.lm import load_pretrained
from tacit.types import InputError

OBJECTIVES = ("dpo", "sft_best")
REFERENCE = "reference.safetensors"


@dataclass
class DPOSettings(TextTuning):
    objective: Literal["dpo", "sft_best"] = "dpo"  # dpo | sft_best
    beta: float = above(0.0, default=0.01)  # how dear it is to leave the reference
    batch: int = at_least(1, default=2)
    accumulation: int = at_least(1, default=8)
    lr: float | None = learning_rate(default=5e-5)


@dataclass(frozen=True)
class Preference:
    """DPO's mean over a step's pairs. ``reference`` [N, 2]: log P of chosen and rejected texts before training."""

    reference: Tensor
    beta: float

    def count(self, rows: Sequence[int]) -> float:
        return float(len(rows))

    def sums(self, logprobs: Tensor, mask: Tensor, rows: Sequence[int]) -> tuple[Tensor, dict[str, Tensor]]:
        chosen, rejected = torch.where(mask, logprobs, 0.0).sum(1).view(-1, 2).unbind(1)
        ref_chosen, ref_rejected = self.reference[list(rows)].to(chosen.device).unbind(1)
        margins = self.beta * ((chosen - ref_chosen) - (rejected - ref_rejected)).detach()
        return dpo_loss(chosen, rejected, ref_chosen, ref_rejected, self.beta).sum(), {
            "pair_accuracy": (margins > 0.0).float().sum(),
            "pair_margin": margins.sum(),
            "logprob_chosen": chosen.detach().sum(),
            "logprob_rejected": rejected.detach().sum(),
        }


def align(
    lm_folder: str | Path,
    tokenizer: PreTrainedTokenizerBase,
    pairs: Sequence[Pair],
    settings: DPOSettings,
    stage: Stage,
    seed: int,
    device: str = "cpu",
    dtype: str = "float32",
) -> Path:
    """One round: the model in ``lm_folder`` learns from ``pairs`` with itself as reference; the folder of the result.

    Resumes where a kill left it; a finished stage is only read.
    """
    if stage.done():
        return stage.folder / "writer"
    if settings.objective not in OBJECTIVES:
        raise InputError(f"align.objective={settings.objective} is unknown: choose one of {', '.join(OBJECTIVES)}")
    if not pairs:
        raise InputError(f"{stage.name}: there are no pairs, all texts of every user scored alike or too few lists")
    lm: PreTrainedModel
    lm, _ = load_pretrained(lm_folder, "auto", "knowledge.writer", tokenizer)
    prompts = [pair.prompt for pair in pairs]
    if settings.objective == "sft_best":
        chosen = [pair.chosen for pair in pairs]
        return train_writer(lm, tokenizer, prompts, chosen, settings, stage, seed, device, dtype)
    model = _without_dropout(prepared(lm, settings, seed, device))
    examples = examples_of(tokenizer, prompts, [[pair.chosen, pair.rejected] for pair in pairs], model, settings)
    size = at_once(model, settings, texts=2)
    reference = _reference(model, tokenizer, examples, size, dtype, stage.folder / REFERENCE)
    summary = {"pairs": len(pairs), "objective": settings.objective}
    return tune(model, tokenizer, examples, Preference(reference, settings.beta), settings, stage, seed, dtype, summary)


def _without_dropout(model: Any) -> Any:
    """Dropout would tell the policy from its reference before anything was learnt."""
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    return model


@torch.no_grad()
def _reference(
    model: Any, tokenizer: PreTrainedTokenizerBase, examples: Sequence[Example], batch: int, dtype: str, file: Path
) -> Tensor:
    """log P of every chosen and rejected text, [N, 2], under the model as it begins: its adapters still add nothing.

    Computed once and kept, so that no second model is held and a resumed stage has the same numbers.
    """
    if file.is_file():
        with says_when_damaged(file, "delete it to compute it again."):
            return load_file(file)["logprobs"]
    logprobs = torch.zeros(len(examples), 2)
    for rows in by_length(examples, range(len(examples)), batch):
        values, mask = logprobs_of(model, tokenizer, [examples[row] for row in rows], dtype)
        logprobs[rows] = torch.where(mask, values, 0.0).sum(1).view(-1, 2).cpu()
    atomic_write(file, save({"logprobs": logprobs}))
    return logprobs
