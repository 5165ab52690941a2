"""How far a reward can be optimised before what it stands for falls: scaling laws of Gao, Schulman and Hilton
("Scaling laws for reward model overoptimization", ICML 2023, arXiv 2210.10760).

With d the square root of the KL divergence from the policy that one began with, what the reward stands for gains
d (α − β d) by best-of-n and d (α − β log d) by reinforcement learning.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from tacit.types import Floats64

Form = Literal["best-of-n", "rl"]


@dataclass(frozen=True)
class Law:
    """``alpha`` and ``beta`` of a form; ``peak`` is the d of its highest gain, infinite where it only rises."""

    form: Form
    alpha: float
    beta: float

    @property
    def peak(self) -> float:
        if self.beta <= 0:
            return math.inf
        if self.form == "best-of-n":
            return max(0.0, self.alpha / (2 * self.beta))
        return math.exp(min(self.alpha / self.beta - 1.0, 700.0))

    def gain(self, d: Floats64) -> Floats64:
        """Of each d [n] ≥ 0."""
        return np.asarray(d * self.alpha - self.beta * _bend(d, self.form))


def fit_law(d: Floats64, gain: Floats64, form: Form) -> Law:
    """Least squares over points [n] with d > 0, of which at least two differ; there is no intercept: d = 0 gains 0."""
    alpha, beta = np.linalg.lstsq(np.stack([d, -_bend(d, form)], axis=1), gain, rcond=None)[0]
    return Law(form, float(alpha), float(beta))


def best_of_n_kl(n: int) -> float:
    """log n − (n − 1)/n nats: of the best of n draws from what they are drawn from (an upper bound with ties)."""
    return math.log(n) - (n - 1) / n


def best_of_n(proxy: Floats64, value: Floats64, n: int) -> Floats64:
    """[users] the expected ``value`` of the draw with the highest ``proxy`` among n, both [users, draws].

    Unbiased over all subsets of n of the draws (Nakano et al. 2021, arXiv 2112.09332, appendix I): with the draws in
    rising order of proxy, the i-th is the best of C(i − 1, n − 1) of the C(N, n) subsets.
    """
    draws = proxy.shape[1]
    weights = np.array([math.comb(i, n - 1) for i in range(draws)], dtype=np.float64) / math.comb(draws, n)
    return np.asarray(np.take_along_axis(value, np.argsort(proxy, axis=1, kind="stable"), axis=1) @ weights)


def _bend(d: Floats64, form: Form) -> Floats64:
    return np.asarray(d * d if form == "best-of-n" else d * np.log(np.maximum(d, 1e-300)))
