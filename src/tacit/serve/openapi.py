"""The OpenAPI document: what each address takes and answers."""

from __future__ import annotations

from typing import Any

import msgspec
from fastapi import FastAPI

from tacit.events.schema import MAX_BATCH, Event, Verdict

_REF = "#/components/schemas/{name}"
_FAULTS = {
    "400": "The request has a wrong form",
    "401": "A valid token is needed",
    "403": "The token may not do this",
    "404": "There is nothing of this name",
    "408": "The body did not arrive in time",
    "409": "This cannot be done now",
    "413": "The body is too large",
    "429": "Too many requests: see Retry-After",
    "503": "Not now: see Retry-After",
}


class EventBatch(msgspec.Struct):
    """1 to 200 events; ``token``: of a beacon, which cannot send headers."""

    events: list[Event]
    token: str | None = None


class Verdicts(msgspec.Struct):
    verdicts: list[Verdict]


class Fault(msgspec.Struct):
    message: str
    type: str
    code: str
    param: None = None


class Error(msgspec.Struct):
    error: Fault


def operation(
    path: str, body: type | None, answers: tuple[str, ...] = ("application/json",), required: bool = True
) -> dict[str, Any]:
    """What FastAPI does not see: the body, names in the address, and what may be answered."""
    names = [part.strip("{}").partition(":")[0] for part in path.split("/") if part.startswith("{")]
    given: dict[str, Any] = {
        "parameters": [
            {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
            for name in names
        ],
        "responses": {"200": {"description": "Done", "content": {kind: {} for kind in answers}}, **_faults()},
    }
    if body is not None:
        content = {"application/json": {"schema": {"$ref": _REF.format(name=body.__name__)}}}
        given["requestBody"] = {"required": required, "content": content}
    return given


def _faults() -> dict[str, Any]:
    content = {"application/json": {"schema": {"$ref": _REF.format(name="Error")}}}
    return {status: {"description": what, "content": content} for status, what in _FAULTS.items()}


def complete(app: FastAPI, bodies: list[type]) -> None:
    """Add to the document the forms that ``operation`` names, and the token."""
    plain = app.openapi

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            found = plain()
            parts = found.setdefault("components", {})
            parts["schemas"] = _forms([*bodies, Error])
            parts["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
            found["security"] = [{"token": []}]
        assert app.openapi_schema is not None
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]


def _forms(kinds: list[type]) -> dict[str, Any]:
    _, forms = msgspec.json.schema_components(kinds, ref_template=_REF)
    if EventBatch in kinds:
        forms["EventBatch"]["properties"]["events"] |= {"minItems": 1, "maxItems": MAX_BATCH}
    return forms
