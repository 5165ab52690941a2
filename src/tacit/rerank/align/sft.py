"""Supervised fine-tuning of a writer: the likelihood of texts given their prompts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from tacit.rerank.align.trl_stage import InStage, TextTuning, adapters, arguments, room, run_in_stage, tokenized
from tacit.run.folder import Stage
from tacit.types import InputError


@dataclass
class WriterConfig(TextTuning):
    """The defaults suit the small model from scratch; 5e-5 and 1 × 16 suit a pretrained one."""

    warmup: float = 0.05
    checkpoint_every: int = 200


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
    from trl.trainer.sft_config import SFTConfig
    from trl.trainer.sft_trainer import SFTTrainer

    rows = []
    for prompt, text in zip(prompts, texts, strict=True):
        head, (body,) = tokenized(tokenizer, prompt, [text], room(lm, config))
        rows.append({"input_ids": head + body, "labels": [-100] * len(head) + body})
    lora = adapters(lm, config.lora)
    own = {"dataset_kwargs": {"skip_prepare_dataset": True}}
    return run_in_stage(
        InStage,
        SFTTrainer,
        stage,
        tokenizer,
        rows,
        {"texts": len(rows)},
        model=lm,
        args=arguments(SFTConfig, config, stage, seed, device, dtype, large=lora is not None, **own),
        peft_config=lora,
    )
