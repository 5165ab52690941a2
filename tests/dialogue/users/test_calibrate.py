from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tacit.catalog import Catalog
from tacit.dialogue.users.calibrate import bisect, calibrate, observe
from tacit.dialogue.users.crowd import UserWorld
from tacit.types import Dialogue, Feedback, Slate, Turn


def test_observed_by_hand() -> None:
    turns = (
        Turn("user", "hi", time_s=0.0),
        Turn("agent", "hello there", time_s=4.0),
        Turn("agent", "try this", ("f1",), Slate(("f1",)), time_s=6.0),
        Turn("user", "I will watch it", time_s=16.0),
        Turn("agent", "good", time_s=18.0),
        Turn("user", "bye", time_s=2000.0),
    )
    seen = observe([Dialogue("d", "u", turns)])
    assert seen.gaps.tolist() == [10.0]
    assert seen.turns == 2.0 and seen.accepted == 1.0
    assert seen.agent == ((1, 4), (0, 1))


def test_an_accepted_event_counts_and_a_source_without_any_tells_nothing() -> None:
    shown = Turn("agent", "try", ("f1",), Slate(("f1",)), Feedback(accepted=True))
    assert observe([Dialogue("d", "u", (Turn("user", "hi"), shown))]).accepted == 1.0
    assert observe([Dialogue("d", "u", (Turn("user", "hi"), replace(shown, feedback=None)))]).accepted is None


def test_bisect_finds_a_crossing() -> None:
    assert bisect(lambda x: x**2, 4.0, 0.1, 10.0, steps=30) == pytest.approx(2.0, rel=1e-4)


def test_the_table_stands_beside_the_data(world: UserWorld) -> None:
    rows = {row.quantity: row for row in world.calibration()}
    latency, turns, accepted = rows["latency, median"], rows["agent turns, mean"], rows["dialogues with an acceptance"]
    assert not (latency.emulated or turns.emulated or accepted.emulated)
    assert latency.data is not None and latency.simulated == pytest.approx(latency.data, rel=0.5)
    assert turns.data == pytest.approx(4.0) and turns.simulated == pytest.approx(4.0, abs=0.5)
    assert accepted.data == pytest.approx(0.5) and accepted.simulated == pytest.approx(0.5, abs=0.1)
    assert rows["dwell, median"].emulated and rows["dwell, median"].data is None
    assert rows["scroll depth, mean"].emulated


def test_pieces_of_conversations_are_not_fitted(
    world: UserWorld, catalog: Catalog, dialogues: tuple[Dialogue, ...]
) -> None:
    pieces = [
        Dialogue(d.id, d.user, tuple(replace(t, time_s=None) for t in d.turns[:3]), d.judgements) for d in dialogues
    ]
    config = world.config
    tuning, rows = calibrate(catalog, pieces, world.taste, config.people, config.behaviour, 0)
    assert (tuning.willing, tuning.speed, tuning.latency_log_mean) == (0.36, 0.64, 2.44)
    assert all(row.emulated and row.data is None for row in rows)
    assert np.isfinite([row.simulated for row in rows]).all()
