"""The slate head: a query against every catalogue item."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.optim.optimizer import register_optimizer_step_post_hook

from tacit.dialogue.policy.associations import Associations
from tacit.dialogue.policy.plackett_luce import NEG
from tacit.types import InputError

HALF_FROM = 250_000  # items from which their texts are kept in half precision: 2 bytes a number, 0.8 GB a million items
_PIECE = 1_024  # of them that are in single precision at once: 1.5 MB, which stays near the core

_steps = 0  # taken by any optimiser: a fused one writes to weights without a word to autograd


def _count_step(*_: object) -> None:
    global _steps
    _steps += 1


register_optimizer_step_post_hook(_count_step)


class SlateHead(nn.Module):
    """logits[b, i] = s · <query_b, item_i> + bias_i + w · neighbours_b,i + r · [i mentioned]  over the full catalogue.

    item_i = W text_i + residual_i: items are read, and remembered where there is history (the others have no residual).
    query_b = the encoded window, the LM state at the decision token, and the items mentioned so far.
    neighbours_b,i = Σ_{m mentioned} association of m with i, counted on the training dialogues. What is known of words
    beyond the window's text, directed counts and wishes, is added to the logits by ``directed`` and ``wishes.term``.

    Everything is computed in float32. Item vectors are made once and kept while the weights stay as they are; where
    gradients flow, <q, W t + r> = <Wᵀq, t> + <q, r> needs none of them.
    """

    item_text: Tensor  # [n, dim]
    history: Tensor  # [h], the rows that have a residual and neighbours, rising
    slots: Tensor  # [n] int32, their inverse: -1 without history
    near_items: Tensor  # [h, keep] int32
    near_weights: Tensor  # [h, keep]

    def __init__(self, item_text: Tensor, counts: np.ndarray, near: Associations, lm_width: int) -> None:
        super().__init__()
        n_items, dim = item_text.shape
        self.register_buffer("item_text", item_text.half() if n_items >= HALF_FROM else item_text)
        self.register_buffer("history", near.rows)
        self.register_buffer("near_items", near.items)
        self.register_buffer("near_weights", near.weights)
        self.register_buffer("slots", _slots(near.rows, n_items), persistent=False)
        self.item_projection = nn.Linear(dim, dim, bias=False)
        self.item_residual = nn.Embedding(len(near.rows), dim)
        self.item_bias = nn.Parameter(0.5 * torch.log1p(torch.tensor(counts, dtype=torch.float32)))
        self.from_window = nn.Linear(dim, dim)
        self.from_lm = nn.Linear(lm_width, dim)
        self.from_items = nn.Linear(dim, dim)
        self.scale = nn.Parameter(torch.tensor(10.0))
        self.near_scale = nn.Parameter(torch.tensor(1.0))
        self.repeat_bias = nn.Parameter(torch.tensor(0.0))
        self._folded: tuple[list[Tensor], list[int], Tensor] | None = None
        nn.init.eye_(self.item_projection.weight)
        nn.init.zeros_(self.item_residual.weight)
        nn.init.eye_(self.from_window.weight)
        nn.init.zeros_(self.from_window.bias)
        nn.init.zeros_(self.from_lm.weight)
        nn.init.zeros_(self.from_lm.bias)
        self.from_items.weight.data.copy_(0.5 * torch.eye(dim))
        nn.init.zeros_(self.from_items.bias)

    @classmethod
    def empty(cls, n_items: int, dim: int, shape: Mapping[str, int], lm_width: int) -> SlateHead:
        """A head whose weights are to be loaded; ``shape`` is what ``shape()`` told of it when it was saved."""
        h, keep = shape.get("history", n_items), shape["near"]  # earlier versions: every item has a residual
        items, weights = torch.zeros(h, keep, dtype=torch.int32), torch.zeros(h, keep)
        dtype = torch.float16 if n_items >= HALF_FROM else torch.float32
        text = torch.zeros(n_items, dim, dtype=dtype)
        return cls(text, np.zeros(n_items), Associations(torch.arange(h), items, weights), lm_width)

    def shape(self) -> dict[str, int]:
        return {"near": self.near_items.shape[1], "history": len(self.history)}

    def extended(self, item_text: Tensor, bias: float) -> SlateHead:
        """A copy of this head over further items [m, dim], which come last: no residual, no neighbours, ``bias``."""
        state = {name: tensor.cpu() for name, tensor in self.state_dict().items()}
        state["item_text"] = torch.cat([state["item_text"], item_text.cpu().to(state["item_text"].dtype)])
        state["item_bias"] = nn.functional.pad(state["item_bias"], (0, len(item_text)), value=bias)
        n_items, dim = state["item_text"].shape
        head = SlateHead.empty(n_items, dim, self.shape(), self.from_lm.in_features)
        head.load_state_dict(state)
        return head

    def onto(self, item_text: Tensor, rows: Tensor, bias: float) -> SlateHead:
        """A copy of this head over other items, whose texts are ``item_text`` [n, dim]. ``rows`` [n] says where each of
        them stands here, −1 where it does not: such an item has no residual, no neighbours, and ``bias``."""
        state = {name: tensor.cpu() for name, tensor in self.state_dict().items()}
        known, slots = rows >= 0, _slots(state["history"], len(self.item_text))
        slot = torch.where(known, slots[rows.clamp(min=0)].long(), -1)
        history = (slot >= 0).nonzero().squeeze(1)
        slot = slot[history]
        place = torch.full((len(self.item_text),), -1, dtype=torch.int32)  # of an item of here, there
        place[rows[known]] = known.nonzero().squeeze(1).int()
        near = place[state["near_items"][slot].long()]
        state["near_weights"] = state["near_weights"][slot] * (near >= 0)
        state["near_items"], state["history"] = near.clamp(min=0), history
        state["item_residual.weight"] = state["item_residual.weight"][slot]
        state["item_bias"] = torch.where(known, state["item_bias"][rows.clamp(min=0)], bias)
        n_items, dim = item_text.shape
        head = SlateHead.empty(n_items, dim, {"near": near.shape[1], "history": len(history)}, self.from_lm.in_features)
        head.load_state_dict(state | {"item_text": item_text.cpu().to(head.item_text.dtype)})
        return head

    def item_vectors(self) -> Tensor:
        """[n_items, dim], differentiable."""
        vectors: Tensor = self.item_projection(self.item_text.float())
        return vectors.index_add(0, self.history, self.item_residual.weight)

    def forward(self, window: Tensor, state: Tensor, mentioned: Tensor) -> Tensor:
        """window [B, dim], state [B, lm_width], mentioned [B, M] item rows padded with -1 → logits [B, n_items]."""
        with torch.autocast(window.device.type, enabled=False):
            query = self.query(window.float(), state.float(), mentioned)
            logits = self.item_scores(query)  # the terms below are added in place: a copy costs as much as a product
            self._add_wide(logits, mentioned)
            self._add_repeats(logits, mentioned)
            return logits

    def query(self, window: Tensor, state: Tensor, mentioned: Tensor) -> Tensor:
        """[B, dim]."""
        liked = self._sum_of_vectors(mentioned) / (mentioned >= 0).sum(1, keepdim=True).clamp(min=1)
        query: Tensor = self.from_window(window) + self.from_lm(state) + self.from_items(liked)
        return query

    def item_scores(self, query: Tensor) -> Tensor:
        """s · <query_b, item_i> + bias_i, [B, n_items], in memory of its own."""
        query, residual = self.scale * query, self.item_residual.weight
        if self._keeps_vectors():
            return torch.addmm(self.item_bias, query, self.folded().T)
        to_text = query @ self.item_projection.weight
        if self.item_text.dtype == torch.float32:
            logits = torch.addmm(self.item_bias, to_text, self.item_text.T)
        else:
            logits = _product_with_half(to_text, self.item_text).add_(self.item_bias)
        if len(self.history) == len(self.item_text):
            logits.addmm_(query, residual.T)
        else:
            logits.index_add_(1, self.history, query @ residual.T)
        return logits

    def _keeps_vectors(self) -> bool:
        weights = (self.item_residual.weight, self.item_projection.weight)
        trains = torch.is_grad_enabled() and any(weight.requires_grad for weight in weights)
        return self.item_text.dtype == torch.float32 and not trains

    def folded(self) -> Tensor:
        """``item_vectors`` without a gradient, [n_items, dim], made again after any optimiser's step, and whenever a
        weight of theirs was written to or replaced (but a write to ``weight.data[...]`` is hidden from here, too)."""
        parts = [self.item_text, self.item_projection.weight, self.item_residual.weight, self.history]
        versions = [_steps, *(part._version for part in parts)]
        if self._folded is not None:
            seen, then, vectors = self._folded  # ``seen`` keeps their memory, so that an address means one content
            if then == versions and all(a.data_ptr() == b.data_ptr() for a, b in zip(seen, parts, strict=True)):
                return vectors
        self._folded = None
        with torch.no_grad():
            vectors = self.item_vectors()
        self._folded = ([part.detach() for part in parts], versions, vectors)
        return vectors

    def neighbours(self, mentioned: Tensor) -> Tensor:
        """[B, M] → [B, n_items]: summed association with the mentioned items, before any weight."""
        total = torch.zeros(len(mentioned), len(self.item_text), device=mentioned.device)
        places, weights = self._associated(mentioned)
        return total.index_put_(places, weights, accumulate=True)

    def _associated(self, mentioned: Tensor) -> tuple[tuple[Tensor, Tensor], Tensor]:
        """[B, M] → where neighbours stand in the logits, (rows, items), and their weights; a place may come twice."""
        slot = torch.where(mentioned >= 0, self.slots[mentioned.clamp(min=0)].long(), -1)
        row, at = (slot >= 0).nonzero(as_tuple=True)
        slot = slot[row, at]
        items, weights = (table.index_select(0, slot) for table in (self.near_items, self.near_weights))
        return (row.unsqueeze(1), items.long()), weights

    def _add_wide(self, logits: Tensor, mentioned: Tensor) -> None:
        """With gradients not through a flat view: the gradient of a write into a view is a copy of all logits."""
        (row, item), weights = self._associated(mentioned)
        if torch.is_grad_enabled():
            logits.index_put_((row, item), self.near_scale * weights, accumulate=True)
        else:  # in a third of the time
            place = item.add_(row, alpha=logits.shape[1]).view(-1)
            logits.view(-1).scatter_add_(0, place, weights.mul_(self.near_scale).view(-1))

    def _add_repeats(self, logits: Tensor, mentioned: Tensor) -> None:
        row, at = (mentioned >= 0).nonzero(as_tuple=True)
        where = (row, mentioned[row, at])
        if not torch.is_grad_enabled():  # an item that is mentioned twice is written twice, with one value
            logits.index_put_(where, logits[where] + self.repeat_bias)
            return
        places = torch.unique(where[0] * logits.shape[1] + where[1])
        where = (places // logits.shape[1], places % logits.shape[1])
        logits.index_put_(where, self.repeat_bias.expand(len(places)), accumulate=True)

    def _sum_of_vectors(self, rows: Tensor) -> Tensor:
        """Of item rows [B, M], −1 = none: [B, dim], differentiable."""
        if self._keeps_vectors():
            return _sum_rows(self.folded(), rows)
        read: Tensor = self.item_projection(_sum_rows(self.item_text, rows))
        if not len(self.history):
            return read
        slots = torch.where(rows >= 0, self.slots[rows.clamp(min=0)].long(), -1)
        return read + _sum_rows(self.item_residual.weight, slots)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        """Earlier versions gave every item a residual and neighbours, named no rows, and could be calibrated."""
        state_dict.setdefault(f"{prefix}history", torch.arange(len(self.history)))
        for name in ("near_log", "bias_named"):
            if state_dict.pop(prefix + name, 0.0):
                raise InputError("this policy was calibrated (sft.calibrate), which none is now: train it again.")
        super()._load_from_state_dict(state_dict, prefix, *args)
        self.slots = _slots(self.history, len(self.item_text))

    def __getstate__(self) -> dict[str, Any]:
        """What a copy takes: not the item vectors that are kept."""
        return {**self.__dict__, "_folded": None}


def _slots(history: Tensor, n_items: int) -> Tensor:
    slots = torch.full((n_items,), -1, dtype=torch.int32, device=history.device)
    slots[history] = torch.arange(len(history), dtype=torch.int32, device=history.device)
    return slots


def _sum_rows(table: Tensor, rows: Tensor) -> Tensor:
    """[n, dim] summed over the rows [B, M] that are not -1 → [B, dim] float32."""
    real = rows >= 0
    counts, flat = real.sum(1), rows[real]
    if table.dtype != torch.float32:
        table, flat = table[flat].float(), torch.arange(len(flat), device=flat.device)
    return nn.functional.embedding_bag(flat, table, counts.cumsum(0) - counts, mode="sum", sparse=True)


class _ProductWithHalf(torch.autograd.Function):
    """[B, d] float32 times the transpose of a constant [n, d] float16 → [B, n] float32, a piece of it at a time."""

    @staticmethod
    def forward(ctx: Any, query: Tensor, half: Tensor) -> Tensor:
        ctx.save_for_backward(half)
        out = query.new_empty(len(query), len(half))
        for start in range(0, len(half), _PIECE):
            torch.mm(query, half[start : start + _PIECE].float().T, out=out[:, start : start + _PIECE])
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (half,) = ctx.saved_tensors
        to_query = gradient.new_zeros(len(gradient), half.shape[1])
        for start in range(0, len(half), _PIECE):
            to_query.addmm_(gradient[:, start : start + _PIECE], half[start : start + _PIECE].float())
        return to_query, None


def _product_with_half(query: Tensor, half: Tensor) -> Tensor:
    out: Tensor = _ProductWithHalf.apply(query, half)  # type: ignore[no-untyped-call]
    return out


def mask_rows(logits: Tensor, rows: Tensor) -> Tensor:
    """logits [B, n] with the item rows [B, M] (−1 = none) put out of reach."""
    return mask_rows_(logits.clone(), rows)


def mask_rows_(logits: Tensor, rows: Tensor) -> Tensor:
    """``mask_rows`` in place."""
    row, at = (rows >= 0).nonzero(as_tuple=True)
    return logits.index_put_((row, rows[row, at]), logits.new_tensor(NEG))
