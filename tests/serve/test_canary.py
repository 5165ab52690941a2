"""A canary: which sessions count, what they come to, and what is done; and a server that follows its registry."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from tiny_log import START_MS, Log, exposure

from tacit.offpolicy.sequential import Trial
from tacit.serve.canary import SETTLE_MS, SIGNALS, CanaryConfig, Watch, decide
from tacit.serve.pointer import Canary

CANARY = Canary("new", ((START_MS, 0.5),), "salt")
CONFIG = CanaryConfig(sessions=4, window_s=60.0)


def session_of(candidate: bool, number: int, canary: Canary = CANARY) -> str:
    """The ``number``-th name whose hash gives it to that version."""
    names = (f"s{k}" for k in range(10_000))
    return [name for name in (next(names) for _ in range(9_000)) if canary.chooses(name) == candidate][number]


def begin(log: Log, id: str, candidate: bool, number: int, after_ms: int = 10_000, **changes: object) -> object:
    fields = {
        "session_id": session_of(candidate, number),
        "user": f"u-{candidate}-{number}",
        "created_ms": START_MS + after_ms,
        "expires_ms": START_MS + 10**7,
        "policy_version": "new" if candidate else "old",
    }
    return log.show(exposure(id, **{**fields, **changes}))


def test_a_session_counts_once_its_window_has_passed_with_what_happened_in_it(tmp_path: Path) -> None:
    with Log(tmp_path) as log:
        mine, other = begin(log, "x1", True, 0), begin(log, "x2", False, 0, 10_001)
        log.clock.now_ms = START_MS + 30_000
        log.send(log.event(mine, "click"), log.event(other, "not_for_me"))  # type: ignore[arg-type]
        log.clock.now_ms = START_MS + 90_000
        log.send(log.event(other, "accept", None))  # type: ignore[arg-type]
        watch = Watch(log.store, CANARY, "old", CONFIG)
        assert watch.look(START_MS + 69_000).sessions == 0
        assert (look := watch.look(START_MS + 70_000)).sessions == 1 and look.beside == 0
        look = watch.look(START_MS + 10**6)
        assert (look.sessions, look.beside) == (1, 1)
        assert [trial.outcome for trial in watch.trials["clicked"]] == [1.0, 0.0]
        assert [trial.outcome for trial in watch.trials["refused"]] == [1.0, 0.0]  # more is better
        assert [trial.outcome for trial in watch.trials["accepted"]] == [0.0, 0.0]  # it came too late
        assert look.signals["refused"].of_current == 1.0 and look.signals["refused"].of_candidate == 0.0
        assert [trial.share for trial in watch.trials["clicked"]] == [0.5, 0.5]


def test_sessions_that_were_not_given_their_version_by_the_hash_do_not_count(tmp_path: Path) -> None:
    with Log(tmp_path) as log:
        begin(log, "x1", True, 0)
        begin(log, "x2", True, 1, turn=3)  # it had begun before, without consent
        begin(log, "x3", True, 2, policy_version="beside")  # asked for by name
        begin(log, "x4", True, 3, policy_version="old")  # not by the hash
        begin(log, "x5", True, 4, -10_000)  # before the canary
        begin(log, "x6", True, 5, SETTLE_MS - 1)  # a server may not have seen it yet
        for k in range(5):
            begin(log, f"y{k}", False, k, 20_000 + k, user="one-person")
        look = Watch(log.store, CANARY, "old", CONFIG).look(START_MS + 10**6)
        assert (look.sessions, look.beside) == (1, CONFIG.per_person)


def test_reading_on_and_reading_anew_come_to_the_same(tmp_path: Path) -> None:
    with Log(tmp_path) as log:
        for k in range(6):
            shown = begin(log, f"x{k}", k % 2 == 0, k, 10_000 + 7 * k)
            if k % 3 == 0:
                log.send(log.event(shown, "click"))  # type: ignore[arg-type]
        often, once = Watch(log.store, CANARY, "old", CONFIG), Watch(log.store, CANARY, "old", CONFIG)
        for now in range(START_MS + 69_000, START_MS + 71_000, 10):
            looked = often.look(now)
        assert looked == once.look(START_MS + 71_000) and looked.sessions == 3
        assert often.trials == once.trials


def trials(candidate: int, other: int, good_of_candidate: int, good_of_other: int) -> dict[str, list[Trial]]:
    """Mixed evenly: of the first so many, that many came out well."""
    rows = [Trial(True, 0.5, float(k < good_of_candidate)) for k in range(candidate)]
    rows += [Trial(False, 0.5, float(k < good_of_other)) for k in range(other)]
    mixed = [rows[(k * 7919) % len(rows)] for k in range(len(rows))]
    return {name: mixed for name in SIGNALS}


def test_it_waits_grows_and_is_promoted_by_the_plan() -> None:
    small, half = Canary("new", ((0, 0.05),), "salt"), Canary("new", ((0, 0.05), (9, 0.5)), "salt")
    same = trials(101, 100, 30, 30)
    assert decide(same, 3, small, CONFIG).action == "wait"
    assert decide(same, 4, small, CONFIG).action == "grow"
    look = decide(same, 4, half, CONFIG)
    assert look.action == "wait" and "rule out a loss above 10%: accepted may be" in look.because
    assert decide(trials(1501, 1500, 450, 450), 4, half, CONFIG).action == "promote"
    slightly = {**trials(1501, 1500, 450, 450), "refused": trials(1501, 1500, 1300, 1450)["refused"]}
    assert decide(slightly, 4, half, CONFIG).action in ("wait", "roll back")  # one signal is enough to stop it
    assert decide({name: [] for name in SIGNALS}, 0, small, CONFIG).action == "wait"


def test_one_signal_that_is_worse_ends_it_whatever_the_plan_says() -> None:
    rows = {**trials(401, 400, 100, 100), "accepted": trials(401, 400, 20, 200)["accepted"]}
    look = decide(rows, 10**6, CANARY, CONFIG)
    assert look.action == "roll back" and "accepted in 5.0% of its sessions, 50.0% of the others" in look.because
    assert look.signals["accepted"].high < 0.0 < look.signals["clicked"].high
    refused = {**trials(401, 400, 300, 300), "refused": trials(401, 400, 200, 380)["refused"]}
    look = decide(refused, 10**6, CANARY, CONFIG)
    assert look.action == "roll back" and look.signals["refused"].low > 0.0  # more refusals


# ---- a server that follows its registry


@pytest.fixture
def encoders(monkeypatch: pytest.MonkeyPatch) -> None:
    tiny_server = pytest.importorskip("tiny_server")
    tiny_server.hash_encoders(monkeypatch)


def eventually(holds: object, within_s: float = 30.0) -> None:
    end = time.monotonic() + within_s
    while not holds():  # type: ignore[operator]
        assert time.monotonic() < end
        time.sleep(0.02)


def test_sessions_stay_with_their_version_while_a_canary_begins_and_ends(tmp_path: Path, encoders: None) -> None:
    from tiny_server import save_policy, serving

    from tacit.serve.following import act
    from tacit.serve.registry import Registry

    with serving(tmp_path) as server:
        live = server.state.live
        registry = Registry(live.registry.folder)  # another process's
        first, second = live.current, registry.add(save_policy(tmp_path / "second", seed=1))

        def answered(client: object) -> str:
            body = {"messages": [{"role": "user", "content": "a film please"}]}
            return client.post("/v1/chat/completions", json=body).json()["recommendations"]["policy_version"]  # type: ignore[attr-defined]

        begun = server.browser()[0]
        assert answered(begun) == first
        canary = registry.begin_canary(second, 0.5, force="for this test")
        eventually(lambda: live.trying is not None)
        sessions = [server.browser() for _ in range(12)]
        given = [answered(client) for client, _ in sessions]
        for version, (_, session) in zip(given, sessions, strict=True):
            assert version == (second if canary.chooses(session["session_id"]) else first)
        assert answered(begun) == first
        assert [answered(client) for client, _ in sessions] == given
        state = SimpleNamespace(live=live, settings=server.state.settings)
        act(state, live.trying, SimpleNamespace(action="roll back", because="worse", to_json=dict))  # type: ignore[arg-type]
        assert {answered(client) for client, _ in sessions} == {first} and registry.candidate() is None
        row = registry.audit.rows()[-1]
        assert (row.what, row.who, row.previous_version) == ("rollback", "canary", second)
        assert "tacit-candidate" not in str(server.api.get("/v1/models").json())


def test_a_rollback_while_people_talk_is_served_soon_and_no_turn_mixes_versions(tmp_path: Path, encoders: None) -> None:
    """Policies of different seeds give different probabilities to the same turn: every logged turn must have those of
    the version it names. After the rollback nobody is answered by what was taken back."""
    from tiny_server import save_policy, serving

    from tacit.events.store import sessions
    from tacit.serve.registry import Registry

    with serving(tmp_path, epsilon=0.0) as server:
        live = server.state.live
        registry = Registry(live.registry.folder)
        first, second = live.current, registry.add(save_policy(tmp_path / "second", seed=1))
        registry.promote(second, force="for this test")
        eventually(lambda: live.current == second)
        stop, answers = threading.Event(), list[tuple[float, str]]()

        def talk() -> None:
            client = server.browser()[0]
            while not stop.is_set():
                body = {"messages": [{"role": "user", "content": "a film please"}]}
                asked = time.monotonic()
                answer = client.post("/v1/chat/completions", json=body)
                if answer.status_code == 200:
                    answers.append((asked, answer.json()["recommendations"]["policy_version"]))

        people = [threading.Thread(target=talk) for _ in range(3)]
        for person in people:
            person.start()
        eventually(lambda: len(answers) >= 6)
        assert registry.rollback("worse") == first
        eventually(lambda: live.current == first)
        moved = time.monotonic()
        eventually(lambda: sum(asked > moved for asked, _ in answers) >= 6)
        stop.set()
        for person in people:
            person.join()
        assert {version for asked, version in answers if asked > moved} == {first}
        drawn: dict[str, set[float]] = {}
        for session in sessions(server.state.writer.store):
            for record in session:
                drawn.setdefault(record.exposure.policy_version, set()).add(round(record.exposure.p_recommend, 9))
        assert set(drawn) == {first, second} and not drawn[first] & drawn[second]
