"""Aligning a writer with a recommender's feedback: DPO on best against worst, and best of N.

RLRF4Rec (arXiv 2410.05939), section III, with the settings it states; they are LLaMA-Factory's defaults of its time but
for β, so what it does not state is taken from there. Both objectives read the same pairs, so that what they differ in
is the objective alone:

dpo       -log σ(β (Δ_chosen - Δ_rejected)), the paper's
sft_best  the likelihood of the chosen texts alone: best of N, no reference
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transformers import AutoModelForCausalLM, PreTrainedModel, PreTrainedTokenizerBase

from tacit.rerank.align.pairs import Pair
from tacit.rerank.align.sft import train_writer
from tacit.rerank.align.trl_stage import InStage, TextTuning, adapters, arguments, room, run_in_stage, tokenized
from tacit.run.folder import Stage
from tacit.types import InputError

OBJECTIVES = ("dpo", "sft_best")
Rows = list[dict[str, Any]]


@dataclass
class DPOSettings(TextTuning):
    objective: str = "dpo"  # dpo | sft_best
    beta: float = 0.01  # how dear it is to leave the reference
    batch: int = 2
    accumulation: int = 8
    lr: float = 5e-5


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
    if settings.objective not in OBJECTIVES:
        raise InputError(f"align.objective={settings.objective} is unknown: choose one of {', '.join(OBJECTIVES)}")
    if stage.done():
        return stage.folder / "writer"
    if not pairs:
        raise InputError(f"{stage.name}: there are no pairs, all texts of every user scored alike or too few lists")
    lm: PreTrainedModel = AutoModelForCausalLM.from_pretrained(lm_folder, dtype="auto")
    if settings.objective == "sft_best":
        prompts, texts = [pair.prompt for pair in pairs], [pair.chosen for pair in pairs]
        return train_writer(lm, tokenizer, prompts, texts, settings, stage, seed, device, dtype)
    return _prefer(lm, tokenizer, pairs, settings, stage, seed, device, dtype)


def _prefer(
    lm: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    pairs: Sequence[Pair],
    settings: DPOSettings,
    stage: Stage,
    seed: int,
    device: str,
    dtype: str,
) -> Path:
    """DPO by TRL."""
    from trl.trainer.dpo_config import DPOConfig
    from trl.trainer.dpo_trainer import DPOTrainer

    own: dict[str, Any] = {"beta": settings.beta, "loss_type": ["sigmoid"]}
    lora = adapters(lm, settings.lora)
    return run_in_stage(
        PreparedDPO,
        DPOTrainer,
        stage,
        tokenizer,
        _pair_rows(tokenizer, pairs, room(lm, settings)),
        {"pairs": len(pairs), "objective": settings.objective},
        model=lm,
        ref_model=copy.deepcopy(lm) if lora is None else None,  # under adapters the base below them is the reference
        args=arguments(DPOConfig, settings, stage, seed, device, dtype, large=lora is not None, **own),
        peft_config=lora,
    )


def _pair_rows(tokenizer: PreTrainedTokenizerBase, pairs: Sequence[Pair], limit: int) -> Rows:
    rows = []
    for pair in pairs:
        prompt, (chosen, rejected) = tokenized(tokenizer, pair.prompt, [pair.chosen, pair.rejected], limit)
        rows.append({"prompt_ids": prompt, "chosen_ids": chosen, "rejected_ids": rejected})
    return rows


class PreparedDPO(InStage):
    """TRL's DPO on rows of tokens."""

    def _prepare_dataset(self, dataset: Any, *_: object) -> Any:
        """The rows are ready: TRL would encode prompt and text together, which a writer never sees."""
        return dataset
