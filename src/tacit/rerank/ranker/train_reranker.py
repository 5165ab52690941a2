"""Training a reranker on candidate lists, and scoring lists with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from tacit.metrics.lists import in_order, kar_map, ndcg
from tacit.rerank.lists.lists import Histories, Lists
from tacit.rerank.lists.past import Past
from tacit.rerank.ranker.best_epoch import BestEpoch, RankerResult
from tacit.rerank.ranker.rerankers import Knowledge, ListBatch, RankerName, Reranker, build_reranker, item_attributes
from tacit.run.config import check_types
from tacit.run.folder import Stage
from tacit.run.limits import at_least, between, learning_rate
from tacit.run.progress import Ticker, progress
from tacit.types import Floats32, InputError, Item

CUTOFF = 5
METRICS = {"ndcg": ndcg, "map": kar_map}


@dataclass
class RerankerConfig:
    name: RankerName = "dlcm"
    attributes: list[str] = field(default_factory=lambda: ["first_genre"])  # the item attributes that are embedded
    specific: int = at_least(1, default=5)  # the adaptor's own experts a side, beside two shared ones
    dropout: float = between(0.0, 0.9, default=0.1)  # of prm_paper; the others have none
    epochs: int = at_least(1, default=50)
    batch: int = at_least(2, default=256)  # lists
    # constant: the reference's cosine counts lists where it steps batches, and never decays
    lr: float = learning_rate(default=1e-3)
    weight_decay: float = at_least(0.0, default=0.0)
    patience: int = at_least(1, default=3)  # epochs in a row without a better score before stopping
    criterion: Literal["ndcg", "map"] = "ndcg"  # at 5: the score that chooses the epoch; KAR's is map
    select: Literal["valid", "test"] = "valid"  # whose lists choose the epoch; test is KAR's way


def new_reranker(config: RerankerConfig, items: Sequence[Item], text_dim: int | None, seed: int) -> Reranker:
    """Untrained, for these items; ``text_dim`` is the width of the text vectors, None for a reranker without texts."""
    attributes, n_attributes = item_attributes(items, config.attributes)
    return build_reranker(
        config.name, len(items), attributes, n_attributes, text_dim, config.specific, config.dropout, seed
    )


def train_ranker(
    model: Reranker,
    train: Lists,
    selection: Lists,
    knowledge: Knowledge | None,
    config: RerankerConfig,
    seed: int,
    stage: Stage | None = None,
    device: str = "cpu",
    dtype: str = "float32",
    histories: Histories | None = None,
) -> RankerResult:
    """Train ``model`` in place and leave it with the weights of its best epoch on ``selection``.

    With a ``stage`` every epoch is a checkpoint: a killed run goes on to the same bits, a finished one is only read.
    ``histories`` are for rerankers that read the user's past. ``dtype`` bfloat16 trains in mixed precision.
    """
    _check(config, train, selection)
    model.to(device)
    knowledge = knowledge.to(device) if knowledge is not None else None
    past = _past(model, histories)
    optimizer = _optimizer(model, config)
    state = BestEpoch(model, optimizer, stage, "lower ranker.lr")
    steps = len(minibatches(np.arange(len(train)), config.batch))
    with progress(config.epochs * steps, stage.name if stage is not None else config.name) as bar:
        bar.resume(state.epoch * steps)
        while state.epoch < config.epochs and state.waited < config.patience:
            torch.manual_seed(1000 * seed + state.epoch)  # dropout: an epoch's draws do not depend on those before it
            order = np.random.default_rng([seed, state.epoch]).permutation(len(train))
            batches = [train.take(rows) for rows in minibatches(order, config.batch)]
            loss = _epoch(model, optimizer, batches, knowledge, past, device, dtype, bar, state)
            metrics = selection_metrics(selection, _score(model, selection, knowledge, past, 2048, None))
            named = {f"{config.select}_{name}@{CUTOFF}": value for name, value in metrics.items()}
            state.add({"loss": loss, **named}, f"{config.select}_{config.criterion}@{CUTOFF}")
    return state.finish()


def _check(config: RerankerConfig, train: Lists, selection: Lists) -> None:
    check_types(config, "ranker.")
    if len(train) < 2 or not len(selection):
        raise InputError(
            f"{len(train)} training lists and {len(selection)} to choose an epoch by: a reranker needs two and one; "
            "take more users."
        )


def minibatches(order: npt.NDArray[np.int64], size: int) -> list[npt.NDArray[np.int64]]:
    """``order`` cut into pieces of ``size``. A last piece of one joins its neighbour: it has no variance to norm by."""
    cuts = [cut for cut in range(size, len(order), size) if len(order) - cut > 1]
    return np.split(order, cuts)


def _epoch(
    model: Reranker,
    optimizer: torch.optim.Optimizer,
    batches: Sequence[Lists],
    knowledge: Knowledge | None,
    past: Past | None,
    device: str,
    dtype: str,
    bar: Ticker,
    state: BestEpoch,
) -> float:
    """One pass; the mean loss of a list."""
    model.train()
    total, losses, note = torch.zeros((), device=device), list[Tensor](), state.note
    for lists in batches:
        batch = ListBatch.of(lists, device, past)
        vectors = _drawn(knowledge, batch.users)
        with torch.autocast(torch.device(device).type, torch.bfloat16, enabled=dtype == "bfloat16"):
            scores = model(batch, knowledge, vectors)
        loss = model.loss(scores, batch.labels)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        losses.append(loss.detach())
        total += losses[-1] * len(lists)
        bar.advance(note=note)
    state.require_finite(losses, lambda number: batches[number])
    return float(total) / sum(len(lists) for lists in batches)


def _drawn(knowledge: Knowledge | None, users: Tensor) -> Tensor | None:
    """One of the sampled texts of each list's user, [B, d]; None where there are none."""
    if knowledge is None or knowledge.samples is None:
        return None
    which = torch.randint(knowledge.samples.shape[1], users.shape)
    return knowledge.samples[users, which.to(users.device)]


def score_lists(
    model: Reranker,
    lists: Lists,
    knowledge: Knowledge | None = None,
    batch: int = 2048,
    histories: Histories | None = None,
    user_vectors: Tensor | None = None,
) -> Floats32:
    """Logits [L, C] on the model's own device. ``user_vectors`` [L, d]: a text a list, in place of its user's."""
    device = next(model.parameters()).device
    knowledge = knowledge.to(device) if knowledge is not None else None
    return _score(model, lists, knowledge, _past(model, histories), batch, user_vectors)


@torch.no_grad()
def _score(
    model: Reranker,
    lists: Lists,
    knowledge: Knowledge | None,
    past: Past | None,
    batch: int,
    user_vectors: Tensor | None,
) -> Floats32:
    model.eval()
    device = next(model.parameters()).device
    scores = np.empty(lists.items.shape, dtype=np.float32)
    for start in range(0, len(lists), batch):
        rows = np.arange(start, min(start + batch, len(lists)))
        vectors = user_vectors[start : start + batch].to(device) if user_vectors is not None else None
        part = model(ListBatch.of(lists.take(rows), device, past), knowledge, vectors)
        scores[rows] = part.float().cpu().numpy()
    return scores


def selection_metrics(lists: Lists, scores: Floats32) -> dict[str, float]:
    """Means over lists of NDCG@5 and KAR's MAP@5, by their names in ``METRICS``."""
    labels = in_order(scores, lists.labels)
    return {name: float(metric(labels, CUTOFF).mean()) for name, metric in METRICS.items()}


def _past(model: Reranker, histories: Histories | None) -> Past | None:
    if not model.reads_past:
        return None
    if histories is None:
        raise ValueError("this reranker reads the user's past: hand in the histories")
    return Past(histories, model.n_items)


def _optimizer(model: Reranker, config: RerankerConfig) -> torch.optim.AdamW:
    """AdamW; biases do not decay, as in KAR's code."""
    named = list(model.named_parameters())
    groups = [
        {"params": [p for name, p in named if "bias" not in name], "weight_decay": config.weight_decay},
        {"params": [p for name, p in named if "bias" in name], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=config.lr, fused=True)
