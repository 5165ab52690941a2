"""Signals by hand: monotone, masked, and blind to reply length."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tacit.dialogue.reward.signals import (
    ChannelScale,
    DwellModel,
    dwell_interest,
    dwell_residual,
    engagement,
    fit_dwell,
    fit_scale,
    masked_mean,
    query_texts,
    relevance,
    sentiment_shift,
    weak_label,
)
from tacit.types import Dialogue, Turn

NAN = math.nan


def one(x: float) -> np.ndarray:
    return np.array([x])


def test_masked_mean_renormalises_over_what_is_observed() -> None:
    values = np.array([[1.0, 0.0, NAN], [NAN, NAN, NAN], [0.5, NAN, -1.0]])
    got = masked_mean(values, np.array([3.0, 1.0, 1.0]))
    assert got[0] == pytest.approx(0.75)
    assert math.isnan(got[1])
    assert got[2] == pytest.approx((1.5 - 1.0) / 4.0)


def test_zero_is_observed_and_nan_is_not() -> None:
    with_zero = engagement(one(NAN), one(0.0), one(1.0), one(NAN), one(NAN))
    without = engagement(one(NAN), one(NAN), one(1.0), one(1.0), one(NAN))
    assert with_zero[0] == pytest.approx(0.3 / 0.4)
    assert without[0] == pytest.approx(1.0)


def test_engagement_needs_two_parts() -> None:
    assert math.isnan(engagement(one(NAN), one(NAN), one(NAN), one(1.0), one(NAN))[0])
    assert math.isnan(engagement(one(NAN), one(NAN), one(NAN), one(1.0), one(0.0))[0])  # one fact, said twice
    assert engagement(one(NAN), one(NAN), one(1.0), one(1.0), one(0.0))[0] == pytest.approx(1.0)


def test_engagement_by_hand_and_in_range() -> None:
    got = engagement(one(0.5), one(0.4), one(1.0), one(1.0), one(0.0))
    assert got[0] == pytest.approx(0.25 * 0.5 + 0.1 * 0.4 + 0.3 + 0.15 + 0.2)
    rng = np.random.default_rng(0)
    columns = [rng.random(200) for _ in range(2)] + [rng.integers(0, 2, 200).astype(float) for _ in range(3)]
    for column in columns:
        column[rng.random(200) < 0.3] = NAN
    got = engagement(*columns)
    assert np.nanmin(got) >= 0.0 and np.nanmax(got) <= 1.0


@pytest.mark.parametrize("part", range(5))
def test_engagement_rises_with_every_part_but_abandonment(part: int) -> None:
    low = [one(0.3), one(0.3), one(0.0), one(0.0), one(0.0)]
    high = list(low)
    high[part] = one(1.0)
    sign = -1 if part == 4 else 1
    assert sign * (engagement(*high)[0] - engagement(*low)[0]) > 0


def test_a_frustrated_user_who_dwells_is_not_engaged() -> None:
    long, short = one(3.0), one(-3.0)
    assert dwell_interest(long, one(1.0), one(1.0), one(0.0))[0] > 0.9
    assert dwell_interest(long, one(0.0), one(1.0), one(0.0))[0] == 0.5  # no click: dwelling proves nothing
    assert dwell_interest(long, one(1.0), one(0.0), one(1.0))[0] == 0.5  # left
    assert dwell_interest(long, one(NAN), one(1.0), one(NAN))[0] > 0.9  # clicks not observed: going on confirms
    assert dwell_interest(short, one(0.0), one(1.0), one(0.0))[0] < 0.1  # a short stay always counts
    assert math.isnan(dwell_interest(one(NAN), one(1.0), one(1.0), one(0.0))[0])


def test_dwell_model_by_hand() -> None:
    model = DwellModel((1.0, 0.5, 0.0, 0.0, 0.25), ("desktop", "phone"), residual_std=2.0, cap_s=100.0)
    zeros = np.zeros(2)
    words = np.array([math.e - 1, math.e - 1])
    dwell = np.array([math.expm1(3.5), math.expm1(3.75)])
    got = dwell_residual(dwell, words, zeros, zeros, ["desktop", "phone"], model)
    assert got == pytest.approx([1.0, 1.0])  # (3.5 - 1.5) / 2 on both devices
    assert dwell_residual(one(1e9), one(0), one(0), one(0), [None], model)[0] == pytest.approx(
        (math.log(101.0) - 1.0) / 2
    )


def test_dwell_net_of_length_position_and_device() -> None:
    """Dwell made of length, device and interest: the residual keeps the interest alone."""
    rng = np.random.default_rng(1)
    n = 2000
    words, interest = rng.integers(1, 80, n).astype(float), rng.normal(size=n)
    slate, position = rng.integers(0, 6, n).astype(float), rng.integers(0, 8, n).astype(float)
    device = [("phone", "desktop")[i] for i in rng.integers(0, 2, n)]
    log_dwell = 1.5 + 0.8 * np.log1p(words) + 0.2 * np.log1p(slate) - 0.1 * np.log1p(position) + 0.3 * interest
    log_dwell += np.array([0.4 if d == "phone" else 0.0 for d in device])
    dwell = np.expm1(log_dwell)
    model = fit_dwell(dwell, words, slate, position, device)
    assert model is not None
    residual = dwell_residual(dwell, words, slate, position, device, model)
    assert abs(np.corrcoef(residual, words)[0, 1]) < 0.05
    assert np.corrcoef(residual, interest)[0, 1] > 0.97
    assert model.coefficients[1] == pytest.approx(0.8, abs=0.05)
    assert DwellModel.from_json(model.to_json()) == model


def test_dwell_model_needs_data_and_survives_constant_columns() -> None:
    assert fit_dwell(np.full(50, NAN), np.ones(50), np.ones(50), np.ones(50), [None] * 50) is None
    model = fit_dwell(np.linspace(1, 9, 50), np.ones(50), np.ones(50), np.ones(50), [None] * 50)
    assert model is not None and np.isfinite(model.coefficients).all()


def test_relevance_by_hand() -> None:
    query = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 0.0]])
    items = np.array([[[2.0, 0.0], [0.0, 1.0]], [[-1.0, 0.0], [5.0, 5.0]], [[1.0, 0.0], [1.0, 0.0]]])
    shown = np.array([[True, True], [True, False], [True, True]])
    assert relevance(query, items, shown) == pytest.approx([0.5, -1.0, 0.0])
    assert math.isnan(relevance(query[:1], items[:1], np.array([[False, False]]))[0])


def test_sentiment_shift_is_missing_when_either_side_is() -> None:
    got = sentiment_shift(np.array([0.2, NAN, 0.1]), np.array([0.7, 0.5, NAN]))
    assert got[0] == pytest.approx(0.5)
    assert np.isnan(got[1:]).all()


def test_weak_label_by_hand() -> None:
    scale = ChannelScale((0.5, 0.0, 0.0), (0.25, 1.0, 2.0))
    channels = np.array([[1.0, 0.5, -2.0], [1.0, NAN, -2.0], [NAN, NAN, NAN]])
    got = weak_label(channels, (0.5, 0.25, 0.25), scale)
    assert got[0] == pytest.approx(0.5 * 2 + 0.25 * 0.5 - 0.25 * 1)
    assert got[1] == pytest.approx((0.5 * 2 - 0.25) / 0.75)
    assert math.isnan(got[2])


def test_scale_ignores_missing_and_survives_an_empty_channel() -> None:
    scale = fit_scale(np.array([[1.0, NAN, 4.0], [3.0, NAN, 4.0]]))
    assert scale.mean == (2.0, 0.0, 4.0)
    assert scale.std[0] == 1.0 and scale.std[1] == 1.0 and scale.std[2] > 0


def test_the_query_is_the_users_words_alone_newest_first() -> None:
    turns = (Turn("user", "one"), Turn("agent", "no"), Turn("user", "two"), Turn("user", "three"))
    assert query_texts(Dialogue("d", "u", turns), 2) == ["three", "two"]
    assert query_texts(Dialogue("d", "u", ()), 2) == []
