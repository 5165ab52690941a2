"""Numbers of three contexts by hand, and random ones against ir_measures and torchmetrics."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import ir_measures
import numpy as np
import pytest
import torch
from ir_measures import RR, R, nDCG
from tiny_runs import CATALOG, CONTEXTS, SCORES, make_run
from torchmetrics.functional.retrieval import retrieval_hit_rate, retrieval_normalized_dcg, retrieval_reciprocal_rank

from tacit.catalog import Catalog
from tacit.metrics.results import CUTOFFS
from tacit.referee.cases import cases
from tacit.referee.form import Context
from tacit.referee.judge import Settings, Verdict, judge
from tacit.referee.measures import BY_CASE, case_values, message_values
from tacit.referee.read import read_run
from tacit.referee.tables import terminal

FEW = Settings(draws=20)


def value(verdict: Verdict, protocol: str, slice: str, name: str, model: str = "mine", against: str = "") -> float:
    (row,) = [
        row
        for row in verdict.rows
        if (row.protocol, row.slice, row.name, row.model, row.against) == (protocol, slice, name, model, against)
    ]
    assert row.value is not None
    return row.value


def test_slices_by_hand(tmp_path: Path) -> None:
    mine = cases(make_run(tmp_path / "mine"))
    assert mine.keys == (("1:1", "a"), ("1:1", "b"), ("1:6", "b"), ("2:1", "e"))
    slices = {name: np.flatnonzero(mask).tolist() for name, mask in mine.slices.items()}
    assert slices == {
        "all": [0, 1, 2, 3],
        "new": [0, 1, 3],
        "repeated": [2],
        "liked": [0, 2],
        "not liked": [1],
        "turns 0-4": [0, 1, 3],
        "turns 5-9": [2],
        "head": [0],  # a has 6 of 12 mentions
        "middle": [1, 2],  # b begins where 6 of 12 are passed
        "tail": [3],
        "unseen": [3],
    }


def test_ranks_by_hand(tmp_path: Path) -> None:
    """Unmasked 2, 4 (a tie counts against), 3 and 5; without what was named 1, 3, 1 and 5."""
    verdict = judge([make_run(tmp_path / "mine")], ["standard", "full", "full-masked"], FEW)
    assert value(verdict, "full", "all", "HR@1") == 0
    assert value(verdict, "full", "all", "HR@5") == 1
    assert value(verdict, "full", "all", "MRR@5") == pytest.approx((1 / 2 + 1 / 4 + 1 / 3 + 1 / 5) / 4)
    assert value(verdict, "standard", "all", "MRR@5") == value(verdict, "full", "all", "MRR@5")
    assert value(verdict, "standard", "new", "HR@1") == pytest.approx(1 / 3)
    assert value(verdict, "full", "new", "HR@1") == 0
    assert value(verdict, "full-masked", "all", "HR@1") == pytest.approx(2 / 4)
    assert value(verdict, "standard", "new", "NDCG@5") == pytest.approx((1 + 1 / 2 + 1 / math.log2(6)) / 3)
    assert value(verdict, "full", "liked", "MRR@10") == pytest.approx((1 / 2 + 1 / 3) / 2)
    assert value(verdict, "full", "unseen", "MRR@10") == pytest.approx(1 / 5)


def test_two_conventions_of_recall_by_hand(tmp_path: Path) -> None:
    """New items, masked: ranks 1 and 3 of one message, 5 of another."""
    verdict = judge([make_run(tmp_path / "mine")], ["standard"], FEW)
    assert value(verdict, "standard", "new", "HR@1") == pytest.approx(1 / 3)  # of three gold items
    assert value(verdict, "standard", "new", "recall by message@1") == pytest.approx((1 / 2 + 0) / 2)  # of two messages
    assert value(verdict, "standard", "new", "any hit by message@1") == pytest.approx(1 / 2)
    ideal = 1 + 1 / math.log2(3)
    expected = ((1 + 1 / 2) / ideal + 1 / math.log2(6)) / 2
    assert value(verdict, "standard", "new", "NDCG by message@5") == pytest.approx(expected)


def test_gold_items_of_a_message_stand_in_one_list(tmp_path: Path) -> None:
    """Two gold items that were both named: by case each is masked for the other, and both are first; of a list only
    one is. NDCG by message would be above 1."""
    contexts = [Context("1:1", "1", 1, ("a", "b", "e"), ("a", "b", "c"))]
    run = make_run(tmp_path / "mine", contexts=contexts, scores=np.array([[5.0, 4.0, 6.0, 2.0, 1.0]]))
    verdict = judge([run], ["full-masked", "full", "standard"], FEW)
    assert value(verdict, "full-masked", "repeated", "HR@1") == 1  # by case
    assert value(verdict, "full-masked", "repeated", "recall by message@1") == pytest.approx(1 / 2)
    assert value(verdict, "full-masked", "repeated", "NDCG by message@5") == pytest.approx(1)  # places 1, 2
    ideal = 1 + 1 / math.log2(3) + 1 / 2
    places = [1, 2, 4]  # a, b, d, e: c is masked
    assert value(verdict, "full-masked", "all", "NDCG by message@5") == pytest.approx(
        sum(1 / math.log2(place + 1) for place in places) / ideal
    )
    assert value(verdict, "full", "repeated", "recall by message@1") == 0  # c is first
    assert value(verdict, "standard", "new", "NDCG by message@5") == pytest.approx(1 / math.log2(3))  # d, e


def test_what_must_not_be_recommended_is_in_no_list(tmp_path: Path) -> None:
    never = -np.inf
    scores = np.array([[never, never, 1, 2, never], [never] * 5, [3, never, never, never, never]])
    make_run(tmp_path / "mine")
    np.save(tmp_path / "mine" / "scores.npy", scores)
    verdict = judge([read_run(tmp_path / "mine")], ["full"], FEW)
    assert value(verdict, "full", "lists", "coverage@5") == 3 / 5  # c, d and a
    bits = -np.log2(np.array([7, 4, 3, 2, 1]) / 17)
    novelty = np.mean([np.mean(bits[[2, 3]]), bits[0]])  # the empty list has none
    assert value(verdict, "full", "lists", "novelty@5") == pytest.approx(novelty)


def test_a_constant_score_is_no_help(tmp_path: Path) -> None:
    verdict = judge([make_run(tmp_path / "mine", scores=np.zeros((3, 5)))], ["full", "uniform-3"], FEW)
    assert value(verdict, "full", "all", "MRR@5") == pytest.approx(1 / 5)
    assert value(verdict, "uniform-3", "all", "MRR@5") == pytest.approx(1 / 4)
    ties = next(finding for finding in verdict.leaks["mine"] if "same as another" in finding.name)
    assert (ties.count, ties.of) == (4, 4)


def random_scores(seed: int) -> tuple[np.ndarray, list[list[int]]]:
    """60 scores without ties in each of 40 messages, with one to three gold items each."""
    generator = np.random.default_rng(seed)
    scores = np.stack([generator.permutation(60) for _ in range(40)]).astype(float)
    return scores, [generator.choice(60, generator.integers(1, 4), replace=False).tolist() for _ in range(40)]


@pytest.mark.parametrize("k", CUTOFFS)
def test_messages_agree_with_ir_measures(k: int) -> None:
    """R@k, and nDCG@k with several relevant items; a case alone is a query with one relevant item."""
    scores, golds = random_scores(k)
    ranks = np.array([int((scores[m] >= scores[m, gold]).sum()) for m, own in enumerate(golds) for gold in own])
    rows = np.array([m for m, own in enumerate(golds) for _ in own])
    run = {str(m): {str(i): float(s) for i, s in enumerate(row)} for m, row in enumerate(scores)}
    wanted = {str(m): {str(gold): 1 for gold in own} for m, own in enumerate(golds)}
    theirs = ir_measures.calc_aggregate([R @ k, nDCG @ k], wanted, run)
    columns = dict(
        zip([(n, c) for n in ("recall", "any", "NDCG") for c in CUTOFFS], message_values(ranks, rows).T, strict=True)
    )
    assert columns["recall", k].mean() == pytest.approx(theirs[R @ k])
    assert columns["NDCG", k].mean() == pytest.approx(theirs[nDCG @ k])
    alone_run = {f"{n}": run[str(m)] for n, m in enumerate(rows)}
    alone = {f"{n}": {str(gold): 1} for n, gold in enumerate(gold for own in golds for gold in own)}
    theirs = ir_measures.calc_aggregate([R @ k, nDCG @ k, RR @ k], alone, alone_run)
    mine = dict(zip(BY_CASE, case_values(ranks).mean(axis=0), strict=True))
    assert [mine["HR", k], mine["NDCG", k], mine["MRR", k]] == pytest.approx(
        [theirs[R @ k], theirs[nDCG @ k], theirs[RR @ k]]
    )


def test_cases_agree_with_torchmetrics() -> None:
    scores, golds = random_scores(0)
    for row, own in zip(scores, golds, strict=True):
        target = torch.zeros(60, dtype=torch.bool)
        target[own[0]] = True
        mine = dict(zip(BY_CASE, case_values(np.array([int((row >= row[own[0]]).sum())]))[0], strict=True))
        predicted = torch.tensor(row)
        for k in CUTOFFS:
            assert mine["HR", k] == float(retrieval_hit_rate(predicted, target, top_k=k))
            assert mine["NDCG", k] == pytest.approx(
                float(retrieval_normalized_dcg(predicted, target, top_k=k)), rel=1e-5
            )
            assert mine["MRR", k] == pytest.approx(
                float(retrieval_reciprocal_rank(predicted, target, top_k=k)), rel=1e-5
            )


def test_the_order_of_lines_and_of_items_changes_nothing(tmp_path: Path) -> None:
    """A second system that writes its file the other way round is paired by ids, and differs from itself by nothing."""
    catalog = CATALOG.__class__(CATALOG.items[::-1], CATALOG.counts[::-1])
    one = make_run(tmp_path / "one", "one")
    back = make_run(tmp_path / "back", "back", CONTEXTS[::-1], SCORES[::-1, ::-1], catalog)
    verdict = judge([one, back], ["standard", "uniform-2", "popularity-2"], FEW)
    assert not verdict.remarks
    gains = [row for row in verdict.rows if row.against == "one" and row.protocol != "replies"]
    assert len(gains) > 100 and {row.value for row in gains} == {0.0}
    levels: dict[str, dict[tuple[str, str, str], float | None]] = {"one": {}, "back": {}}
    for row in verdict.rows:
        if not row.against and "list" not in row.slice:  # equal scores stand in the order of the catalogue there
            levels[row.model][row.protocol, row.slice, row.name] = row.value
    assert levels["one"] == pytest.approx(levels["back"])


def test_differences_are_paired_and_of_persons(tmp_path: Path) -> None:
    better = SCORES.copy()
    better[2] = [1, 2, 3, 4, 5]  # e first
    verdict = judge(
        [make_run(tmp_path / "one", "one"), make_run(tmp_path / "two", "two", scores=better)], ["full"], FEW
    )
    assert value(verdict, "full", "all", "HR@1", "two", "one") == pytest.approx(1 / 4)
    (row,) = [r for r in verdict.rows if r.against and r.slice == "all" and r.name == "HR@1"]
    assert (row.n, row.clusters, row.unit) == (4, 2, "dialogues")


def test_persons_are_resampled_where_they_come_back(tmp_path: Path) -> None:
    more = [replace(context, id=f"{context.id}+", dialogue=f"{context.dialogue}+") for context in CONTEXTS]
    run = make_run(tmp_path / "mine", contexts=[*CONTEXTS, *more], scores=np.concatenate([SCORES, SCORES]))
    assert (cases(run).people.unit, len(set(cases(run).people.groups))) == ("users", 2)
    nobody = [replace(context, person=None) for context in (*CONTEXTS, *more)]
    run = make_run(tmp_path / "nobody", contexts=nobody, scores=np.concatenate([SCORES, SCORES]))
    assert (cases(run).people.unit, len(set(cases(run).people.groups))) == ("dialogues", 4)


def test_other_cases_give_no_differences(tmp_path: Path) -> None:
    runs = [make_run(tmp_path / "one", "one"), make_run(tmp_path / "two", "two", CONTEXTS[:2], SCORES[:2])]
    verdict = judge(runs, ["full"], FEW)
    assert verdict.remarks == [
        "full: two and one have other cases, so no differences: 0 of 3 in the one alone; 1 of 4 in the other, such as "
        "e in 2:1"
    ]
    assert not [row for row in verdict.rows if row.against and row.protocol == "full"]


def test_other_items_named_before_give_no_differences(tmp_path: Path) -> None:
    """c is not told to be named before the second system's first message: its masks and slices are others."""
    said = [replace(CONTEXTS[0], mentioned=()), *CONTEXTS[1:]]
    verdict = judge([make_run(tmp_path / "one", "one"), make_run(tmp_path / "two", "two", said)], ["full"], FEW)
    assert verdict.remarks == [
        "full: two and one tell otherwise which items were named before ('mentioned'), so no differences: in 1 "
        "contexts, such as 1:1"
    ]
    assert not [row for row in verdict.rows if row.against and row.protocol == "full"]


def test_other_catalogues_are_told(tmp_path: Path) -> None:
    """Without d, which is no gold item, b rises from 4 to 3; the table says both sizes."""
    kept = [0, 1, 2, 4]
    fewer = Catalog([CATALOG.items[k] for k in kept], [6, 3, 2, 0])
    runs = [
        make_run(tmp_path / "one", "one"),
        make_run(tmp_path / "two", "two", scores=SCORES[:, kept], catalog=fewer),
    ]
    verdict = judge(runs, ["full"], FEW)
    assert verdict.remarks == [
        "full: two ranks 4 items, one 5, and 1 are in one catalogue alone: the differences are also of the catalogues"
    ]
    assert "(all, full catalogue 5 or full catalogue 4, n=4" in terminal(verdict)


def test_a_file_without_gold_says_so(tmp_path: Path) -> None:
    run = make_run(tmp_path / "mine", contexts=[replace(CONTEXTS[0], gold=(), responses={})], scores=SCORES[:0])
    assert judge([run], ["full"], FEW).remarks == ["full: mine names no gold items, so no ranks"]


def test_two_systems_of_one_name_stay_apart(tmp_path: Path) -> None:
    verdict = judge([make_run(tmp_path / "a"), make_run(tmp_path / "b")], ["full"], FEW)
    assert list(verdict.systems) == ["mine", "mine (2)"]
