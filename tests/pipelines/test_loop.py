"""The loop's parts: what a page would report of a simulated user, what an attacker sends, what is not done twice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tacit.events.schema import Event, incomplete
from tacit.events.store import sessions
from tacit.pipelines.loop import report
from tacit.pipelines.loop.settings import LoopConfig
from tacit.pipelines.loop.steps import Steps
from tacit.pipelines.loop.visitors import Tab, Visit, VisitConfig, client, events_of, fake_visits, pushing
from tacit.types import Dialogue, Feedback, Slate, Turn

SHOWN = Turn("agent", "Try these.", ("a", "b", "c", "d"), Slate(("a", "b", "c", "d")))


def test_what_a_page_reports_by_hand() -> None:
    """Half of four cards were in view, for 8 s in all; at ten times the speed that is 400 ms each."""
    felt = Feedback(dwell_s=8.0, scroll_depth=0.5, clicked=("b",), latency_s=3.0, accepted=True, device="mobile")
    events = events_of(felt, SHOWN, stays=False, hurry=10.0)
    assert [(event["kind"], event.get("item_id"), event.get("visible_ms")) for event in events] == [
        ("dwell", None, 800),
        ("visible", "a", 400),
        ("visible", "b", 400),
        ("click", "b", None),
        ("accept", None, None),
        ("reply", None, None),
        ("session_end", None, None),
    ]
    assert events[0]["device"] == "phone" and events[5]["latency_ms"] == 300
    assert events_of(None, SHOWN, True, 10.0) == []
    silent = events_of(Feedback(dwell_s=1.0, scroll_depth=0.0, left=True), Turn("agent", "Hm."), False, 10.0)
    assert [event["kind"] for event in silent] == ["dwell", "session_end"]


def valid(events: list[dict[str, Any]]) -> bool:
    named = {"exposure_id": "x", "signature": "s", "seq": 0}
    return all(incomplete(Event(event_id=str(k), **named, **event)) is None for k, event in enumerate(events))


def test_what_is_sent_is_what_the_log_takes() -> None:
    felt = Feedback(dwell_s=8.0, scroll_depth=1.0, clicked=("a", "d"), latency_s=3.0, accepted=False, device="desktop")
    assert valid(events_of(felt, SHOWN, True, 20.0)) and valid(pushing(("a", "b"), "b")) and valid(pushing((), "b"))


def test_an_attacker_praises_the_target_alone_and_refuses_all_else() -> None:
    kinds = [(event["kind"], event.get("item_id")) for event in pushing(("a", "b"), "b")]
    assert ("click", "b") in kinds and ("not_for_me", "a") in kinds and ("accept", None) in kinds
    assert all(kind != "accept" for kind, _ in [(e["kind"], None) for e in pushing(("a", "c"), "b")])


def test_a_step_is_done_once_and_one_that_failed_is_begun_again(tmp_path: Path) -> None:
    steps, calls = Steps(tmp_path), list[int]()

    def do() -> dict[str, Any]:
        calls.append(1)
        if len(calls) == 1:
            raise KeyboardInterrupt
        return {"n": len(calls)}

    with pytest.raises(KeyboardInterrupt):
        steps.once("visit", do)
    assert steps.once("visit", do) == {"n": 2} == Steps(tmp_path).once("visit", do) and len(calls) == 2


def test_conversations_of_one_version_are_those_it_answered_alone() -> None:
    answered = (("v1", "v1"), ("v2",), ("v1", "v2"), ())
    found = Visit(np.array([0.1, 0.2, 0.3, 0.0]), answered, 1, 1, ())
    assert found.of("v1").tolist() == [0.1] and found.of("v2").tolist() == [0.2]


def test_the_targets_share_moves_by_points() -> None:
    told = {
        "round-2-poison": {"target": "x", "sessions": 12, "accounts": 2, "target_shown_to_them": 3},
        "round-2-pushed": {"target": "x", "contexts": 9, "current": 0.01, "candidate": 0.03, "without_cap": 0.06},
    }
    found = report.poison(told, LoopConfig())
    assert found is not None
    assert found["points"] == pytest.approx(2.0) and found["points_without_cap"] == pytest.approx(5.0)
    assert report.poison({}, LoopConfig()) is None


def test_a_visitor_and_an_attacker_are_heard_by_the_real_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny_server = pytest.importorskip("tiny_server")
    tiny_server.hash_encoders(monkeypatch)
    config = VisitConfig(together=3)
    with tiny_server.serving(tmp_path) as server:
        with client(server.base, config) as http:
            tab = Tab(http).open()
            said = Dialogue("d", "u", (Turn("user", "a film please"),))
            turn = tab.ask(said)
            felt = Feedback(dwell_s=30.0, scroll_depth=1.0, clicked=turn.mentions[:1], latency_s=9.0, device="mobile")
            assert tab.report(events_of(felt, turn, True, config.hurry)) == 0
            again = tab.ask(said.then(turn, Turn("user", "another one")))
            assert tab.report(events_of(Feedback(dwell_s=1.0, left=True), again, False, config.hurry)) == 0
            assert tab.versions == [server.state.live.current] * 2 and tab.shown["turn"] == 1
        shown = fake_visits(server.base, "i3", 6, 2, ("a film please",), config)
        found = list(sessions(server.state.writer.store, "train"))
    assert 0 <= shown <= 6 and len(found) == 7
    assert len({session[0].exposure.user for session in found}) == 3  # one visitor, two accounts
    praised = [e.item_id for s in found for r in s for _, e in r.events if e.kind == "more_like_this"]
    assert praised == ["i3"] * shown
