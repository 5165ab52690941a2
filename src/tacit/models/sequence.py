"""What comes next in a history: a causal transformer, where ``collaborative.successors`` is linear in the last items.

SASRec (Kang & McAuley 2018, arXiv 1808.09781) with three changes that the lists ask for. A place foretells each of the
next ``ahead`` items, not the next one alone, because a list hides several consecutive ones. The negatives of the
sampled softmax are uniform, because a list's are: the logits are then log-odds of "consumed next" against "drawn". And
a second head foretells the next *liked* items, since a candidate counts only if it was liked; so the input tells what
each item was given.

Shapes: B windows of T consecutive interactions of one user, n items.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

HEADS = ("next", "next liked")  # what is foretold


@dataclass
class SequenceConfig:
    width: int = 64
    heads: int = 2
    blocks: int = 2
    dropout: float = 0.2
    window: int = 200  # interactions that a place can look back at, itself included
    ahead: int = 4  # next items that a place foretells
    negatives: int = 512  # drawn anew for every batch and shared by its places
    epochs: int = 40
    batch: int = 32  # windows
    lr: float = 1e-3  # falls linearly to a tenth over the epochs
    weight_decay: float = 0.01
    patience: int = 4  # epochs in a row without a smaller loss on validation users before stopping
    folds: int = 2  # of the training users, whose features come from the other folds


class NextItems(nn.Module):
    """History → two queries a place; a query's product with an item's vector, plus the item's bias, is its logit."""

    def __init__(self, config: SequenceConfig, n_items: int) -> None:
        super().__init__()
        width = config.width
        self.items = nn.Embedding(n_items, width)
        self.given = nn.Linear(2, width)
        self.places = nn.Embedding(config.window, width)
        self.blocks = nn.ModuleList(CausalBlock(width, config.heads, config.dropout) for _ in range(config.blocks))
        self.norm = nn.LayerNorm(width)
        self.queries = nn.Linear(width, len(HEADS) * width)
        self.bias = nn.Parameter(torch.zeros(n_items, len(HEADS)))
        self.dropout = nn.Dropout(config.dropout)
        nn.init.normal_(self.items.weight, std=width**-0.5)
        nn.init.normal_(self.places.weight, std=0.02)

    def forward(self, items: Tensor, given: Tensor) -> Tensor:
        """items [B, T], given [B, T, 2] (stars less their mean, and liked or not) → queries [B, T, heads, width].

        The query at place t has read the interactions 0 … t. Pads stand at the end, where no other place reads them.
        """
        tokens = self.items(items) + self.given(given) + self.places.weight[: items.shape[1]]
        tokens = self.dropout(tokens)
        for block in self.blocks:
            tokens = block(tokens)
        queries: Tensor = self.queries(self.norm(tokens)).unflatten(-1, (len(HEADS), -1))
        return queries

    def logits(self, queries: Tensor, items: Tensor) -> Tensor:
        """queries [..., heads, width] with items [..., K], each place its own → [..., heads, K]."""
        products = (queries.unsqueeze(-2) * self.items(items).unsqueeze(-3)).sum(-1)
        found: Tensor = products + self.bias[items].transpose(-1, -2)
        return found

    def shared_logits(self, queries: Tensor, items: Tensor) -> Tensor:
        """The same with items [K] that all places share."""
        found: Tensor = queries @ self.items(items).T + self.bias[items].T
        return found


class CausalBlock(nn.Module):
    """Pre-norm causal self-attention and a feed-forward layer (Vaswani et al. 2017, arXiv 1706.03762)."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.dropout = nn.Dropout(dropout)
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2))
        self.project = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.ffn = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, tokens: Tensor) -> Tensor:
        query, key, value = (
            part.unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for part in self.project(self.norms[0](tokens)).chunk(3, dim=-1)
        )
        # Plain products: on a CPU the backward pass of the fused kernel takes a third of a step.
        later = torch.ones(tokens.shape[1], tokens.shape[1], dtype=torch.bool, device=tokens.device).triu(1)
        ties = (query @ key.transpose(-1, -2)) * query.shape[-1] ** -0.5
        mixed = ties.masked_fill(later, -torch.inf).softmax(-1).to(value.dtype) @ value
        tokens = tokens + self.dropout(self.out(mixed.transpose(1, 2).flatten(2)))
        after: Tensor = tokens + self.dropout(self.ffn(self.norms[1](tokens)))
        return after


def next_items_loss(targets: Tensor, negatives: Tensor, wanted: Tensor) -> Tensor:
    """Sampled softmax of every next item against the shared negatives: the sum of losses [heads].

    targets [B, T, heads, A] and negatives [B, T, heads, K] are logits; ``wanted`` [B, T, heads, A] is 1 where the item
    counts for the head. -log(e^target / (e^target + Σ e^negative)), one target at a time.
    """
    others = negatives.logsumexp(-1, keepdim=True)
    each = torch.nn.functional.softplus(others - targets)
    loss: Tensor = (each * wanted).sum((0, 1, 3))
    return loss
