"""Requests drawn from the OpenAPI document; ``make soak`` draws 20,000."""

from __future__ import annotations

from pathlib import Path

import pytest
from openapi_fuzz import fuzz

pytestmark = pytest.mark.integration
REQUESTS = 300


def test_no_request_of_the_document_is_answered_with_a_5xx(tmp_path: Path) -> None:
    seen = fuzz(tmp_path, REQUESTS)
    assert seen.total() >= REQUESTS / 2 and len(seen) > 2
