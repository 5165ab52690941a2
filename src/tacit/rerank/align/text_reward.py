"""What a text about a user and the user's history tell of a recommender's feedback on it: a reward model of texts.

A user's own lists are few, so the feedback on one text is mostly luck, and a user without lists has none. Regressed
over many users it says in general how a text's vector x should stand to the user's place u among the ratings before
the cut (both along the axes by which texts are read):

    r(x, u) = Σ_a p_a x_a u_a + q_a x_a² + s_a x_a

so that minus the squared distance of x and u is one of the rewards that can be learnt. Learning a reward from the
feedback and choosing by it is what RLHF does (Stiennon et al. 2020, arXiv 2009.01325); RLRF4Rec has no such model.
Its control is that distance itself, which asks no recommender.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from sklearn.linear_model import RidgeCV

from tacit.rerank.align.feedback import Rows
from tacit.types import Floats32, Floats64, Group

PREDICTED = "predicted"  # the channel of a model that was fitted on other users, or of nearness
MOST_LISTS = 50  # a user with more of them counts no more than one with as many
_PENALTIES = tuple(10.0**power for power in np.arange(0.0, 5.1))


def terms(texts: Floats32, places: Floats32) -> Floats64:
    """(x ⊙ u, x², x) of n texts' vectors and their users' places, [n, k] each → [n, 3k]."""
    x, u = texts.astype(np.float64), places.astype(np.float64)
    return np.concatenate([x * u, x * x, x], axis=1)


@dataclass(frozen=True)
class TextReward:
    """r(x, u) up to a constant of the user: it orders the texts about one user, and says nothing across users."""

    weights: Floats64  # [3k]: p, q and s of the formula above

    @classmethod
    def fit(cls, texts: Floats32, places: Floats32, scores: Floats64, users: Rows, lists: Floats64) -> TextReward:
        """From the ``scores`` [n] of n texts about ``users`` [n]; a user counts as much as there are ``lists`` [n].

        Ridge regression of what is left of score and terms when their means over a user's texts are taken away; the
        penalty is chosen by leave-one-out.
        """
        rows = _within(terms(texts, places), users)
        scale = np.maximum(rows.std(0), 1e-12)
        ridge = RidgeCV(alphas=_PENALTIES, fit_intercept=False)
        ridge.fit(rows / scale, _within(scores[:, None], users)[:, 0], sample_weight=np.minimum(lists, MOST_LISTS))
        return cls(ridge.coef_ / scale)

    @classmethod
    def nearness(cls, texts: Floats32, places: Floats32) -> TextReward:
        """Minus the squared distance |u − m − s x|² of a user's place u from where a text puts it, with the least
        squares m and s of n ``texts`` [n, k] about users at ``places`` [n, k]: no feedback takes part."""
        x, u = texts.astype(np.float64), places.astype(np.float64)
        centred = x - x.mean(0)
        slope = float((centred * u).sum() / max((centred**2).sum(), 1e-12))  # 0 where all texts are alike
        middle = u.mean(0) - slope * x.mean(0)
        ones = np.ones_like(middle)
        return cls(np.concatenate([2 * slope * ones, -(slope**2) * ones, -2 * slope * middle]))

    def __call__(self, texts: Floats32, places: Floats32) -> Floats64:
        """Rewards [n] of n texts [n, k] about users at ``places`` [n, k]."""
        rewards: Floats64 = terms(texts, places) @ self.weights
        return rewards


def _within(values: Floats64, users: Rows) -> Floats64:
    """Each row of [n, d] less the mean of the rows of the same user."""
    _, place, counts = np.unique(users, return_inverse=True, return_counts=True)
    sums = np.zeros((len(counts), values.shape[1]))
    np.add.at(sums, place, values)
    return values - (sums / counts[:, None])[place]


def learn(
    groups: Sequence[Group], vectors: Floats32, places: Floats32, seed: int, folds: int = 5
) -> tuple[TextReward, list[Group]]:
    """A reward model of the groups' scores, and the groups with the channel ``PREDICTED`` of models fitted on others.

    ``vectors`` [n, k] are the texts of all groups in order, ``places`` [len(groups), k] the users'.
    """
    group_of = _group_of(groups)
    scores = np.array([option.score for group in groups for option in group.options])
    lists = np.array([option.channels["lists"] for group in groups for option in group.options])
    data = vectors, places[group_of], scores, group_of, lists
    fold = np.random.default_rng(seed).permutation(len(groups))[group_of] % min(folds, len(groups))
    predicted = np.zeros(len(scores))
    for k in np.unique(fold):
        others = TextReward.fit(*(part[fold != k] for part in data))
        predicted[fold == k] = others(vectors[fold == k], places[group_of][fold == k])
    return TextReward.fit(*data), _with_predictions(groups, predicted)


def nearest(groups: Sequence[Group], vectors: Floats32, places: Floats32) -> tuple[TextReward, list[Group]]:
    """The control: nearness in the reward model's place, blind to the groups' scores."""
    at = places[_group_of(groups)]
    reward = TextReward.nearness(vectors, at)
    return reward, _with_predictions(groups, reward(vectors, at))


def _group_of(groups: Sequence[Group]) -> Rows:
    return np.repeat(np.arange(len(groups)), [len(group.options) for group in groups])


def _with_predictions(groups: Sequence[Group], predicted: Floats64) -> list[Group]:
    """``predicted`` [n] of the texts of all groups, in order, as the channel ``PREDICTED``."""
    predictions = iter(predicted.tolist())
    return [
        Group(tuple(replace(o, channels={**o.channels, PREDICTED: next(predictions)}) for o in group.options))
        for group in groups
    ]


def as_predicted(groups: Sequence[Group]) -> list[Group]:
    """The same groups, scored by the channel ``PREDICTED``."""
    return [Group(tuple(replace(o, score=o.channels[PREDICTED]) for o in group.options)) for group in groups]
