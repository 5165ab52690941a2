"""The application: routes, limits, and what runs beside them while it is up."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import FileResponse, Response
from sqlalchemy.exc import SQLAlchemyError
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from tacit.events.erase import Retention
from tacit.run.version import VERSION
from tacit.serve import following, people, routes
from tacit.serve.chat import chat
from tacit.serve.http import Outermost, Problem, json_response
from tacit.serve.ingest import Ingest
from tacit.serve.items import Changes
from tacit.serve.openai_form import ChatRequest
from tacit.serve.openapi import EventBatch, complete, operation
from tacit.serve.state import State

log = logging.getLogger(__name__)
BEAT_S = 0.1  # how often it is seen whether the event loop comes round
LOOK_S = 0.25  # how often the file of changed items is looked at
SAVE_S = 60.0
RETAIN_S = 86_400.0
_CHAT = ("application/json", "text/event-stream")
_LOOPBACK = ["localhost", "127.0.0.1", "[::1]", "testserver"]


def create_app(state: State) -> ASGIApp:
    """Ready to be run by any ASGI server, in one process. It closes ``state``'s engine and writer when it ends."""

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        jobs = (
            _beat(state),
            _watch_items(state),
            _save(state),
            _retain(state),
            following.follow(state),
            following.watch(state),
        )
        tasks = [asyncio.create_task(job) for job in jobs]
        yield
        for task in tasks:
            task.cancel()
        await asyncio.to_thread(state.engine.close)
        await asyncio.to_thread(state.writer.close)
        state.aggregates.save()

    app = FastAPI(title="Tacit", version=VERSION, docs_url=None, redoc_url=None, lifespan=lifespan)
    _add_faults(app, state)
    _add_api(app, state)
    _add_page(app, state)
    served: ASGIApp = Ingest(app, state)
    if state.settings.origins:
        headers = ["Authorization", "Content-Type", "X-Tacit-Browser", "X-Tacit-Session"]
        served = CORSMiddleware(
            served,
            allow_origins=list(state.settings.origins),
            allow_methods=["GET", "POST", "DELETE"],
            allow_headers=headers,
        )
    if state.settings.dev:  # a page elsewhere must not reach loopback under another name
        served = TrustedHostMiddleware(served, allowed_hosts=_LOOPBACK)
    return Outermost(served)


def _add_faults(app: FastAPI, state: State) -> None:
    @app.exception_handler(Problem)
    async def fault(request: Request, problem: Problem) -> Response:
        state.metrics.requests.labels(_route(request), str(problem.status)).inc()
        return problem.response()

    @app.exception_handler(SQLAlchemyError)
    async def unreadable(request: Request, error: SQLAlchemyError) -> Response:
        log.warning("the log could not be read: %s", type(error).__name__)
        return await fault(request, Problem(503, "the log cannot be read now: ask again", "log_busy", 2.0))

    @app.exception_handler(HTTPException)
    async def unknown(_: Request, error: HTTPException) -> Response:
        words = {404: "there is nothing here", 405: "this method is not for this address"}
        problem = Problem(error.status_code, words.get(error.status_code, "no such request"), "not_found")
        response = problem.response()
        response.headers.update(error.headers or {})
        return response


def _route(request: Request) -> str:
    """The pattern of the address, which names nobody."""
    return str(getattr(request.scope.get("route"), "path", "unknown"))


Handler = Callable[..., Awaitable[Response]]


def _add_api(app: FastAPI, state: State) -> None:
    bodies = list[type]()

    def add(method: str, path: str, handler: Handler, summary: str, body: type | None = None, **more: Any) -> None:
        """Where the address has a name in it, the handler takes it as its third argument."""
        name = path.partition("{")[2].partition("}")[0].partition(":")[0]
        bodies.extend([body] if body is not None else [])

        async def answer(request: Request) -> Response:
            given = [request.path_params[name]] if name else []
            response = await handler(request, state, *given)
            state.metrics.requests.labels(path, str(response.status_code)).inc()
            return response

        app.add_api_route(
            path,
            answer,
            methods=[method],
            summary=summary,
            name=handler.__name__,
            response_class=Response,
            openapi_extra=operation(path, body, **more),
        )

    add(
        "POST",
        "/v1/chat/completions",
        chat,
        "One turn of a conversation, whole or streamed",
        ChatRequest,
        answers=_CHAT,
    )
    add("POST", "/v1/events", routes.events, "1 to 200 events; 200 once they are on disk", EventBatch)
    add("GET", "/v1/models", routes.models, "The policies that are served")
    add("GET", "/v1/models/{model}", routes.model, "One of them")
    add("GET", "/v1/session", people.session, "A session for a page")
    add("POST", "/v1/session", people.session_for, "A session for a user of the server that asks", people.SessionAsked)
    add("POST", "/v1/consent", people.agree, "What a person agrees to", people.ConsentAsked)
    add("GET", "/v1/users/{pseudonym}", people.show_user, "All that is stored about a person")
    add("DELETE", "/v1/users/{pseudonym}", people.delete_user, "Delete a person")
    add("GET", "/v1/items/{id:path}", routes.item, "An item of the catalogue")
    add("GET", "/v1/aggregates", routes.aggregates, "Counts by hour")
    add("GET", "/metrics", routes.metrics, "For Prometheus", answers=("text/plain",))
    add("POST", "/admin/reload", routes.reload, "Promote and serve the policy the run has now", routes.Reload)
    add("POST", "/admin/rollback", routes.rollback, "End the canary, or go back to the version before")
    add("GET", "/admin/items", routes.show_items, "What is withdrawn, restricted, added")
    add("PUT", "/admin/items", routes.change_items, "Withdraw, restrict and add items", Changes)
    complete(app, bodies)

    @app.head("/healthz", include_in_schema=False)  # probes ask so, too
    @app.get("/healthz", response_class=Response)
    async def healthz() -> Response:
        return json_response({"ok": True})

    @app.head("/readyz", include_in_schema=False)
    @app.get("/readyz", response_class=Response)
    async def readyz() -> Response:
        return await routes.ready(state)


def _add_page(app: FastAPI, state: State) -> None:
    if not state.page or not state.static.is_dir():
        return
    app.mount("/static", StaticFiles(directory=state.static), name="static")

    def add(path: str, file: str) -> None:
        async def page() -> Response:
            if not (state.static / file).is_file():
                raise HTTPException(404)
            return FileResponse(state.static / file, headers={"Cache-Control": "no-cache"})

        app.add_api_route(path, page, include_in_schema=False, response_class=Response)

    add("/", "index.html")
    for name in ("dashboard", "privacy"):
        add(f"/{name}", f"{name}.html")


async def _beat(state: State) -> None:
    while True:
        state.beat_s = time.monotonic()
        await asyncio.sleep(BEAT_S)


async def _watch_items(state: State) -> None:
    while True:
        await asyncio.sleep(LOOK_S)
        if state.live.items_changed():
            try:
                await asyncio.to_thread(state.live.refresh_items)
            except Exception as error:
                log.warning("changed items could not be served: %s", type(error).__name__)


async def _save(state: State) -> None:
    while True:
        await asyncio.sleep(SAVE_S)
        with contextlib.suppress(Exception):
            await asyncio.to_thread(state.aggregates.save)


async def _retain(state: State) -> None:
    """When it starts, and then once a day."""
    while True:
        try:
            await asyncio.wrap_future(state.writer.retain(Retention()))
        except Exception as error:
            log.warning("what is too old was not deleted: %s", type(error).__name__)
        await asyncio.sleep(RETAIN_S)
