"""Aligning a writer with a recommender's feedback: DPO on best against worst, and its stronger relatives.

RLRF4Rec (arXiv 2410.05939), section III, with the settings it states; they are LLaMA-Factory's defaults of its time but
for β, so what it does not state is taken from there. Every objective reads the same pairs, so that what they differ in
is the objective alone:

dpo          -log σ(β (Δ_chosen - Δ_rejected)), the paper's
dpo_sft      the same plus the chosen text's likelihood, which dpo alone lets fall
softmax_dpo  the chosen text against several that lost to it at once (arXiv 2406.09215)
sft_best     the likelihood of the chosen texts alone: best of N, no reference
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from tacit.losses import softmax_dpo_loss
from tacit.rerank.align.pairs import Pair
from tacit.rerank.align.sft import train_writer
from tacit.rerank.align.trl_stage import InStage, TextTuning, adapters, arguments, room, run_in_stage, tokenized
from tacit.run.folder import Stage
from tacit.text.lm import load_pretrained
from tacit.types import InputError

OBJECTIVES = ("dpo", "dpo_sft", "softmax_dpo", "sft_best")
Rows = list[dict[str, Any]]


@dataclass
class DPOSettings(TextTuning):
    objective: str = "dpo"  # dpo | dpo_sft | softmax_dpo | sft_best
    beta: float = 0.01  # how dear it is to leave the reference
    anchor: float = 1.0  # weight of the chosen text's likelihood (nats a token) in dpo_sft
    negatives: int = 3  # rejected texts a prompt in softmax_dpo
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
    lm, _ = load_pretrained(lm_folder, "auto", "knowledge.writer", tokenizer)
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
    """Every objective that compares the chosen text with rejected ones."""
    from trl.trainer.dpo_config import DPOConfig
    from trl.trainer.dpo_trainer import DPOTrainer

    several = settings.objective == "softmax_dpo"
    make_rows: Callable[..., Rows] = _group_rows if several else _pair_rows
    own: dict[str, Any] = {"beta": settings.beta, "loss_type": ["sigmoid"]}
    if settings.objective == "dpo_sft":
        own |= {"loss_type": ["sigmoid", "sft"], "loss_weights": [1.0, settings.anchor]}
    lora = adapters(lm, settings.lora)
    return run_in_stage(
        SoftmaxDPO if several else PreparedDPO,
        DPOTrainer,
        stage,
        tokenizer,
        make_rows(tokenizer, pairs, settings, room(lm, settings)),
        {"pairs": len(pairs), "objective": settings.objective},
        model=lm,
        ref_model=copy.deepcopy(lm) if lora is None else None,  # under adapters the base below them is the reference
        args=arguments(DPOConfig, settings, stage, seed, device, dtype, large=lora is not None, **own),
        data_collator=_Options(int(tokenizer.eos_token_id)) if several else None,
        peft_config=lora,
    )


def _pair_rows(tokenizer: PreTrainedTokenizerBase, pairs: Sequence[Pair], settings: DPOSettings, limit: int) -> Rows:
    rows = []
    for pair in pairs:
        prompt, (chosen, rejected) = tokenized(tokenizer, pair.prompt, [pair.chosen, pair.rejected], limit)
        rows.append({"prompt_ids": prompt, "chosen_ids": chosen, "rejected_ids": rejected})
    return rows


def _group_rows(tokenizer: PreTrainedTokenizerBase, pairs: Sequence[Pair], settings: DPOSettings, limit: int) -> Rows:
    """As ``_pair_rows``, but ``rejected_ids`` is a list of texts: the worst ones, as many as ``negatives`` says."""
    rows = []
    for pair in pairs:
        lost = [pair.rejected, *pair.others][: settings.negatives]
        prompt, (chosen, *rejected) = tokenized(tokenizer, pair.prompt, [pair.chosen, *lost], limit)
        rows.append({"prompt_ids": prompt, "chosen_ids": chosen, "rejected_ids": rejected})
    return rows


class PreparedDPO(InStage):
    """TRL's DPO on rows of tokens."""

    def _prepare_dataset(self, dataset: Any, *_: object) -> Any:
        """The rows are ready: TRL would encode prompt and text together, which a writer never sees."""
        return dataset


@dataclass
class _Options:
    """Collates ``_group_rows``: sequences of one prompt stand together, the chosen one first.

    ``input_ids``, ``attention_mask``, ``completion_mask`` [S, T]; ``options`` [N, 1 + K], True where prompt n has a
    text k. Its True entries, row by row, are the S sequences. Any token will do as ``pad``: it is masked.
    """

    pad: int

    def __call__(self, rows: Rows) -> dict[str, Tensor]:
        groups = [[row["chosen_ids"], *row["rejected_ids"]] for row in rows]
        lengths = [
            (len(row["prompt_ids"]), len(text)) for row, texts in zip(rows, groups, strict=True) for text in texts
        ]
        ids = [row["prompt_ids"] + text for row, texts in zip(rows, groups, strict=True) for text in texts]
        counts = torch.tensor([len(texts) for texts in groups])
        return {
            "input_ids": _padded(ids, self.pad),
            "attention_mask": _padded([[1] * (prompt + text) for prompt, text in lengths], 0),
            "completion_mask": _padded([[0] * prompt + [1] * text for prompt, text in lengths], 0),
            "options": torch.arange(int(counts.max())) < counts[:, None],
        }


def _padded(rows: Sequence[Sequence[int]], value: int) -> Tensor:
    return pad_sequence([torch.tensor(row) for row in rows], batch_first=True, padding_value=value)


class SoftmaxDPO(PreparedDPO):
    """DPO with several rejected texts a prompt (S-DPO, arXiv 2406.09215), which TRL does not have."""

    beta: float
    ref_model: Any
    _metrics: Any
    compute_ref_log_probs: Callable[..., tuple[Tensor, Tensor]]

    def _compute_loss(self, model: Any, inputs: dict[str, Tensor], return_outputs: bool) -> Tensor:
        options = inputs.pop("options")
        labels = inputs["input_ids"].masked_fill(inputs["completion_mask"] == 0, -100)
        seen = {name: inputs[name] for name in ("input_ids", "attention_mask")}
        own = model(**seen, labels=labels, use_cache=False, fused_lm_head=True).log_probs.sum(1)
        reference = torch.cat(self.compute_ref_log_probs(self.ref_model or model, inputs))  # it returns two halves
        gains = own.new_zeros(options.shape).masked_scatter(options, own - reference)
        self._note(gains.detach(), options, own.detach())
        return softmax_dpo_loss(gains, options, self.beta)

    def _note(self, gains: Tensor, options: Tensor, logprobs: Tensor) -> None:
        """The same names as TRL's own; a pair counts as right when the chosen text gained more than every other."""
        best_other = gains.masked_fill(~options, -torch.inf)[:, 1:].amax(1)
        is_chosen = torch.nn.functional.one_hot(options.long().argmax(1), options.shape[1]).bool()[options]
        values = {
            "rewards/accuracies": (gains[:, 0] > best_other).float().mean(),
            "rewards/margins": self.beta * (gains[:, 0] - best_other).mean(),
            "logps/chosen": logprobs[is_chosen].mean(),
            "logps/rejected": logprobs[~is_chosen].mean(),
        }
        for name, value in values.items():
            self._metrics["train"][name].append(value.item())
