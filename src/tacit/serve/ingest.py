"""The short way in for events: past the router, whose work would cost more than theirs. Same handler, same faults.

Events are by far the most requests. What the writer has answered is told to the event loop once a commit, not once a
request; and where the log, or this loop, is behind, a request is refused before it is read.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter, deque
from concurrent.futures import Future
from typing import TYPE_CHECKING, TypeVar

import msgspec
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from tacit.events import schema
from tacit.events.intake import Caller
from tacit.events.schema import BadBatch
from tacit.events.writer import Overloaded, Unwritable
from tacit.serve.http import Problem, read_body
from tacit.serve.tokens import FORM

if TYPE_CHECKING:
    from tacit.serve.state import State

T = TypeVar("T")
PATH = "/v1/events"
_HEADERS = ((b"content-type", b"application/json"), (b"cache-control", b"no-store"))


class _Beacon(msgspec.Struct):
    token: str | None = None


class Answers:
    """Futures of other threads for one event loop: those that end while the loop is busy wake it once together."""

    def __init__(self) -> None:
        self._ended: deque[tuple[asyncio.Future[None], asyncio.AbstractEventLoop]] = deque()
        self._woken = False

    async def wait(self, future: Future[T]) -> T:
        """Its result, or its exception. One who waits and is cancelled leaves it running, as a commit must."""
        if not future.done():
            loop = asyncio.get_running_loop()
            ended: asyncio.Future[None] = loop.create_future()
            future.add_done_callback(lambda _: self._tell(ended, loop))
            await ended
        return future.result()

    def _tell(self, ended: asyncio.Future[None], loop: asyncio.AbstractEventLoop) -> None:
        self._ended.append((ended, loop))
        if not self._woken:
            self._woken = True
            try:
                loop.call_soon_threadsafe(self._wake)
            except RuntimeError:  # the loop has ended, and nobody waits any more
                self._woken = False

    def _wake(self) -> None:
        self._woken = False  # before the first is taken: one that comes now wakes again
        while self._ended:
            ended, _ = self._ended.popleft()
            if not ended.done():
                ended.set_result(None)


class Ingest:
    def __init__(self, app: ASGIApp, state: State) -> None:
        self.app, self.state = app, state

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] != PATH or scope["method"] != "POST":
            await self.app(scope, receive, send)
            return
        try:
            if self.state.writer.full or self.state.late:
                raise log_busy(self.state, self.state.writer.config.retry_after_s)
            content = await events(Request(scope, receive), self.state)
        except Problem as problem:
            self.state.metrics.requests.labels(PATH, str(problem.status)).inc()
            await problem.response()(scope, receive, send)
            return
        self.state.metrics.stored.inc()
        length = (b"content-length", b"%d" % len(content))
        await send({"type": "http.response.start", "status": 200, "headers": [*_HEADERS, length]})
        await send({"type": "http.response.body", "body": content})


async def events(request: Request, state: State) -> bytes:
    """The body of the answer to a request of events, once what is accepted is on disk."""
    body = await read_body(request, schema.MAX_BODY, state.settings.body_s)
    given = next((value for name, value in request.scope["headers"] if name == b"authorization"), None)
    token = _token_in(body) if given is None else None
    who = state.speaker("" if given is None else given.decode("latin-1"), "chat", token)
    try:
        batch = schema.read_batch(body)
    except BadBatch as error:
        raise Problem(413 if error.too_large else 400, str(error), "bad_batch") from None
    started = time.monotonic()
    try:
        verdicts = await state.answers.wait(state.writer.submit(Caller(who.user, who.session), batch))
    except (Overloaded, Unwritable) as error:
        raise log_busy(state, error.retry_after_s if isinstance(error, Overloaded) else 2.0) from None
    state.metrics.commit.observe(time.monotonic() - started)
    for name, count in Counter([verdict.reason or verdict.status for verdict in verdicts]).items():
        state.metrics.events.labels(name).inc(count)
    state.aggregates.accepted(batch, verdicts)
    return msgspec.json.encode({"verdicts": verdicts})


def log_busy(state: State, retry_after_s: float) -> Problem:
    """Counted, and said: nothing of the request was stored."""
    state.metrics.shed.labels("log").inc()
    state.aggregates.hour().shed += 1
    return Problem(503, "the log cannot take events now: send them again", "log_busy", retry_after_s)


def _token_in(body: bytes) -> str | None:
    """``sendBeacon`` cannot set a header."""
    try:
        token = msgspec.json.decode(body, type=_Beacon).token
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    return token if token and token.startswith(FORM) else None
