"""The slate head: a query against every catalogue item, and ordered slates by sequential softmax (Plackett-Luce)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from scipy import sparse
from torch import Tensor, nn

from tacit.catalog import Catalog
from tacit.types import Dialogue

NEG = -1e9  # finite, so that an entropy or a KL over masked items stays finite


class SlateHead(nn.Module):
    """logits[b, i] = s · <query_b, item_i> + bias_i + w · neighbours_b,i + r · [i mentioned]  over the full catalogue.

    item_i = W text_i + residual_i: items are read, and remembered where there is history (a new item has residual 0).
    query_b = the encoded window, the LM state at the decision token, and the items mentioned so far.
    neighbours_b,i = Σ_{m mentioned} association of m with i, counted on the training dialogues.
    """

    item_text: Tensor
    near_items: Tensor
    near_weights: Tensor

    def __init__(self, item_text: Tensor, counts: np.ndarray, near: tuple[Tensor, Tensor], lm_width: int) -> None:
        super().__init__()
        n_items, dim = item_text.shape
        self.register_buffer("item_text", item_text)
        self.register_buffer("near_items", near[0])
        self.register_buffer("near_weights", near[1])
        self.item_projection = nn.Linear(dim, dim, bias=False)
        self.item_residual = nn.Embedding(n_items, dim)
        self.item_bias = nn.Parameter(0.5 * torch.log1p(torch.tensor(counts, dtype=torch.float32)))
        self.from_window = nn.Linear(dim, dim)
        self.from_lm = nn.Linear(lm_width, dim)
        self.from_items = nn.Linear(dim, dim)
        self.scale = nn.Parameter(torch.tensor(10.0))
        self.near_scale = nn.Parameter(torch.tensor(1.0))
        self.repeat_bias = nn.Parameter(torch.tensor(0.0))
        nn.init.eye_(self.item_projection.weight)
        nn.init.zeros_(self.item_residual.weight)
        nn.init.eye_(self.from_window.weight)
        nn.init.zeros_(self.from_window.bias)
        nn.init.zeros_(self.from_lm.weight)
        nn.init.zeros_(self.from_lm.bias)
        self.from_items.weight.data.copy_(0.5 * torch.eye(dim))
        nn.init.zeros_(self.from_items.bias)

    def extended(self, item_text: Tensor, bias: float) -> SlateHead:
        """A copy of this head over further items [m, dim], which come last: residual 0, no neighbours, ``bias``."""
        more = len(item_text)
        state = {name: tensor.cpu() for name, tensor in self.state_dict().items()}
        for name in ("near_items", "near_weights", "item_residual.weight"):
            state[name] = nn.functional.pad(state[name], (0, 0, 0, more))
        state["item_text"] = torch.cat([state["item_text"], item_text.cpu()])
        state["item_bias"] = nn.functional.pad(state["item_bias"], (0, more), value=bias)
        near = (state["near_items"], state["near_weights"])
        head = SlateHead(state["item_text"], np.zeros(len(state["item_text"])), near, self.from_lm.in_features)
        head.load_state_dict(state)
        return head

    def item_vectors(self) -> Tensor:
        """[n_items, dim]."""
        vectors: Tensor = self.item_projection(self.item_text) + self.item_residual.weight
        return vectors

    def forward(self, window: Tensor, state: Tensor, mentioned: Tensor) -> Tensor:
        """window [B, dim], state [B, lm_width], mentioned [B, M] item rows padded with -1 → logits [B, n_items]."""
        items = self.item_vectors()
        present = (mentioned >= 0).unsqueeze(-1).float()
        liked = (items[mentioned.clamp(min=0)] * present).sum(1) / present.sum(1).clamp(min=1)
        query = self.from_window(window) + self.from_lm(state) + self.from_items(liked)
        wide = self.near_scale * self.neighbours(mentioned) + self.repeat_bias * self._repeated(mentioned)
        logits: Tensor = self.scale * (query @ items.T) + self.item_bias + wide
        return logits

    def neighbours(self, mentioned: Tensor) -> Tensor:
        """[B, M] → [B, n_items]: summed association with the mentioned items."""
        present = (mentioned >= 0).unsqueeze(-1)
        rows = mentioned.clamp(min=0)
        weights = torch.where(present, self.near_weights[rows], 0.0)
        total = torch.zeros(len(mentioned), len(self.item_text), device=mentioned.device)
        return total.scatter_add_(1, self.near_items[rows].flatten(1), weights.flatten(1))

    def _repeated(self, mentioned: Tensor) -> Tensor:
        """[B, M] → [B, n_items]: 1 where the item was mentioned."""
        n_items = len(self.item_text)
        marks = torch.zeros(len(mentioned), n_items + 1, device=mentioned.device)
        return marks.scatter_(1, torch.where(mentioned < 0, n_items, mentioned), 1.0)[:, :-1]


def mask_rows(logits: Tensor, rows: Tensor) -> Tensor:
    """logits [B, n] with the item rows [B, M] (−1 = none) put out of reach."""
    hit = torch.zeros(logits.shape[0], logits.shape[1] + 1, dtype=torch.bool, device=logits.device)
    hit.scatter_(1, torch.where(rows < 0, logits.shape[1], rows), True)
    return logits.masked_fill(hit[:, :-1], NEG)


def associations(dialogues: Sequence[Dialogue], catalog: Catalog, keep: int = 100) -> tuple[Tensor, Tensor]:
    """Item-to-item association from co-mention in a dialogue: the ``keep`` strongest of each row.

    a[m, i] = log(1 + c_mi / sqrt(1 + c_m)), c_mi = dialogues that mention both: a damped conditional count, so that a
    pair seen once with a rare item weighs more than a pair seen once with a blockbuster.
    Returns (items int64 [n, keep], weights float32 [n, keep]); unused places have weight 0.
    """
    rows, columns = [], []
    for d, dialogue in enumerate(dialogues):
        for item in dialogue.mentioned():
            rows.append(d)
            columns.append(catalog.index(item))
    shape = (max(len(dialogues), 1), len(catalog))
    x = sparse.csr_matrix((np.ones(len(rows), dtype=np.float32), (rows, columns)), shape=shape)
    x.data[:] = 1.0
    pairs = (x.T @ x).tocsr()
    counts = pairs.diagonal()
    items = np.zeros((len(catalog), keep), dtype=np.int64)
    weights = np.zeros((len(catalog), keep), dtype=np.float32)
    for m in range(len(catalog)):
        near = pairs.indices[pairs.indptr[m] : pairs.indptr[m + 1]]
        value = np.log1p(pairs.data[pairs.indptr[m] : pairs.indptr[m + 1]] / np.sqrt(1.0 + counts[m]))
        value = np.where(near == m, 0.0, value)
        best = np.lexsort((near, -value))[:keep]
        items[m, : len(best)], weights[m, : len(best)] = near[best], value[best]
    return torch.from_numpy(items), torch.from_numpy(weights)


def draw_slates(logits: Tensor, size: int, generator: torch.Generator | None) -> Tensor:
    """Ordered slates without replacement, [B, n] → item rows [B, size]; greedy when there is no generator.

    Adding Gumbel noise and taking the top k draws exactly from the sequential softmax (Kool et al. 2019,
    https://arxiv.org/abs/1903.06059).
    """
    if generator is not None:
        uniform = torch.rand(logits.shape, generator=generator).clamp_(1e-20, 1.0).to(logits.device)
        logits = logits - torch.log((-torch.log(uniform)).clamp(min=1e-20))
    return logits.topk(size, dim=-1).indices


def slate_logprobs(logits: Tensor, slates: Tensor, mask: Tensor | None = None) -> Tensor:
    """log P(item_k | state, items_<k) for every position: logits [B, n], item rows [B, K] → [B, K], nats.

    Plackett-Luce: l_k − log Σ_{i not in items_<k} exp(l_i) (Plackett 1975; Luce 1959). The catalogue is summed once,
    without the slate; the sums of the positions follow from the last to the first. ``mask`` [B, K] is True where a
    position is real; the others repeat an item of their row (their values mean nothing).
    """
    chosen = logits.gather(1, slates)
    if mask is not None:
        chosen = chosen.masked_fill(~mask, NEG)
    remaining = torch.logsumexp(logits.scatter(1, slates, NEG), dim=-1)
    columns: list[Tensor] = []
    for k in reversed(range(slates.shape[1])):
        remaining = torch.logaddexp(remaining, chosen[:, k])
        columns.insert(0, chosen[:, k] - remaining)
    return torch.stack(columns, dim=1)
