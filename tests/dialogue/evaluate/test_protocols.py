"""The counting rules: by hand, against a slow twin, and against the published counts of ReDial's test split."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from places import DATA

from tacit.catalog import Catalog
from tacit.data.dialogues.sources import DataConfig, load_test, load_training
from tacit.dialogue.evaluate import protocols
from tacit.dialogue.evaluate.protocols import Case, cases, rank_cases, slice_ranks
from tacit.dialogue.responses import Response
from tacit.referee.protocols import Protocol
from tacit.referee.ranks import draw_negatives, rank_sampled
from tacit.types import Dialogue, Feedback, Item, Judgement, Slate, TestSet, Turn

CATALOG = Catalog([Item(f"i{k}", f"Film {k} (2000)", f"Film {k}") for k in range(12)])


def agent(*items: str) -> Turn:
    return Turn("agent", " ".join(items), mentions=items, slate=Slate(items) if items else None)


DIALOGUE = Dialogue(
    "d",
    "u",
    (
        agent("i0"),  # no context: no case
        Turn("user", "I like i1", mentions=("i1",)),
        agent("i2", "i1"),
        agent("i3"),  # a second message of the agent counts on its own
        agent(),
        Turn("user", "more"),
        agent("i3", "i4"),
    ),
)


def test_cases_by_hand() -> None:
    found = cases(TestSet((DIALOGUE,)), CATALOG)
    assert [(case.turn, case.gold, case.repeated) for case in found] == [
        (2, 2, False),
        (2, 1, True),
        (3, 3, False),
        (6, 3, True),
        (6, 4, False),
    ]
    assert found[0].mentioned == (0, 1)
    assert [len(group) for group in protocols.contexts(found)] == [2, 1, 2]
    assert cases(TestSet(()), CATALOG) == ()


def test_a_case_says_what_the_person_did_and_whether_training_knew_the_item() -> None:
    seen = CATALOG.with_counts([Dialogue("t", "v", (Turn("user", "i2", ("i2",)),))])
    shown = replace(agent("i2", "i3"), feedback=Feedback(clicked=("i3",), accepted=True))
    liked = {"i2": Judgement(liked=False)}
    found = cases(TestSet((Dialogue("d", "u", (Turn("user", "hi"), shown, agent("i4")), liked),)), seen)
    assert [(c.response, c.unseen) for c in found] == [
        (Response(False, False, False), False),
        (Response(True, True, None), True),
        (Response(), True),
    ]


def slow_rank(scores: np.ndarray, gold: int, left_out: set[int]) -> int:
    """Sort the candidates with the gold item last among equals, and look where it stands."""
    candidates = [i for i in range(len(scores)) if i == gold or i not in left_out]
    return 1 + sorted(candidates, key=lambda i: (-scores[i], i == gold)).index(gold)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 6))
def test_ranks_agree_with_the_slow_twin(seed: int, levels: int) -> None:
    """Few score levels make many ties."""
    found = cases(TestSet((DIALOGUE, replace(DIALOGUE.then(agent("i9")), id="e"))), CATALOG)
    table = {(c.id, len(c.turns)): row for row, c in enumerate(group[0].context for group in protocols.contexts(found))}
    scores = np.random.default_rng(seed).integers(0, levels, size=(len(table), len(CATALOG))).astype(np.float32)
    chosen = (Protocol("full"), Protocol("few", negatives=4))
    ranks = rank_cases(
        found, lambda contexts: scores[[table[c.id, len(c.turns)] for c in contexts]], chosen, CATALOG, seed=5, batch=2
    )
    negatives = draw_negatives(found, CATALOG, 4, seed=5)
    for n, case in enumerate(found):
        row = scores[table[case.dialogue, case.turn]]
        masked = set(case.mentioned) - {case.gold}
        assert ranks["full"].full[n] == slow_rank(row, case.gold, set())
        assert ranks["full"].masked[n] == slow_rank(row, case.gold, masked)
        outside = set(range(len(CATALOG))) - set(negatives[n].tolist())
        assert ranks["few"].full[n] == slow_rank(row, case.gold, outside)
        assert ranks["few"].masked[n] == slow_rank(row, case.gold, outside | masked)


def test_a_constant_score_is_no_help() -> None:
    found = cases(TestSet((DIALOGUE,)), CATALOG)
    ranks = rank_cases(
        found, lambda contexts: np.zeros((len(contexts), 12)), protocols.protocols("redial"), CATALOG, seed=0
    )
    assert ranks["redial-standard"].full.tolist() == [12] * 5
    repeated = np.array([case.repeated for case in found])
    assert slice_ranks("new", ranks["redial-standard"], repeated).tolist() == [10, 9, 8]


def test_negatives_are_seeded_distinct_and_never_gold() -> None:
    found = [Case(DIALOGUE, gold, False, (), "d", n) for n in range(20) for gold in range(12)]
    drawn = draw_negatives(found, CATALOG, 5, seed=1)
    assert all(case.gold not in row and len(set(row.tolist())) == 5 for case, row in zip(found, drawn, strict=True))
    assert (drawn == draw_negatives(found, CATALOG, 5, seed=1)).all()
    assert (drawn != draw_negatives(found, CATALOG, 5, seed=2)).any()
    assert set(drawn.ravel().tolist()) == set(range(12))
    assert draw_negatives(found[:1], CATALOG, 99, seed=1).shape == (1, 11)


def test_sampled_ranks_follow_the_binomial_law() -> None:
    """A full rank of r of N hits the top 5 of 1 + 99 with P(Binomial(99, (r − 1)/(N − 1)) ≤ 4): .57 at r = 300."""
    n_items, rank = 6924, 300
    found = [Case(DIALOGUE, rank - 1, False, (), "d", n) for n in range(2000)]
    falling = -np.arange(n_items, dtype=np.float32)[None]
    groups = [[case] for case in found]
    large = Catalog([Item(f"{k:05}", str(k), "") for k in range(n_items)])
    negatives = draw_negatives(found, large, 99, seed=0)
    ranks = rank_sampled(np.broadcast_to(falling, (len(groups), n_items)), groups, negatives)
    assert (ranks.full <= 5).mean() == pytest.approx(0.57, abs=0.03)


def test_nan_scores_are_refused() -> None:
    found = cases(TestSet((DIALOGUE,)), CATALOG)
    with pytest.raises(ValueError, match="NaN"):
        rank_cases(
            found, lambda contexts: np.full((len(contexts), 12), np.nan), protocols.protocols("x"), CATALOG, seed=0
        )


def test_a_protocol_names_its_candidates() -> None:
    standard, sampled = protocols.protocols("redial")
    assert standard.candidates(6924) == "full catalogue 6\u202f924"
    assert sampled.candidates(6924) == "1 + 99 uniform"
    assert sampled.candidates(40) == "1 + 39 uniform"


def test_the_official_redial_test_split_has_the_published_counts() -> None:
    """Kostric & Balog, SIGIR 2026: 4,198 instances and 4,975 labels; 3,838 and 4,472 without repeats."""
    folder = DATA / "redial"
    if not folder.is_dir():
        pytest.skip(f"ReDial is not at {folder}: set TACIT_DATA to the folder that holds redial/")
    config = DataConfig(name="redial", path=str(folder))
    catalog, _ = load_training(config)
    test = load_test(config)
    found = cases(test, catalog)
    new = [case for case in found if not case.repeated]
    assert len(test.dialogues) == 1342
    assert (len(protocols.contexts(found)), len(found)) == (4198, 4975)
    assert (len(protocols.contexts(new)), len(new)) == (3838, 4472)
