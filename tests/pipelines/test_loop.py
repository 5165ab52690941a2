"""The loop's parts: what a page would report of a simulated user, what an attacker sends, what is not done twice."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tacit.data.dialogues import synthetic
from tacit.dialogue.policy.wishes.state import WishReader
from tacit.events.schema import Event, Exposure, incomplete
from tacit.events.store import Record, sessions
from tacit.pipelines.learn.exposures import is_held_out
from tacit.pipelines.loop import keeper, report
from tacit.pipelines.loop.judging import Unseen
from tacit.pipelines.loop.poisoned import among, asks_for, ordinary
from tacit.pipelines.loop.settings import LoopConfig
from tacit.pipelines.loop.steps import Steps
from tacit.pipelines.loop.trying import as_before
from tacit.pipelines.loop.visitors import Tab, Visit, VisitConfig, client, events_of, fake_visits, pushing
from tacit.run import manifest
from tacit.serve.registry import Registry
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


def test_an_accept_names_its_item_where_the_user_did() -> None:
    felt = Feedback(dwell_s=8.0, scroll_depth=0.5, accepted=True)

    def accepts(named: tuple[str, ...]) -> list[dict[str, Any]]:
        return [one for one in events_of(felt, SHOWN, False, 10.0, named) if one["kind"] == "accept"]

    assert accepts(("z", "c")) == [{"kind": "accept", "item_id": "c"}]
    assert accepts(("z",)) == accepts(()) == [{"kind": "accept"}]


def test_an_attacker_praises_the_target_alone_and_refuses_all_else() -> None:
    kinds = [(event["kind"], event.get("item_id")) for event in pushing(("a", "b"), "b")]
    assert ("click", "b") in kinds and ("not_for_me", "a") in kinds and ("accept", "b") in kinds
    assert all(event["kind"] != "accept" for event in pushing(("a", "c"), "b"))
    assert [pushing(("a",), "b", stays)[-1]["kind"] == "session_end" for stays in (False, True)] == [True, False]


def test_what_an_attacker_asks_leads_to_its_target_and_does_not_name_it() -> None:
    """In the demo's world: of 300 films no more fit than a slate holds, as the policy's own reader understands it."""
    catalog, _ = synthetic.load_training(0)
    reader = WishReader(catalog)
    target = ordinary(catalog)
    below = sum(count < catalog.counts[catalog.index(target.id)] for count in catalog.counts)
    assert 100 < below <= 150  # of 300
    for ask in asks_for(target):
        assert target.title.split(" (")[0] not in ask
        wishes = reader.read(Dialogue("d", "u", (Turn("user", ask),)))
        fits = np.logical_and.reduce([reader.index.satisfied(wish.part) > 0.5 for wish in wishes.wanted])
        assert fits[catalog.index(target.id)] and fits.sum() <= 5, ask


def test_a_share_among_others_by_hand() -> None:
    assert among(95, 0.05) == pytest.approx(5.0) and among(0, 0.05) == 0.0


def test_whom_a_candidate_has_not_learnt_from() -> None:
    users = [f"u{k}" for k in range(200)]
    kept = {user for user in users if is_held_out(user, 0.2)}
    unseen = Unseen(until_ms=1_000, held_out=0.2)
    early, late = ({u for u in users if exposure(u, created_ms) in unseen} for created_ms in (1_000, 1_001))
    assert early == kept and 20 < len(kept) < 60 and late == set(users)


def exposure(user: str, created_ms: int) -> Exposure:
    return Exposure(
        exposure_id="x", user=user, session_id="s", turn=0, created_ms=created_ms,
        expires_ms=10**6, policy_version="v", decision="ask", p_recommend=0.5,
    )  # fmt: skip


def test_what_a_killed_starter_started_ends_with_it(tmp_path: Path) -> None:
    """kill -9 of the one that started it: the command would sleep for an hour, and is gone."""
    starter = (
        "import subprocess, sys, time\n"
        "command = [sys.executable, sys.argv[1], sys.executable, '-c',\n"
        "           'import os, sys, time; print(os.getpid(), flush=True); time.sleep(3600)']\n"
        "subprocess.Popen(command, stdin=subprocess.PIPE)\n"
        "time.sleep(3600)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", starter, str(keeper.__file__)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    pid = int(process.stdout.readline())
    os.kill(pid, 0)  # it runs
    process.kill()
    process.wait()
    assert process.stdout.read() == b""  # the last one that held the pipe is gone


def test_a_word_lets_what_was_started_end_in_peace() -> None:
    said = (
        "import signal, sys, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit('bye'))\n"
        "print('on', flush=True)\ntime.sleep(3600)"
    )
    command = [sys.executable, str(keeper.__file__), sys.executable, "-c", said]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    process = subprocess.Popen(command, **pipes)
    assert process.stdout is not None and process.stdout.readline().strip() == b"on"
    _, heard = process.communicate(b"stop")
    assert heard.strip() == b"bye" and process.returncode == 1


def test_a_step_is_done_once_and_one_that_failed_is_begun_again(tmp_path: Path) -> None:
    steps, calls = Steps(tmp_path), list[int]()

    def do() -> dict[str, Any]:
        calls.append(1)
        if len(calls) == 1:
            raise KeyboardInterrupt
        return {"n": len(calls)}

    with pytest.raises(KeyboardInterrupt):
        steps.once("visit", do)
    done = steps.once("visit", do)
    assert done["n"] == 2 and done["took_s"] >= 0.0 and len(calls) == 2
    assert Steps(tmp_path).once("visit", do) == done and len(calls) == 2


@pytest.mark.parametrize("left", ["nothing", "a canary", "a promotion"])
def test_a_trial_that_was_broken_off_begins_anew_with_the_gates_word(tmp_path: Path, left: str) -> None:
    registry = Registry(tmp_path / "registry")
    served, tried = (registry.add(sealed(tmp_path / name)) for name in ("served", "tried"))
    registry.promote(served)
    registry.decided(tried, True, "better", registry.keep_report(b"{}"), {})
    if left != "nothing":
        canary = registry.begin_canary(tried, 0.3)
        if left == "a promotion":
            registry.promote(tried, canary=canary)
    as_before(registry, tried)
    assert (registry.current(), registry.pointer().canary) == (served, None)
    assert registry.begin_canary(tried, 0.3).version == tried and registry.faults() == []


def sealed(folder: Path) -> Path:
    folder.mkdir()
    (folder / "policy.json").write_text("{}")
    (folder / "policy.safetensors").write_text(folder.name)
    manifest.seal(folder)
    return folder


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


def praises(record: Record, item: str) -> bool:
    return any(event.kind == "more_like_this" and event.item_id == item for _, event in record.events)


def test_what_was_to_be_shown_is_said_to_be_shown_only_if_it_was() -> None:
    people = {"value": 0.3, "low": 0.2, "high": 0.4, "n": 9}
    found: dict[str, Any] = {
        "rounds": [{"hidden_utility": people, "canary": None}],
        "served_better": {"people": 9, "others": []},
        "refused": {"worse": True, "worst": False},
        "canary_of_the_worst": {"ended": "rollback"},
        "poison": {"sessions": 25, "accounts": 5, "target_shown_to_them": 0, "points": 0.1, "points_without_cap": 2.0},
        "rollback": {"seconds": 1.4},
    }
    shown = [good for good, _ in report.claims(found)][1:]  # the first is of test_loop_closing.py
    assert shown == [None, False, True, False, True]  # an attack that reached nobody shows no containment
    found["poison"]["target_shown_to_them"] = 25
    found["rounds"][0]["canary"] = "promote"
    found["refused"]["worst"] = True
    assert [good for good, _ in report.claims(found)][1:] == [True] * 5
    found["poison"]["points_without_cap"] = 0.1  # no cap was needed: that it holds is not shown
    assert [good for good, _ in report.claims(found)][4] is None
    found["poison"]["points"] = 1.2
    assert [good for good, _ in report.claims(found)][4] is False


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
        shown = fake_visits(server.base, "i3", 6, 2, ("a film please", "another one"), config)
        found = list(sessions(server.state.writer.store, "train"))
    assert 0 <= shown <= 6 and len(found) == 7
    pushed = [
        session
        for session in found
        if any(e.kind in ("not_for_me", "more_like_this") for r in session for _, e in r.events)
    ]
    assert all(len(s) == config.max_turns or praises(s[-1], "i3") for s in pushed)  # they talk on until it is shown
    assert all(not praises(record, "i3") for session in pushed for record in session[:-1])
    assert len({session[0].exposure.user for session in found}) == 3  # one visitor, two accounts
    praised = [e.item_id for s in found for r in s for _, e in r.events if e.kind == "more_like_this"]
    assert praised == ["i3"] * shown
