"""Which of the items shown are clicked: what a slate's items promise, one by one.

A turn tells one engagement, but of each of its items whether it was clicked. So what kind of item pleases is learnt
here, from as many answers as there were items, and the reward model reads how appealing a slate is as one fact.

P(click | item, place) = σ(w · facts + b_place): a logistic regression of a position-based kind (the place as an
additive effect on the log-odds; Chuklin, Markov and de Rijke 2015, "Click Models for Web Search", 3.3). A slate's
appeal is the mean of its items' chances in the first place, discounted by place as in DCG.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from sklearn.linear_model import LogisticRegression
from torch import Tensor, nn

from tacit.dialogue.reward.features import CARD_FACTS, CARDS
from tacit.dialogue.reward.labels import Observation
from tacit.types import Floats64

FOLDS = 5
MIN_CLICKS = 20  # fewer teach nothing
PENALTY = 10.0  # of squared weights of standardised facts, against the summed log-likelihood of all cards, halved


class ClickModel(nn.Module):
    """Weights of the facts, and the log-odds of the first place. Before any click is learnt, and where none was
    observed, appealing is what is like the items that the user named."""

    mean: Tensor  # [F]
    spread: Tensor  # [F]
    weight: Tensor  # [F]
    bias: Tensor  # []

    def __init__(self) -> None:
        super().__init__()
        facts = len(CARD_FACTS)
        self.register_buffer("mean", torch.zeros(facts))
        self.register_buffer("spread", torch.ones(facts))
        self.register_buffer("weight", torch.tensor([float(name == "taste") for name in CARD_FACTS]))
        self.register_buffer("bias", torch.zeros(()))

    def log_odds(self, cards: Tensor) -> Tensor:
        """Of a click in the first place: cards [..., F] → [...]; NaN where there is no card."""
        facts = ((cards - self.mean) / self.spread).clamp(-5.0, 5.0)
        return facts @ self.weight + self.bias

    def appeal(self, cards: Tensor) -> Tensor:
        """[B, CARDS, F] → [B] in [0, 1]; 0 without a slate."""
        chance = self.log_odds(cards).sigmoid()
        there = torch.isfinite(chance)
        discount = 1.0 / torch.log2(torch.arange(2, cards.shape[1] + 2, device=cards.device, dtype=torch.float32))
        weight = there * discount
        return (weight * chance.nan_to_num()).sum(-1) / weight.sum(-1).clamp_min(1e-12)

    def fit(self, cards: Floats64, clicked: Floats64) -> ClickModel:
        """cards [n, CARDS, F], clicked [n, CARDS] with 1, 0, or NaN where it was not observed. In place; left as it is
        where there are fewer than ``MIN_CLICKS`` clicks, or as few cards without one."""
        turn, place = np.nonzero(np.isfinite(clicked) & np.isfinite(cards).all(-1))
        x, y = cards[turn, place], clicked[turn, place]
        if min(y.sum(), (1.0 - y).sum()) < MIN_CLICKS:
            return self
        mean, spread = x.mean(0), np.maximum(x.std(0), 1e-3)
        facts = np.clip((x - mean) / spread, -5.0, 5.0)
        # The first is the intercept. Ten times as large, so that the penalty hardly draws a place's effect to 0: what
        # stands there more often would be credited with the rest.
        places = 10.0 * np.eye(CARDS)[place][:, 1:]
        model = LogisticRegression(C=1.0 / PENALTY, max_iter=1000).fit(np.hstack([facts, places]), y)
        found = {"mean": mean, "spread": spread, "weight": model.coef_[0][: x.shape[1]], "bias": model.intercept_[0]}
        for name, value in found.items():
            getattr(self, name).copy_(torch.tensor(value, dtype=torch.float32))
        return self


def clicks_of(observations: Sequence[Observation]) -> Floats64:
    """[n, CARDS]: 1 where the item was clicked, 0 where it was not, NaN where that was not observed or nothing is."""
    clicked = np.full((len(observations), CARDS), np.nan)
    for row, o in enumerate(observations):
        if o.turn.slate and o.feedback.clicked is not None:
            shown = o.turn.slate.items[:CARDS]
            clicked[row, : len(shown)] = [float(item in o.feedback.clicked) for item in shown]
    return clicked


def fold_of(dialogue: str) -> int:
    """A dialogue's fold, by hash of its id."""
    return int(hashlib.sha256(f"clicks {dialogue}".encode()).hexdigest()[:8], 16) % FOLDS


def unseen_appeal(cards: Tensor, clicked: Floats64, ids: Sequence[str]) -> Tensor:
    """[n] the appeal of each turn's slate to a model that has not learnt from its dialogue, as at a new one."""
    folds: npt.NDArray[np.int64] = np.array([fold_of(name) for name in ids])
    known = cards.double().cpu().numpy()
    appeal = torch.zeros(len(cards), device=cards.device)
    for fold in range(FOLDS):
        model = ClickModel().fit(known[folds != fold], clicked[folds != fold]).to(cards.device)
        own = torch.from_numpy(folds == fold).to(cards.device)
        appeal[own] = model.appeal(cards[own])
    return appeal
