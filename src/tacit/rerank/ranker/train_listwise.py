"""Training the listwise ranker on lists with their features, and scoring lists with it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from tacit.rerank.ranker.best_epoch import BestEpoch, RankerResult
from tacit.rerank.ranker.features import Featured
from tacit.rerank.ranker.listwise import FeatureBatch, Listwise
from tacit.rerank.ranker.rerankers import Knowledge
from tacit.rerank.ranker.train_reranker import CUTOFF, minibatches, selection_metrics
from tacit.run.config import check_types
from tacit.run.folder import Stage
from tacit.run.limits import at_least, between, learning_rate
from tacit.run.progress import Ticker, progress
from tacit.types import Floats32, InputError


@dataclass
class ListwiseConfig:
    width: int = at_least(1, default=64)
    heads: int = at_least(1, default=4)
    blocks: int = at_least(1, default=2)
    dropout: float = between(0.0, 0.9, default=0.1)
    epochs: int = at_least(1, default=12)
    batch: int = at_least(1, default=512)  # lists
    lr: float = learning_rate(default=1e-3)  # at first; it falls linearly to a tenth over the epochs
    weight_decay: float = at_least(0.0, default=0.01)
    patience: int = at_least(1, default=3)  # epochs in a row without a better validation NDCG@5 before stopping

    def conflicts(self) -> Iterator[tuple[str, object, str]]:
        if self.width % self.heads:
            yield "heads", self.heads, f"a number that divides width={self.width}"


def new_listwise(config: ListwiseConfig, train: Featured, text_dim: int | None, seed: int) -> Listwise:
    """Untrained, scaled to these lists; the same seed gives the same weights."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        shape = train.features.shape[-1], train.relations.shape[-1]
        model = Listwise(*shape, text_dim, config.width, config.heads, config.blocks, config.dropout)
    model.fit_scale(train)
    return model


def train_listwise(
    model: Listwise,
    train: Featured,
    selection: Featured,
    knowledge: Knowledge | None,
    config: ListwiseConfig,
    seed: int,
    stage: Stage | None = None,
    device: str = "cpu",
) -> RankerResult:
    """Train ``model`` in place and leave it with the weights of its best epoch on ``selection`` (validation users).

    With a ``stage`` every epoch is a checkpoint: a killed run goes on to the same bits.
    """
    check_types(config, "listwise.")
    if not len(train) or not len(selection):
        raise InputError(f"{len(train)} training lists and {len(selection)} to choose an epoch by: take more users.")
    model.to(device)
    knowledge = knowledge.to(device) if knowledge is not None else None
    optimizer = torch.optim.AdamW(model.parameters(), lr=config.lr, weight_decay=config.weight_decay)
    state = BestEpoch(model, optimizer, stage, "lower listwise.lr")
    steps = len(minibatches(np.arange(len(train)), config.batch))
    with progress(config.epochs * steps, stage.name if stage is not None else "listwise") as bar:
        bar.resume(state.epoch * steps)
        while state.epoch < config.epochs and state.waited < config.patience:
            for group in optimizer.param_groups:
                group["lr"] = config.lr * (1.0 - 0.9 * state.epoch / config.epochs)
            loss = _epoch(model, optimizer, train, knowledge, config.batch, [seed, state.epoch], bar, state)
            metrics = selection_metrics(selection.lists, score_listwise(model, selection, knowledge))
            named = {f"valid_{name}@{CUTOFF}": value for name, value in metrics.items()}
            state.add({"loss": loss, **named}, f"valid_ndcg@{CUTOFF}")
    return state.finish()


def _epoch(
    model: Listwise,
    optimizer: torch.optim.Optimizer,
    train: Featured,
    knowledge: Knowledge | None,
    batch: int,
    seed: list[int],
    bar: Ticker,
    state: BestEpoch,
) -> float:
    """One pass in an order drawn from ``seed``; the mean loss of a list."""
    model.train()
    order = np.random.default_rng(seed).permutation(len(train))
    torch.manual_seed(int(np.random.default_rng([*seed, 1]).integers(2**31)))  # dropout, the same after a resume
    device = next(model.parameters()).device
    total, losses, note = torch.zeros((), device=device), list[Tensor](), state.note
    batches = minibatches(order, batch)
    for rows in batches:
        part = FeatureBatch.of(train.take(rows), device)
        loss = model.loss(model(part, knowledge), part.batch.labels)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        losses.append(loss.detach())
        total += losses[-1] * len(rows)
        bar.advance(note=note)
    state.require_finite(losses, lambda number: train.lists.take(batches[number]))
    return float(total) / len(train)


@torch.no_grad()
def score_listwise(
    model: Listwise,
    featured: Featured,
    knowledge: Knowledge | None = None,
    batch: int = 2048,
    user_vectors: Tensor | None = None,
) -> Floats32:
    """Logits [L, C]. ``user_vectors`` [L, d]: a text for each list, in place of its user's."""
    model.eval()
    device = next(model.parameters()).device
    scores = np.empty(featured.lists.items.shape, dtype=np.float32)
    for begin in range(0, len(featured), batch):
        rows = np.arange(begin, min(begin + batch, len(featured)))
        vectors = user_vectors[begin : begin + batch].to(device) if user_vectors is not None else None
        scores[rows] = model(FeatureBatch.of(featured.take(rows), device), knowledge, vectors).cpu().numpy()
    return scores
