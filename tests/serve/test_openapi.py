"""The OpenAPI document, held to the routes there are."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from tiny_server import hash_encoders, save_policy

from tacit.serve.app import create_app
from tacit.serve.http import Outermost
from tacit.serve.ingest import Ingest
from tacit.serve.server import open_state
from tacit.serve.settings import Settings


def test_every_form_it_names_is_there_and_every_name_in_an_address_is_a_parameter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hash_encoders(monkeypatch)
    state = open_state(save_policy(tmp_path / "policy"), tmp_path / "serve", Settings())
    app = create_app(state)
    assert isinstance(app, Outermost) and isinstance(app.app, Ingest)
    document = app.app.app.openapi()  # type: ignore[attr-defined]
    named = set(re.findall(r'"\$ref": "#/components/schemas/(\w+)"', json.dumps(document)))
    assert named == set(document["components"]["schemas"]) and {"ChatRequest", "EventBatch", "Changes"} <= named
    assert '"$defs"' not in json.dumps(document)
    for path, methods in document["paths"].items():
        for about in methods.values():
            given = [parameter["name"] for parameter in about.get("parameters", [])]
            assert given == re.findall(r"{(\w+)}", path)
    assert document["components"]["securitySchemes"] and "/v1/events" in document["paths"]
    state.engine.close()
    state.writer.close()
