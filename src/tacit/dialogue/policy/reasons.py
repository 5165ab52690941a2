"""Why an item was shown: its slate logit taken apart, by the terms of ``SlateHead`` and by what was asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from tacit.dialogue.policy.network import PolicyNetwork
from tacit.types import Dialogue, ItemId

Part = Literal["words", "state", "liked", "popularity", "neighbours", "answers", "wishes"]
PARTS: tuple[Part, ...] = ("words", "state", "liked", "popularity", "neighbours", "answers", "wishes")


@dataclass(frozen=True)
class Reason:
    """``parts``: nats by which each term lifts the item above the catalogue's mean item. ``near``: the mentioned items
    that its neighbourhood comes from, strongest first."""

    item: ItemId
    parts: dict[Part, float]
    near: tuple[ItemId, ...]


@torch.no_grad()
def reasons(policy: PolicyNetwork, context: Dialogue, items: Sequence[ItemId]) -> list[Reason]:
    """For each of the ``items`` shown after ``context``.

    words: the text of the item against the words of the window; state: against the language model's reading of them;
    liked: against the items mentioned; popularity: the item's bias; neighbours: items that go together in the training
    dialogues; answers: what their agents showed where the same was named; wishes: what is left of the logit, which is
    what stated wishes add.
    """
    terms, logits = _terms(policy, context)
    whole = {**terms, "wishes": logits - torch.stack(list(terms.values())).sum(0)}
    lifted = {name: values - values.mean() for name, values in whole.items()}
    rows = [policy.catalog.index(item) for item in items]
    near = [_near(policy, context, row) for row in rows]
    return [
        Reason(item, {name: float(lifted[name][row]) for name in PARTS}, close)
        for item, row, close in zip(items, rows, near, strict=True)
    ]


def _terms(policy: PolicyNetwork, context: Dialogue) -> tuple[dict[Part, Tensor], Tensor]:
    """Every term but that of the wishes, and the logits, [n_items] each; the repeat bias counts as liked."""
    head, seen = policy.head, []
    hook = head.register_forward_pre_hook(lambda _, given: seen.append(given))
    try:
        logits = policy.slate_logits([context])[0]
    finally:
        hook.remove()
    window, state, mentioned = (given.float() if given.is_floating_point() else given for given in seen[0][:3])
    vectors = head.item_vectors()
    count = (mentioned >= 0).sum(1, keepdim=True).clamp(min=1)
    liked = torch.where(mentioned.unsqueeze(-1) >= 0, vectors[mentioned.clamp(min=0)], 0.0).sum(1) / count
    repeated = torch.zeros(len(vectors), device=vectors.device)
    repeated[mentioned[mentioned >= 0]] = head.repeat_bias
    queries: dict[Part, Tensor] = {
        "words": head.from_window(window),
        "state": head.from_lm(state),
        "liked": head.from_items(liked),
    }
    terms = {name: (head.scale * (query @ vectors.T))[0] for name, query in queries.items()}
    terms["liked"] = terms["liked"] + repeated
    terms["popularity"] = head.item_bias.detach().float()
    terms["neighbours"] = head.near_scale * head.neighbours(mentioned)[0]
    terms["answers"] = policy.directed.weight.detach() * policy.directed.scores([context])[0]
    return terms, logits.to(vectors.device)


def _near(policy: PolicyNetwork, context: Dialogue, row: int) -> tuple[ItemId, ...]:
    """The mentioned items with which the item at ``row`` is associated, strongest first."""
    weights: dict[ItemId, float] = {}
    for item in context.mentioned():
        mentioned = torch.tensor([[policy.catalog.index(item)]], device=policy.device)
        weights[item] = float(policy.head.neighbours(mentioned)[0, row])
    return tuple(item for item in sorted(weights, key=lambda i: -weights[i]) if weights[item] > 0)
