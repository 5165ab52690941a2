"""DLCM and PRM as their papers describe them: a loss over the whole list, and proper blocks.

Our candidate lists are shuffled, there is no first ranking to refine. PRM therefore has no position code, and DLCM
makes its own first ranking. Both read ``PersonalTokens``. Shapes: B lists of C candidates.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

HIDDEN = 64


def list_softmax_loss(scores: Tensor, labels: Tensor) -> Tensor:
    """-Σ_i a_i log softmax(s)_i, a_i = y_i / Σ y, [B, C] each → the mean over the lists that have a positive.

    With labels of 0 and 1, ``a`` is the target of DLCM's attention rank (arXiv 1804.05936), and each list's term that
    of PRM's loss (arXiv 1904.06813) over its number of positives. A list without positives says nothing here.
    """
    positives = labels.sum(-1)
    of_lists = -(labels * torch.log_softmax(scores, dim=-1)).sum(-1) / positives.clamp(min=1)
    return of_lists.sum() / (positives > 0).sum().clamp(min=1)


class DLCMPaper(nn.Module):
    """Deep listwise context model: a GRU reads the list from its lowest candidate to its highest, and every candidate
    is scored against the state at the end.

    first_i = w · x_i orders the list;  score_i = first_i + Σ_h v_h o_i · tanh(W_h s + b_h), o_i the GRU's output at i
    and s its last state. The first ranking is learnt with the rest, because the lists have none. Shuffling the
    candidates shuffles the scores; only two equal ones are told apart by their places.
    Source: Ai et al. 2018, arXiv 1804.05936, with three heads as in its code.
    """

    loss = staticmethod(list_softmax_loss)

    def __init__(self, width: int, heads: int = 3) -> None:
        super().__init__()
        self.first = nn.Linear(width, 1)
        self.gru = nn.GRU(width, HIDDEN, batch_first=True)
        self.query = nn.Linear(HIDDEN, heads * HIDDEN)
        self.heads = nn.Linear(heads, 1, bias=False)

    def forward(self, tokens: Tensor) -> Tensor:
        """[B, C, width] → [B, C]."""
        first: Tensor = self.first(tokens).squeeze(-1)
        order = first.detach().argsort(dim=-1, stable=True)
        states, final = self.gru(tokens.gather(1, order.unsqueeze(-1).expand_as(tokens)))
        query = self.query(final[0]).tanh().unflatten(-1, (-1, HIDDEN))
        refined = self.heads(torch.einsum("bcd,bhd->bch", states, query)).squeeze(-1)
        return first + torch.zeros_like(first).scatter(1, order, refined.to(first.dtype))


class PRMPaper(nn.Module):
    """Personalised re-ranking: two transformer blocks over the list, with residuals, LayerNorm and FFN, and a linear
    head. Equivariant: shuffling the candidates shuffles the scores.

    Source: Pei et al. 2019, arXiv 1904.06813; widths as in its code (64, FFN 128, one head).
    """

    loss = staticmethod(list_softmax_loss)

    def __init__(self, width: int, dropout: float, blocks: int = 2) -> None:
        super().__init__()
        self.embed = nn.Linear(width, HIDDEN)
        self.blocks = nn.Sequential(
            *(
                nn.TransformerEncoderLayer(HIDDEN, 1, dim_feedforward=2 * HIDDEN, dropout=dropout, batch_first=True)
                for _ in range(blocks)
            )
        )
        self.head = nn.Linear(HIDDEN, 1)

    def forward(self, tokens: Tensor) -> Tensor:
        """[B, C, width] → [B, C]."""
        scores: Tensor = self.head(self.blocks(self.embed(tokens))).squeeze(-1)
        return scores
