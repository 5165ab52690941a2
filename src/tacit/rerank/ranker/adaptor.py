"""The hybrid-expert adaptor: from the space of texts to the space of a reranker's embeddings."""

from __future__ import annotations

import torch
from torch import Tensor, nn

USER, ITEM = 0, 1


class HybridExpertAdaptor(nn.Module):
    """Each side's vector is a gated mixture of experts, some shared by both sides and some its own.

    expert_e(x) = relu(W2_e relu(W1_e x + b1_e) + b2_e);  side(x) = Σ_e softmax(G x + g)_e expert_e(x), over the
    ``shared`` experts and the side's ``specific`` ones. The experts are stacked, so that a side costs two matrix
    products. There is no dropout: the reference runs with 0, and a row is computed once for all the lists that hold it.
    Source: Xi et al. 2023, arXiv 2306.10933; layer sizes as in its code (RS/layers.py, class HEA).
    """

    def __init__(
        self, text_dim: int = 768, hidden: int = 128, out: int = 32, shared: int = 2, specific: int = 5
    ) -> None:
        super().__init__()
        experts = shared + 2 * specific  # the shared ones, the user's, the items'
        self.shared, self.specific = shared, specific
        self.weight_1 = nn.Parameter(torch.empty(experts, hidden, text_dim))
        self.bias_1 = nn.Parameter(torch.zeros(experts, hidden))
        self.weight_2 = nn.Parameter(torch.empty(experts, out, hidden))
        self.bias_2 = nn.Parameter(torch.zeros(experts, out))
        self.gates = nn.ModuleList(nn.Linear(text_dim, shared + specific) for _ in (USER, ITEM))
        for weight in (*self.weight_1, *self.weight_2):
            nn.init.xavier_normal_(weight)

    def forward(self, users: Tensor, items: Tensor) -> tuple[Tensor, Tensor]:
        """Text vectors [U, text_dim] and [I, text_dim] → [U, out] and [I, out]. Give each user and item once."""
        return self._mix(users, USER), self._mix(items, ITEM)

    def _mix(self, x: Tensor, side: int) -> Tensor:
        weight_1, bias_1 = self._experts(self.weight_1, side), self._experts(self.bias_1, side)
        weight_2, bias_2 = self._experts(self.weight_2, side), self._experts(self.bias_2, side)
        rows = x.expand(len(weight_1), *x.shape)
        hidden = torch.baddbmm(bias_1[:, None], rows, weight_1.transpose(1, 2)).relu()  # [experts, rows, hidden]
        experts = torch.baddbmm(bias_2[:, None], hidden, weight_2.transpose(1, 2)).relu()
        gate = self.gates[side](x).softmax(-1)
        mixed: Tensor = torch.einsum("re,ero->ro", gate, experts)
        return mixed

    def _experts(self, stacked: Tensor, side: int) -> Tensor:
        first = self.shared + side * self.specific
        return torch.cat([stacked[: self.shared], stacked[first : first + self.specific]])
