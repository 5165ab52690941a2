"""The other routes: events, sessions, consent, a person's data, items, and what operators do."""

from __future__ import annotations

import asyncio
import secrets
import time
from typing import Annotated, Any

import msgspec
from prometheus_client import generate_latest
from starlette.requests import Request
from starlette.responses import Response

from tacit.catalog import item_to_json
from tacit.events import schema
from tacit.events.intake import Caller
from tacit.events.schema import BadBatch, uuid7
from tacit.events.store import consent, user_data
from tacit.events.writer import Overloaded, Unwritable
from tacit.serve.http import Problem, decode, json_response, read_body
from tacit.serve.items import Changes, read_changes
from tacit.serve.live import BESIDE, CURRENT
from tacit.serve.state import DAY_MS, State
from tacit.serve.tokens import FORM, browser_token
from tacit.types import InputError

SMALL = 65_536
MAX_ITEMS = 64 * 2**20
UserId = Annotated[str, msgspec.Meta(min_length=1, max_length=512)]


class _Beacon(msgspec.Struct):
    token: str | None = None


class _SessionAsked(msgspec.Struct):
    user: UserId
    session_id: UserId | None = None


class _ConsentAsked(msgspec.Struct):
    consent: schema.Consent | None
    user: UserId | None = None


async def events(request: Request, state: State) -> Response:
    body = await read_body(request, schema.MAX_BODY, state.settings.body_s)
    token = None if "authorization" in request.headers else _token_in(body)
    who = state.who(request, "chat", token)
    try:
        batch = schema.read_batch(body)
    except BadBatch as error:
        raise Problem(413 if error.too_large else 400, str(error), "bad_batch") from None
    started = time.monotonic()
    try:
        verdicts = await asyncio.wrap_future(state.writer.submit(Caller(who.user, who.session), batch))
    except (Overloaded, Unwritable) as error:
        state.metrics.shed.labels("log").inc()
        state.aggregates.hour().shed += 1
        wait = error.retry_after_s if isinstance(error, Overloaded) else 2.0
        raise Problem(503, "the log cannot take events now: send them again", "log_busy", wait) from None
    state.metrics.commit.observe(time.monotonic() - started)
    for verdict in verdicts:
        state.metrics.events.labels(verdict.reason or verdict.status).inc()
    state.aggregates.accepted(batch, verdicts)
    return json_response({"verdicts": verdicts})


def _token_in(body: bytes) -> str | None:
    """``sendBeacon`` cannot set a header."""
    try:
        token = msgspec.json.decode(body, type=_Beacon).token
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    return token if token and token.startswith(FORM) else None


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
    ask = decode(await read_body(request, SMALL, state.settings.body_s), _SessionAsked)
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
    ask = decode(await read_body(request, SMALL, state.settings.body_s), _ConsentAsked)
    if who.user is None and ask.user is None:
        raise Problem(400, "name the user", "invalid_request")
    user = who.user or state.keys.pseudonym(ask.user or "")
    agreed = "store" if ask.consent == "train" and request.headers.get("sec-gpc") == "1" else ask.consent
    try:
        await asyncio.wrap_future(state.writer.consent(user, agreed))
    except (Overloaded, Unwritable):
        raise Problem(503, "the log cannot take this now: send it again", "log_busy", 2.0) from None
    state.sessions.forget(user)
    return json_response({"user": user, "consent": agreed})


async def show_user(request: Request, state: State, pseudonym: str) -> Response:
    user = _person(request, state, pseudonym)
    return json_response(await asyncio.to_thread(user_data, state.writer.store, user))


async def delete_user(request: Request, state: State, pseudonym: str) -> Response:
    user = _person(request, state, pseudonym)
    state.sessions.forget(user)
    try:
        deleted = await asyncio.wrap_future(state.writer.delete_user(user))
    except (Overloaded, Unwritable):
        raise Problem(503, "the log cannot delete now: ask again", "log_busy", 2.0) from None
    except InputError:
        raise Problem(
            503, "the rows are deleted, old bytes are still held by a reader: ask again", "held", 5.0
        ) from None
    state.sessions.forget(user)
    return json_response({"user": user, "deleted": deleted})


def _person(request: Request, state: State, pseudonym: str) -> str:
    who = state.who(request, None)
    if who.user != pseudonym and not who.may("users"):
        raise Problem(403, "the token may not see this person", "forbidden")
    try:
        return schema.pseudonym(pseudonym)
    except ValueError:
        raise Problem(404, "there is no such person", "not_found") from None


async def models(request: Request, state: State) -> Response:
    state.who(request, "chat")
    rows = [
        {"id": name, "object": "model", "created": 0, "owned_by": "tacit", "policy_version": served.version}
        for name, served in state.live.served.items()
    ]
    return json_response({"object": "list", "data": rows})


async def item(request: Request, state: State, id: str) -> Response:
    state.who(request, "chat")
    for served in state.live.served.values():
        if id in served.policy.catalog:
            row = item_to_json(served.policy.catalog[id])
            return json_response({"attributes": {}, **row})
    raise Problem(404, "there is no such item", "not_found")


async def aggregates(request: Request, state: State) -> Response:
    who = state.who(request, None)
    if not (who.may("admin") or (state.settings.dev and who.user is not None)):
        raise Problem(403, "the token lacks the scope admin", "forbidden")
    served = state.live.served
    return json_response(
        {
            "now_ms": state.writer.now_ms(),
            "policy_version": served[CURRENT].version,
            "beside_version": served[BESIDE].version if BESIDE in served else None,
            "catalog_version": served[CURRENT].shelf.version,
            "waiting": {"chat": state.engine.waiting, "log": state.writer.waiting},
            "log_ok": state.log_ok,
            "hours": state.aggregates.rows(),
        }
    )


async def metrics(request: Request, state: State) -> Response:
    if not state.settings.dev:
        state.who(request, "admin")
    state.metrics.policy.clear()
    for name, served in state.live.served.items():
        state.metrics.policy.labels(name, served.version).set(1)
    return Response(generate_latest(state.metrics.registry), media_type="text/plain; version=0.0.4; charset=utf-8")


async def ready(state: State) -> Response:
    """Can a turn be answered now?"""
    faults = []
    if not state.engine.alive(state.settings.model_s):
        faults.append("model")
    if not state.log_ok:
        faults.append("log")
    return json_response({"ready": not faults, "faults": faults}, 200 if "model" not in faults else 503)


async def reload(request: Request, state: State) -> Response:
    return await _moved(request, state, state.live.reload)


async def rollback(request: Request, state: State) -> Response:
    return await _moved(request, state, state.live.rollback)


async def _moved(request: Request, state: State, move: Any) -> Response:
    state.who(request, "admin")
    try:
        version = await asyncio.to_thread(move)
    except InputError as error:
        raise Problem(409, str(error), "not_possible") from None
    return json_response({"policy_version": version, "history": state.live.registry.history()})


async def show_items(request: Request, state: State) -> Response:
    state.who(request, "admin")
    return json_response(state.live.changes)


async def change_items(request: Request, state: State) -> Response:
    """All of them: what is not in the body is no longer withdrawn, restricted or added."""
    state.who(request, "admin")
    body = await read_body(request, MAX_ITEMS, 6 * state.settings.body_s)
    try:
        changes: Changes = read_changes(body)
        await asyncio.to_thread(state.live.change_items, changes)
    except InputError as error:
        raise Problem(400, str(error), "bad_items") from None
    return json_response({"catalog_version": state.live.served[CURRENT].shelf.version})
