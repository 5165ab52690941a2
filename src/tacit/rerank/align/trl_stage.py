"""TRL's trainers as stages of a run: quiet, resumable to the bit, without pickle, and nothing is sent anywhere.

TRL (https://huggingface.co/docs/trl) brings the loops and losses of text fine-tuning. A trainer of transformers keeps
its checkpoints as pickles that a kill can leave half written, prints its logs, draws bars of its own and tells the hub
that it was used; ``InStage`` replaces just these. TRL takes seconds to import, so it is imported where it is used.
"""

from __future__ import annotations

import contextlib
import json
import math
import tempfile
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, TaskType
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from tacit.rerank.align.trl_head import scoring_answers_alone
from tacit.rerank.writer.writers import prompt_tokens
from tacit.run.checkpoint import Checkpoint, Generator
from tacit.run.folder import Stage, atomic_folder, pack_optimizer, pack_rng, unpack_optimizer, unpack_rng
from tacit.run.processes import release_memory
from tacit.run.progress import Ticker, progress
from tacit.text.lm import LORA_FROM, max_positions
from tacit.types import InputError

LORA_RANK = 8  # LLaMA-Factory's default, with which the paper's settings agree
_LOGGED = {
    "loss": "loss",
    "grad_norm": "grad_norm",
    "learning_rate": "lr",
    "entropy": "entropy",
    "mean_token_accuracy": "token_accuracy",
    "rewards/accuracies": "pair_accuracy",
    "rewards/margins": "pair_margin",
    "logps/chosen": "logprob_chosen",
    "logps/rejected": "logprob_rejected",
}


@dataclass
class TextTuning:
    """Settings that every fine-tuning of a writer shares."""

    epochs: float = 3.0
    batch: int = 16  # texts (or pairs) in a forward pass
    accumulation: int = 1  # forward passes in a step
    lr: float = 1e-3
    schedule: str = "cosine"  # a scheduler of transformers: cosine | linear | constant_with_warmup …
    warmup: float = 0.0  # share of all steps
    weight_decay: float = 0.0
    grad_clip: float = 1.0
    max_length: int = 1024  # tokens of prompt and text together; the text's end is cut
    lora: int = -1  # rank, α = 2 rank; 0 = train all weights; -1 = rank 8 above one billion parameters
    checkpoint_every: int = 50  # steps


class InStage:
    """Stands before a trainer of TRL among the bases of a class, and is its part that knows the stage."""

    stage: Stage
    bar: Ticker
    found: Checkpoint | None = None
    model: Any
    optimizer: Any
    lr_scheduler: Any
    state: Any

    def _send_telemetry(self) -> None:
        """Nothing."""

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """One row a step. TRL's own ``log`` adds its metrics to ``logs``."""
        super().log(logs, start_time)  # type: ignore[misc]
        self.state.log_history.clear()
        if "loss" not in logs:  # the summary at the end, with times
            return
        if not math.isfinite(logs["loss"]):
            raise InputError(f"{self.stage.name}: the loss is no longer a finite number; lower the learning rate.")
        row = {ours: logs[theirs] for theirs, ours in _LOGGED.items() if theirs in logs}
        self.stage.log.append(self.state.global_step, **row)
        self.bar.advance(note=f"loss {logs['loss']:.3f}")

    def _save_checkpoint(self, model: object, trial: object) -> None:
        """Everything the next step depends on, as the other stages save it."""
        moments, rest = pack_optimizer(self.optimizer)
        state = {
            "trainer": asdict(self.state),
            "optimizer": rest,
            "schedule": self.lr_scheduler.state_dict(),
            "rng": pack_rng(*_generators()),
        }
        self.stage.checkpoints.save(self.state.global_step, {**self._weights(), **moments}, state)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: object = None) -> None:
        self._found().into(self._weights())

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        if checkpoint is not None:
            unpack_optimizer(self.optimizer, self._found().tensors, self._found().state["optimizer"])
            self.lr_scheduler.load_state_dict(self._found().state["schedule"])

    def _load_rng_state(self, checkpoint: str | None) -> None:
        if checkpoint is not None:
            unpack_rng(self._found().state["rng"], *_generators())

    def _weights(self) -> dict[str, Tensor]:
        return {f"weight.{name}": p for name, p in self.model.named_parameters() if p.requires_grad}

    def _found(self) -> Checkpoint:
        assert self.found is not None
        return self.found


@contextlib.contextmanager
def without_future_warnings() -> Iterator[None]:
    """TRL 1.16 sets options that transformers 5 calls deprecated; whoever runs a stage can do nothing about it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        yield


@without_future_warnings()
def run_in_stage(
    mixin: type[InStage],
    trainer_class: type,
    stage: Stage,
    tokenizer: PreTrainedTokenizerBase,
    rows: Sequence[Mapping[str, Any]],
    summary: Mapping[str, Any],
    **options: Any,
) -> Path:
    """Train from the start or from the last checkpoint, and write the model to ``stage.folder / "writer"``.

    ``options`` (the model, ``args`` and more) go to the trainer of TRL with the rows. The folder is as ``save_writer``
    makes it.
    """
    from datasets import Dataset  # type: ignore[import-untyped]
    from transformers.trainer_callback import PrinterCallback

    torch.manual_seed(options["args"].seed)  # fresh adapters are drawn before the trainer sets its seed
    trainer: Any = type(mixin.__name__, (mixin, trainer_class), {})(
        train_dataset=Dataset.from_list(list(rows)), processing_class=tokenizer, **options
    )
    trainer.remove_callback(PrinterCallback)
    trainer.stage, trainer.found = stage, stage.checkpoints.latest()
    stage.log.truncate(trainer.found.step if trainer.found else -1)
    with (
        progress(_steps(len(rows), trainer.args), stage.name) as trainer.bar,
        tempfile.TemporaryDirectory() as folder,
    ):
        if trainer.found is not None:
            trainer.bar.resume(trainer.found.step)
            place = json.dumps(trainer.found.state["trainer"])  # transformers reads the place from a file
            (Path(folder) / "trainer_state.json").write_text(place, encoding="utf-8")
        with scoring_answers_alone():
            trainer.train(resume_from_checkpoint=folder if trainer.found else None)
    save_writer(trainer.model, tokenizer, stage.folder / "writer")
    stage.finish({"steps": trainer.state.global_step, **summary})
    del trainer
    release_memory()
    return stage.folder / "writer"


def _steps(n: int, args: Any) -> int:
    """Optimiser steps over ``n`` rows, as transformers counts them."""
    batches = math.ceil(n / args.per_device_train_batch_size)
    steps: int = math.ceil(args.num_train_epochs * math.ceil(batches / args.gradient_accumulation_steps))
    return steps


def save_writer(model: Any, tokenizer: PreTrainedTokenizerBase, folder: Path) -> None:
    """A model, its adapters merged if it has any, as a folder in the hub's format."""
    whole = model.merge_and_unload() if hasattr(model, "merge_and_unload") else model
    whole.config.use_cache = True  # training switched it off, and generation would recompute every token
    with atomic_folder(folder) as part:
        whole.save_pretrained(part)
        tokenizer.save_pretrained(part)


@without_future_warnings()
def arguments(
    kind: type, config: TextTuning, stage: Stage, seed: int, device: str, dtype: str, large: bool, **own: Any
) -> Any:
    """An SFTConfig or a DPOConfig: what they have in common, and their ``own``. Reporters, the hub and bars are off."""
    common = {
        "output_dir": str(stage.folder),
        "num_train_epochs": config.epochs,
        "per_device_train_batch_size": config.batch,
        "gradient_accumulation_steps": config.accumulation,
        "learning_rate": config.lr,
        "lr_scheduler_type": config.schedule,
        "warmup_steps": config.warmup,  # below 1 it is a share
        "weight_decay": config.weight_decay,
        "max_grad_norm": config.grad_clip,
        "max_length": None,  # the token lists are cut before
        "gradient_checkpointing": large,
        "bf16": dtype == "bfloat16",
        "use_cpu": device == "cpu",
        "dataloader_pin_memory": device != "cpu",
        "seed": seed,
        "data_seed": seed,
        "logging_steps": 1,  # a checkpoint between two logs would lose what was summed up for the next
        "logging_nan_inf_filter": False,
        "save_steps": config.checkpoint_every,
        "report_to": "none",
        "push_to_hub": False,
        "disable_tqdm": True,
    }
    return kind(**common, **own)


def adapters(model: PreTrainedModel, rank: int) -> LoraConfig | None:
    """Adapters on every linear layer but the head; None where all weights are trained, which become float32 for it.

    A step of 5e-5 is lost in a weight kept as bfloat16.
    """
    if rank < 0:
        rank = LORA_RANK if model.num_parameters() >= LORA_FROM else 0
    if rank == 0:
        model.float()
        return None
    return LoraConfig(
        task_type=TaskType.CAUSAL_LM,
        r=rank,
        lora_alpha=2 * rank,
        target_modules="all-linear",
        fan_in_fan_out=type(model).__name__.startswith("GPT2"),  # Conv1D stores its weight transposed
    )


def tokenized(
    tokenizer: PreTrainedTokenizerBase, prompt: str, texts: Sequence[str], limit: int
) -> tuple[list[int], list[list[int]]]:
    """(the prompt's tokens, the tokens of each text with the end token), prompt and text within ``limit``.

    Both are encoded apart, as a writer meets them: it is given the prompt and goes on. Raises ``InputError`` when a
    prompt leaves no room.
    """
    head = prompt_tokens(tokenizer, prompt)
    if len(head) >= limit:
        raise InputError(
            f"a prompt of {len(head)} tokens leaves no room for a text within {limit} (max_length, or what the model "
            "can read): show less of the history in the prompts, or take a model that reads more"
        )
    bodies = [[*tokenizer.encode(text, add_special_tokens=False), tokenizer.eos_token_id] for text in texts]
    return head, [body[: limit - len(head)] for body in bodies]


def room(model: PreTrainedModel, config: TextTuning) -> int:
    """Tokens that prompt and text may have together."""
    return min(config.max_length, max_positions(model))


def _generators() -> list[Generator]:
    cuda = torch.cuda.default_generators if torch.cuda.is_available() else ()
    return [torch.default_generator, *cuda]
