"""Events, models, items, counts, and what operators do."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Annotated, Any

import msgspec
from prometheus_client import generate_latest
from starlette.requests import Request
from starlette.responses import Response

from tacit.catalog import item_to_json
from tacit.serve import ingest
from tacit.serve.http import Problem, decode, json_response, read_body
from tacit.serve.items import Changes, read_changes
from tacit.serve.live import BESIDE, CURRENT, Served
from tacit.serve.state import State
from tacit.types import InputError

MAX_RELOAD = 65_536
MAX_ITEMS = 64 * 2**20


class Reload(msgspec.Struct):
    force: Annotated[str, msgspec.Meta(max_length=1000)] = ""


async def events(request: Request, state: State) -> Response:
    """As the document of the interface has it; requests themselves take the short way (``ingest.Ingest``)."""
    return json_response(msgspec.Raw(await ingest.events(request, state)))


async def models(request: Request, state: State) -> Response:
    state.who(request, "chat")
    rows = [_model(name, served) for name, served in state.live.served.items()]
    return json_response({"object": "list", "data": rows})


async def model(request: Request, state: State, name: str) -> Response:
    state.who(request, "chat")
    if name not in state.live.served:
        raise Problem(404, "there is no such model: see /v1/models", "model_not_found")
    return json_response(_model(name, state.live.served[name]))


def _model(name: str, served: Served) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": 0, "owned_by": "tacit", "policy_version": served.version}


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
    """``{"force": "reason"}`` does without the gate's word, which the audit keeps."""
    who = state.who(request, "admin")
    body = await read_body(request, MAX_RELOAD, state.settings.body_s)
    force = decode(body, Reload).force if body else ""
    return await _moved(state, lambda: state.live.reload(who.name, force))


async def rollback(request: Request, state: State) -> Response:
    who = state.who(request, "admin")
    return await _moved(state, lambda: state.live.rollback(who.name))


async def _moved(state: State, move: Callable[[], str]) -> Response:
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
    shelf = state.live.served[CURRENT].shelf
    return json_response({"catalog_version": shelf.version, "unknown": shelf.unknown()})
