"""Groups of slates that a turn could have shown, each worth what the reward makes of it in that turn's place.

A conversation's return says little about one slate of it: what came before and after, the words and the user's mood
are in it too. All of these are the same within a group, so that what differs is the slate (group-relative credit:
Shao et al. 2024, arXiv 2402.03300; its mean as baseline: Ahmadian et al. 2024, arXiv 2402.14740). Only the reward is
asked; nobody is shown these slates.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from tacit import losses
from tacit.dialogue.policy.plackett_luce import draw_slates, group_logprobs
from tacit.dialogue.policy.policy import Policy
from tacit.dialogue.train.ppo_batch import Batch
from tacit.run.distributed import spread
from tacit.types import Sample, Scorer, Slate, Turn


@dataclass(frozen=True)
class SlateGroups:
    """G slates of K items for each of N turns; the first is the one that was shown. Turns that show nothing, and those
    whose slates the reward does not tell apart, are not ``told``."""

    items: Tensor  # [N, G, K] long, catalogue rows
    old_logprobs: Tensor  # [N, G, K], nats, of the policy that acted
    rewards: Tensor  # [N, G] float32, as the scorer gave them; 0 where nothing was shown
    advantages: Tensor  # [N, G], less the group's mean, in root mean squares of all that are told
    shown: Tensor  # [N] bool
    told: Tensor  # [N] bool

    @property
    def share_told(self) -> float:
        """Of the groups, those in which the reward tells slates apart; 0 where nothing was shown."""
        return float(self.told.sum()) / max(float(self.shown.sum()), 1.0)

    @property
    def spread(self) -> float:
        """Standard deviation of the reward within a group that is told, on average; 0 where there is none."""
        return float(self.rewards[self.told].std(1, correction=0).mean()) if bool(self.told.any()) else 0.0


def draw_groups(
    policy: Policy, batch: Batch, scorer: Scorer, group: int, size: int, generator: torch.Generator
) -> SlateGroups:
    """``group`` slates for every turn of ``batch`` that recommends: its own, and others drawn from the acting policy;
    ``size`` turns' at once are scored."""
    shown, places = batch.old.slate_mask[:, 0], batch.old.slate_mask.shape[1]
    items = torch.zeros(len(batch), group, places, dtype=torch.long, device=policy.device)
    rewards = torch.zeros(len(batch), group, device=policy.device)
    rows = shown.nonzero().squeeze(1).tolist()
    if rows:
        own = [_rows(policy, batch.samples[row].slate) for row in rows]
        logits = batch.old.slate_log_softmax[rows].repeat_interleave(group - 1, 0)
        others = draw_slates(logits, places, generator).unflatten(0, (len(rows), group - 1))
        items[rows] = torch.cat([torch.tensor(own, device=policy.device).unsqueeze(1), others], dim=1)
        units = [rows[start : start + size] for start in range(0, len(rows), size)]
        found = spread(lambda unit: _rewards(policy, batch, items, scorer, unit), units)
        rewards[rows] = torch.tensor([row for part in found for row in part], device=policy.device)
    told = shown & losses.tells_apart(rewards)
    old = group_logprobs(batch.old.slate_log_softmax, items)
    return SlateGroups(items, old, rewards, advantages_where_told(rewards, told), shown, told)


def advantages_where_told(rewards: Tensor, told: Tensor) -> Tensor:
    """``losses.group_advantages`` of the groups that are ``told`` [N] of rewards [N, G]; 0 elsewhere."""
    advantages = torch.zeros_like(rewards)
    advantages[told] = losses.group_advantages(rewards[told])
    return advantages


def group_loss(logits: Tensor, groups: SlateGroups, rows: Sequence[int], clip: float, count: float) -> Tensor:
    """Clipped policy loss of the groups of some turns, every place with its slate's advantage: logits [B, n] of the
    turns ``rows``; ``count`` is the number of places in the groups of the whole minibatch."""
    index = list(rows)
    new = group_logprobs(logits, groups.items[index])
    advantage = groups.advantages[index].unsqueeze(2).expand_as(new)
    told = groups.told[index][:, None, None].expand_as(new)
    return losses.clipped_policy_loss(new, groups.old_logprobs[index], advantage, told, clip, count)


def _rows(policy: Policy, slate: Slate | None) -> list[int]:
    return [policy.catalog.index(item) for item in slate.items] if slate else []


def _rewards(policy: Policy, batch: Batch, items: Tensor, scorer: Scorer, rows: Sequence[int]) -> list[list[float]]:
    """[len(rows)][G]: what the scorer makes of each slate, the words and all else being as they were."""
    group = items.shape[1]
    turns = [showing(policy, batch.samples[row], slate) for row in rows for slate in items[row].tolist()]
    contexts = [batch.contexts[row] for row in rows for _ in range(group)]
    scores = [score for score, _ in scorer.score(contexts, turns)]
    return [scores[start : start + group] for start in range(0, len(scores), group)]


def showing(policy: Policy, sample: Sample, rows: Sequence[int]) -> Turn:
    """The turn of ``sample`` with other items: in its slate, and where its words have a title."""
    slate = Slate(tuple(policy.catalog.items[row].id for row in rows))
    reply = sample.tokens[len(policy.layout.opening(sample.slate)) :]
    return Turn("agent", policy.layout.spoken(reply, slate), mentions=slate.items, slate=slate)
