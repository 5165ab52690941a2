"""The laws of over-optimisation, redone by hand."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from tacit.metrics.overoptimisation import Law, best_of_n, best_of_n_kl, fit_law


def test_a_law_is_found_again_and_peaks_where_its_slope_is_zero() -> None:
    d = np.array([0.2, 0.5, 1.0, 1.5, 2.0])
    one = fit_law(d, d * (3.0 - 1.5 * d), "best-of-n")
    assert (one.alpha, one.beta, one.peak) == (pytest.approx(3.0), pytest.approx(1.5), pytest.approx(1.0))
    other = fit_law(d, d * (2.0 - 1.0 * np.log(d)), "rl")
    assert (other.alpha, other.beta, other.peak) == (pytest.approx(2.0), pytest.approx(1.0), pytest.approx(math.e))
    for law in (one, other):
        near = law.gain(np.array([law.peak * 0.99, law.peak, law.peak * 1.01]))
        assert near[1] >= near.max()
    assert Law("rl", 1.0, -0.1).peak == math.inf and Law("best-of-n", 1.0, 0.0).peak == math.inf


def test_best_of_n_is_the_mean_over_all_subsets() -> None:
    generator = np.random.default_rng(0)
    proxy, value = generator.normal(size=(2, 3, 6))
    for n in (1, 2, 4, 6):
        for user in range(3):
            subsets = list(itertools.combinations(range(6), n))
            slow = np.mean([value[user, max(subset, key=lambda k: proxy[user, k])] for subset in subsets])
            assert best_of_n(proxy, value, n)[user] == pytest.approx(slow)
    assert best_of_n_kl(1) == 0.0 and best_of_n_kl(4) == pytest.approx(math.log(4) - 0.75)
