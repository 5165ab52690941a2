from __future__ import annotations

import numpy as np
import pytest

from tacit.dialogue.users import behaviour as act
from tacit.dialogue.users.behaviour import BehaviourConfig

CONFIG = BehaviourConfig()
ONE = np.ones((1, 3), dtype=bool)


def test_slate_value_by_hand() -> None:
    utility, mask = np.array([[1.0, 0.5, 0.9]]), np.array([[True, True, False]])
    assert act.slate_value(utility, mask) == pytest.approx([(1.0 + 0.85 * 0.5) / 1.85])
    assert act.slate_value(utility, np.zeros((1, 3), dtype=bool)) == pytest.approx([0.0])


def test_the_first_card_is_always_looked_at_and_the_cascade_never_skips() -> None:
    rng = np.random.default_rng(0)
    utility, mask = rng.random((500, 4)), np.ones((500, 4), dtype=bool)
    seen = act.examine(utility, mask, rng.random(500), np.zeros(500), rng.random((500, 4)), CONFIG)
    assert seen[:, 0].all()
    assert (np.diff(seen.astype(int), axis=1) <= 0).all()


def test_patience_and_boredom_move_the_eye_down() -> None:
    uniform, mask = np.random.default_rng(1).random((2000, 5)), np.ones((2000, 5), dtype=bool)

    def depth(utility: float, patience: float) -> float:
        values = np.full((2000, 5), utility)
        return float(act.examine(values, mask, np.full(2000, patience), np.zeros(2000), uniform, CONFIG).mean())

    assert depth(0.1, 1.0) > depth(0.1, 0.1)
    assert depth(0.1, 1.0) > depth(0.95, 1.0)


def test_only_examined_cards_are_clicked() -> None:
    examined = np.array([[True, False, True]])
    clicked = act.click(np.ones((1, 3)), examined, np.zeros((1, 3)), CONFIG)
    assert clicked.tolist() == [[True, False, True]]
    assert not act.click(np.zeros((1, 3)), examined, np.full((1, 3), 0.5), CONFIG).any()


def test_dwell_by_hand() -> None:
    zero, calm = np.zeros(1), np.zeros(1)
    desk = np.array([False])
    assert act.dwell(zero, zero, calm, desk, zero, CONFIG) == pytest.approx([6.0])
    longer = act.dwell(np.ones(1), np.array([10 * (np.e - 1)]), calm, desk, zero, CONFIG)
    assert longer == pytest.approx([6.0 * np.exp(0.9 + 0.35)])
    assert act.dwell(zero, zero, np.ones(1), desk, zero, CONFIG) == pytest.approx([6.0 * np.exp(0.5)])


def test_latency_by_hand() -> None:
    middle = act.latency(np.array([0.5]), np.zeros(1), 2.0, 0.9, CONFIG)
    assert middle == pytest.approx([np.exp(2.0)])
    assert act.latency(np.array([0.9]), np.zeros(1), 2.0, 0.9, CONFIG) < middle


def test_the_best_examined_card_is_accepted() -> None:
    utility, examined = np.array([[0.2, 0.9, 0.99]]), np.array([[True, True, False]])
    assert act.accept(utility, examined, np.zeros(1), 1.0, CONFIG).tolist() == [1]
    assert act.accept(utility, examined, np.ones(1), 1.0, CONFIG).tolist() == [-1]
    assert act.accept(utility, np.zeros_like(examined), np.zeros(1), 1.0, CONFIG).tolist() == [-1]


def test_irritation_by_hand() -> None:
    def cost(repeats: float, words: float, slate: bool, idle: float) -> float:
        parts = np.array([repeats]), np.array([words]), np.array([slate]), np.array([idle])
        return float(act.irritation(*parts, CONFIG)[0])

    assert cost(0, 12, True, 0) == 0.0
    assert cost(1, 12, True, 0) == pytest.approx(0.1)
    assert cost(0, 90, True, 0) == pytest.approx(0.1)
    assert cost(0, 0, True, 0) == pytest.approx(0.1)
    assert cost(0, 12, False, 1) == pytest.approx(0.05)
    assert cost(0, 12, False, 2) == pytest.approx(0.15)
    assert cost(0, 10_000, False, 100) == pytest.approx(0.4 + 0.35)


def test_scroll_is_a_share() -> None:
    rng = np.random.default_rng(2)
    mask = rng.random((300, 4)) < 0.7
    depth = act.scroll(
        mask & (rng.random((300, 4)) < 0.5), mask, rng.random(300) * 200, rng.random(300), rng.random(300)
    )
    assert ((depth >= 0) & (depth <= 1)).all()


def test_bad_turns_darken_the_mood_of_the_irritable_more() -> None:
    mood, value, cost, slate = np.zeros(2), np.full(2, 0.1), np.zeros(2), np.array([True, True])
    after = act.next_mood(mood, value, cost, slate, np.array([1.0, 2.0]))
    assert after[1] < after[0] < 0
    assert (
        act.drain(value, cost, slate, np.array([1.0, 1.8]), 1.0)[1:]
        > act.drain(value, cost, slate, np.ones(2), 1.0)[:1]
    ).all()
