"""Logged exposures as tensors: what was shown, how it was drawn, what it was worth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from tacit.dialogue.train.served_slates import place_logprobs, served_logprobs
from tacit.slates import Mixture


@dataclass(frozen=True)
class Logged:
    """N exposures that recommended and have a reward; K places of the longest slate, real where ``mask`` is True."""

    slates: Tensor  # [N, K] item rows, in the order of drawing
    mask: Tensor  # [N, K]
    logprob: Tensor  # [N] of the slate as it was logged, nats
    mixture: Tensor  # [N], which of ``mixtures`` it was drawn by
    reward: Tensor  # [N] of the turn
    weight: Tensor  # [N]
    censored: Tensor  # [N]: the reward is a lower bound
    item_reward: Tensor  # [N, K], NaN where it was not observed
    item_censored: Tensor  # [N, K]
    mixtures: Sequence[Mixture]

    def __len__(self) -> int:
        return len(self.slates)

    def rows(self, rows: Tensor) -> Logged:
        parts = {field.name: getattr(self, field.name)[rows] for field in fields(self) if field.name != "mixtures"}
        return Logged(**parts, mixtures=self.mixtures)

    def places(self, logits: Tensor) -> list[Tensor]:
        """Each place's distribution, as these exposures were served: logits [N, n] → K of [N, n], nats, float64."""
        places = [torch.zeros(len(self), logits.shape[1], dtype=torch.float64) for _ in range(self.slates.shape[1])]
        for own, mixture in self._by_mixture():
            found = place_logprobs(logits[own].double(), self.slates[own], self.mask[own], mixture)
            places = [place.index_copy(0, own, part) for place, part in zip(places, found, strict=True)]
        return places

    def factors(self, logits: Tensor, slates: Tensor | None = None) -> Tensor:
        """log P(item | items before) of these slates, or of others of the same lengths: [N, K], nats, float64."""
        slates = self.slates if slates is None else slates
        found = torch.zeros(slates.shape, dtype=torch.float64)
        for own, mixture in self._by_mixture():
            part = served_logprobs(logits[own].double(), slates[own], self.mask[own], mixture)
            found = found.index_copy(0, own, part)
        return found

    def logprobs(self, logits: Tensor, slates: Tensor | None = None) -> Tensor:
        """Of whole slates: [N], nats."""
        return self.factors(logits, slates).sum(1)

    def _by_mixture(self) -> list[tuple[Tensor, Mixture]]:
        owners = [(self.mixture == index).nonzero().squeeze(1) for index in range(len(self.mixtures))]
        return [(own, mixture) for own, mixture in zip(owners, self.mixtures, strict=True) if len(own)]


def best_and_worst_orders(logged: Logged) -> tuple[Tensor, Tensor, Tensor]:
    """The same slates with their observed items by falling and by rising reward, [N, K] each; [N] whether they differ.

    What was not observed keeps its place. So does an item of which only a lower bound is known, unless that bound is
    above all that is known exactly.
    """
    better, worse = logged.slates.clone(), logged.slates.clone()
    differ = torch.zeros(len(logged), dtype=torch.bool)
    for row in range(len(logged)):
        rewards, censored = logged.item_reward[row].tolist(), logged.item_censored[row].tolist()
        real = [k for k, is_real in enumerate(logged.mask[row].tolist()) if is_real and rewards[k] == rewards[k]]
        exact = [rewards[k] for k in real if not censored[k]]
        known = [k for k in real if not censored[k] or (exact and rewards[k] > max(exact))]
        order = sorted(known, key=lambda k: -rewards[k])  # stable: of equal ones the first shown stays first
        if len(known) < 2 or rewards[order[0]] == rewards[order[-1]]:
            continue
        differ[row] = True
        items = logged.slates[row]
        better[row, known], worse[row, known] = items[order], items[sorted(known, key=lambda k: rewards[k])]
    return better, worse, differ
