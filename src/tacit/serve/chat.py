"""``POST /v1/chat/completions``: a turn in OpenAI's form, whole or streamed, logged before its first byte."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from typing import Annotated, Any

import msgspec
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from tacit.dialogue.policy.facts import facts
from tacit.dialogue.why import HALF
from tacit.events.intake import Refused
from tacit.events.schema import Delivery, Exposure, Shown, Words, uuid7
from tacit.events.writer import Overloaded, Unwritable
from tacit.serve.conversations import Session, asked
from tacit.serve.engine import Busy, Failed, Opened, Said, Ticket, Told
from tacit.serve.http import Problem, decode, json_response, read_body
from tacit.serve.items import Age, Market
from tacit.serve.live import CURRENT, Served
from tacit.serve.state import State
from tacit.serve.tokens import Who
from tacit.serve.turns import Answer

log = logging.getLogger(__name__)
MAX_BODY = 262_144
MAX_MESSAGES = 400
_SAYING = ("user", "assistant")  # system prompts and tools have no place in what the policy was trained on


class Part(msgspec.Struct):
    type: str
    text: str | None = None


class ChatMessage(msgspec.Struct):
    role: str
    content: str | list[Part] | None = None

    def text(self) -> str:
        if isinstance(self.content, list):
            return "\n".join(part.text for part in self.content if part.text)
        return self.content or ""


class StreamOptions(msgspec.Struct):
    include_usage: bool | None = None


Name = Annotated[str, msgspec.Meta(max_length=512)]


class ChatRequest(msgspec.Struct):
    """What is read of a request; other fields of OpenAI's are accepted and have no effect."""

    messages: list[ChatMessage]
    model: Name = CURRENT
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    n: int | None = None
    user: Name | None = None
    session_id: Name | None = None
    market: Market | None = None
    age: Age | None = None


@dataclass
class Turn:
    """One turn on its way: what was asked, what is drawn, what was said."""

    state: State
    served: Served
    model: str
    user: str
    session: str
    number: int
    question: str
    memory: Session
    mask: str
    started_ms: int
    ticket: Ticket | None = None
    told: asyncio.Queue[Told] = field(default_factory=asyncio.Queue)
    answer: Answer | None = None
    exposure_id: str = ""
    signature: str | None = None
    first_ms: int | None = None
    finish: str = ""
    said: str = ""
    gone: bool = False  # the client is
    closed: bool = False

    @property
    def logged(self) -> bool:
        return self.signature is not None


async def chat(request: Request, state: State) -> Response:
    who = state.who(request, "chat")
    ask = decode(await read_body(request, MAX_BODY, state.settings.body_s), ChatRequest)
    turn = await _begin(request, state, who, ask)
    watch = asyncio.create_task(_watch(request, turn))
    try:
        await _open(turn)
    except BaseException:
        watch.cancel()
        _end(turn, "undelivered")
        raise
    if ask.stream:
        usage = bool(ask.stream_options and ask.stream_options.include_usage)
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        return StreamingResponse(_stream(turn, watch, usage), headers=headers, media_type="text/event-stream")
    try:
        async for _ in _pieces(turn):
            pass
    except BaseException:
        watch.cancel()
        _end(turn, "undelivered")
        raise
    return _whole_response(turn, watch)


def _whole_response(turn: Turn, watch: asyncio.Task[None]) -> Response:
    response = json_response(_whole(turn))

    async def sent() -> None:
        gone = watch.done()
        watch.cancel()
        _end(turn, "undelivered" if gone else "delivered")

    response.background = BackgroundTask(sent)
    return response


async def _begin(request: Request, state: State, who: Who, ask: ChatRequest) -> Turn:
    """Hand the conversation to the model; 503 where too many wait."""
    served = state.live.served.get(ask.model)
    if served is None:
        raise Problem(404, "there is no such model: see /v1/models", "model_not_found")
    if ask.n not in (None, 1):
        raise Problem(400, "n must be 1", "invalid_request")
    messages = [(message.role, message.text()) for message in ask.messages if message.role in _SAYING]
    if not messages or messages[-1][0] != "user" or len(messages) > MAX_MESSAGES:
        raise Problem(400, f"messages must be 1 to {MAX_MESSAGES}, the last of them a user's", "invalid_request")
    user, session = _whose(request, state, who, ask, messages[0][1])
    catalog = served.policy.catalog
    memory = state.sessions.known(session)
    if memory is None or memory.user != user:
        memory = state.sessions.put(session, await asyncio.to_thread(state.sessions.read, session, user, catalog))
    allowed, mask = served.shelf.shown_to(ask.market, ask.age)
    told = await asyncio.to_thread(asked, messages, memory, catalog, allowed, session)
    number = sum(role == "assistant" for role, _ in messages)
    now_ms = state.writer.now_ms()
    turn = Turn(state, served, ask.model, user, session, number, messages[-1][1], memory, mask, now_ms)
    mixture = state.settings.mixture()
    if not state.log_ok:
        mixture = replace(mixture, epsilon=0.0)  # exploring costs people something, and nothing would be learnt
    loop = asyncio.get_running_loop()

    def tell(what: Told) -> None:
        loop.call_soon_threadsafe(turn.told.put_nowait, what)

    try:
        turn.ticket = state.engine.submit(told, served.policy, mixture, tell)
    except Busy as busy:
        raise _shed(state, busy.retry_after_s) from None
    return turn


def _whose(request: Request, state: State, who: Who, ask: ChatRequest, first: str) -> tuple[str, str]:
    """(pseudonym, session). A browser's token names both; a server speaks for its own users, whose ids are hidden.

    Without a session's id, a conversation is known by who began it with which words.
    """
    if who.user is not None and who.session is not None:
        return who.user, who.session
    given = ask.user or request.headers.get("x-openwebui-user-id")
    user = state.keys.pseudonym(given) if given else state.keys.pseudonym(uuid7(state.writer.now_ms()))
    session = ask.session_id or request.headers.get("x-openwebui-chat-id") or f"first: {first}"
    return user, state.keys.mac("session", user, session)[:32]


async def _open(turn: Turn) -> None:
    """Wait for the slate, and for its exposure to be on disk."""
    state = turn.state
    what = await _next(turn)
    if not isinstance(what, Opened):
        raise _failed(turn)
    turn.answer, now_ms = what.answer, state.writer.now_ms()
    turn.exposure_id = uuid7(now_ms)
    exposure = exposure_of(turn, now_ms)
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
    explored = bool(turn.answer.draw and any(turn.answer.draw.explored))
    turn.first_ms = state.writer.now_ms()
    waited = turn.first_ms - turn.started_ms
    state.aggregates.answered(turn.number, turn.served.version, turn.answer.recommends, explored, waited)
    state.metrics.first_byte.observe(waited / 1000)
    state.metrics.turns.labels(exposure.decision).inc()
    state.metrics.explored.inc(explored)


def exposure_of(turn: Turn, now_ms: int) -> Exposure:
    """What is logged: the very numbers the turn was drawn with."""
    answer, settings = turn.answer, turn.state.settings
    assert answer is not None
    draw, items = answer.draw, answer.slate.items if answer.slate else ()
    shown = zip(items, draw.probabilities if draw else (), strict=True)
    return Exposure(
        exposure_id=turn.exposure_id,
        session_id=turn.session,
        user=turn.user,
        turn=turn.number,
        created_ms=now_ms,
        expires_ms=now_ms + int(settings.exposure_s * 1000),
        policy_version=turn.served.version,
        bucket="explore" if draw and any(draw.explored) else "policy",
        deterministic=answer.mixture.deterministic,
        epsilon=answer.mixture.epsilon,
        temperature=answer.mixture.temperature,
        top_k=answer.mixture.top_k,
        top_p=answer.mixture.top_p,
        decision="recommend" if answer.recommends else "reply",
        p_recommend=answer.p_recommend,
        items=tuple(Shown(item, k, p) for k, (item, p) in enumerate(shown, start=1)),
        candidates=answer.candidates if draw else None,
        catalog_version=turn.served.shelf.version,
        mask_hash=turn.mask,
    )


async def _next(turn: Turn) -> Told:
    try:
        async with asyncio.timeout(turn.state.settings.model_s):
            return await turn.told.get()
    except TimeoutError:
        return Failed()


async def _pieces(turn: Turn) -> AsyncIterator[str]:
    """The text as it is written; ends with ``turn.finish`` set."""
    while not turn.finish:
        what = await _next(turn)
        if not isinstance(what, Said):
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


async def _stream(turn: Turn, watch: asyncio.Task[None], usage: bool) -> AsyncIterator[bytes]:
    """Whatever ends it, the model is told, and what had been said is logged."""
    become = "undelivered"
    try:
        yield _chunk(turn, {"role": "assistant", "content": ""})
        async for piece in _pieces(turn):
            yield _chunk(turn, {"content": piece})
            become = "partial"
        yield _chunk(turn, {}, turn.finish, recommendations=_recommendations(turn))
        if usage:
            yield _line({**_head(turn, "chat.completion.chunk"), "choices": [], "usage": _usage(turn)})
        yield b"data: [DONE]\n\n"
        become = "undelivered" if watch.done() and become == "undelivered" else "delivered"
    except Problem as problem:
        yield _line(problem.body())
    finally:
        if watch.done() and become == "delivered":
            become = "partial"
        watch.cancel()
        _end(turn, become)


async def _watch(request: Request, turn: Turn) -> None:
    """Ends when the client is gone, which frees its place at the next token."""
    with contextlib.suppress(Exception):
        while (await request.receive())["type"] != "http.disconnect":
            pass
    turn.gone = True
    if turn.ticket is not None:
        turn.ticket.cancel()
    turn.told.put_nowait(Failed())  # whoever waits for words waits no longer


def _end(turn: Turn, become: Any) -> None:
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


def _failed(turn: Turn) -> Problem:
    """The model gave nothing more."""
    if turn.gone:
        return Problem(400, "the client went away", "disconnected")
    turn.state.aggregates.hour().errors += 1
    retry_after_s = turn.state.engine.config.retry_after_s
    return Problem(503, "the model failed: try again later", "model_failed", retry_after_s)


def _shed(state: State, retry_after_s: float) -> Problem:
    state.metrics.shed.labels("model").inc()
    state.aggregates.hour().shed += 1
    return Problem(503, "the model is busy: try again later", "busy", retry_after_s)


def _whole(turn: Turn) -> dict[str, Any]:
    message = {"role": "assistant", "content": turn.said, "refusal": None}
    choice = {"index": 0, "message": message, "finish_reason": turn.finish, "logprobs": None}
    return {
        **_head(turn, "chat.completion"),
        "choices": [choice],
        "usage": _usage(turn),
        "recommendations": _recommendations(turn),
    }


def _chunk(turn: Turn, delta: dict[str, Any], finish: str | None = None, **more: Any) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish, "logprobs": None}
    return _line({**_head(turn, "chat.completion.chunk"), "choices": [choice], **more})


def _line(content: dict[str, Any]) -> bytes:
    return b"data: " + msgspec.json.encode(content) + b"\n\n"


def _head(turn: Turn, kind: str) -> dict[str, Any]:
    id = f"chatcmpl-{turn.exposure_id}"
    return {"id": id, "object": kind, "created": turn.started_ms // 1000, "model": turn.model}


def _usage(turn: Turn) -> dict[str, int]:
    assert turn.answer is not None
    prompt, written = turn.answer.prompt_tokens, len(turn.answer.reply)
    return {"prompt_tokens": prompt, "completion_tokens": written, "total_tokens": prompt + written}


def _recommendations(turn: Turn) -> dict[str, Any]:
    """For the client: what is shown, and how to speak of it later. No probability is here."""
    assert turn.answer is not None
    return {
        "exposure_id": turn.exposure_id if turn.logged else None,
        "signature": turn.signature,
        "session_id": turn.session,
        "turn": turn.number,
        "policy_version": turn.served.version,
        "catalog_version": turn.served.shelf.version,
        "items": cards(turn.answer),
    }


def cards(answer: Answer) -> list[dict[str, Any]]:
    """The items of a slate, in the order of their places, with one line each that says why."""
    if answer.slate is None:
        return []
    policy = answer.policy
    shown = []
    for position, id in enumerate(answer.slate.items, start=1):
        item, row = policy.catalog[id], policy.catalog.index(id)
        known = facts(item)
        met = [wish.part.label for wish in answer.wanted if policy.wish.reader.index.satisfied(wish.part)[row] > HALF]
        told = "; ".join(piece for piece in known.pieces())
        why = f"has what you asked for: {', '.join(met)}" if met else told or "fits this conversation"
        card = {"id": id, "title": item.title, "position": position, "why": why}
        shown.append({**card, "year": known.year, "genres": list(known.genres)})
    return shown
