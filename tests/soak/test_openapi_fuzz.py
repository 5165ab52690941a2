"""Requests drawn from the OpenAPI document, many."""

from __future__ import annotations

import os
from pathlib import Path

from openapi_fuzz import fuzz

REQUESTS = int(os.environ.get("TACIT_SOAK_REQUESTS", "20000"))


def test_no_request_of_the_document_is_answered_with_a_5xx(tmp_path: Path) -> None:
    print(dict(sorted(fuzz(tmp_path, REQUESTS).items())))
