"""Who somebody is, what they agreed to, and what is stored about them."""

from __future__ import annotations

import asyncio
import secrets
from typing import Annotated, Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from tacit.events import schema
from tacit.events.schema import uuid7
from tacit.events.store import consent, user_data
from tacit.events.writer import Overloaded, Unwritable
from tacit.serve.http import Problem, decode, json_response, read_body
from tacit.serve.live import BESIDE
from tacit.serve.state import DAY_MS, State
from tacit.serve.tokens import browser_token
from tacit.types import InputError

SMALL = 65_536  # bytes
UserId = Annotated[str, msgspec.Meta(min_length=1, max_length=512)]


class SessionAsked(msgspec.Struct):
    user: UserId
    session_id: UserId | None = None


class ConsentAsked(msgspec.Struct):
    consent: schema.Consent | None
    user: UserId | None = None


async def session(request: Request, state: State) -> Response:
    """A page's own session, for a person who is known by a secret of the browser alone."""
    if not state.page:
        raise Problem(404, "this server opens no sessions for anyone: see --page", "no_page")
    state.limit("overall", 0)
    browser = request.headers.get("x-tacit-browser", "")
    if not (16 <= len(browser) <= 128 and browser.isascii() and browser.isalnum()):
        browser = secrets.token_hex(24)
    user = state.keys.pseudonym(f"browser:{browser}")
    state.limit(f"new {user}", 2)
    return await _session(request, state, user, _went_on(request, state, user), {"browser": browser})


async def session_for(request: Request, state: State) -> Response:
    """A browser's token for a user of the server that asks."""
    who = state.who(request, "chat")
    if who.user is not None:
        raise Problem(403, "a browser's token opens no session for others", "forbidden")
    ask = decode(await read_body(request, SMALL, state.settings.body_s), SessionAsked)
    user = state.keys.pseudonym(ask.user)
    name = state.keys.mac("session", user, ask.session_id)[:32] if ask.session_id else uuid7(state.writer.now_ms())
    return await _session(request, state, user, name, {})


def _went_on(request: Request, state: State, user: str) -> str:
    """The session of an old token, where it may go on; else a new one."""
    wanted, given = request.headers.get("x-tacit-session"), request.headers.get("authorization", "")
    who = state.known(given.partition(" ")[2].strip(), DAY_MS) if wanted else None
    if who is not None and who.user == user and who.session == wanted and wanted is not None:
        return wanted
    return uuid7(state.writer.now_ms())


async def _session(request: Request, state: State, user: str, name: str, more: dict[str, Any]) -> Response:
    expires_ms = state.writer.now_ms() + int(state.settings.session_s * 1000)
    served = state.live.served
    return json_response(
        {
            "token": browser_token(state.keys, user, name, expires_ms),
            "expires_ms": expires_ms,
            "session_id": name,
            "user": user,
            "consent": await asyncio.to_thread(_agreed, state, user),
            "models": list(served),
            "side_by_side": BESIDE in served,
            "dev": state.settings.dev,
            **more,
        }
    )


def _agreed(state: State, user: str) -> str | None:
    with state.writer.store.reading() as connection:
        return consent(connection, user)


async def agree(request: Request, state: State) -> Response:
    who = state.who(request, "chat")
    ask = decode(await read_body(request, SMALL, state.settings.body_s), ConsentAsked)
    if who.user is None and ask.user is None:
        raise Problem(400, "name the user", "invalid_request")
    user = who.user or state.keys.pseudonym(ask.user or "")
    agreed = "store" if ask.consent == "train" and request.headers.get("sec-gpc") == "1" else ask.consent
    try:
        await asyncio.wrap_future(state.writer.consent(user, agreed))
    except (Overloaded, Unwritable):
        raise Problem(503, "the log cannot take this now: send it again", "log_busy", 2.0) from None
    state.forget(user)
    return json_response({"user": user, "consent": agreed})


async def show_user(request: Request, state: State, pseudonym: str) -> Response:
    user = _person(request, state, pseudonym)
    return json_response(await asyncio.to_thread(user_data, state.writer.store, user))


async def delete_user(request: Request, state: State, pseudonym: str) -> Response:
    user = _person(request, state, pseudonym)
    state.forget(user)
    try:
        deleted = await asyncio.wrap_future(state.writer.delete_user(user))
    except (Overloaded, Unwritable):
        raise Problem(503, "the log cannot delete now: ask again", "log_busy", 2.0) from None
    except InputError:
        raise Problem(
            503, "the rows are deleted, old bytes are still held by a reader: ask again", "held", 5.0
        ) from None
    state.forget(user)
    return json_response({"user": user, "deleted": deleted})


def _person(request: Request, state: State, pseudonym: str) -> str:
    who = state.who(request, None)
    if who.user != pseudonym and not who.may("users"):
        raise Problem(403, "the token may not see this person", "forbidden")
    try:
        return schema.pseudonym(pseudonym)
    except ValueError:
        raise Problem(404, "there is no such person", "not_found") from None
