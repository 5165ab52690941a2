"""Fine-tuning of a writer on given texts: epochs of steps, read from top to bottom, resumable to the bit.

What differs between supervised fine-tuning and DPO is the ``Objective``; the order of the data, the schedule, the
pieces, the adapters, checkpoints and the log are here. The order, the schedules and AdamW's settings are those of the
Trainer of transformers, which tuned the writers of earlier versions.
"""

from __future__ import annotations

import logging
import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal, NoReturn, Protocol

import torch
from peft import PeftModel
from torch import Tensor, nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase, get_scheduler

from tacit.rerank.writer.writers import prompt_tokens
from tacit.run.checkpoint import Generator
from tacit.run.config import check_types
from tacit.run.folder import Stage
from tacit.run.limits import above, at_least, learning_rate, share
from tacit.run.manifest import sealed_folder
from tacit.run.processes import release_memory
from tacit.run.progress import progress
from tacit.run.resume import Resumable
from tacit.run.steps import accumulate, clipped_step
from tacit.run.stopped import not_finite_number, stop, stopped_folder
from tacit.text.generate import CutText, text_logprobs
from tacit.text.lm import LORA_FROM, max_positions, with_lora
from tacit.types import InputError

log = logging.getLogger("tacit")

LARGE = 50_000_000  # weights from which a model is taken for one that others trained; the small one has four million
FEW = 4  # texts that such a model reads at once: a text of 400 tokens keeps about a gigabyte for the backward pass
LR_FRESH, LR_WHOLE, LR_LORA = 1e-3, 5e-5, 2e-4

# The schedulers of transformers that need no further settings.
Schedule = Literal[
    "cosine",
    "linear",
    "constant",
    "constant_with_warmup",
    "cosine_with_restarts",
    "polynomial",
    "inverse_sqrt",
]


@dataclass
class TextTuning:
    """Settings that every fine-tuning of a writer shares."""

    epochs: float = above(0.0, default=3.0)
    # texts (or pairs) in a forward pass, at most: a model of LARGE weights takes FEW at once, which memory alone feels
    batch: int = at_least(1, default=16)
    accumulation: int = at_least(1, default=1)  # forward passes in a step, whose loss is one mean over all of them
    # None: by the model, LR_FRESH for a small one, LR_WHOLE and LR_LORA for one of LARGE weights
    lr: float | None = learning_rate(default=None)
    schedule: Schedule = "cosine"
    warmup: float = share(default=0.0)  # share of all steps
    weight_decay: float = at_least(0.0, default=0.0)  # of matrices; never of biases and norms
    grad_clip: float = at_least(0.0, default=1.0)  # of the gradient's norm; 0 = not
    max_length: int = at_least(8, default=1024)  # tokens of prompt and text together; the text's end is cut
    # rank, α = 2 rank; 0 = train all weights; -1 = text.lm.LORA_RANK above one billion parameters
    lora: int = at_least(-1, default=-1)
    checkpoint_every: int = at_least(1, default=50)  # steps


@dataclass(frozen=True, slots=True)
class Example:
    """A prompt and the texts that may follow it, in tokens; a text ends with its end token unless it was cut."""

    prompt: list[int]
    texts: list[list[int]]

    @property
    def length(self) -> int:
        return len(self.prompt) + max(map(len, self.texts))


class Objective(Protocol):
    """What a step minimises: a mean over a step's examples, or over their tokens."""

    def count(self, rows: Sequence[int]) -> float:
        """What the mean over these examples divides by."""
        ...

    def sums(self, logprobs: Tensor, mask: Tensor, rows: Sequence[int]) -> tuple[Tensor, dict[str, Tensor]]:
        """(the loss, what else is logged), summed over these examples: before the division by ``count``.

        ``logprobs``, ``mask`` [S, T]: of the examples' texts, one after the other, in nats.
        """
        ...


def prepared(lm: PreTrainedModel, settings: TextTuning, seed: int, device: str) -> Any:
    """The model as it is trained: on its device, under fresh adapters or whole."""
    torch.manual_seed(seed)  # fresh adapters, and dropout
    model: Any = with_lora(lm, settings.lora).to(device).train()
    if isinstance(model, PeftModel) and lm.num_parameters() >= LORA_FROM:  # a third more time, far less memory
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # the name that every transformers 5 knows
            model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    return model


def tune(
    model: Any,
    tokenizer: PreTrainedTokenizerBase,
    examples: Sequence[Example],
    objective: Objective,
    settings: TextTuning,
    stage: Stage,
    seed: int,
    dtype: str,
    summary: Mapping[str, Any],
) -> Path:
    """Train a ``prepared`` model from the start or the last checkpoint; it goes to ``stage.folder / "writer"``.

    The log has a row a step: loss, grad_norm (before clipping), lr, and what the objective tells. ``summary`` goes to
    the stage's own.
    """
    check_types(settings, f"{stage.name}: ")
    if not examples:
        raise InputError(f"{stage.name}: there is no text to learn from: take more users.")
    steps = total_steps(len(examples), settings)
    trained = [p for p in model.parameters() if p.requires_grad]
    size = at_once(model, settings, len(examples[0].texts))
    rate = settings.lr or fitting_lr(model)
    log.info("%s: %d steps, learning rate %g, %d examples a forward pass", stage.name, steps, rate, size)
    optimizer, schedule = _optimizer(trained, settings, steps, rate)
    resumable = Resumable(stage, _weights(model), optimizer, _generators())
    _refuse_older(stage)
    done, place = resumable.restore()
    if place:
        schedule.load_state_dict(place["schedule"])
    with progress(steps, stage.name) as bar:
        bar.resume(done)
        for step, rows in _batches(len(examples), settings, seed, done, steps):
            lr = schedule.get_last_lr()[0]
            loss_of = partial(_mean_loss, model, tokenizer, examples, objective, dtype, objective.count(rows))
            stats = accumulate(optimizer, loss_of, by_length(examples, rows, size))
            norm = clipped_step(optimizer, trained, settings.grad_clip)
            broken = not_finite_number({**stats, "gradient": norm})
            if broken is not None:
                _stop(
                    stage,
                    step,
                    f"the {broken} of step {step} is not finite",
                    [examples[row] for row in rows],
                    tokenizer,
                )
            schedule.step()
            loss = stats.pop("loss")
            stage.log.append(step, loss=loss, grad_norm=norm, lr=lr, **stats)
            if step % settings.checkpoint_every == 0 or step == steps:
                resumable.save(step, {"schedule": schedule.state_dict()})
            bar.advance(note=f"loss {loss:.3f}")
    save_writer(model, tokenizer, stage.folder / "writer")
    stage.finish({"steps": steps, **summary})
    release_memory()
    return stage.folder / "writer"


def _stop(
    stage: Stage, step: int, broken: str, examples: Sequence[Example], tokenizer: PreTrainedTokenizerBase
) -> NoReturn:
    reason = f"the {broken} of step {step} is not finite"
    kept = [[tokenizer.decode(tokens) for tokens in (example.prompt, *example.texts)] for example in examples]
    stop(stopped_folder(stage.folder, step), stage.name, reason, "lower the learning rate", {"prompt, texts": kept})


def fitting_lr(model: Any) -> float:
    """The learning rate of a ``prepared`` model where none is set."""
    if isinstance(model, PeftModel):
        return LR_LORA
    return LR_WHOLE if model.num_parameters() >= LARGE else LR_FRESH


def at_once(model: Any, settings: TextTuning, texts: int) -> int:
    """Examples of ``texts`` texts each in a forward pass. What is learnt does not depend on it."""
    large = model.num_parameters() >= LARGE
    return min(settings.batch, max(1, FEW // texts)) if large else settings.batch


def total_steps(count: int, settings: TextTuning) -> int:
    """Steps over ``count`` examples; the last one of an epoch may be over fewer than the others."""
    return math.ceil(settings.epochs * math.ceil(count / (settings.batch * settings.accumulation)))


def _batches(count: int, settings: TextTuning, seed: int, done: int, steps: int) -> Iterator[tuple[int, list[int]]]:
    """(step, the examples it is over) after ``done`` steps, from 1. Every epoch has an order of its own."""
    size = settings.batch * settings.accumulation
    in_epoch = math.ceil(count / size)
    for epoch in range(done // in_epoch, math.ceil(steps / in_epoch)):
        order = torch.randperm(count, generator=torch.Generator().manual_seed(seed + epoch)).split(size)
        for number, rows in enumerate(order, start=epoch * in_epoch + 1):
            if done < number <= steps:
                yield number, rows.tolist()


def by_length(examples: Sequence[Example], rows: Sequence[int], size: int) -> Iterator[list[int]]:
    """``rows`` in pieces of ``size``, examples of like length together: little padding."""
    ordered = sorted(rows, key=lambda row: examples[row].length)
    for start in range(0, len(ordered), size):
        yield ordered[start : start + size]


def logprobs_of(
    model: Any, tokenizer: PreTrainedTokenizerBase, examples: Sequence[Example], dtype: str
) -> tuple[Tensor, Tensor]:
    """log P of each token of the examples' texts given their prompts, and where there is one, [S, T]."""
    prompts = [example.prompt for example in examples for _ in example.texts]
    texts = [text for example in examples for text in example.texts]
    with torch.autocast(model.device.type, torch.bfloat16, enabled=dtype == "bfloat16"):
        return text_logprobs(model, prompts, texts, ends=[int(tokenizer.eos_token_id)])


def _mean_loss(
    model: Any,
    tokenizer: PreTrainedTokenizerBase,
    examples: Sequence[Example],
    objective: Objective,
    dtype: str,
    count: float,
    rows: list[int],
) -> tuple[Tensor, dict[str, Tensor]]:
    """These rows' part of the step's mean loss, and of what is logged beside it."""
    logprobs, mask = logprobs_of(model, tokenizer, [examples[row] for row in rows], dtype)
    loss, stats = objective.sums(logprobs, mask, rows)
    return loss / count, {"loss": loss / count, **{name: value / count for name, value in stats.items()}}


def _optimizer(
    trained: Sequence[nn.Parameter], settings: TextTuning, steps: int, lr: float
) -> tuple[torch.optim.AdamW, torch.optim.lr_scheduler.LRScheduler]:
    """AdamW and its schedule."""
    groups = [
        {"params": [p for p in trained if p.dim() > 1], "weight_decay": settings.weight_decay},
        {"params": [p for p in trained if p.dim() <= 1], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW([group for group in groups if group["params"]], lr=lr, fused=True)
    warmup = math.ceil(steps * settings.warmup)
    return optimizer, get_scheduler(settings.schedule, optimizer, warmup, steps)


def _weights(model: Any) -> dict[str, Tensor]:
    return {f"weight.{name}": p for name, p in model.named_parameters() if p.requires_grad}


def _generators() -> list[Generator]:
    cuda = torch.cuda.default_generators if torch.cuda.is_available() else ()
    return [torch.default_generator, *cuda]


def _refuse_older(stage: Stage) -> None:
    """A checkpoint of TRL's trainer holds moments in another order of the weights."""
    checkpoint = stage.checkpoints.latest()
    if checkpoint is not None and "trainer" in checkpoint.state:
        raise InputError(
            f"{stage.folder} was left half done by an earlier version, whose tuning cannot be continued: delete this "
            "folder and run the same command again."
        )


def save_writer(model: Any, tokenizer: PreTrainedTokenizerBase, folder: Path) -> None:
    """A model, its adapters merged if it has any, as a folder in the hub's format."""
    whole = model.merge_and_unload() if isinstance(model, PeftModel) else model
    with sealed_folder(folder) as part:
        whole.save_pretrained(part)
        tokenizer.save_pretrained(part)


def examples_of(
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[str],
    texts: Sequence[Sequence[str]],
    model: Any,
    settings: TextTuning,
) -> list[Example]:
    """``texts[i]`` are those after ``prompts[i]``, both cut to what settings and model can read."""
    limit = min(settings.max_length, max_positions(model))
    return [Example(*tokenized(tokenizer, p, t, limit)) for p, t in zip(prompts, texts, strict=True)]


def tokenized(
    tokenizer: PreTrainedTokenizerBase, prompt: str, texts: Sequence[str], limit: int
) -> tuple[list[int], list[list[int]]]:
    """(the prompt's tokens, the tokens of each text with the end token), prompt and text within ``limit``.

    Both are encoded apart, as a writer meets them: it is given the prompt and goes on. A ``CutText`` was never ended,
    and no end is learnt from it. Raises ``InputError`` when a prompt leaves no room.
    """
    head = prompt_tokens(tokenizer, prompt)
    if len(head) >= limit:
        raise InputError(
            f"a prompt of {len(head)} tokens leaves no room for a text within {limit} (max_length, or what the model "
            "can read): show less of the history in the prompts, or take a model that reads more"
        )
    bodies = [tokenizer.encode(text, add_special_tokens=False) for text in texts]
    for body, text in zip(bodies, texts, strict=True):
        if not (body and isinstance(text, CutText)):
            body.append(tokenizer.eos_token_id)
    return head, [body[: limit - len(head)] for body in bodies]
