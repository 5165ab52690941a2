"""A test that may be looked at after every session: its arithmetic, its error rate, and that it finds what is worse."""

from __future__ import annotations

import numpy as np
import pytest

from tacit.offpolicy.sequential import (
    BETS,
    Trial,
    confidence_sequence,
    differences,
    evidence_below,
    evidence_of_worse,
)


def drawn(seed: int, count: int, share: float, of_candidate: float, of_other: float) -> list[Trial]:
    chance = np.random.default_rng(seed)
    chosen = chance.random(count) < share
    outcome = chance.random(count) < np.where(chosen, of_candidate, of_other)
    return [Trial(bool(a), share, float(y)) for a, y in zip(chosen, outcome, strict=True)]


def test_two_sessions_by_hand() -> None:
    """
    i  A  p    Y  m_i               Z_i                        u_i
    1  1  1/4  0  1/2               4 (0 - 1/2) = -2           max(2, 2/3) = 2
    2  0  1/4  1  (1/2 + 0)/2=1/4   -4/3 (1 - 1/4) = -1        max(3, 1/3) = 3
    """
    z, largest = differences([Trial(True, 0.25, 0.0), Trial(False, 0.25, 1.0)])
    assert z == pytest.approx([-2.0, -1.0]) and largest == pytest.approx([2.0, 3.0])
    # d = 0, a share f of the largest bet 1/u: (1 + f 2/2) (1 + f 1/3)
    by_hand = np.mean([(1 + f) * (1 + f / 3) for f in BETS])
    assert evidence_below(z, largest, 0.0)[1] == pytest.approx(by_hand)


def test_the_mean_taken_away_leaves_the_expectation() -> None:
    """Over both assignments, weighted by their probabilities, Z is the difference whatever the mean before it is."""
    for earlier in ([], [Trial(True, 0.5, 1.0)] * 7, [Trial(False, 0.5, 0.0)] * 3):
        treated = differences([*earlier, Trial(True, 0.1, 0.8)])[0][-1]
        other = differences([*earlier, Trial(False, 0.1, 0.3)])[0][-1]
        assert 0.1 * treated + 0.9 * other == pytest.approx(0.8 - 0.3)


def test_no_outcome_can_take_more_than_everything() -> None:
    """The worst that can happen to each bet leaves evidence above 0; a session of no surprise changes nothing."""
    worst = [Trial(True, 0.05, 1.0)] * 50
    evidence = evidence_of_worse(worst)
    assert np.all(evidence > 0.0) and np.all(np.diff(evidence) < 0.0)
    assert evidence_of_worse([]).shape == (0,)
    assert confidence_sequence([]) == (-1.0, 1.0)


@pytest.mark.parametrize("wrong", [(True, 0.0, 0.5), (True, 1.0, 0.5), (True, 0.5, 1.5), (True, 0.5, float("nan"))])
def test_what_is_no_session_of_a_trial_is_refused(wrong: tuple[bool, float, float]) -> None:
    with pytest.raises(ValueError, match=r"must be|tells something"):
        Trial(*wrong)


@pytest.mark.parametrize(("share", "rate"), [(0.05, 0.3), (0.5, 0.3), (0.5, 0.02)])
def test_of_equal_versions_few_are_ever_called_worse_under_continuous_looking(share: float, rate: float) -> None:
    """Trials of 600 sessions, each looked at after every session, at α = 0.05. (Of 400 trials of 1,000 sessions, 0.5 %,
    1.25 % and 0.25 % alarm.)"""
    alarms = sum(float(evidence_of_worse(drawn(seed, 600, share, rate, rate)).max()) >= 20.0 for seed in range(120))
    assert alarms / 120 <= 0.05


def test_a_growing_canary_keeps_the_error_rate() -> None:
    """5 %, then half; and all sessions get worse with the day, which both versions suffer."""
    alarms = 0
    for seed in range(100):
        trials = drawn(seed, 300, 0.05, 0.5, 0.5) + drawn(1000 + seed, 300, 0.5, 0.1, 0.1)
        alarms += float(evidence_of_worse(trials).max()) >= 20.0
    assert alarms / 100 <= 0.05


def test_a_worse_version_is_found_at_five_percent_and_sooner_at_half() -> None:
    found = {}
    for share in (0.05, 0.5):
        first = [
            int(np.argmax(evidence >= 20.0)) if (evidence := evidence_of_worse(trials)).max() >= 20.0 else 4000
            for trials in (drawn(seed, 2000, share, 0.1, 0.4) for seed in range(20))
        ]
        assert sum(one < 2000 for one in first) >= 18
        found[share] = float(np.median(first))
    assert found[0.5] < found[0.05]


def test_the_truth_lies_in_the_interval_at_every_look_and_the_interval_narrows() -> None:
    missed = 0
    for seed in range(40):
        trials = drawn(seed, 300, 0.3, 0.5, 0.35)
        low, high = confidence_sequence(trials)
        missed += not low <= 0.15 <= high
        assert -1.0 <= low <= high <= 1.0
    assert missed <= 2
    few, many = confidence_sequence(drawn(0, 100, 0.3, 0.5, 0.35)), confidence_sequence(drawn(0, 3000, 0.3, 0.5, 0.35))
    assert many[1] - many[0] < few[1] - few[0]


def test_a_margin_forgives_a_small_loss() -> None:
    trials = drawn(3, 3000, 0.5, 0.35, 0.45)
    assert evidence_of_worse(trials).max() >= 20.0 > evidence_of_worse(trials, margin=0.2).max()
