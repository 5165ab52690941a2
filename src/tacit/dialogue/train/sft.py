"""Supervised fine-tuning: next-utterance likelihood on the recommender's turns, plus the likelihood of its items.

Paper A (arXiv 2508.05289) §3.1: "fine-tuned using supervised learning on historical CRS dialogues … with
next-utterance prediction as the training objective". The slate term is ours: it trains the head that ranks the
catalogue. Early stopping looks at NDCG@10 on validation dialogues, or at their text where no items are recommended.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from tacit.dialogue.policy.policy import Policy
from tacit.dialogue.train.segments import Rejected, Segment, segments
from tacit.dialogue.train.sft_config import FRESH_LM_LR, SFTConfig
from tacit.dialogue.train.sft_losses import losses
from tacit.dialogue.train.sft_validation import validate
from tacit.run.config import check_types
from tacit.run.distributed import barrier, dealt, is_writer, sum_gradients, summed
from tacit.run.folder import Stage
from tacit.run.progress import Ticker, progress
from tacit.run.resume import Resumable
from tacit.run.steps import clipped_step
from tacit.run.stopped import not_finite_number, stop, stopped_folder
from tacit.text.sharding import Sharding, pass_along, shard
from tacit.types import InputError, Split

log = logging.getLogger("tacit")

WISH_LR = 10  # times the head's: few weights, in nats, that one epoch must move


def run_sft(
    policy: Policy,
    split: Split,
    config: SFTConfig,
    stage: Stage,
    seed: int,
    dtype: str = "float32",
    own_logs: bool = False,
    sharding: Sharding = "auto",
) -> Policy:
    """Fine-tune ``policy`` in place, leave the best epoch in ``stage.folder/policy``, resume where a kill left it.

    ``own_logs``: the dialogues are a product's own, which ``config.rejected = auto`` asks for.
    """
    check_types(config, "sft.")
    rejected = config.rejected_as(own_logs)
    if not any(turn.speaker == "agent" for dialogue in split.train for turn in dialogue.turns):
        raise InputError(
            "the training dialogues hold no agent turn, so there is nothing to fine-tune on: give at least one "
            "dialogue with one, and check data.*"
        )
    config = config.settled_for(policy)
    log.info("%s: %s", stage.name, _chosen(policy, config))
    torch.manual_seed(seed)
    policy.encoder.requires_grad_(config.encoder_trainable)
    if config.encoder_trainable:
        policy.encoder.freeze_below(config.encoder_frozen)
    shard(policy.lm, sharding)
    optimizer = _optimizer(policy, config)
    _, place = _resumable(policy, optimizer, stage).restore()
    state = place.get("state") or {"step": 0, "epoch": 0, "batch": 0, "best": None, "bad": 0}
    first = segments(split.train, policy, np.random.default_rng([seed, 0]), rejected)
    _say_rejected(first, rejected)
    total, own = config.epochs * -(-len(first) // config.batch), {dialogue.id: dialogue for dialogue in split.train}
    with progress(total, stage.name) as bar:
        bar.resume(state["step"])
        while state["epoch"] < config.epochs and state["bad"] <= config.patience:
            with policy.directed.leaving_out(own):
                _epoch(policy, optimizer, split, config, stage, state, seed, dtype, bar, rejected)
            _judge_epoch(policy, optimizer, split, config, stage, state, rejected)
    log.info("%s: best validation score %.4f", stage.name, state["best"])
    barrier()  # the writer has saved the best epoch
    tuned = Policy.from_pretrained(stage.folder / "policy").to(policy.device)
    stage.finish({"validation_score": state["best"], "epochs": state["epoch"], "lm_lr": config.lm_lr})
    return tuned


def _chosen(policy: Policy, config: SFTConfig) -> str:
    """What is trained, and the settings that its size decides."""
    trained = sum(p.numel() for p in policy.lm.parameters() if p.requires_grad)
    every = sum(p.numel() for p in policy.lm.parameters())
    return (
        f"policy.base={policy.config.base}, {trained / 1e6:.1f} of {every / 1e6:.1f} million weights of the language "
        f"model train, sft.lm_lr={config.lm_lr:g}, batches of {config.batch} segments, {config.microbatch} at once"
    )


def _say_rejected(pool: Sequence[Segment], rejected: Rejected) -> None:
    """How many items are learnt as wanted and as rejected; a log in which nothing was wanted teaches no ranking."""
    picks = [pick for segment in pool for pick in segment.picks]
    wanted, against = sum(len(pick.rows) for pick in picks), sum(len(pick.rejected) for pick in picks)
    if rejected == "negative" and against:
        log.info("sft: %d shown items are learnt as wanted, %d as rejected (sft.rejected)", wanted, against)
    if rejected != "positive" and not wanted:
        log.warning("sft: no shown item is left that was not rejected: check `accepted`, or set sft.rejected=positive")


def _epoch(
    policy: Policy,
    optimizer: torch.optim.Optimizer,
    split: Split,
    config: SFTConfig,
    stage: Stage,
    state: dict[str, Any],
    seed: int,
    dtype: str,
    bar: Ticker,
    rejected: Rejected,
) -> None:
    order = np.random.default_rng([seed, state["epoch"]])
    pool = segments(split.train, policy, order, rejected)
    order.shuffle(pool)
    batches = [pool[i : i + config.batch] for i in range(0, len(pool), config.batch)]
    policy.train()
    for b in range(state["batch"], len(batches)):
        _set_lr(optimizer, config, (state["epoch"] + b / len(batches)) / config.epochs)
        text, slate = gradients(policy, optimizer, batches[b], config, dtype, (seed, state["step"]))
        norm = clipped_step(optimizer, [p for g in optimizer.param_groups for p in g["params"]], config.grad_clip)
        state["batch"], state["step"] = b + 1, state["step"] + 1
        _require_finite(text, slate, norm, batches[b], stage, state["step"])
        if b % 20 == 0:
            stage.log.append(state["step"], text_nll=text, slate_nll=slate)
        if (b + 1) % config.checkpoint_every == 0 and b + 1 < len(batches):
            save(policy, optimizer, stage, state)
        bar.advance(note=f"text {text:.2f} slate {slate:.2f}")
    state["epoch"] += 1
    state["batch"] = 0


def _require_finite(text: float, slate: float, norm: float, batch: Sequence[Segment], stage: Stage, step: int) -> None:
    """``InputError`` with the batch in a ``stopped-…`` folder where its loss or gradient is not finite."""
    broken = not_finite_number({"loss of the text": text, "loss of the slate": slate, "gradient": norm})
    if broken is not None:
        kept = {"segments": [asdict(Segment(s.tokens, s.targets, ())) for s in batch]}
        advice = "lower sft.lm_lr, sft.head_lr and sft.encoder_lr"
        stop(stopped_folder(stage.folder, step), stage.name, f"the {broken} of step {step} is not finite", advice, kept)


def gradients(
    policy: Policy,
    optimizer: torch.optim.Optimizer,
    batch: Sequence[Segment],
    config: SFTConfig,
    dtype: str,
    draws: tuple[int, ...] = (),
) -> tuple[float, float]:
    """Fill the gradients of one batch, in pieces of ``config.microbatch`` segments of like length; its two losses.

    Several processes deal out the pieces. A piece's dropout is drawn from ``draws`` and its number, wherever it is.
    """
    size = config.microbatch or len(batch)
    ordered = list(batch) if size >= len(batch) else sorted(batch, key=lambda segment: len(segment.tokens))
    optimizer.zero_grad(set_to_none=True)
    found = {"text": 0.0, "slate": 0.0}

    def parts_of(piece: Sequence[Segment]) -> tuple[Tensor, Tensor]:
        with torch.autocast(policy.device.type, torch.bfloat16, enabled=dtype == "bfloat16"):
            return losses(policy, piece) if len(piece) == len(batch) else losses(policy, piece, batch)

    for number, piece in dealt(ordered, size):
        torch.manual_seed(int(np.random.SeedSequence([*draws, number]).generate_state(1)[0]))
        parts = parts_of(piece)
        torch.autograd.backward(parts[0] + config.slate_weight * parts[1])
        found["text"] += parts[0].item()
        found["slate"] += parts[1].item()
    pass_along(policy.lm, lambda piece: torch.stack(parts_of(piece)).sum(), ordered, size)
    sum_gradients(optimizer)
    found = summed(found)
    return found["text"], found["slate"]


def _judge_epoch(
    policy: Policy,
    optimizer: torch.optim.Optimizer,
    split: Split,
    config: SFTConfig,
    stage: Stage,
    state: dict[str, Any],
    rejected: Rejected,
) -> None:
    _resumable(policy, optimizer, stage).require_finite(
        state["step"], f"after epoch {state['epoch']}", "lower sft.lm_lr, sft.head_lr and sft.encoder_lr"
    )
    scores = validate(policy, split.valid, config.validation_picks, rejected=rejected)
    score = scores.get("ndcg@10", -scores["nll"])  # dialogues without items are judged by their text
    better = state["best"] is None or score > state["best"]
    state["bad"] = 0 if better else state["bad"] + 1
    state["best"] = score if better else state["best"]
    named = {f"valid_{name}": value for name, value in scores.items()}
    stage.log.append(state["step"], **named, epoch=state["epoch"])
    if better:
        policy.version = f"sft-epoch{state['epoch']}"
        weights = policy.weights()
        if is_writer():
            policy.save_pretrained(stage.folder / "policy", weights)
    save(policy, optimizer, stage, state)


def save(policy: Policy, optimizer: torch.optim.Optimizer, stage: Stage, state: dict[str, Any]) -> None:
    policy.encoder.clear_cache()  # a resumed run starts without the cache, whose last bits depend on how it was batched
    _resumable(policy, optimizer, stage).save(state["step"], {"state": state})


def _resumable(policy: Policy, optimizer: torch.optim.Optimizer, stage: Stage) -> Resumable:
    """Everything the next step depends on; ``state`` is the place in the data. Dropout draws from the generator."""
    weights = {f"weight.{name}": p for name, p in policy.named_parameters() if p.requires_grad}
    return Resumable(stage, weights, optimizer, [torch.default_generator])


def _optimizer(policy: Policy, config: SFTConfig) -> torch.optim.AdamW:
    def trainable(module: nn.Module) -> list[nn.Parameter]:
        return [p for p in module.parameters() if p.requires_grad]

    # Rows of added tokens train alone under adapters or frozen layers. They are as new as a small model, and at a
    # pretrained one's step they stay where they began: slots beside the quote, both decisions beside each other.
    added = {id(p) for name, p in policy.lm.named_parameters() if name.split(".")[-1] == "rows"}
    residual = list(policy.head.item_residual.parameters())
    head = [p for p in trainable(policy.head) if all(p is not r for r in residual)]
    groups: list[dict[str, Any]] = [
        {"params": [p for p in trainable(policy.lm) if id(p) not in added], "peak": config.lm_lr, "weight_decay": 0.01},
        {"params": trainable(policy.encoder), "peak": config.encoder_lr, "weight_decay": 0.01},
        {"params": head, "peak": config.head_lr, "weight_decay": 0.0},
        # Apart from the head, as it is in the checkpoints of earlier runs.
        {"params": residual, "peak": config.head_lr, "weight_decay": 0.0},
    ]
    rows = [p for p in trainable(policy.lm) if id(p) in added]
    groups.append({"params": rows, "peak": FRESH_LM_LR, "weight_decay": 0.0})
    few = {"peak": WISH_LR * config.head_lr, "weight_decay": 0.0}
    groups += [{"params": [policy.wish.weights], **few}, {"params": trainable(policy.directed), **few}]
    # Fused, each weight is read once: a fifth of a small model's step is the optimiser's otherwise.
    return torch.optim.AdamW([g for g in groups if g["params"]], lr=config.head_lr, fused=True)


def _set_lr(optimizer: torch.optim.Optimizer, config: SFTConfig, done: float) -> None:
    """Linear warm-up, then linear decay to a tenth."""
    share = done / config.warmup if done < config.warmup else 1.0 - 0.9 * (done - config.warmup) / (1 - config.warmup)
    for group in optimizer.param_groups:
        group["lr"] = group["peak"] * min(max(share, 0.01), 1.0)
