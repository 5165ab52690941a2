"""Few general weights over a trained slate head: what may be learnt from outcomes without learning people by heart.

    logits = s·query·items + b·bias + near·neighbours + counts + wishes + liked·ℓ_i + seen·σ_i

s, b and near scale the parts of the head; ℓ_i and σ_i are the item's log-odds of being liked and of being known
already, counted on the forms of earlier people. At the start (s = b = near = 1, liked = seen = 0) the logits are the
head's own, and at the end they are folded into it: the result is a policy like any other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from tacit.catalog import Catalog
from tacit.dialogue.policy.policy import Policy
from tacit.dialogue.policy.slate import SlateHead, mask_rows_
from tacit.types import Dialogue

CHUNK = 64


@dataclass(frozen=True)
class ItemOdds:
    """Log-odds of each item against the average item's, [n_items] each, 0 where nothing was said of it."""

    liked: Tensor
    seen: Tensor

    @classmethod
    def counted(cls, dialogues: Sequence[Dialogue], catalog: Catalog, shrink: float = 10.0) -> ItemOdds:
        """From the persons' forms, shrunk towards the mean by ``shrink`` pseudo-answers."""
        yes, no = np.zeros((2, len(catalog))), np.zeros((2, len(catalog)))
        for dialogue in dialogues:
            for item, judged in dialogue.judgements.items():
                for at, answer in enumerate((judged.liked, judged.seen)):
                    if answer is not None:
                        (yes if answer else no)[at, catalog.index(item)] += 1
        mean = (yes.sum(1, keepdims=True) + 1.0) / (yes.sum(1, keepdims=True) + no.sum(1, keepdims=True) + 2.0)
        odds = np.log(yes + shrink * mean) - np.log(no + shrink * (1.0 - mean)) - np.log(mean / (1.0 - mean))
        liked, seen = torch.from_numpy(odds.astype(np.float32))
        return cls(liked, seen)


@dataclass(frozen=True)
class Read:
    """N contexts as a slate head reads them, made once, since everything below it stays as it is. 4 bytes a context and
    item: 166 MB for 6,000 contexts of ReDial."""

    content: Tensor  # [N, n_items], s·query·items of the head as it was
    mentioned: Tensor  # [N, M] item rows, -1 = none
    wished: Tensor  # [N] row of ``wishes``, -1 = nothing was asked
    wishes: Tensor  # [W, n_items] float16, what wishes and directed counts add

    def __len__(self) -> int:
        return len(self.content)

    @classmethod
    @torch.no_grad()
    def of(cls, policy: Policy, contexts: Sequence[Dialogue]) -> Read:
        content, wishes, wished = [], list[Tensor](), list[int]()
        for start in range(0, len(contexts), CHUNK):
            part = contexts[start : start + CHUNK]
            prompts = [[*policy.prompt(context), policy.layout.recommend] for context in part]
            hidden = policy.trunk(prompts)
            last = torch.tensor([len(prompt) - 1 for prompt in prompts], device=policy.device)
            state = policy.head_state(hidden[torch.arange(len(part), device=policy.device), last])
            window = policy.encoder.encode([policy.window_text(context) for context in part])
            query = policy.head.scale * policy.head.query(window.float(), state, policy.mentioned(part))
            content.append((query @ policy.head.folded().T).cpu())
            nothing = torch.zeros(len(part), len(policy.catalog), device=policy.device)
            added = policy.wish.add_features(policy.directed.add_(nothing, part), policy.wishes(part)).cpu().half()
            for row in added:
                wished.append(len(wishes) if bool(row.any()) else -1)
                wishes += [row] if wished[-1] >= 0 else []
        table = torch.stack(wishes) if wishes else torch.zeros(0, len(policy.catalog), dtype=torch.float16)
        return cls(torch.cat(content), policy.mentioned(contexts).cpu(), torch.tensor(wished), table)


class Recalibration(nn.Module):
    """The weights, over one head. ``logits`` are differentiable in them and in nothing else."""

    def __init__(self, head: SlateHead, odds: ItemOdds) -> None:
        super().__init__()
        self._head, self._odds = [head.requires_grad_(False)], odds  # in a list: its weights are not this module's
        self.content = nn.Parameter(torch.tensor(1.0))
        self.bias = nn.Parameter(torch.tensor(1.0))
        self.near = nn.Parameter(torch.tensor(1.0))
        self.liked = nn.Parameter(torch.tensor(0.0))
        self.seen = nn.Parameter(torch.tensor(0.0))

    @classmethod
    def like(cls, other: Recalibration) -> Recalibration:
        """A copy of its weights as they are now, over the same head."""
        made = cls(other._head[0], other._odds)
        made.load_state_dict(other.state_dict())
        return made

    def logits(self, read: Read, rows: Tensor, masked: bool = True) -> Tensor:
        """[B, n_items] of the contexts ``rows`` [B]; ``masked``: with the items named so far out of reach."""
        head, mentioned = self._head[0], read.mentioned[rows]
        with torch.no_grad():
            content = read.content[rows]
            fixed, near = torch.zeros_like(content), head.near_scale * head.neighbours(mentioned)
            wished = read.wished[rows]
            fixed[wished >= 0] = read.wishes[wished[wished >= 0]].float()
            head._add_repeats(fixed, mentioned)
        prior = self.bias * head.item_bias + self.liked * self._odds.liked + self.seen * self._odds.seen
        logits = self.content * content + self.near * near + (fixed + prior)
        return mask_rows_(logits, mentioned) if masked else logits

    @torch.no_grad()
    def fold(self, head: SlateHead) -> None:
        """Write the weights into ``head``, which must be the one they were learnt over (or its copy)."""
        head.scale.mul_(self.content)
        head.near_scale.mul_(self.near)
        head.item_bias.copy_(self.bias * head.item_bias + self.liked * self._odds.liked + self.seen * self._odds.seen)

    @torch.no_grad()
    def set(self, values: Mapping[str, float]) -> None:
        for name, weight in self.named_parameters():
            weight.fill_(values[name])

    def values(self) -> dict[str, float]:
        return {name: float(value.detach()) for name, value in self.named_parameters()}
