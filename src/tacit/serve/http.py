"""HTTP's own matters: faults in OpenAI's form, bodies with limits, headers that every answer has."""

from __future__ import annotations

import asyncio
import logging
import math
from typing import Any, TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

log = logging.getLogger(__name__)
T = TypeVar("T")

CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = (
    (b"content-security-policy", CSP.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), microphone=(), geolocation=()"),
)
_TYPES = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error", 404: "not_found_error"}


class Problem(Exception):
    """An answer that is a fault. ``message`` must not repeat what was sent."""

    def __init__(self, status: int, message: str, code: str, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.status, self.message, self.code, self.retry_after_s = status, message, code, retry_after_s

    def body(self) -> dict[str, Any]:
        kind = _TYPES.get(self.status, "invalid_request_error" if self.status < 500 else "server_error")
        return {"error": {"message": self.message, "type": kind, "param": None, "code": self.code}}

    def response(self) -> Response:
        headers = {}
        if self.retry_after_s is not None:
            headers["Retry-After"] = str(max(1, math.ceil(self.retry_after_s)))
        if self.status == 401:
            headers["WWW-Authenticate"] = "Bearer"
        return json_response(self.body(), self.status, headers)


def json_response(content: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    headers = {"Cache-Control": "no-store", **(headers or {})}
    return Response(msgspec.json.encode(content), status, headers, media_type="application/json")


async def read_body(request: Request, most: int, within_s: float) -> bytes:
    """The body; 413 beyond ``most`` bytes, without reading on, and 408 where it does not arrive."""
    length = request.headers.get("content-length", "0")
    if not length.isdecimal() or int(length) > most:
        raise Problem(413, f"a body may have {most} bytes", "too_large")
    pieces, size, more = list[bytes](), 0, True
    try:
        async with asyncio.timeout(within_s):
            while more:
                message = await request.receive()
                if message["type"] == "http.disconnect":
                    raise Problem(400, "the client went away", "disconnected")
                pieces.append(message.get("body", b""))
                more = message.get("more_body", False)
                size += len(pieces[-1])
                if size > most:
                    raise Problem(413, f"a body may have {most} bytes", "too_large")
    except TimeoutError:
        raise Problem(408, "the body did not arrive in time", "timeout") from None
    return b"".join(pieces)


def decode(body: bytes, kind: type[T]) -> T:
    """400 where the body has not this form; of what was sent, only the place of the fault is told."""
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as error:
        place = str(error).rpartition(" - at ")[2] if " - at " in str(error) else ""
        where = f" at {place}" if place.startswith("`$") and "[...]" not in place else ""
        raise Problem(400, f"the body has a wrong or missing value{where}", "invalid_request") from None
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise Problem(400, "the body is not JSON", "invalid_json") from None


class Outermost:
    """Adds the headers, and turns what nobody caught into a 500 that says nothing and logs no words."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = False

        async def send_with_headers(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                given = {name.lower() for name, _ in message["headers"]}
                message["headers"] = [*message["headers"], *((n, v) for n, v in HEADERS if n not in given)]
            await send(message)

        try:
            await self.app(scope, receive, send_with_headers)
        except Exception as error:
            log.error("a request failed: %s", type(error).__name__)
            if not started:
                await Problem(500, "something went wrong here", "internal").response()(
                    scope, receive, send_with_headers
                )
