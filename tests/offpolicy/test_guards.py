"""Guards: each holds at its limit, fails beyond it, and what was not measured does not hold."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from tacit.offpolicy.guards import (
    GuardLimits,
    Measured,
    Reason,
    Side,
    all_guards,
    coverage,
    divergence,
    diversity,
    effective_items,
    poisoning,
    refused,
    reply_length,
)

LIMITS = GuardLimits()
EVEN = {f"i{k}": 20 for k in range(50)}
SAME = Measured(200, Side(12.0, EVEN), Side(12.0, EVEN), 0.0, 0.2, 0.2)


def failed(reasons: list[Reason]) -> list[str]:
    return [reason.rule for reason in reasons if reason.passed is not True]


def test_a_policy_that_does_what_the_current_one_does_is_held_by_every_guard() -> None:
    assert failed(all_guards(SAME, True, LIMITS)) == []


def test_effective_items_by_hand() -> None:
    assert effective_items({"a": 5, "b": 5}) == pytest.approx(2.0)
    assert effective_items({"a": 9}) == 1.0 and effective_items({}) == 0.0
    # shares 3/4 and 1/4: exp(0.75 ln 4/3 + 0.25 ln 4) = 1.7548
    assert effective_items({"a": 3, "b": 1, "c": 0}) == pytest.approx(1.7548, abs=1e-4)


def test_each_guard_holds_at_its_limit_and_not_beyond() -> None:
    for words, holds in ((15.0, True), (15.01, False), (6.0, True), (5.99, False)):
        assert reply_length(words, 12.0, LIMITS).passed is holds
    assert diversity(7.0, 10.0, LIMITS).passed and not diversity(6.9, 10.0, LIMITS).passed
    assert coverage(35, 50, LIMITS).passed and not coverage(34, 50, LIMITS).passed
    assert divergence(3.0, LIMITS).passed and not divergence(3.1, LIMITS).passed
    assert refused(0.25, 0.2, LIMITS).passed and not refused(0.26, 0.2, LIMITS).passed


def test_an_item_that_rises_alone_alarms_and_chance_does_not() -> None:
    pushed = Side(12.0, {**EVEN, "i0": 120})  # 1.9 % to 10.9 % of 1,000 places
    alarm = poisoning(pushed, Side(12.0, EVEN), LIMITS)
    assert alarm.passed is False and "i0 from 2.0% to 10.9%" in alarm.said
    new = Side(12.0, {**EVEN, "never shown before": 60})
    assert poisoning(new, Side(12.0, EVEN), LIMITS).passed is False
    few = Side(12.0, {"i0": 3, "i1": 1})  # three of four places: chance
    assert poisoning(few, Side(12.0, {"i0": 1, "i1": 3}), LIMITS).passed
    assert poisoning(Side(12.0, {**EVEN, "i0": 40}), Side(12.0, EVEN), LIMITS).passed  # 2 points: below the floor


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"candidate": Side(40.0, EVEN)}, "reply length"),
        ({"candidate": Side(12.0, {"i0": 1000})}, "diversity"),
        ({"candidate": Side(12.0, {})}, "coverage"),
        ({"kl": math.inf}, "KL to the logger"),
        ({"kl": None}, "KL to the logger"),
        ({"refused": None}, "refusals"),
        ({"refused": math.nan}, "refusals"),
        ({"refused": 0.9}, "refusals"),
        ({"contexts": 99}, "guards"),
    ],
)
def test_what_is_wrong_is_named(change: dict[str, object], rule: str) -> None:
    assert rule in failed(all_guards(replace(SAME, **change), True, LIMITS))


@pytest.mark.parametrize("exam", [False, None])
def test_a_reward_that_failed_or_was_never_examined_does_not_hold(exam: bool | None) -> None:
    assert failed(all_guards(SAME, exam, LIMITS)) == ["reward exam"]
    assert failed(all_guards(None, exam, LIMITS)) == ["guards", "reward exam"]
