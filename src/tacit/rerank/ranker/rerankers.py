"""Rerankers: scores for the candidates of a list.

``dlcm``, ``prm`` and ``setrank`` are the networks of KAR's code (arXiv 2306.10933, RS/models.py at 9420a29), on which
RLRF4Rec (arXiv 2410.05939) stands, parameter for parameter. They differ from the papers whose names they bear: lists
come shuffled, losses are pointwise, blocks lack residuals. ``dlcm_paper`` and ``prm_paper`` are nearer to those, and
``dlcm_match`` is KAR's with the product of the user's and the candidate's text beside the two.
Shapes: B lists of C candidates. Scores are logits; higher is better.
"""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from tacit.rerank.ranker.rerankers_paper import DLCMPaper, PRMPaper
from tacit.rerank.ranker.tokens import Knowledge, ListBatch, ListTokens, MatchTokens, PersonalTokens, item_attributes
from tacit.types import InputError

__all__ = ["NAMES", "Knowledge", "ListBatch", "RankerName", "Reranker", "build_reranker", "item_attributes"]

RankerName = Literal["dlcm", "prm", "setrank", "dlcm_match", "dlcm_paper", "prm_paper"]
NAMES: tuple[str, ...] = get_args(RankerName)
HIDDEN = 64
TEMPERATURE = 0.5  # of SetRank's attention, as in KAR's run_rerank.py; DLCM and PRM have none


def pointwise_loss(scores: Tensor, labels: Tensor) -> Tensor:
    """Mean binary cross-entropy of every candidate alone, from logits: [B, C] each → a scalar, nats."""
    return nn.functional.binary_cross_entropy_with_logits(scores, labels)


def attention(x: Tensor, temperature: float) -> Tensor:
    """τ(x_i / T) / Σ_j τ(x_j / T) over the last axis, τ(x) = exp(x) where x > 0, else 0. All 0 where no x is positive.

    Source: Pang et al. 2020, arXiv 1912.05891; KAR's attention_score, here safe for any temperature.
    """
    positive = x > 0
    return torch.where(positive, torch.softmax((x / temperature).masked_fill(~positive, -1e9), dim=-1), 0.0)


def attention_loss(scores: Tensor, labels: Tensor) -> Tensor:
    """Binary cross-entropy between the attention of the scores and that of the labels: [B, C] each → a scalar."""
    return nn.functional.binary_cross_entropy(attention(scores, TEMPERATURE), attention(labels, TEMPERATURE))


class DLCM(nn.Module):
    """A GRU over the list as it is given; each state against the last one.

    score_i = l_0 - l_1, l = W (BN(o_i) ⊙ tanh(U BN(s) + b)) + c: its sigmoid is the first of KAR's two softmax outputs.
    """

    loss = staticmethod(pointwise_loss)

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gru = nn.GRU(width, HIDDEN, batch_first=True)
        self.final_norm = nn.BatchNorm1d(HIDDEN)
        self.query = nn.Linear(HIDDEN, HIDDEN)
        self.state_norm = nn.BatchNorm1d(HIDDEN)
        self.head = nn.Linear(HIDDEN, 2)

    def forward(self, tokens: Tensor) -> Tensor:
        """[B, C, width] → [B, C]; in training B > 1, for the sake of the batch norm."""
        states, final = self.gru(tokens)
        query = self.query(self.final_norm(final[0])).tanh()
        states = self.state_norm(states.flatten(0, 1)).view_as(states)
        two = self.head(query[:, None] * states)
        logits: Tensor = two[..., 0] - two[..., 1]
        return logits


class SetRank(nn.Module):
    """One self-attention over the list, then an MLP on attended | own. Equivariant."""

    loss = staticmethod(attention_loss)

    def __init__(self, width: int) -> None:
        super().__init__()
        self.attend = nn.MultiheadAttention(width, 2, batch_first=True)
        self.head = nn.Sequential(nn.Linear(2 * width, 200), nn.ReLU(), nn.Linear(200, 80), nn.ReLU(), nn.Linear(80, 1))

    def forward(self, tokens: Tensor) -> Tensor:
        """[B, C, width] → [B, C]."""
        with sdpa_kernel(SDPBackend.MATH):  # on CPUs the fused kernel's backward is slow for ten places
            attended, _ = self.attend(tokens, tokens, tokens, need_weights=False)
        scores: Tensor = self.head(torch.cat([attended, tokens], dim=-1)).squeeze(-1)
        return scores


class PRM(SetRank):
    """The same with a position code added to the list as it is given, and the pointwise loss."""

    loss = staticmethod(pointwise_loss)

    def forward(self, tokens: Tensor) -> Tensor:
        """[B, C, width] → [B, C]."""
        return super().forward(tokens + position_code(*tokens.shape[1:]).to(tokens))


def position_code(length: int, width: int) -> Tensor:
    """[length, width]: sin(p / 10000^(2⌊j/2⌋/width)) in the even columns j, cos in the odd ones; the first row is 0."""
    place, column = np.arange(length)[:, None], np.arange(width)
    angle = place / 10000 ** (2 * (column // 2) / width)
    code = np.where(column % 2 == 0, np.sin(angle), np.cos(angle)) * (place > 0)
    return torch.from_numpy(code).float()


Body = DLCM | SetRank | DLCMPaper | PRMPaper


class Reranker(nn.Module):
    """``tokens`` sees the candidates, ``body`` compares them."""

    def __init__(self, tokens: ListTokens, body: Body) -> None:
        super().__init__()
        self.tokens, self.body = tokens, body

    @property
    def reads_past(self) -> bool:
        """Whether batches must carry ``recent`` and ``seen``."""
        return isinstance(self.tokens, PersonalTokens)

    @property
    def n_items(self) -> int:
        return len(self.tokens.attributes)

    def forward(
        self, batch: ListBatch, knowledge: Knowledge | None = None, user_vectors: Tensor | None = None
    ) -> Tensor:
        """Logits [B, C]. ``user_vectors`` [B, d] are texts to read in place of the users' own, one a list."""
        scores: Tensor = self.body(self.tokens(batch, knowledge, user_vectors))
        return scores

    def loss(self, scores: Tensor, labels: Tensor) -> Tensor:
        """What training minimises: [B, C] each → a scalar."""
        return self.body.loss(scores.float(), labels)


def build_reranker(
    name: str,
    n_items: int,
    attributes: Tensor,
    n_attributes: int,
    text_dim: int | None,
    specific: int = 5,
    dropout: float = 0.1,
    seed: int = 0,
) -> Reranker:
    """An untrained reranker; the same seed gives the same weights.

    ``attributes`` [n_items, A] and ``n_attributes`` are what ``item_attributes`` returns. ``text_dim`` None builds it
    without texts. ``specific``: the adaptor's own experts a side. ``dropout`` is prm_paper's; the others have none.
    """
    if name not in NAMES:
        raise InputError(f"ranker.name={name} is not a reranker: choose one of {', '.join(NAMES)}.")
    kind = {"match": MatchTokens, "paper": PersonalTokens}.get(name.partition("_")[2], ListTokens)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        tokens = kind(n_items, attributes, n_attributes, text_dim, specific)
        reranker = Reranker(tokens, _body(name, tokens.width, dropout))
        reranker.apply(_initialise)
    if name == "setrank":  # τ has no slope at or below 0: from the reference's 0 some draws never start to learn
        nn.init.ones_(reranker.get_parameter("body.head.4.bias"))
    return reranker


def _body(name: str, width: int, dropout: float) -> Body:
    if name == "prm_paper":
        return PRMPaper(width, dropout)
    if name == "dlcm_paper":
        return DLCMPaper(width)
    if name in ("dlcm", "dlcm_match"):
        return DLCM(width)
    return PRM(width) if name == "prm" else SetRank(width)


def _initialise(module: nn.Module) -> None:
    """Xavier-normal weights and zero biases for linear layers and embeddings; the rest keeps torch's own draw."""
    if isinstance(module, nn.Linear | nn.Embedding):
        nn.init.xavier_normal_(module.weight)
    if isinstance(module, nn.Linear) and module.bias is not None:
        nn.init.zeros_(module.bias)
