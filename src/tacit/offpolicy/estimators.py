"""Estimators of what a policy π would have earned a round, from a log that μ drew: one formula, one function.

Each returns ``Terms``, since every estimate here is a sum over columns k of a ratio of sums over rounds i:

    V̂ = Σ_k ( Σ_i numerators[i, k] / Σ_i denominators[i, k] )

which is what intervals over persons, differences and leave-one-out all need. Ratios are those of ``ratios``; ``counts``
c [n] is how much each round counts; rewards r [n] are of slates and r_k [n, K] of places, 0 past the end of a slate.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tacit.types import Floats64


@dataclass(frozen=True, eq=False)
class Terms:
    """Numerators and denominators of an estimate, [n, m] each."""

    numerators: Floats64
    denominators: Floats64

    @property
    def value(self) -> float:
        """V̂; NaN where a column's denominators add up to 0."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return float((self.numerators.sum(axis=0) / self.denominators.sum(axis=0)).sum())


def logged_value(rewards: Floats64, counts: Floats64) -> Terms:
    """What the log itself earned: Σ c r / Σ c."""
    return _mean(rewards, counts)


def ips(ratios: Floats64, rewards: Floats64, counts: Floats64) -> Terms:
    """Σ c w r / Σ c, with w [n] the ratio of the whole slate (Horvitz & Thompson 1952).

    For slates (``SIPS`` of McInerney et al. 2020): unbiased whatever the rewards depend on, with support.
    """
    return _mean(ratios * rewards, counts)


def snips(ratios: Floats64, rewards: Floats64, counts: Floats64) -> Terms:
    """Σ c w r / Σ c w (Swaminathan & Joachims 2015): consistent; moves with the rewards when these are shifted."""
    return Terms((counts * ratios * rewards)[:, None], (counts * ratios)[:, None])


def iips(ratios: Floats64, rewards: Floats64, counts: Floats64) -> Terms:
    """Σ_k Σ c ρ_k r_k / Σ c, with ρ [n, K] marginal ratios (Li et al. 2018).

    Unbiased where the reward of a place depends on its own item alone.
    """
    return _mean((ratios * rewards).sum(axis=1), counts)


def rips(ratios: Floats64, rewards: Floats64, counts: Floats64) -> Terms:
    """Σ_k Σ c w_1:k r_k / Σ c (McInerney et al. 2020, arXiv 2007.12986), with prefix ratios [n, K].

    Unbiased where people read from the top: the reward of a place depends on it and what stands above.
    """
    return _mean((ratios * rewards).sum(axis=1), counts)


def snrips(ratios: Floats64, rewards: Floats64, counts: Floats64) -> Terms:
    """Σ_k ( Σ c w_1:k r_k / Σ c w_1:k ): RIPS, each place by its own sum of weights.

    Past its end a slate keeps its ratio and earns 0, so that every round counts at every place.
    """
    return Terms(counts[:, None] * ratios * rewards, counts[:, None] * ratios)


def cascade_dr(
    ratios: Floats64, before: Floats64, rewards: Floats64, q: Floats64, q_target: Floats64, counts: Floats64
) -> Terms:
    """Σ_k Σ c ( w_1:k (r_k − q_k) + w_1:k−1 E_π[q_k | items before] ) / Σ c (Kiyohara et al. 2022, arXiv 2202.01562).

    ``before`` [n, K] is w_1:k−1; ``q`` [n, K] is predicted for the item that was shown, ``q_target`` for what π would
    draw there. Unbiased under a cascade for any q that has not seen the round: q must be cross-fitted. With the mean
    reward of each action over the same rounds the first part is 0 by construction, and what is left is DM.
    """
    return _mean((ratios * (rewards - q) + before * q_target).sum(axis=1), counts)


def pseudo_inverse(weights: Floats64, rewards: Floats64, counts: Floats64) -> Terms:
    """PI: Σ c g r / Σ c, with g ``ratios.pseudo_inverse_weights`` [n] (Swaminathan et al. 2017).

    Unbiased where the slate's reward is a sum over places, even if it is observed as a whole only.
    """
    return _mean(weights * rewards, counts)


def self_normalised_pi(weights: Floats64, rewards: Floats64, counts: Floats64) -> Terms:
    """snPI: Σ c g r / Σ c g. Its weights may be negative, so that a small log can have no value at all."""
    return Terms((counts * weights * rewards)[:, None], (counts * weights)[:, None])


def direct_method(predicted: Floats64, counts: Floats64) -> Terms:
    """DM: Σ c E_π[q] / Σ c, from ``predicted`` [n]. As right as the reward model: no interval of rounds tells."""
    return _mean(predicted, counts)


def cips(ratios: Floats64, rewards: Floats64, counts: Floats64) -> Terms:
    """Σ_k Σ c v_k r_k / Σ c, with v [n, K] ratios of click probabilities and r_k what followed a click, 0 without one.

    Works on deterministic logs, since people's clicks are what is random there (Tanaka et al. 2026, arXiv 2603.21485).
    Unbiased where the worth of a click depends on its item alone, and whatever π would have clicked was shown.
    """
    return _mean((ratios * rewards).sum(axis=1), counts)


def cdr(
    ratios: Floats64, clicks: Floats64, rewards: Floats64, q: Floats64, baseline: Floats64, counts: Floats64
) -> Terms:
    """Σ c ( baseline + Σ_k v_k click_k (r_k − q_k) ) / Σ c: CIPS with q_k [n, K], the predicted worth of a click.

    ``baseline`` [n] is Σ_a P(click on a | x, π) q(x, a), over all items and not only those shown.
    """
    return _mean(baseline + (ratios * clicks * (rewards - q)).sum(axis=1), counts)


@dataclass(frozen=True, eq=False)
class Clipped:
    """Clipped IPS, which is biased, never without IPS itself, and with the share of the weight that was cut off."""

    clipped: Terms
    unclipped: Terms
    cut_share: float


def clipped_ips(ratios: Floats64, rewards: Floats64, counts: Floats64, limit: float) -> Clipped:
    """Σ c min(w, limit) r / Σ c beside IPS. With rewards of one sign it errs towards 0, however long the log."""
    cut = np.minimum(ratios, limit)
    share = 1.0 - float((counts * cut).sum() / (counts * ratios).sum())
    return Clipped(_mean(cut * rewards, counts), ips(ratios, rewards, counts), share)


def _mean(values: Floats64, counts: Floats64) -> Terms:
    return Terms((counts * values)[:, None], counts[:, None])
