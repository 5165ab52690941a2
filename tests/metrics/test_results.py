"""Rows of results: what they print, how seeds combine, what an old file becomes, and the paired difference."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from tacit.metrics import results
from tacit.metrics.intervals import Estimate
from tacit.metrics.markdown import line_name, markdown, resampled
from tacit.metrics.results import Row, combine, difference, differences, load_rows, save_rows
from tacit.types import InputError


def test_a_row_prints_its_definition() -> None:
    row = Row("redial", "redial-standard", "new", "HR", 5, 0.1, 0.09, 0.11, 4472, "sft", 0, "full catalogue 6\u202f924")
    assert row.label(3) == "HR@5 [redial-standard, new items, full catalogue 6\u202f924, n=4\u202f472, 3 seeds]"
    users = Row("redial", "simulated-users", "fresh users", "hidden utility", None, 0.1, 0, 1, 500, "sft", 2, "", True)
    assert users.label() == "hidden utility [simulated-users, fresh users, n=500, seed 2, emulated]"


def test_seeds_combine_to_mean_and_deviation(tmp_path: Path) -> None:
    def save(name: str, seed: int, value: float) -> Path:
        (tmp_path / name).mkdir()
        row = Row("redial", "redial-standard", "new", "HR", 5, value, 0.0, 1.0, 10, "ppo", seed, "full catalogue 9")
        missing = Row("redial", "redial-standard", "new", "HR", 1, None, None, None, 0, "ppo", seed)
        save_rows(tmp_path / name / "results.json", [row, missing])
        return tmp_path / name

    folders = [save("a", 0, 0.1), save("b", 1, 0.3)]
    (combined,) = combine(folders)
    assert combined.mean == pytest.approx(0.2) and combined.sd == pytest.approx(np.sqrt(0.02))
    assert "| ppo | 0.2000 ± 0.1414 |" in markdown([combined]) and "2 seeds" in markdown([combined])
    assert "| ppo | 0.1000 [0.0000, 1.00] |" in markdown(combine(folders[:1]))
    with pytest.raises(InputError, match="each run once"):
        combine([folders[0], folders[0]])
    with pytest.raises(InputError, match="evaluate the run first"):
        load_rows(tmp_path / "none.json")
    (tmp_path / "bad.json").write_text("[{]")
    with pytest.raises(InputError, match="not a results file"):
        load_rows(tmp_path / "bad.json")


def test_results_keep_every_field_and_no_nan(tmp_path: Path) -> None:
    base = results.blank("d", "p", "s", "m", 0, emulated=True)
    row = results.make_row(base, "x", Estimate(float("nan"), 0.1, 0.2, 3))
    save_rows(tmp_path / "results.json", [row])
    assert row.value is None and load_rows(tmp_path / "results.json") == [row]


def test_a_difference_is_the_mean_of_the_gaps() -> None:
    """Gaps .5 and -.1 of person a, .2 of b: the mean is .2, as it is of a alone and b alone; two tell nothing."""
    after, before = np.array([0.9, 0.3, 0.4]), np.array([0.4, 0.4, 0.2])
    gap = difference(after, before, ["a", "a", "b"], np.random.default_rng(0))
    assert gap.value == pytest.approx(0.2) and gap.ends is None
    assert (gap.n, gap.groups) == (3, 2)
    six = difference(np.tile(after, 3), np.tile(before, 3), list("aabccdeef"), np.random.default_rng(0))
    assert six.ends == pytest.approx((0.2, 0.2)) and (six.n, six.groups) == (9, 6)


def told(low: float, high: float, value: float = 0.5, groups: int = 3) -> Row:
    base = results.blank("redial", "redial-standard", "new", "sft", 0, unit="seekers")
    return results.make_row(base, "HR", Estimate(value, low, high, 40, groups), 5)


def test_an_interval_without_ends_is_null_in_the_file_and_not_told_in_print(tmp_path: Path) -> None:
    row = told(-np.inf, np.inf)
    assert (row.ci_low, row.ci_high, row.unit, row.clusters) == (None, None, "seekers", 3)
    assert row.ends is None and row.not_told == "not told (3 seekers)"
    save_rows(tmp_path / "results.json", [row])
    (stored,) = json.loads((tmp_path / "results.json").read_text(), parse_constant=lambda name: pytest.fail(name))
    assert stored["ci_low"] is None and stored["ci_high"] is None
    assert load_rows(tmp_path / "results.json") == [row]
    printed = markdown(combine([tmp_path]))
    assert "| sft | 0.5000 not told (3 seekers) |" in printed and "95 % intervals over 3 seekers)" in printed


def test_half_an_interval_is_not_told(tmp_path: Path) -> None:
    """Another program may have written Infinity, or one end alone."""
    (tmp_path / "results.json").write_text(
        json.dumps([{**asdict(told(0.4, 0.6, groups=97)), "ci_high": float("inf")}, asdict(told(0.4, np.inf))])
    )
    for row in load_rows(tmp_path / "results.json"):
        assert row.ci_low == 0.4 and row.ci_high is None and row.ends is None
        assert row.not_told == f"not told ({row.clusters} seekers)"


def test_a_label_says_what_was_resampled() -> None:
    assert told(0.4, 0.6, groups=97).label() == "HR@5 [redial-standard, new items, n=40, 97 seekers, seed 0]"


def test_a_number_without_an_interval_has_no_unit(tmp_path: Path) -> None:
    base = results.blank("d", "replies", "test agent messages", "sft", 0, unit="seekers")
    row = results.make_row(base, "distinct-1", Estimate(0.2, np.nan, np.nan, 9))
    assert (row.unit, row.clusters, row.ends, row.not_told) == ("", 0, None, "")
    save_rows(tmp_path / "results.json", [row])
    assert "| sft | 0.2000 |" in markdown(combine([tmp_path]))


@pytest.mark.parametrize(
    ("protocol", "slice", "unit"),
    [
        ("redial-standard", "new", "dialogues"),
        ("replies", "test agent messages", "dialogues"),
        ("simulated-users", "fresh users", "simulated users"),
        ("kar_lists", "test users", "test users"),
        ("kar_lists", "paired difference", "test users"),
    ],
)
def test_rows_of_before_the_unit_say_what_was_resampled_then(
    tmp_path: Path, protocol: str, slice: str, unit: str
) -> None:
    old = {"dataset": "d", "protocol": protocol, "slice": slice, "metric": "x", "k": None, "value": 0.1, "n": 9}
    old |= {"model": "m", "seed": 0}
    ends = [{"ci_low": 0.0, "ci_high": 0.2}, {"ci_low": None, "ci_high": None}]
    (tmp_path / "results.json").write_text(json.dumps([old | interval for interval in ends]))
    measured, bare = load_rows(tmp_path / "results.json")
    assert (measured.unit, measured.clusters, measured.ends) == (unit, 0, (0.0, 0.2))
    assert (bare.unit, bare.clusters, bare.not_told) == ("", 0, "")
    assert resampled([measured]) == f"95 % intervals over {unit}" and resampled([bare]) == "no intervals"


def test_a_policy_does_not_differ_from_itself() -> None:
    values = np.random.default_rng(0).random(40)
    gap = difference(values, values, np.arange(40), np.random.default_rng(1))
    assert (gap.value, gap.low, gap.high, gap.n) == (0.0, 0.0, 0.0, 40)


def test_turned_round_a_difference_changes_its_sign() -> None:
    generator = np.random.default_rng(2)
    one, other, groups = generator.random(60), generator.random(60), np.repeat(np.arange(20), 3)
    there, back = (difference(*pair, groups, np.random.default_rng(3)) for pair in ((one, other), (other, one)))
    assert (back.value, back.low, back.high) == pytest.approx((-there.value, -there.high, -there.low))


def test_a_case_that_one_side_did_not_observe_is_left_out() -> None:
    gap = difference(np.array([1.0, np.nan, 3.0]), np.array([0.0, 0.0, np.nan]), [1, 2, 3], np.random.default_rng(0))
    assert gap.value == 1.0 and gap.n == 1
    none = difference(np.array([np.nan]), np.array([0.0]), [1], np.random.default_rng(0))
    assert none.n == 0 and np.isnan(none.value)


def test_columns_share_their_resamples_and_shapes_must_agree() -> None:
    values = np.random.default_rng(0).random((30, 2))
    both = differences(values, np.zeros((30, 2)), np.arange(30), np.random.default_rng(4))
    one = difference(values[:, 1], np.zeros(30), np.arange(30), np.random.default_rng(4))
    assert (both[1].value, both[1].low, both[1].high) == pytest.approx((one.value, one.low, one.high))
    with pytest.raises(ValueError, match="the same cases"):
        differences(values, np.zeros((29, 2)), np.arange(30), np.random.default_rng(0))


def test_an_old_file_of_results_is_read_as_if_it_were_new(tmp_path: Path) -> None:
    common = {"dataset": "d", "protocol": "p", "metric": "NDCG", "k": 5, "value": 0.1, "ci_low": 0.0, "ci_high": 0.2}
    common |= {"n": 9, "seed": 0}
    old = [
        {"model": "sft", "slice": "new"},
        {"model": "ppo-sft", "slice": "new"},
        {"model": "co-occurrence+copy", "slice": "new"},
        {"model": "bound · rate + seen", "slice": "test users"},
        {"model": "dlcm · round 0 − base", "slice": "paired difference"},
        {"model": "dlcm · other users' texts − round 0", "slice": "paired difference"},
    ]
    path = tmp_path / "results.json"
    path.write_text(json.dumps([common | row for row in old]))
    rows = load_rows(path)
    assert [(row.model, row.arm, row.against) for row in rows] == [
        ("sft", "", ""),
        ("ppo", "", "sft"),
        ("co-occurrence+copy", "", ""),
        ("bound", "rate + seen", ""),
        ("dlcm", "round 0", "base"),
        ("dlcm", "other users' texts", "round 0"),
    ]
    assert {row.slice for row in rows} == {"new", "test users"}
    assert [line_name(row) for row in rows[1:]] == ["ppo − sft", *(row["model"] for row in old[2:])]
    save_rows(path, rows)
    assert load_rows(path) == rows


def test_names_that_look_like_old_differences_stay_what_they_are(tmp_path: Path) -> None:
    row = Row("d", "p", "s", "HR", 1, 0.5, 0.4, 0.6, 9, "ppo-sft", 0)
    save_rows(tmp_path / "results.json", [row])
    assert load_rows(tmp_path / "results.json") == [row]


def test_differences_stand_last_with_their_sign(tmp_path: Path) -> None:
    rows = [
        Row("d", "p", "test users", "NDCG", 5, 0.5, 0.4, 0.6, 9, "dlcm", 0, arm="base"),
        Row("d", "p", "test users", "NDCG", 5, 0.1, 0.0, 0.2, 9, "dlcm", 0, arm="round 0", against="base"),
        Row("d", "p", "test users", "NDCG", 5, 0.6, 0.5, 0.7, 9, "dlcm", 0, arm="round 0"),
        Row("d", "p", "test users", "MAP (KAR)", 5, 0.3, 0.2, 0.4, 9, "dlcm", 0, arm="round 0"),
    ]
    save_rows(tmp_path / "results.json", rows)
    lines = [line for line in markdown(combine([tmp_path])).splitlines() if line.startswith("| ")]
    assert lines == [
        "| model | NDCG@5 | MAP (KAR)@5 |",
        "| dlcm · base | 0.5000 [0.4000, 0.6000] |  |",
        "| dlcm · round 0 | 0.6000 [0.5000, 0.7000] | 0.3000 [0.2000, 0.4000] |",
        "| dlcm · round 0 − base | +0.1000 [0.0000, 0.2000] |  |",
    ]


def test_a_name_with_a_bar_stays_in_its_cell() -> None:
    row = Row("d", "p", "all", "HR", 1, 0.5, 0.4, 0.6, 9, "gpt|4", 0)
    (line,) = [line for line in markdown([results.Combined(row, (0.5,), (0,))]).splitlines() if "gpt" in line]
    assert line == r"| gpt\|4 | 0.5000 [0.4000, 0.6000] |"
