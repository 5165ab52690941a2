"""The rows of added tokens as weights of their own, beside a vocabulary that stays as it was pretrained.

Adapters leave the embeddings alone, and a new token must be learnt all the same: on both sides, as what is read and as
what is said. Training the whole matrix for a dozen rows would train (and keep moments of) tens of millions of weights.
Here the old matrix is frozen and the rows alone are parameters; one parameter where the head is tied to the embedding.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel


class RowsEmbedding(nn.Module):
    """``inner``, a frozen embedding, with the rows of some tokens in place of its own.

    ``reads_only``: no gradient flows into the rows from here, so that frozen layers above need none either.
    """

    place: Tensor

    def __init__(self, inner: nn.Embedding, rows: nn.Parameter, tokens: Sequence[int], reads_only: bool) -> None:
        super().__init__()
        self.inner, self.rows, self.reads_only = inner, rows, reads_only
        place = torch.full((inner.num_embeddings,), -1, dtype=torch.int64)
        place[list(tokens)] = torch.arange(len(tokens))
        self.register_buffer("place", place, persistent=False)

    @property
    def weight(self) -> Tensor:
        """The old matrix: its shape, place and type are what transformers asks for."""
        return self.inner.weight

    def forward(self, ids: Tensor) -> Tensor:
        """[…] token ids → […, width]."""
        vectors: Tensor = self.inner(ids)
        place = self.place[ids]
        # Where rows may learn, they do so whatever the tokens: processes that hold parts of a model add their gradients
        # up in the order that autograd gives them, and FSDP2 has no way of noticing where one's differs.
        if not torch.is_grad_enabled() and not bool((place >= 0).any()):
            return vectors
        rows = self.rows.detach() if self.reads_only else self.rows
        own = nn.functional.embedding(place.clamp(min=0), rows)
        scale = getattr(self.inner, "embed_scale", None)  # Gemma 3's embedding is a scaled one
        own = own if scale is None else own * torch.as_tensor(scale).to(own.dtype)
        return torch.where((place >= 0).unsqueeze(-1), own, vectors)


class RowsHead(nn.Module):
    """``inner``, a frozen output layer, with the logits of some tokens from rows of their own."""

    tokens: Tensor

    def __init__(self, inner: nn.Linear, rows: nn.Parameter, tokens: Sequence[int]) -> None:
        super().__init__()
        self.inner, self.rows = inner, rows
        self.register_buffer("tokens", torch.tensor(list(tokens), dtype=torch.int64), persistent=False)

    @property
    def weight(self) -> Tensor:
        return self.inner.weight

    @property
    def bias(self) -> Tensor | None:
        return self.inner.bias

    def forward(self, states: Tensor) -> Tensor:
        """[…, width] → logits […, V]."""
        logits: Tensor = self.inner(states)
        bias = None if self.inner.bias is None else self.inner.bias[self.tokens]
        own = nn.functional.linear(states, self.rows, bias)
        return logits.index_copy_(-1, self.tokens, own.to(logits.dtype))


def train_rows_alone(model: PreTrainedModel, tokens: Sequence[int], below: bool) -> None:
    """Freeze embedding and head of ``model`` but for the rows of ``tokens``; ``below``: the lowest layers are frozen.

    Where they are, what a token means to them stays as it is: its row is learnt from the head's side, and so not at all
    on the input's side of an untied model.
    """
    embedding: Any = model.get_input_embeddings()
    head: Any = model.get_output_embeddings()
    tied = head.weight is embedding.weight
    rows = _rows(embedding, tokens)
    rows_out = rows if tied else _rows(head, tokens)
    if below and not tied:
        rows.requires_grad_(False)
    for module in (embedding, head):
        module.requires_grad_(False)
    model.set_input_embeddings(RowsEmbedding(embedding, rows, tokens, reads_only=below))
    model.set_output_embeddings(RowsHead(head, rows_out, tokens))


def _rows(module: Any, tokens: Sequence[int]) -> nn.Parameter:
    return nn.Parameter(module.weight.detach()[list(tokens)].clone())


@torch.no_grad()
def begin_rows(model: PreTrainedModel, described: dict[int, list[int]]) -> None:
    """Set the rows of new tokens, on both sides, to the mean of the rows of the tokens that describe them."""
    embedding: Any = model.get_input_embeddings()
    head: Any = model.get_output_embeddings()
    sides = [embedding.weight] if head.weight is embedding.weight else [embedding.weight, head.weight]
    if getattr(head, "bias", None) is not None:
        sides.append(head.bias)
    for weight in sides:
        begun = {token: weight[words].mean(0) for token, words in described.items()}
        for token, row in begun.items():
            weight[token] = row
