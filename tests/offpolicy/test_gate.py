"""The gate: a clearly better policy passes, and whatever is taken from its report, or made doubtful, refuses it."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from tacit.offpolicy.evaluate import Settings, evaluate
from tacit.offpolicy.gate import Decision, GateConfig, decide, read_report
from tacit.offpolicy.guards import Measured, Side
from tacit.offpolicy.worlds import World
from tacit.types import InputError

EVEN = {f"i{k}": 20 for k in range(50)}
SAME = Measured(200, Side(12.0, EVEN), Side(12.0, EVEN), 0.5, 0.2, 0.2)


def estimate(value: float, width: float) -> dict[str, float]:
    return {
        "value": 0.5 + value,
        "low": 0.5 + value - width,
        "high": 0.5 + value + width,
        "difference": value,
        "difference_low": value - width,
        "difference_high": value + width,
    }


def report(**changes: Any) -> dict[str, Any]:
    return {
        "format": 1,
        "loggers": ["v1"],
        "target": "v2",
        "rounds": 4000,
        "sessions": 1500,
        "persons": 900,
        "reward": "reward",
        "logged_value": {"value": 0.5, "low": 0.48, "high": 0.52},
        "estimates": {"SNIPS": estimate(0.1, 0.05), "snRIPS": estimate(0.12, 0.04), "IPS": estimate(0.1, 0.3)},
        "diagnostics": {"ess": 800.0, "ess_share": 0.2, "unsupported_mass": 0.01},
        "checks": {"A/A": {"passed": True, "said": "exact"}, "uniform rounds": {"passed": None, "said": "none"}},
        "primary": "both",
        "verdict": "better",
        "because": ["SNIPS: the difference is +0.1."],
        **changes,
    }


def ask(content: dict[str, Any], measured: Measured | None = SAME, exam: bool | None = True) -> Decision:
    return decide(content, measured, exam, "v2", "v1")


def failed(decision: Decision) -> list[str]:
    return [reason.rule for reason in decision.reasons if reason.passed is not True]


def test_a_policy_that_is_better_in_every_way_passes_and_every_rule_says_so() -> None:
    decision = ask(report())
    assert decision.passed and len(decision.reasons) == 17
    assert all(reason.said for reason in decision.reasons) and "at least +0.05" in decision.why


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"target": "v3"}, "the policy"),
        ({"loggers": ["v0"]}, "the logger"),
        ({"loggers": "v1"}, "the logger"),
        ({"primary": "snRIPS"}, "estimator"),
        ({"verdict": "not told apart"}, "verdict"),
        ({"verdict": "insufficient evidence", "because": ["The log speaks with 12 effective rounds."]}, "verdict"),
        ({"verdict": "worse"}, "verdict"),
        ({"verdict": True}, "verdict"),
        ({"checks": {"A/A": {"passed": False, "said": "weights are not 1"}}}, "check: A/A"),
        ({"checks": {"A/A": {"passed": "yes"}}}, "check: A/A"),
        ({"checks": {"A/A": None}}, "check: A/A"),
        ({"checks": {}}, "checks"),
        ({"diagnostics": {"ess": 199.0, "ess_share": 0.2, "unsupported_mass": 0.01}}, "effective sample"),
        ({"diagnostics": {"ess": 800.0, "ess_share": 0.009, "unsupported_mass": 0.01}}, "effective share"),
        ({"diagnostics": {"ess": 800.0, "ess_share": 0.2, "unsupported_mass": 0.06}}, "support"),
        ({"diagnostics": {"ess": float("nan"), "ess_share": None}}, "effective sample"),
        ({"diagnostics": None}, "support"),
        ({"estimates": {"SNIPS": estimate(0.1, 0.1), "snRIPS": estimate(0.1, 0.01)}}, "gain by SNIPS"),
        ({"estimates": {"SNIPS": estimate(0.1, 0.01), "snRIPS": estimate(0.1, 0.2)}}, "gain by snRIPS"),
        ({"estimates": {"snRIPS": estimate(0.1, 0.01)}}, "gain by SNIPS"),
        ({"estimates": {"SNIPS": {"difference": 0.1, "difference_low": None}}}, "gain by SNIPS"),
        ({"estimates": {"SNIPS": {"difference": 0.1, "difference_low": True}}}, "gain by SNIPS"),
        ({"estimates": {"SNIPS": {"difference": 0.1, "difference_low": float("inf")}}}, "gain by SNIPS"),
        ({"estimates": {"SNIPS": {"difference": 0.1, "difference_low": 0.2}}}, "gain by SNIPS"),
        ({"estimates": []}, "gain by SNIPS"),
    ],
)
def test_one_thing_amiss_refuses_and_is_named(change: dict[str, Any], rule: str) -> None:
    decision = ask(report(**change))
    assert not decision.passed and rule in failed(decision)
    assert decision.why and json.dumps(decision.to_json())


def test_guards_and_exam_are_asked_whatever_the_report_says() -> None:
    assert failed(ask(report(), measured=None)) == ["guards"]
    assert failed(ask(report(), exam=None)) == ["reward exam"]
    lenient = decide(report(), SAME, None, "v2", "v1", GateConfig(need_exam=False))
    assert lenient.passed
    assert not decide(report(), SAME, False, "v2", "v1", GateConfig(need_exam=False)).passed


def test_a_log_of_one_place_has_no_cascade_to_ask_for() -> None:
    assert ask(report(estimates={"SNIPS": estimate(0.1, 0.05)})).passed


def test_what_was_named_beforehand_decides_and_the_report_must_say_the_same() -> None:
    """SNIPS alone is unsure: it has its sign to give, and no more."""
    unsure = {"SNIPS": estimate(0.1, 0.2), "snRIPS": estimate(0.1, 0.05)}
    named = GateConfig(primary="snRIPS")

    def by(content: dict[str, Any]) -> list[str]:
        return failed(decide(content, SAME, True, "v2", "v1", named))

    assert by(report(estimates=unsure, primary="snRIPS")) == []
    assert by(report(estimates=unsure)) == ["estimator"]
    assert failed(ask(report(estimates=unsure, primary="snRIPS"))) == ["estimator", "gain by SNIPS"]
    lost = {**unsure, "SNIPS": estimate(-0.01, 0.2)}
    assert by(report(estimates=lost, primary="snRIPS")) == ["sign of SNIPS"]
    assert by(report(estimates={"SNIPS": estimate(0.1, 0.01)}, primary="snRIPS")) == ["gain by snRIPS"]
    assert by(report(estimates={"snRIPS": estimate(0.1, 0.01)}, primary="snRIPS")) == ["sign of SNIPS"]
    old = {key: value for key, value in report().items() if key != "primary"}
    assert ask(old).passed


def test_a_larger_gain_may_be_asked_for() -> None:
    assert not decide(report(), SAME, True, "v2", "v1", GateConfig(gain=0.07)).passed


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@hypothesis_settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(sorted({*report()} - {"format", "rounds", "sessions", "persons", "reward", "because"})), ANYTHING
)
def test_anything_at_all_in_a_report_is_judged_and_only_what_is_better_passes(key: str, value: object) -> None:
    """Whatever stands in one place, there is a decision; it passes only if nothing that counts was changed."""
    content = copy.deepcopy(report())
    content[key] = value
    decision = ask(content)
    counts = key not in ("logged_value",) and value != report()[key]
    if key == "checks" and isinstance(value, dict) and value:
        return  # names of checks are the evaluation's own
    assert decision.passed is not counts


def test_a_file_that_is_no_report_is_refused_in_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "ope.json"
    for content, said in (
        (b"{", "holds no JSON"),
        (b"\xff", "holds no JSON"),
        (b"[]", "no report"),
        (b"{}", "no report"),
        (b"[" * 100_000, "holds no JSON"),
        (json.dumps(report(format=2)).encode(), "update tacit"),
    ):
        path.write_bytes(content)
        with pytest.raises(InputError, match=said):
            read_report(path)
    with pytest.raises(InputError, match="cannot be read"):
        read_report(tmp_path / "none.json")
    path.write_text(json.dumps(report()))
    assert read_report(path) == (report(), path.read_bytes())


def test_of_worlds_whose_truth_is_known_the_better_policy_passes_and_the_worse_never() -> None:
    """Logs of 2,000 rounds. Of 200 worlds of each kind, `benchmarks/ope_coverage.py` counts the verdicts."""
    passed = {1.0: 0, -1.0: 0}
    for direction in passed:
        for seed in range(4):
            chance = np.random.default_rng(seed)
            world = World.random(chance, contexts=12, items=6)
            logged = world.policy(chance, knows=0.3)
            target = logged + direction * world.strength
            log = world.log(logged, target, 2000, chance)
            found = evaluate(log, Settings(draws=100, seed=seed), "v2").as_json()
            assert (world.value(target, 0.1) > world.value(logged, 0.1)) == (direction > 0)
            passed[direction] += decide(found, SAME, True, "v2", found["loggers"][0]).passed
    assert passed[1.0] >= 3 and passed[-1.0] == 0
