"""When to ask a server again, and how long to wait before."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from email.utils import parsedate_to_datetime

import numpy as np

PASSING = frozenset({408, 409, 425, 429})  # beside 5xx
_FINAL = ("insufficient_quota", "billing_hard_limit_reached")  # sent as 429, and passed by no waiting


def may_pass(status: int, message: str = "") -> bool:
    """Whether the same request may succeed later: too early, too many or too busy, but not a refusal of the request."""
    return (status >= 500 or status in PASSING) and not any(code in message for code in _FINAL)


def retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """Seconds that a server asks to wait, at least 0; None where it asks for nothing that can be read.

    ``retry-after-ms`` comes before ``Retry-After`` (RFC 9110, 10.2.3), which holds seconds, also with a fraction, or a
    date. ``now`` is in Unix seconds.
    """
    in_ms = _wait(headers.get("retry-after-ms"), lambda text: float(text) / 1000)
    return _seconds_or_date(headers.get("retry-after"), now) if in_ms is None else in_ms


def backoff(attempt: int, pause_s: float, generator: np.random.Generator) -> float:
    """``pause_s`` · 2^attempt, and of that a share drawn in [0.5, 1), so that waiting ones return apart."""
    return pause_s * 2.0**attempt * (0.5 + 0.5 * float(generator.random()))


def _seconds_or_date(text: str | None, now: float) -> float | None:
    seconds = _wait(text, float)
    return seconds if seconds is not None else _wait(text, lambda date: parsedate_to_datetime(date).timestamp() - now)


def _wait(text: str | None, read: Callable[[str], float]) -> float | None:
    if text is None:
        return None
    try:
        wait = read(text.strip())
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return max(0.0, wait) if math.isfinite(wait) else None
