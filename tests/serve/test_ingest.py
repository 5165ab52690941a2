"""The short way in for events, and how a commit wakes the event loop."""

from __future__ import annotations

import asyncio
import json
import time
from concurrent.futures import Future
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from tiny_log import Log, exposure

pytest.importorskip("fastapi", reason="fastapi is not installed: pip install 'tacit-rec[serve]'")

from tacit.events.writer import WriterConfig
from tacit.serve.aggregates import Aggregates
from tacit.serve.app import create_app
from tacit.serve.ingest import Answers
from tacit.serve.settings import Settings
from tacit.serve.state import State
from tacit.serve.tokens import Tokens


def test_what_ends_while_the_loop_is_busy_wakes_it_once() -> None:
    async def run() -> int:
        answers, loop = Answers(), asyncio.get_running_loop()
        futures: list[Future[int]] = [Future() for _ in range(100)]
        waiting = [asyncio.create_task(answers.wait(future)) for future in futures]
        waiting[7].cancel()
        await asyncio.sleep(0)
        woken = 0
        call = loop.call_soon_threadsafe

        def counted(*args: Any, **more: Any) -> asyncio.Handle:
            nonlocal woken
            woken += 1
            return call(*args, **more)

        loop.call_soon_threadsafe = counted  # type: ignore[method-assign]
        for number, future in enumerate(futures):
            future.set_exception(KeyError(number)) if number == 3 else future.set_result(number)
        found = await asyncio.gather(*waiting, return_exceptions=True)
        assert isinstance(found[3], KeyError) and isinstance(found[7], asyncio.CancelledError)
        assert [number for number in found if isinstance(number, int)] == [n for n in range(100) if n not in (3, 7)]
        assert await answers.wait(futures[0]) == 0  # one that is done waits for nobody
        return woken

    assert asyncio.run(run()) == 1


def opened(log: Log, folder: Path) -> tuple[State, str]:
    """A server's state without a model, and a server's token."""
    live: Any = SimpleNamespace(served={}, items_changed=lambda: False, moved=lambda: False, trying=None)
    engine: Any = SimpleNamespace(waiting=0, active=0, close=lambda: None)
    tokens = Tokens(folder / "tokens.json")
    aggregates = Aggregates(folder / "aggregates.json", log.clock)
    state = State(Settings(), live, engine, log.writer, log.keys, tokens, aggregates, folder)
    return state, tokens.make("tests", frozenset({"chat"}))


def ask(state: State, token: str, body: bytes) -> httpx.Response:
    async def run() -> httpx.Response:
        transport = httpx.ASGITransport(app=create_app(state))
        async with httpx.AsyncClient(transport=transport, base_url="http://testserver") as client:
            return await client.post("/v1/events", content=body, headers={"Authorization": f"Bearer {token}"})

    return asyncio.run(run())


def test_a_request_is_answered_as_the_router_would_with_every_header(tmp_path: Path) -> None:
    with Log(tmp_path) as log:
        state, token = opened(log, tmp_path)
        shown = log.show(exposure())
        event = {
            "event_id": "e1", "exposure_id": "x1", "signature": log.keys.sign(shown), "seq": 0, "kind": "click",
            "item_id": "a",
        }  # fmt: skip
        body = json.dumps({"events": [event, {}]}).encode()
        answers = [ask(state, token, body) for _ in range(2)]
        assert [answer.json()["verdicts"][0]["status"] for answer in answers] == ["accepted", "duplicate"]
        assert answers[0].json()["verdicts"][1] == {"status": "rejected", "reason": "malformed"}
        assert answers[0].headers["cache-control"] == "no-store" and "content-security-policy" in answers[0].headers
        assert ask(state, "none", b"{}").status_code == 401
        bad = ask(state, token, b"[]")
        assert (bad.status_code, bad.json()["error"]["code"]) == (400, "bad_batch")
        assert ask(state, token, b"x" * 70_000).status_code == 413
        said = {(m.labels["route"], m.labels["status"]): m.value for family in state.metrics.requests.collect()
                for m in family.samples if m.name.endswith("_total")}  # fmt: skip
        assert said[("/v1/events", "200")] == 2 and said[("/v1/events", "401")] == said[("/v1/events", "413")] == 1


def test_a_log_or_a_loop_that_is_behind_refuses_before_it_reads(tmp_path: Path) -> None:
    with Log(tmp_path, config=WriterConfig(queued=1)) as log:
        state, token = opened(log, tmp_path)
        log.writer._waiting = 1
        answer = ask(state, token, b"no batch at all")
        log.writer._waiting = 0
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        assert answer.json()["error"]["code"] == "log_busy"
        log.writer._since = time.monotonic() - 2  # a commit that takes two seconds
        assert ask(state, token, b"no batch at all").status_code == 503
        log.writer._since = None
        state.beat_s = time.monotonic() - 2  # the loop has not come round for two seconds
        assert ask(state, token, b"no batch at all").status_code == 503
        state.beat_s = time.monotonic() + 60
        assert ask(state, token, b"no batch at all").status_code == 400
