"""The rule of a verdict, on numbers; and what weights say of themselves."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tacit.metrics.intervals import Estimate
from tacit.metrics.weights import effective_sample_size
from tacit.offpolicy.diagnostics import calibration, tail_index
from tacit.offpolicy.verdict import Check, Rules, percent, verdict

UP, DOWN, BOTH = Estimate(2.0, 1.0, 3.0, 9, 9), Estimate(-2.0, -3.0, -1.0, 9, 9), Estimate(0.5, -1.0, 2.0, 9, 9)
FINE = {"ess": 200.0, "ess_share": 0.01, "unsupported_mass": 0.05}
HELD = {"recount": Check(True, "Held."), "versions": Check(None, "Not looked at.")}


@pytest.mark.parametrize(
    ("snips", "snrips", "said"),
    [(UP, UP, "better"), (DOWN, DOWN, "worse"), (UP, BOTH, "not told apart"), (UP, DOWN, "not told apart")],
)
def test_both_must_agree(snips: Estimate, snrips: Estimate, said: str) -> None:
    found, because = verdict({"SNIPS": snips, "snRIPS": snrips}, **FINE, checks=HELD)
    assert found == said
    assert len(because) == 2 and all(sentence.endswith(".") for sentence in because)


LEANS = Estimate(-0.1, -1.0, 0.8, 9, 9)  # the interval holds 0, the value is below it


@pytest.mark.parametrize(
    ("snips", "snrips", "said"),
    [
        (BOTH, UP, "better"),
        (UP, UP, "better"),
        (LEANS, UP, "not told apart"),
        (LEANS, DOWN, "worse"),
        (BOTH, DOWN, "not told apart"),
        (UP, BOTH, "not told apart"),
    ],
)
def test_the_one_named_beforehand_decides_and_the_other_keeps_its_sign(
    snips: Estimate, snrips: Estimate, said: str
) -> None:
    found, because = verdict({"SNIPS": snips, "snRIPS": snrips}, **FINE, checks=HELD, rules=Rules(primary="snRIPS"))
    assert found == said
    assert ["its sign alone counts" in sentence for sentence in because] == [True, False]
    mirrored, _ = verdict({"SNIPS": snrips, "snRIPS": snips}, **FINE, checks=HELD, rules=Rules(primary="SNIPS"))
    assert mirrored == said


def test_a_named_estimator_that_is_not_to_be_had_is_no_evidence() -> None:
    found, because = verdict({"SNIPS": UP}, **FINE, checks=HELD, rules=Rules(primary="snRIPS"))
    assert found == "insufficient evidence" and "snRIPS was named" in because[0]


@pytest.mark.parametrize(
    "below", [{"ess": 199.0}, {"ess_share": 0.0099}, {"unsupported_mass": 0.051}, {"ess": math.nan}]
)
def test_below_a_floor_nothing_is_said(below: dict[str, float]) -> None:
    assert verdict({"SNIPS": UP}, **{**FINE, **below}, checks=HELD)[0] == "insufficient evidence"


def test_a_check_that_failed_is_told_in_its_words() -> None:
    found, because = verdict({"SNIPS": UP}, **FINE, checks={**HELD, "rounding": Check(False, "Rounded.")})
    assert (found, because) == ("insufficient evidence", ["Rounded."])


def test_an_interval_without_ends_is_no_evidence() -> None:
    for ends in ((-math.inf, math.inf), (math.nan, math.nan)):
        assert verdict({"SNIPS": Estimate(1.0, *ends, 3, 1)}, **FINE, checks={})[0] == "insufficient evidence"
    assert verdict({}, **FINE, checks={})[0] == "insufficient evidence"


def test_no_difference_and_no_interval_are_said_as_such() -> None:
    same, lone = Estimate(0.0, 0.0, 0.0, 9, 9), Estimate(0.5, -math.inf, math.inf, 9, 1)
    assert verdict({"SNIPS": same}, **FINE, checks=HELD) == (
        "not told apart",
        ["SNIPS: exactly what was served, in every resample of persons."],
    )
    found, because = verdict({"SNIPS": lone}, **FINE, checks=HELD)
    assert found == "insufficient evidence" and "is +0.5, and no interval can be told" in because[0]


def test_shares_are_said_with_two_digits() -> None:
    assert [percent(part) for part in (0.00051, 0.01, 0.0949, 0.0951, 0.694, 1.0)] == [
        "0.051 %", "1 %", "9.5 %", "10 %", "69 %", "100 %",
    ]  # fmt: skip


def test_the_floors_can_be_moved() -> None:
    assert verdict({"SNIPS": UP}, **{**FINE, "ess": 20.0}, checks={}, rules=Rules(ess=10.0))[0] == "better"


def test_effective_sample_size_by_hand() -> None:
    assert effective_sample_size(np.array([1.0, 1.0, 1.0])) == pytest.approx(3.0)
    assert effective_sample_size(np.array([3.0, 1.0])) == pytest.approx(16 / 10)
    assert effective_sample_size(np.array([1e-200, 1e-200])) == pytest.approx(2.0)
    assert effective_sample_size(np.zeros(3)) == 0.0
    assert effective_sample_size(np.array([1.0, 1.0, 2.0])) == pytest.approx(16 / 6)


def test_the_tail_of_a_pareto_is_found() -> None:
    weights = np.random.default_rng(0).pareto(1.5, size=20_000) + 1.0
    assert tail_index(weights) == pytest.approx(1.5, rel=0.1)
    assert tail_index(np.ones(1000)) is None
    assert tail_index(weights[:50]) is None


def test_calibration_is_by_tenths() -> None:
    predicted = np.repeat([0.1, 0.5], 50)
    assert calibration(predicted, np.repeat([0.2, 0.4], 50)) == (
        (pytest.approx(0.1), pytest.approx(0.2), 50),
        (pytest.approx(0.5), pytest.approx(0.4), 50),
    )
