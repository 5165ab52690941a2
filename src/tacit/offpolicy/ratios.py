"""Importance ratios: how much likelier the policy to be judged would have done what was done."""

from __future__ import annotations

import numpy as np

from tacit.offpolicy.log import Log
from tacit.types import Bools, Floats64


def decision_ratios(log: Log) -> Floats64:
    """π(d | x) / μ(d | x) of the decision that was taken, [n]; 1 where none is logged."""
    if log.logged_decision is None or log.target_decision is None:
        return np.ones(log.n)
    return log.target_decision / log.logged_decision


def place_ratios(log: Log) -> Floats64:
    """π(a_k | x, a_<k) / μ(a_k | x, a_<k), [n, K]; 1 past the end of a slate."""
    return np.where(log.shown, log.target / np.where(log.shown, log.logged, 1.0), 1.0)


def marginal_ratios(log: Log) -> Floats64:
    """π(a_k | x) / μ(a_k | x), [n, K]; the conditional ones where the marginals are not logged."""
    if log.logged_marginal is None or log.target_marginal is None:
        return place_ratios(log)
    return np.where(log.shown, log.target_marginal / np.where(log.shown, log.logged_marginal, 1.0), 1.0)


def prefix_ratios(decision: Floats64, places: Floats64) -> Floats64:
    """w_1:k = decision · Π_{j ≤ k} ρ_j, [n, K]: of everything drawn up to place k."""
    ratios: Floats64 = decision[:, None] * np.cumprod(places, axis=1)
    return ratios


def slate_ratios(decision: Floats64, places: Floats64) -> Floats64:
    """w = decision · Π_k ρ_k, [n]: of the whole action."""
    return np.asarray(decision * np.prod(places, axis=1))


def pseudo_inverse_weights(decision: Floats64, places: Floats64) -> Floats64:
    """decision · (1 + Σ_k (ρ_k − 1)), [n]: the pseudo-inverse of a logger that draws places one without the other.

    Swaminathan et al. 2017, section 3; in this closed form Vlassis et al. 2021 (arXiv 2106.07914), with ρ_k the
    marginal ratios. Slates without repeats are nearly so while no item takes much of the probability.
    """
    weights: Floats64 = decision * (1.0 + (places - 1.0).sum(axis=1))
    return weights


def click_ratios(log: Log) -> Floats64:
    """P(click on a_k | x, π) / P(click on a_k | x, μ), [n, K]; 0 where the log has none (``cips``)."""
    if log.logged_click is None or log.target_click is None:
        raise ValueError("the log has no click probabilities")
    return np.where(log.shown, log.target_click / np.where(log.shown, log.logged_click, 1.0), 0.0)


def examination_click_ratios(examined: Floats64, target_places: Floats64, shown: Bools) -> Floats64:
    """The same where a click is examination times attraction (a position-based model), [n, K].

    ``examined`` [K]: P(place k is looked at); ``target_places`` [n, K, K]: P(π shows the item logged at place k at
    place j). Attraction cancels: Σ_j π(a_k at j) θ_j / θ_k.
    """
    return np.where(shown, (target_places @ examined) / examined, 0.0)
