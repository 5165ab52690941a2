"""From a request to a turn that waits for the model: whose it is, what the policy reads, what may be shown."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace

from sqlalchemy.exc import SQLAlchemyError
from starlette.requests import Request

from tacit.events.schema import uuid7
from tacit.serve.conversations import Session, asked
from tacit.serve.engine import Busy, Told
from tacit.serve.exchange import Exchange
from tacit.serve.http import Problem
from tacit.serve.live import CURRENT, Served
from tacit.serve.openai_form import ChatRequest
from tacit.serve.state import State
from tacit.serve.tokens import Who

log = logging.getLogger(__name__)
MAX_MESSAGES = 400
_SAYING = ("user", "assistant")  # system prompts and tools have no place in what the policy was trained on


async def begin(request: Request, state: State, who: Who, ask: ChatRequest) -> Exchange:
    """Hand the conversation to the model; 503 where too many wait."""
    served, messages = _served(state, ask), _messages(ask)
    user, session = _whose(request, state, who, ask, messages[0][1])
    memory = await _memory(state, session, user, served)
    served = state.live.for_session(ask.model, session, memory.version)
    if ask.model == CURRENT:
        memory.version = served.version
    allowed, mask = served.shelf.shown_to(ask.market, ask.age)
    told = await asyncio.to_thread(asked, messages, memory, served.policy.catalog, allowed, session)
    number = sum(role == "assistant" for role, _ in messages)
    now_ms = state.writer.now_ms()
    turn = Exchange(state, served, ask.model, user, session, number, messages[-1][1], memory, mask, now_ms)
    mixture = state.settings.mixture()
    if not state.log_ok:
        mixture = replace(mixture, epsilon=0.0)  # exploring costs people something, and nothing would be learnt
    loop = asyncio.get_running_loop()

    def tell(what: Told) -> None:
        loop.call_soon_threadsafe(turn.told.put_nowait, what)

    try:
        turn.ticket = state.engine.submit(told, served.policy, mixture, tell)
    except Busy as busy:
        state.metrics.shed.labels("model").inc()
        state.aggregates.hour().shed += 1
        raise Problem(503, "the model is busy: try again later", "busy", busy.retry_after_s) from None
    return turn


def _served(state: State, ask: ChatRequest) -> Served:
    served = state.live.served.get(ask.model)
    if served is None:
        raise Problem(404, "there is no such model: see /v1/models", "model_not_found")
    if ask.n not in (None, 1):
        raise Problem(400, "n must be 1", "invalid_request")
    return served


def _messages(ask: ChatRequest) -> list[tuple[str, str]]:
    messages = [(message.role, message.text()) for message in ask.messages if message.role in _SAYING]
    if not messages or messages[-1][0] != "user" or len(messages) > MAX_MESSAGES:
        raise Problem(400, f"messages must be 1 to {MAX_MESSAGES}, the last of them a user's", "invalid_request")
    return messages


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


async def _memory(state: State, session: str, user: str, served: Served) -> Session:
    memory = state.sessions.known(session)
    if memory is None or memory.user != user:
        try:
            read = await asyncio.to_thread(state.sessions.read, session, user, served.policy.catalog)
        except SQLAlchemyError as error:
            log.warning("a past conversation could not be read: %s", type(error).__name__)
            return Session(user)  # for this turn alone: the next one asks the log again
        memory = state.sessions.put(session, read)
    return memory
