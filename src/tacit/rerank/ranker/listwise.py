"""The strongest reranker without a language model: collaborative features through a transformer over the list.

With texts it reads the same features beside them, so that what a text adds is measured against the best one can know
without it. Shapes: B lists of C candidates, F features, R relations between candidates.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from tacit.rerank.ranker.features import Featured
from tacit.rerank.ranker.rerankers_paper import list_softmax_loss
from tacit.rerank.ranker.tokens import Knowledge, ListBatch


@dataclass(frozen=True)
class FeatureBatch:
    """A batch of lists with its features [B, C, F] and relations [B, C, C, R], float."""

    batch: ListBatch
    features: Tensor
    relations: Tensor

    @classmethod
    def of(cls, featured: Featured, device: torch.device | str = "cpu") -> FeatureBatch:
        return cls(
            ListBatch.of(featured.lists, device),
            torch.from_numpy(featured.features).to(device),
            torch.from_numpy(featured.relations).to(device),
        )


class Listwise(nn.Module):
    """Standardised features and texts → tokens; blocks of attention biased by the relations; a linear head.

    Equivariant: shuffling the candidates shuffles the scores. ``fit_scale`` must see the training lists first.
    """

    loss = staticmethod(list_softmax_loss)
    mean: Tensor
    std: Tensor
    relation_std: Tensor

    def __init__(
        self,
        n_features: int,
        n_relations: int,
        text_dim: int | None = None,
        width: int = 64,
        heads: int = 4,
        blocks: int = 2,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(n_features))
        self.register_buffer("std", torch.ones(n_features))
        self.register_buffer("relation_std", torch.ones(n_relations))
        self.embed = nn.Sequential(nn.Linear(n_features, 2 * width), nn.GELU(), nn.Linear(2 * width, width))
        self.texts = None if text_dim is None else TextMatch(text_dim, width)
        self.blocks = nn.ModuleList(Block(width, heads, n_relations, dropout) for _ in range(blocks))
        self.head = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, 1))

    @torch.no_grad()
    def fit_scale(self, featured: Featured) -> None:
        """Mean and spread of every feature, and spread of every relation, over these lists."""
        features, relations = featured.features, featured.relations
        self.mean.copy_(torch.from_numpy(features.mean((0, 1), dtype=np.float64)))
        self.std.copy_(torch.from_numpy(features.std((0, 1), dtype=np.float64)).clamp(min=1e-6))
        self.relation_std.copy_(torch.from_numpy(relations.std((0, 1, 2), dtype=np.float64)).clamp(min=1e-6))

    def forward(
        self, batch: FeatureBatch, knowledge: Knowledge | None = None, user_vectors: Tensor | None = None
    ) -> Tensor:
        """Logits [B, C]. ``user_vectors`` [B, d] are texts to read in place of the users' own, one a list."""
        if (self.texts is None) != (knowledge is None):
            raise ValueError("a ranker built with text_dim needs knowledge, and one built without takes none")
        features = ((batch.features - self.mean) / self.std).clamp(-10.0, 10.0)
        relations = (batch.relations / self.relation_std).clamp(-10.0, 10.0)
        tokens = self.embed(features)
        if self.texts is not None and knowledge is not None:
            user = knowledge.user[batch.batch.users] if user_vectors is None else user_vectors
            tokens = tokens + self.texts(user, knowledge.item[batch.batch.items])
        for block in self.blocks:
            tokens = block(tokens, relations)
        scores: Tensor = self.head(tokens).squeeze(-1)
        return scores


class TextMatch(nn.Module):
    """How a user's text and an item's agree: W (A u ⊙ B v). It begins at 0: an untrained match says nothing."""

    def __init__(self, text_dim: int, width: int) -> None:
        super().__init__()
        self.user = nn.Sequential(nn.LayerNorm(text_dim), nn.Linear(text_dim, width))
        self.item = nn.Sequential(nn.LayerNorm(text_dim), nn.Linear(text_dim, width))
        self.out = nn.Linear(width, width, bias=False)
        nn.init.zeros_(self.out.weight)

    def forward(self, user: Tensor, item: Tensor) -> Tensor:
        """user [B, d], item [B, C, d] → [B, C, width]."""
        matched: Tensor = self.out(self.user(user)[:, None] * self.item(item))
        return matched


class Block(nn.Module):
    """Pre-norm self-attention whose logits have a learnt multiple of each relation added, head by head, then an FFN.

    Source: Vaswani et al. 2017, arXiv 1706.03762; additive biases as in Graphormer (arXiv 2106.05234, eq. 6).
    """

    def __init__(self, width: int, heads: int, n_relations: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.dropout = nn.Dropout(dropout)
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2))
        self.project = nn.Linear(width, 3 * width)
        self.bias = nn.Parameter(torch.zeros(heads, n_relations))
        self.out = nn.Linear(width, width)
        self.ffn = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))

    def forward(self, tokens: Tensor, relations: Tensor) -> Tensor:
        """tokens [B, C, width], relations [B, C, C, R] at [b, c, c'] what c' is to c → [B, C, width]."""
        query, key, value = (
            part.unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for part in self.project(self.norms[0](tokens)).chunk(3, dim=-1)
        )
        bias = torch.einsum("bcdr,hr->bhcd", relations, self.bias)
        mixed = nn.functional.scaled_dot_product_attention(query, key, value, attn_mask=bias)
        tokens = tokens + self.dropout(self.out(mixed.transpose(1, 2).flatten(2)))
        after: Tensor = tokens + self.dropout(self.ffn(self.norms[1](tokens)))
        return after
