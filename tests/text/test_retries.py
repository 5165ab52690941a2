"""Which answers are asked for again, and how long a server makes one wait."""

from __future__ import annotations

import numpy as np
import pytest

from tacit.text.retries import backoff, may_pass, retry_after

NOW = 1_738_324_800.0  # Fri, 31 Jan 2025 12:00:00 GMT


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ({}, None),
        ({"retry-after": "2"}, 2.0),
        ({"retry-after": " 1.5 "}, 1.5),
        ({"retry-after": "Fri, 31 Jan 2025 12:00:03 GMT"}, 3.0),
        ({"retry-after": "Friday, 31-Jan-25 12:00:03 GMT"}, 3.0),
        ({"retry-after": "Fri Jan 31 12:00:03 2025"}, None),  # no zone: as if it were not there, or UTC
        ({"retry-after": "Fri, 31 Jan 2025 11:00:00 GMT"}, 0.0),
        ({"retry-after": "-5"}, 0.0),
        ({"retry-after-ms": "2500"}, 2.5),
        ({"retry-after-ms": "2500", "retry-after": "9"}, 2.5),
        ({"retry-after-ms": "soon", "retry-after": "9"}, 9.0),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": ""}, None),
    ],
)
def test_forms_of_retry_after(headers: dict[str, str], wait: float | None) -> None:
    asked = retry_after(headers, NOW)
    assert asked == wait or ("Jan 31 12" in str(headers) and asked == 3.0)


def test_what_may_pass() -> None:
    assert [status for status in range(200, 600) if may_pass(status)] == [408, 409, 425, 429, *range(500, 600)]
    assert not may_pass(429, '{"error": {"code": "insufficient_quota"}}')


def test_waits_double_and_scatter() -> None:
    generator = np.random.default_rng(0)
    for attempt in range(6):
        waits = [backoff(attempt, 0.5, generator) for _ in range(50)]
        assert 0.25 * 2**attempt <= min(waits) < max(waits) < 0.5 * 2**attempt
