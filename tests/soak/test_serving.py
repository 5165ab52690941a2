"""A server that is killed under load, and what it must do within a second."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
from places import ROOT
from tiny_server import Served, hash_encoders, serving

from tacit.events.check import check
from tacit.events.keys import Keys
from tacit.events.store import open_store
from tacit.events.tables import events, exposures
from tacit.serve.turns import Writing

KILLS = int(os.environ.get("TACIT_SOAK_KILLS", "20"))
SEED = int(os.environ.get("TACIT_SOAK_SEED", "0") or 0)


@contextmanager
def process(folder: Path) -> Iterator[tuple[subprocess.Popen[bytes], httpx.Client]]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    words = [sys.executable, str(ROOT / "tests" / "fixtures" / "tiny_serve.py"), str(folder), str(port)]
    paths = os.pathsep.join([str(ROOT / "src"), str(ROOT / "tests" / "fixtures"), os.environ.get("PYTHONPATH", "")])
    server = subprocess.Popen(words, env={**os.environ, "PYTHONPATH": paths})
    client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30, trust_env=False)
    try:
        for _ in range(12_000):
            assert server.poll() is None, "the server ended by itself"
            try:
                client.headers["Authorization"] = f"Bearer {(folder / 'token').read_text()}"
                client.get("/v1/models").raise_for_status()
                break
            except (httpx.HTTPError, FileNotFoundError):
                time.sleep(0.05)
        else:
            raise AssertionError("the server did not come up in ten minutes")
        yield server, client
    finally:
        server.kill()
        server.wait()
        client.close()


def talks(client: httpx.Client, name: str, acknowledged: set[str]) -> None:
    """Until the server is gone: a turn, then an event of it. What was answered is on disk."""
    sent = 0
    while True:
        try:
            body = {"messages": [{"role": "user", "content": "a film please"}], "user": name}
            shown = client.post("/v1/chat/completions", json=body).json()["recommendations"]
            acknowledged.add(f"x {shown['exposure_id']}")
            sent += 1
            named = {key: shown[key] for key in ("exposure_id", "signature")}
            event = {"event_id": f"{name}-{sent}", "seq": sent, "kind": "session_end", **named}
            verdicts = client.post("/v1/events", json={"events": [event]}).json()["verdicts"]
            assert verdicts[0]["status"] == "accepted"
            acknowledged.add(f"e {event['event_id']}")
        except httpx.HTTPError:
            return


def test_kill_9_under_load_loses_nothing_that_was_answered(tmp_path: Path) -> None:
    chance, acknowledged = random.Random(SEED), set[str]()
    for kill in range(KILLS):
        with process(tmp_path) as (server, client):
            names = [f"{kill}-{k}" for k in range(4)]
            for name in names:
                client.post("/v1/consent", json={"user": name, "consent": "train"}).raise_for_status()
            threads = [threading.Thread(target=talks, args=(client, name, acknowledged)) for name in names]
            for thread in threads:
                thread.start()
            time.sleep(chance.uniform(0.3, 3.0))
            server.send_signal(signal.SIGKILL)
            for thread in threads:
                thread.join()
        store = open_store(tmp_path / "serve" / "log.sqlite")
        with store.reading() as connection:
            stored = [f"e {id}" for id in connection.scalars(sa.select(events.c.event_id))]
            stored += [f"x {id}" for id in connection.scalars(sa.select(exposures.c.exposure_id))]
        assert len(stored) == len(set(stored)) and not acknowledged - set(stored)
        store.close()
    store = open_store(tmp_path / "serve" / "log.sqlite")
    assert list(check(store, Keys.load(tmp_path / "serve" / "keys"))) == []
    store.close()
    print(f"{len(acknowledged):,} answered, all there once")


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    hash_encoders(monkeypatch)
    with serving(tmp_path) as served:
        yield served


def seconds(holds: Callable[[], bool]) -> float:
    start = time.monotonic()
    while not holds():
        assert time.monotonic() - start < 30
        time.sleep(0.005)
    return time.monotonic() - start


def test_a_vanished_client_frees_its_place_within_a_second(server: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a model that takes a tenth of a second for a token and writes a hundred."""
    step, policy = Writing.step, server.state.live.served["tacit"].policy
    policy.layout.lengths = type(policy.layout.lengths)(prompt=40, utterance=10, title=4, reply=100)

    def slow(writing: Writing, *given: Any) -> Any:
        time.sleep(0.1)
        return step(writing, *given)

    monkeypatch.setattr(Writing, "step", slow)
    monkeypatch.setattr("tacit.serve.turns.Answer.ended", lambda answer: False)
    took = []
    for _ in range(10):
        browser, _ = server.browser()
        body = {"messages": [{"role": "user", "content": "a film please"}], "stream": True}
        with browser.stream("POST", "/v1/chat/completions", json=body) as response:
            next(response.iter_lines())
            assert server.state.engine.active == 1
        took.append(seconds(lambda: server.state.engine.active == 0))
    print(f"free again after {max(took):.2f} s at most")
    assert max(took) < 1.0


def test_changed_items_are_served_within_a_second(server: Served, tmp_path: Path) -> None:
    path, took = tmp_path / "serve" / "items.json", list[float]()

    def shelf() -> str:
        return server.state.live.served["tacit"].shelf.version

    for k in range(10):
        before = shelf()
        new = {"id": f"n{k}", "title": f"New {k}", "text": "Brand new."}
        changes = {"withdrawn": [f"i{k}"], "restricted": {"i11": {"min_age": k}}, "added": [new]}
        part = path.with_suffix(".part")
        part.write_text(json.dumps(changes))
        part.replace(path)
        took.append(seconds(lambda before=before, k=k: _served(server, before, f"n{k}")))  # type: ignore[misc]
    print(f"served after {max(took):.2f} s at most")
    assert max(took) < 1.0


def _served(server: Served, before: str, added: str) -> bool:
    now = server.state.live.served["tacit"]
    return now.shelf.version != before and added in now.policy.catalog
