"""Simulated users against what people did: acts by hand, scores by hand, and broken users that must be seen."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from places import DATA

from tacit.catalog import Catalog
from tacit.dialogue.users.acts import Decision, decisions, one_act, read_acts
from tacit.dialogue.users.crowd import UserWorld
from tacit.dialogue.users.fairness import (
    SIMULATED,
    Scores,
    best,
    broken,
    calibration_error,
    check_all,
    macro_f1,
    score,
    simulated,
    trivial,
)
from tacit.dialogue.users.forecast import forecast
from tacit.dialogue.users.iard import agreement
from tacit.types import Dialogue, InputError, Slate, Turn


@pytest.mark.parametrize(
    ("text", "act"),
    [
        ("I haven't seen that, I'll check it out. Thanks!", "accept"),
        ("It sounds really good.", "accept"),
        ("I don't want to see that.", "reject"),
        ("I saw it but it wasn't my cup of tea.", "reject"),
        ("I have seen it. Great movie!", "seen"),
        ("Who is in it?", "ask"),
        ("I have never heard of it, is it funny?", "ask"),
        ("Something with more action, please. Any other ideas?", "other"),
    ],
)
def test_acts_are_read_from_words(text: str, act: str) -> None:
    assert one_act(read_acts(text)) == act


def test_a_film_that_was_not_shown_is_not_the_one_that_was_seen() -> None:
    text = "I loved Heat (1995)."
    assert one_act(read_acts(text, shown=["Heat (1995)"])) == "seen"
    assert one_act(read_acts(text, others=["Heat (1995)"])) == "other"


def test_moments_of_a_conversation_by_hand(catalog: Catalog) -> None:
    first, second = catalog.items[0], catalog.items[1]
    turns = (
        Turn("agent", "Hello! What do you like?", time_s=0.0),
        Turn("user", "Westerns. I loved them all.", time_s=5.0),
        Turn("agent", "Who doesn't?", time_s=8.0),
        Turn("user", "I have seen it.", time_s=9.0),  # of nothing that was shown
        Turn("agent", "Wait", time_s=10.0),
        Turn("agent", f"Try {first.title}", (first.id,), Slate((first.id,)), time_s=12.0),
        Turn("user", "I have seen it.", time_s=32.0),
        Turn("agent", f"Then {second.title}", (second.id,), Slate((second.id,)), time_s=40.0),
        Turn("user", "Thanks", time_s=41.0),
        Turn("agent", "Bye", time_s=42.0),
    )
    found = list(decisions(Dialogue("d", "u", turns), catalog))
    assert [moment.act for moment in found] == ["other", "seen", "end"]
    assert [moment.gap_s for moment in found] == [1.0, 20.0, 1.0]
    assert [moment.last for moment in found] == ["", "other", "seen"]
    assert [moment.place for moment in found] == [0, 1, 2]
    assert found[1].agent.text == f"Wait Try {first.title}" and len(found[1].context.turns) == 4
    decided = [*turns[:6], Turn("user", "I will watch it!"), *turns[7:]]
    assert [m.act for m in decisions(Dialogue("d", "u", tuple(decided)), catalog)] == ["other", "accept"]


def test_scores_by_hand(moments: list[Decision]) -> None:
    two = [replace(moments[0], act="accept"), replace(moments[0], act="other")]
    acts = np.array([[0.5, 0.1, 0.1, 0.1, 0.1, 0.1], [0.5, 0.0, 0.0, 0.0, 0.25, 0.25]])
    row = score("two", acts, None, two, seed=0)
    assert row.log_loss.value == pytest.approx((math.log(2) + math.log(4)) / 2)
    assert row.brier.value == pytest.approx(((0.25 + 5 * 0.01) + (0.25 + 0.0625 + 0.5625)) / 2)
    assert row.accuracy.value == 0.5 and row.accepts == 0.5 and row.latency is None
    # accept: one hit, said twice, done once; other: never said, done once
    assert row.macro_f1.value == pytest.approx((2 / 3 + 0) / 2)
    sums = np.array([[1, 0, 2, 0, 1, 1]], dtype=float)
    assert macro_f1(sums)[0] == pytest.approx(1 / 3)
    # two acts, both in the bin of 0.5: said 0.5 + 0.5, done once
    assert calibration_error(np.full((2, 2), 0.5), np.eye(2)) == 0.0
    assert calibration_error(np.array([[0.9, 0.1], [0.9, 0.1]]), np.eye(2)) == pytest.approx(0.4)


def test_a_forecast_reads_nothing_that_comes_later(world: UserWorld, moments: list[Decision]) -> None:
    some = moments[:12]
    seen, blind = forecast(world, some, 3), forecast(world, [moment.without_future() for moment in some], 3)
    assert np.array_equal(seen.acts, blind.acts) and np.array_equal(seen.latency_s, blind.latency_s)
    assert np.allclose(seen.acts.sum(1), 1.0) and (seen.acts > 0).all()
    assert not np.array_equal(seen.acts, forecast(world, some, 4).acts)


@pytest.fixture(scope="module")
def moments(catalog: Catalog, dialogues: tuple[Dialogue, ...]) -> list[Decision]:
    return [moment for dialogue in dialogues for moment in decisions(dialogue, catalog)]


@pytest.fixture(scope="module")
def table(world: UserWorld, moments: list[Decision]) -> dict[str, Scores]:
    train, unseen = moments[24:], moments[:24]
    plain = trivial(train)
    predictors = {SIMULATED: simulated(world, 0), **plain, **broken(world, 0)}
    return {row.name: row for row in check_all(predictors, best(plain, train), unseen, 0, draws=100)}


def test_a_user_that_is_always_pleased_is_seen_in_the_table(table: dict[str, Scores], moments: list[Decision]) -> None:
    done = np.mean([moment.act == "accept" for moment in moments[:24]])
    honest, pleased = table[SIMULATED], table["broken: always pleased"]
    assert pleased.accepts > 2 * done and pleased.accepts > honest.accepts + 0.2
    assert pleased.gap > honest.gap and pleased.against is not None and pleased.against.low > 0


def test_a_user_that_knows_what_it_cannot_know_is_seen_in_the_table(table: dict[str, Scores]) -> None:
    for name, row in table.items():
        knows = name in ("broken: knows what the form will say", "broken: reads the answer")
        assert (row.future > 0.2) == knows, name
        assert knows or row.future == 0.0, name
    assert table["broken: reads the answer"].accuracy.value == 1.0


def test_trivial_guesses_are_counted_on_training_moments(moments: list[Decision]) -> None:
    train = [replace(moments[0], act=act, last=last, gap_s=gap) for act, last, gap in
             (("accept", "", 10.0), ("accept", "ask", 10.0), ("other", "ask", 1000.0))]  # fmt: skip
    acts, seconds = trivial(train)["rates after the last act"]([replace(moments[0], last="ask")])
    assert acts[0].tolist() == pytest.approx([2 / 8, 1 / 8, 1 / 8, 1 / 8, 1 / 8, 2 / 8])
    assert seconds is not None and math.exp(seconds[0]) == pytest.approx(100.0)
    always = trivial([replace(moment, last="ask", act="ask") for moment in train])["the last act again"]
    assert always([replace(moments[0], last="seen")])[0][0].tolist() == [0, 0, 1, 0, 0, 0]


def test_labels_of_iard_are_read(tmp_path: Path) -> None:
    def said(role: str, text: str, *labels: str) -> dict[str, object]:
        return {"role": role, "utterance_text": text, "sub-intent/action": list(labels)}

    info = [
        said("seeker", "Hi", "OTH"),
        said("recommender", "How about @1 <Heat (1995)>?", "REC-S"),
        said("seeker", "I loved @1 <Heat (1995)> ...thanks", "SEE"),
        said("recommender", "And @2 <Saw (2004)>?", "REC-S"),
        said("seeker", "I hate horror.", "REJ"),
        said("recommender", "Or @3 <Up (2009)>?", "REC-S"),
        said("seeker", "Fine by me", "ACC"),
        said("recommender", "Enjoy", "OTH"),
        said("seeker", "bye", "OTH"),
    ]
    path = tmp_path / "iard.json"
    path.write_text(json.dumps({"7": {"dialogue_info": {str(i): row for i, row in enumerate(info)}}}))
    found = agreement(path)
    assert (found.dialogues, found.replies) == (1, 3)
    assert found.accuracy == pytest.approx(2 / 3) and found.f1["seen"] == found.f1["reject"] == 1.0
    with pytest.raises(InputError, match="labels none of these"):
        agreement(path, {"8"})
    path.write_text("[]")
    with pytest.raises(InputError, match="is not IARD's file"):
        agreement(path)


def test_acts_are_read_as_people_label_them() -> None:
    path = DATA / "iard" / "umap2020_IARD_Cai.json.gz"
    if not path.is_file():
        pytest.skip(f"needs IARD's labels at {path}")
    found = agreement(path)
    assert found.replies > 1000 and found.accuracy > 0.65 and min(found.f1.values()) > 0.5
