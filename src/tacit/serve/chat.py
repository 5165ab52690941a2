"""``POST /v1/chat/completions``: a turn in OpenAI's form, whole or streamed, logged before its first byte."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator

from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from tacit.events.intake import Refused
from tacit.events.schema import Delivered, Delivery, Words, uuid7
from tacit.events.writer import Overloaded, Unwritable
from tacit.serve import openai_form
from tacit.serve.asking import begin
from tacit.serve.engine import Opened
from tacit.serve.exchange import Exchange, exposure_of
from tacit.serve.http import Problem, decode, json_response, read_body
from tacit.serve.openai_form import ChatRequest
from tacit.serve.state import State

log = logging.getLogger(__name__)
MAX_BODY = 262_144
_STREAMED = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


async def chat(request: Request, state: State) -> Response:
    who = state.who(request, "chat")
    ask = decode(await read_body(request, MAX_BODY, state.settings.body_s), ChatRequest)
    turn = await begin(request, state, who, ask)
    watch = asyncio.create_task(_watch(request, turn))
    try:
        await _open(turn)
        if ask.stream:
            stream = _stream(turn, watch, ask.wants_usage)
            return StreamingResponse(stream, headers=_STREAMED, media_type="text/event-stream")
        async for _ in _pieces(turn):
            pass
    except BaseException:
        watch.cancel()
        _end(turn, "undelivered")
        raise
    return _whole_response(turn, watch)


async def _watch(request: Request, turn: Exchange) -> None:
    """Ends when the client is gone."""
    with contextlib.suppress(Exception):
        while (await request.receive())["type"] != "http.disconnect":
            pass
    turn.leave()


async def _open(turn: Exchange) -> None:
    """Wait for the slate, and for its exposure to be on disk."""
    what = await turn.next()
    if not isinstance(what, Opened):
        raise _failed(turn)
    turn.answer, now_ms = what.answer, turn.state.writer.now_ms()
    turn.exposure_id = uuid7(now_ms)
    await _log(turn, now_ms)
    turn.first_ms = turn.state.writer.now_ms()
    _count(turn, turn.first_ms - turn.started_ms)


async def _log(turn: Exchange, now_ms: int) -> None:
    """A log that cannot take it leaves the turn unlogged: people are answered all the same."""
    state, exposure = turn.state, exposure_of(turn, now_ms)
    try:
        words = Words(exposure_id=turn.exposure_id, asked=turn.question, asked_ms=turn.started_ms)
        turn.signature = await asyncio.wrap_future(state.writer.expose(exposure, words))
        state.log_ok = True
    except Refused:
        pass  # no consent: served, and nothing is stored
    except (Overloaded, Unwritable, ValueError) as error:
        log.warning("an exposure was not logged: %s", type(error).__name__)
        state.log_ok = False
        state.metrics.unlogged.inc()


def _count(turn: Exchange, waited_ms: int) -> None:
    state, answer = turn.state, turn.answer
    assert answer is not None
    state.aggregates.answered(turn.number, turn.served.version, answer.recommends, answer.explored, waited_ms)
    state.metrics.first_byte.observe(waited_ms / 1000)
    state.metrics.turns.labels("recommend" if answer.recommends else "reply").inc()
    state.metrics.explored.inc(answer.explored)
    state.metrics.tokens.labels("kept").inc(answer.spared)
    state.metrics.tokens.labels("read").inc(answer.prompt_tokens - answer.spared)


async def _pieces(turn: Exchange) -> AsyncIterator[str]:
    """The text as it is written; ends with ``turn.finish`` set."""
    while not turn.finish:
        what = await turn.next_words()
        if what is None:
            raise _failed(turn)
        turn.said += what.text
        turn.finish = what.last
        if what.text:
            yield what.text
    items = turn.answer.slate.items if turn.answer and turn.answer.slate else ()
    turn.memory.remember(turn.said, items)
    took = turn.state.writer.now_ms() - turn.started_ms
    turn.state.aggregates.ended(took)
    turn.state.metrics.reply.observe(took / 1000)


async def _stream(turn: Exchange, watch: asyncio.Task[None], usage: bool) -> AsyncIterator[bytes]:
    """Whatever ends it, the model is told, and what had been said is logged."""
    become: Delivered = "undelivered"
    try:
        yield openai_form.first_chunk(turn)
        async for piece in _pieces(turn):
            yield openai_form.words_chunk(turn, piece)
            become = "partial"
        yield openai_form.last_chunk(turn)
        if usage:
            yield openai_form.usage_chunk(turn)
        yield openai_form.DONE
        become = "undelivered" if watch.done() and become == "undelivered" else "delivered"
    except Problem as problem:
        yield openai_form.line(problem.body())
    finally:
        if watch.done() and become == "delivered":
            become = "partial"
        watch.cancel()
        _end(turn, become)


def _whole_response(turn: Exchange, watch: asyncio.Task[None]) -> Response:
    response = json_response(openai_form.whole(turn))

    async def sent() -> None:
        gone = watch.done()
        watch.cancel()
        _end(turn, "undelivered" if gone else "delivered")

    response.background = BackgroundTask(sent)
    return response


def _end(turn: Exchange, become: Delivered) -> None:
    """Once. Not awaited: what ends a turn may be that its task is cancelled."""
    if turn.closed:
        return
    turn.closed = True
    if turn.ticket is not None and not turn.finish:
        turn.ticket.cancel()
    if turn.logged:
        delivery = Delivery(
            exposure_id=turn.exposure_id,
            state=become,
            first_token_ms=turn.first_ms,
            last_token_ms=turn.state.writer.now_ms(),
            words=len(turn.said.split()),
        )
        task = asyncio.ensure_future(turn.state.deliver(delivery, turn.said if become != "undelivered" else ""))
        _deliveries.add(task)
        task.add_done_callback(_deliveries.discard)


_deliveries: set[asyncio.Future[None]] = set()  # the loop itself holds them only weakly


def _failed(turn: Exchange) -> Problem:
    """The model gave nothing more."""
    if turn.gone:
        return Problem(400, "the client went away", "disconnected")
    turn.state.aggregates.hour().errors += 1
    retry_after_s = turn.state.engine.config.retry_after_s
    return Problem(503, "the model failed: try again later", "model_failed", retry_after_s)
