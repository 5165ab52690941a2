"""Where the noise of a table's value comes from."""

from __future__ import annotations

import numpy as np
import pytest

from tacit.cli.rerank_runs import _cell
from tacit.metrics.results import blank
from tacit.rerank.evaluate.rows import ArmScores, across, tables, template, variance
from tacit.rerank.lists.lists import Lists

METRICS = ("ndcg", "kar_map", "standard_map", "consumed_ndcg")


def line(arm: str, *seeds: list[float], model: str = "dlcm") -> ArmScores:
    return ArmScores(model, arm, dict.fromkeys(METRICS, np.array(seeds)))


def test_an_arm_is_compared_with_those_before_it_that_are_to_be_beaten() -> None:
    """Two seeds of .2 .4 and .4 .6 on two lists are .3 and .5; base is .1 and .5: the gaps .2 and 0, their mean .1."""
    lines = [line("base", [0.1, 0.5]), line("round 0", [0.2, 0.4], [0.4, 0.6]), line("base", [0.0, 0.0], model="prm")]
    rows = tables(lines, np.array([0, 1]), blank("d", "p", "test users", "", 0, unit="test users"))
    gaps = [row for row in rows if row.against]
    assert {(row.model, row.arm, row.against, row.slice) for row in gaps} == {("dlcm", "round 0", "base", "test users")}
    (ndcg,) = (row for row in gaps if row.metric == "NDCG")
    assert ndcg.value == pytest.approx(0.1) and ndcg.ends is None, "two users tell nothing"
    assert ndcg.not_told == "not told (2 test users)" and _cell(ndcg) == "+0.1000 not told (2 test users)"
    levels = {(row.model, row.arm): row.value for row in rows if row.metric == "NDCG" and not row.against}
    assert levels == pytest.approx({("dlcm", "base"): 0.3, ("dlcm", "round 0"): 0.4, ("prm", "base"): 0.0})


def test_every_interval_names_the_test_users() -> None:
    draw = np.random.default_rng(0)
    lines = [line(arm, draw.random(60).tolist()) for arm in ("base", "round 0")]
    lists = Lists(np.repeat(np.arange(20), 3), *np.zeros((3, 60, 4), dtype=np.int64), np.zeros(60))
    rows = tables(lines, lists.users, template("d", "p", lists, 0))
    assert rows and {(row.unit, row.clusters) for row in rows} == {("test users", 20)}
    assert all(row.ends is not None for row in rows)


def test_across_runs_only_what_differs_has_a_row() -> None:
    here = [line("base", [0.1, 0.5]), line("round 1", [0.2, 0.4])]
    there = [line("base", [0.1, 0.5]), line("round 1", [0.3, 0.5]), line("round 2", [0.0, 0.0])]
    rows = across(there, here, np.array([0, 1]), blank("d", "p", "test users", "", 0))
    assert {(row.model, row.arm, row.against) for row in rows} == {("dlcm", "round 1", "round 1")}
    assert [row.value for row in rows] == pytest.approx([0.1] * 3)


def test_variance_is_split_between_writer_and_ranker_seeds() -> None:
    """Seeds of two writers: .1 .3 and .5 .7. Within: .04 / 2 = .02. Means .2 and .6: .08, less .02 / 2 seeds = .07."""
    users = np.array([0, 0, 1, 1])
    first, second = (np.repeat(np.array(seeds)[:, None], 4, axis=1) for seeds in ((0.1, 0.3), (0.5, 0.7)))
    parts = variance([first, second], users)
    assert parts["ranker seed"] == pytest.approx(0.02**0.5) and parts["writer seed"] == pytest.approx(0.07**0.5)
    assert parts["users"] == pytest.approx(0.0)
    assert set(variance([first], users)) == {"users", "ranker seed"} and set(variance([first[:1]], users)) == {"users"}


def test_writers_that_differ_by_no_more_than_their_rankers_have_no_part() -> None:
    one, other = np.array([[0.1], [0.3]]), np.array([[0.3], [0.1]])
    assert variance([one, other], np.array([0]))["writer seed"] == 0.0
