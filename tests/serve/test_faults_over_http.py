"""What goes wrong around a server: disks, clocks, models, people who leave; and what is never to be found anywhere."""

from __future__ import annotations

import gc
import json
import logging
import shutil
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from tiny_log import START_MS, Clock
from tiny_server import Served, hash_encoders, serving

from tacit.events.backup import backup
from tacit.events.check import check
from tacit.events.store import Store, session
from tacit.serve.engine import Engine
from tacit.serve.turns import Writing
from tacit.types import Dialogue


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    hash_encoders(monkeypatch)
    with serving(tmp_path) as server:
        yield server


def said(text: str = "a film please", **more: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": text}], **more}


def told(client: Any, text: str = "a film please", **more: Any) -> dict[str, Any]:
    answer = client.post("/v1/chat/completions", json=said(text, **more))
    assert answer.status_code == 200, answer.text
    return dict(answer.json()["recommendations"])


def event(shown: dict[str, Any], id: str) -> dict[str, Any]:
    named = {name: shown[name] for name in ("exposure_id", "signature")}
    return {"event_id": id, "seq": 0, "kind": "session_end", **named}


def send(client: Any, *events: dict[str, Any]) -> list[str]:
    verdicts = client.post("/v1/events", json={"events": list(events)}).json()["verdicts"]
    return [verdict.get("reason", verdict["status"]) for verdict in verdicts]


def eventually(holds: Callable[[], bool]) -> None:
    for _ in range(600):
        if holds():
            return
        time.sleep(0.05)
    raise AssertionError("it did not come to that within 30 s")


def pages(store: Store, most: int) -> None:
    """SQLite's own limit, whose error is that of a full disk."""
    with store.engine.connect() as connection:
        connection.connection.cursor().execute(f"PRAGMA max_page_count = {most}")


def test_on_a_full_disk_people_are_answered_without_exploring_and_it_recovers_by_itself(served: Served) -> None:
    browser, _ = served.browser()
    before = told(browser)
    store = served.state.writer.store
    full: Any = None

    @sa.event.listens_for(store.engine, "begin")
    def limit(connection: Any) -> None:
        used = connection.exec_driver_sql("PRAGMA page_count").scalar()
        connection.exec_driver_sql(f"PRAGMA max_page_count = {used if full else 2**30}")

    full, filler = True, "words " * 3000
    shown = [told(browser, filler + str(k)) for k in range(4)]
    assert shown[-1]["exposure_id"] is None and shown[-1]["signature"] is None
    assert served.http.get("/readyz").json()["faults"] == ["log"]
    refused = [
        browser.post("/v1/events", json={"events": [event(before, f"{k}-{n}") for n in range(200)]}) for k in range(20)
    ]
    assert refused[-1].status_code == 503 and int(refused[-1].headers["retry-after"]) >= 1
    assert not served.state.log_ok
    full = False
    after = told(browser)
    assert after["exposure_id"] and served.state.log_ok
    assert send(browser, event(before, "19-199"), event(after, "new")) == ["accepted", "accepted"]


def test_a_clock_that_jumps_loses_nothing_and_lets_nothing_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server's own clock; that of the machine is read once, when it starts."""
    hash_encoders(monkeypatch)
    clock = Clock()

    def wind(state: Any) -> None:
        state.writer.now_ms = state.writer._intake.now_ms = state.aggregates.now_ms = clock

    with serving(tmp_path, wind) as server:
        browser, opened = server.browser()
        first = told(browser)
        clock.now_ms += 1_800_000  # half an hour on
        second = told(browser)
        assert send(browser, event(first, "a"), event(second, "b")) == ["accepted", "accepted"]
        clock.now_ms = START_MS - 7 * 86_400_000  # a week back
        assert send(browser, event(first, "c"))[0] != "accepted"
        third = told(browser)
        assert third["exposure_id"] < first["exposure_id"]  # ids carry the time, and are ids all the same
        clock.now_ms = START_MS + 7 * 86_400_000  # a week on
        assert browser.get("/v1/models").status_code == 401  # the token has expired
        headers = {"X-Tacit-Browser": opened["browser"]}
        again = server.http.get("/v1/session", headers=headers).json()
        assert again["user"] == opened["user"]
        late = server.http.post(
            "/v1/events",
            json={"events": [event(first, "d")]},
            headers={"Authorization": f"Bearer {again['token']}"},
        )
        assert late.json()["verdicts"][0]["reason"] in ("expired", "foreign")
        stored = [record.exposure.exposure_id for record in session(server.state.writer.store, opened["session_id"])]
        assert {first["exposure_id"], second["exposure_id"], third["exposure_id"]} == set(stored)
        assert list(check(server.state.writer.store, server.state.keys)) == []


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_model_that_is_dead_is_said_and_events_come_in(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    browser, _ = served.browser()
    shown = told(browser)

    def dies(engine: Engine) -> None:
        raise SystemExit

    monkeypatch.setattr(Engine, "_empty_caches", dies)
    served.state.engine.forget("nobody")  # wakes it
    served.state.engine._thread.join(10)
    ready = served.http.get("/readyz")
    assert ready.status_code == 503 and ready.json()["faults"] == ["model"]
    refused = browser.post("/v1/chat/completions", json=said())
    assert refused.status_code == 503 and int(refused.headers["retry-after"]) >= 1
    assert send(browser, event(shown, "while-dead")) == ["accepted"]
    assert served.http.get("/healthz").status_code == 200


def test_a_client_that_leaves_in_the_middle_of_a_stream_leaves_at_the_next_token(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser, opened = served.browser()
    go_on, step, steps = threading.Event(), Writing.step, list[int]()

    def slow(writing: Writing, *given: Any) -> Any:
        steps.append(len(writing.answers))
        if len(steps) > 1:
            go_on.wait(60)
        return step(writing, *given)

    monkeypatch.setattr(Writing, "step", slow)
    with browser.stream("POST", "/v1/chat/completions", json=said(stream=True)) as response:
        next(response.iter_lines())
    eventually(lambda: all(ticket.cancelled for ticket in list(served.state.engine._tickets.values())))
    go_on.set()
    eventually(lambda: served.state.engine.active == 0)
    assert 2 <= len(steps) <= 3  # of the five that a whole reply may take
    eventually(lambda: session(served.state.writer.store, opened["session_id"])[0].delivery is not None)
    delivery = session(served.state.writer.store, opened["session_id"])[0].delivery
    assert delivery is not None and delivery.state in ("partial", "undelivered")


def test_a_log_that_cannot_be_read_is_a_503_and_turns_are_answered(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser, opened = served.browser()

    def gone(*_: object) -> Any:
        raise sa.exc.OperationalError("SELECT", {"said": "canary"}, Exception("the database is gone"))

    monkeypatch.setattr(Store, "reading", gone)
    refused = browser.get(f"/v1/users/{opened['user']}")
    assert refused.status_code == 503 and int(refused.headers["retry-after"]) >= 1 and "canary" not in refused.text
    assert served.http.get("/v1/session").status_code == 503
    assert browser.post("/v1/chat/completions", json=said()).status_code == 200


def bytes_of(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())


def test_who_is_deleted_is_in_no_file_and_in_no_memory(served: Served, tmp_path: Path) -> None:
    folder = tmp_path / "serve"
    browser, opened = served.browser()
    other, _ = served.browser()
    for k in range(3):
        told(browser, f"canary-ann-{k} a film please")
    shown = told(browser, "canary-ann-3")
    kept = told(other, "canary-bob")
    assert send(browser, event(shown, "canary-event")) == ["accepted"]
    assert send(other, event(kept, "bob-event")) == ["accepted"]
    eventually(lambda: b"canary-ann" in bytes_of(folder))
    assert browser.delete(f"/v1/users/{opened['user']}").status_code == 200
    eventually(lambda: served.state.engine.prefixes.forgotten > 0 and not served.state.engine._forget)
    for name in ("canary-ann", "canary-event", opened["user"], opened["session_id"]):
        assert name.encode() not in bytes_of(folder), name
    assert b"canary-bob" in bytes_of(folder)
    gc.collect()
    policy = served.state.live.served["tacit"].policy
    assert not policy.wish._known and policy.wish.reader._reading.cache_info().currsize == 0
    dialogues = [found for found in gc.get_objects() if type(found) is Dialogue]
    assert not any("canary-ann" in turn.text for dialogue in dialogues for turn in dialogue.turns)
    assert send(browser, event(shown, "after"))[0] not in ("accepted", "duplicate")


def test_a_backup_made_while_people_talk_is_a_log_that_is_served_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Restored as docs/deployment.md says; the copy knows all that was acknowledged before it, and goes on."""
    hash_encoders(monkeypatch)
    copy, done = tmp_path / "copies" / "log.sqlite", threading.Event()
    with serving(tmp_path) as server:
        browser, opened = server.browser()
        shown = told(browser, "before the copy")
        assert send(browser, event(shown, "before")) == ["accepted"]

        def talks() -> None:
            client, k = server.browser()[0], 0
            while not done.is_set():
                told(client, f"meanwhile {k}")
                k += 1

        talking = threading.Thread(target=talks)
        talking.start()
        try:
            backup(server.state.writer.store, copy)
        finally:
            done.set()
            talking.join()
        after = told(browser, "after the copy")
    folder = tmp_path / "serve"
    for path in folder.glob("log.sqlite*"):
        path.unlink()
    (folder / "tokens.json").unlink()  # the test's server makes its tokens anew
    shutil.copy(copy, folder / "log.sqlite")
    with serving(tmp_path) as restored:
        store = restored.state.writer.store
        assert list(check(store, restored.state.keys)) == []
        known = [record.exposure.exposure_id for record in session(store, opened["session_id"])]
        assert shown["exposure_id"] in known and after["exposure_id"] not in known
        again = restored.http.get("/v1/session", headers={"X-Tacit-Browser": opened["browser"]}).json()
        assert (again["user"], again["consent"]) == (opened["user"], "train")
        browser.base_url = restored.base
        assert send(browser, event(shown, "before"), event(shown, "later")) == ["duplicate", "accepted"]
        assert send(browser, event(after, "lost"))[0] == "unknown_exposure"
        assert told(browser)["exposure_id"]


def test_an_items_file_that_is_written_beside_the_server_is_served(served: Served, tmp_path: Path) -> None:
    browser, _ = served.browser()
    path, shelf = tmp_path / "serve" / "items.json", lambda: served.state.live.served["tacit"].shelf
    plain = shelf().version

    def write(changes: Any) -> str:
        before = shelf().version
        part = path.with_suffix(".part")
        part.write_text(changes if isinstance(changes, str) else json.dumps(changes))
        part.replace(path)
        eventually(lambda: shelf().version != before or isinstance(changes, str))
        return shelf().version

    adult = {"restricted": {f"i{k}": {"min_age": 18} for k in range(11)}, "withdrawn": ["i11"]}
    new = {"id": "new", "title": "A New Film", "text": "Brand new."}
    versions = [plain, write(adult), write({**adult, "added": [new]})]
    eventually(lambda: "new" in served.state.live.served["tacit"].policy.catalog)
    for k in range(6):
        assert {item["id"] for item in told(browser, f"young {k}")["items"]} <= {"new"}
        assert {item["id"] for item in told(browser, f"old {k}", age=18)["items"]} <= {f"i{k}" for k in range(11)} | {
            "new"
        }
    assert len(set(versions)) == 3
    damaged = write("{")
    assert damaged == shelf().version
    path.unlink()
    eventually(lambda: shelf().version == plain)


def test_canaries_are_in_no_log_line_whatever_fails(
    served: Served, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    canary = "canary-9d1c"
    browser, opened = served.browser()

    def fails(*_: object, **__: object) -> Any:
        raise ValueError(canary)

    def broken(*_: object, **__: object) -> Any:
        raise sqlite3.OperationalError(canary)

    told(browser, canary)
    with monkeypatch.context() as patch:
        patch.setattr(Writing, "step", fails)
        assert browser.post("/v1/chat/completions", json=said(canary)).status_code == 503
        streamed = browser.post("/v1/chat/completions", json=said(canary, stream=True))
        assert '"code":"model_failed"' in streamed.text
    with monkeypatch.context() as patch:
        patch.setattr("tacit.serve.engine.open_turns", fails)
        assert browser.post("/v1/chat/completions", json=said(canary)).status_code == 503
    with monkeypatch.context() as patch:
        patch.setattr("tacit.serve.asking.asked", fails)
        failed = browser.post("/v1/chat/completions", json=said(canary))
        assert failed.status_code == 500 and canary not in failed.text
    with monkeypatch.context() as patch:
        patch.setattr(served.state.writer._intake, "expose", broken)
        assert told(browser, canary)["exposure_id"] is None
    browser.post(f"/v1/{canary}", params={canary: canary}, headers={"X-Canary": canary})
    browser.put(f"/admin/items?{canary}", json={"withdrawn": [canary]})
    served.admin.put("/admin/items", json={"added": [{"id": canary, "title": 1}]})
    served.admin.get("/metrics", headers={"Referer": canary})
    others = ("httpx", "httpcore", "uvicorn.access")  # the test's own client; and what ``listen`` switches off
    lines = [record.getMessage() for record in caplog.records if not record.name.startswith(others)]
    assert any("could not be written" in line for line in lines)
    written = "\n".join(lines) + "".join(capfd.readouterr())
    assert canary not in written and opened["user"] not in written and canary not in served.admin.get("/metrics").text
